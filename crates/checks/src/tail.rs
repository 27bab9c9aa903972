//! The end of what somebody says, however much that is.

/// Keeps the last bytes, and twice as many at most while it is told more.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    limit: usize,
}

impl Tail {
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    pub(crate) fn push(&mut self, said: &[u8]) {
        let said = &said[said.len().saturating_sub(self.limit)..];
        if self.bytes.len() + said.len() > 2 * self.limit {
            let old = self.bytes.len().saturating_sub(self.limit);
            self.bytes.drain(..old);
        }
        self.bytes.extend_from_slice(said);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(self.limit)..]
    }

    /// As text of at most as many bytes, without what a terminal would obey.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(self.bytes());
        let text: String = text.chars().filter(|&c| c == '\n' || c == '\t' || !c.is_control()).collect();
        // What is no text takes more room as text.
        let mut start = text.len().saturating_sub(self.limit);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        text[start..].trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_bytes_are_kept_however_they_come(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20), limit in 1_usize..30,
        ) {
            let mut tail = Tail::new(limit);
            for part in &parts {
                tail.push(part);
                prop_assert!(tail.bytes.len() <= 2 * limit);
            }
            let all = parts.concat();
            prop_assert_eq!(tail.bytes(), &all[all.len().saturating_sub(limit)..]);
            prop_assert!(tail.text().len() <= limit);
        }
    }

    #[test]
    fn a_terminal_is_told_nothing_but_text() {
        let mut tail = Tail::new(100);
        tail.push(b"\x1b[31mred\x1b[0m\r\n\tnext\x07\0\xff\n\n");
        assert_eq!(tail.text(), "[31mred[0m\n\tnext\u{fffd}");
    }
}
