//! GRUB's environment block: a file of a fixed size, which GRUB overwrites where it lies on the disk.
//!
//! Source: GRUB manual, "The GRUB environment block", and `grub-core/lib/envblk.c`.

/// Its size, as `grub-editenv create` makes it.
pub const SIZE_BYTES: usize = 1024;
/// Unit in which a disk writes all or nothing.
const SECTOR_BYTES: usize = 512;
const HEADER: &[u8] = b"# GRUB Environment Block\n";
/// GRUB fills what is free with it, and skips every line that begins with it.
const FILLER: u8 = b'#';

/// What the next boot takes once, by its entry.
pub const NEXT_ENTRY: &str = "next_entry";
/// What boots by itself, by its entry.
pub const SAVED_ENTRY: &str = "saved_entry";
/// The boot in which `next_entry` was written.
pub const ARMED_IN: &str = "golden_armed_in";
/// Set once GRUB was seen to leave a one-shot where it was.
pub const ONE_SHOT: &str = "golden_one_shot";
/// Variables that we write.
const OURS: [&str; 4] = [NEXT_ENTRY, SAVED_ENTRY, ARMED_IN, ONE_SHOT];

/// Variables in their order, as bytes: most are somebody else's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrubEnv {
    variables: Vec<(Vec<u8>, Vec<u8>)>,
}

impl GrubEnv {
    /// What GRUB reads of a block: everything up to what it cannot read. `None` if it is no block.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != SIZE_BYTES {
            return None;
        }
        let mut rest = bytes.strip_prefix(HEADER)?;
        let mut variables = Vec::new();
        while let Some(&first) = rest.first() {
            if first == FILLER {
                rest = after_line(rest, 0);
                continue;
            }
            let Some(equals) = rest.iter().position(|&byte| byte == b'=') else { break };
            let Some((value, after)) = value(&rest[equals + 1..]) else { break };
            variables.push((rest[..equals].to_vec(), value));
            rest = after;
        }
        Some(Self { variables })
    }

    /// The block, if everything fits. What is ours comes first and within one sector, so that a power cut leaves the
    /// old or the new of it; what is others' moves at most once, to the second sector.
    #[must_use]
    pub fn render(&self) -> Option<Vec<u8>> {
        let is_ours = |name: &[u8]| OURS.iter().any(|ours| ours.as_bytes() == name);
        let (ours, others): (Vec<_>, Vec<_>) = self.variables.iter().partition(|(name, _)| is_ours(name));
        let mut block = HEADER.to_vec();
        for variable in ours {
            write(&mut block, variable);
        }
        let mut rest = Vec::new();
        for variable in others {
            write(&mut rest, variable);
        }
        let free = SECTOR_BYTES.saturating_sub(block.len());
        // An empty line would be taken for the beginning of a name.
        if rest.len() > free && free > 1 {
            block.resize(SECTOR_BYTES - 1, FILLER);
            block.push(b'\n');
        }
        block.extend(rest);
        if block.len() > SIZE_BYTES {
            return None;
        }
        block.resize(SIZE_BYTES, FILLER);
        Some(block)
    }

    /// The value of a variable that says something: GRUB takes an empty one for one that is not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let (_, value) = self.variables.iter().rfind(|(known, _)| known == name.as_bytes())?;
        let text = String::from_utf8_lossy(value).into_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Set a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.variables.push((name.into(), value.into()));
    }

    /// Remove a variable.
    pub fn remove(&mut self, name: &str) {
        self.variables.retain(|(known, _)| known != name.as_bytes());
    }
}

/// What comes after the line that `at` is in; a backslash takes the next byte along.
fn after_line(bytes: &[u8], mut at: usize) -> &[u8] {
    loop {
        match bytes.get(at) {
            None => return &[],
            Some(b'\n') => return &bytes[at + 1..],
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// A value and what comes after its line; `None` where that has no end.
fn value(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'\n' => return Some((value, &bytes[at + 1..])),
            b'\\' => {
                value.push(*bytes.get(at + 1)?);
                at += 2;
            }
            byte => {
                value.push(*byte);
                at += 1;
            }
        }
    }
}

fn write(block: &mut Vec<u8>, (name, value): &(Vec<u8>, Vec<u8>)) {
    block.extend(name);
    block.push(b'=');
    for &byte in value {
        if matches!(byte, b'\\' | b'\n') {
            block.push(b'\\');
        }
        block.push(byte);
    }
    block.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(text: &str) -> Vec<u8> {
        let mut block = [HEADER, text.as_bytes()].concat();
        block.resize(SIZE_BYTES, FILLER);
        block
    }

    #[test]
    fn a_block_is_read_as_grub_reads_it() {
        let env =
            GrubEnv::parse(&block("a=1\n# a comment\nsaved_entry=x>y\\\\z\nb=\na=2\nbroken=no end")).unwrap();
        assert_eq!(env.get("a").as_deref(), Some("2"), "the last one counts");
        assert_eq!(env.get("saved_entry").as_deref(), Some("x>y\\z"));
        assert_eq!(env.get("b"), None, "what is empty is not set");
        assert_eq!(env.get("broken"), None);
    }

    #[test]
    fn what_is_no_block_has_no_variables() {
        let good = block("a=1\n");
        assert!(GrubEnv::parse(&good).is_some());
        for bad in [&[][..], &good[1..], &[0; SIZE_BYTES], &[good.as_slice(), b"#"].concat()] {
            assert_eq!(GrubEnv::parse(bad), None);
        }
    }

    #[test]
    fn what_others_wrote_stays_and_what_is_ours_comes_first() {
        let mut env = GrubEnv::parse(&block("kernelopts=root=/dev/vda1\nsaved_entry=old\n")).unwrap();
        env.set(SAVED_ENTRY, "A > B\\\nC");
        env.set(NEXT_ENTRY, "x");
        env.remove(NEXT_ENTRY);
        let text = String::from_utf8(env.render().unwrap()).unwrap();
        let expected = "# GRUB Environment Block\nsaved_entry=A > B\\\\\\\nC\nkernelopts=root=/dev/vda1\n###";
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(text.len(), SIZE_BYTES);
    }

    #[test]
    fn what_is_ours_never_crosses_a_sector() {
        for others in [300, 440, 480] {
            let mut env = GrubEnv::default();
            env.set("others", &"o".repeat(others));
            env.set(SAVED_ENTRY, &"s".repeat(100));
            let before = env.render().unwrap();
            env.set(NEXT_ENTRY, &"n".repeat(100));
            let after = env.render().unwrap();
            // Either half of the write is lost.
            for torn in [[&before[..512], &after[512..]].concat(), [&after[..512], &before[512..]].concat()] {
                let torn = GrubEnv::parse(&torn).unwrap();
                assert_eq!(torn.get(SAVED_ENTRY).unwrap().len(), 100);
                assert!([None, Some("n".repeat(100))].contains(&torn.get(NEXT_ENTRY)));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut env = GrubEnv::default();
        env.set(SAVED_ENTRY, &"s".repeat(SIZE_BYTES));
        assert_eq!(env.render(), None);
    }

    proptest! {
        #[test]
        fn garbage_is_read_without_a_panic_and_written_as_it_was_read(
            mut bytes in proptest::collection::vec(prop::sample::select(b"ab=#\\\n\0\xff".to_vec()), 0..SIZE_BYTES),
        ) {
            bytes.splice(0..0, HEADER.iter().copied());
            bytes.resize(SIZE_BYTES, FILLER);
            let env = GrubEnv::parse(&bytes).unwrap();
            if let Some(written) = env.render() {
                prop_assert_eq!(GrubEnv::parse(&written).unwrap(), env);
            }
        }

        #[test]
        fn every_value_comes_back(value in "\\PC{1,100}[\\\\\n]{0,3}") {
            let mut env = GrubEnv::default();
            env.set(NEXT_ENTRY, &value);
            let read = GrubEnv::parse(&env.render().unwrap()).unwrap();
            prop_assert_eq!(read.get(NEXT_ENTRY), Some(value));
        }
    }
}
