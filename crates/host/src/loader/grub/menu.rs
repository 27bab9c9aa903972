//! `grub.cfg`: what boots by itself, and the entries with the names that GRUB knows them by.
//!
//! Source: GRUB manual, "menuentry", "submenu" and "default"; `grub-core/normal/menu.c`.

mod parse;

/// What of the configuration concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrubCfg {
    /// What boots by itself.
    pub default: Default,
    /// Whether `next_entry` is obeyed, and cleared before anything is booted; if not, why.
    pub one_shot: Result<(), &'static str>,
    /// The menu, in its order.
    pub items: Vec<Item>,
}

/// How the configuration chooses what boots by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Default {
    /// By `saved_entry` of the environment block.
    Saved,
    /// By this text, whatever the environment block says.
    Fixed(String),
    /// It depends on what only GRUB knows.
    Unknown,
}

/// A line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What a person sees; `None` where it has a variable in it.
    pub title: Option<String>,
    /// Its `--id`, if it has one.
    pub id: Option<String>,
    /// Whether it is there whatever the machine is.
    pub is_certain: bool,
    /// What it does.
    pub action: Action,
}

/// What a line of the menu does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It boots something.
    Boot(Boot),
    /// It shows another menu.
    Submenu(Vec<Item>),
}

/// What an entry boots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boot {
    /// The kernel, as GRUB names files: `(drive)/path`.
    pub linux: Option<String>,
    /// The kernel's command line, word by word.
    pub options: Vec<String>,
    /// Initrds, as GRUB names files.
    pub initrds: Vec<String>,
    /// The device tree, as GRUB names files; `None` where the firmware's is used.
    pub device_tree: Option<String>,
}

/// Where an entry is: its number in the menu, in the submenu, and so on.
pub type Place = Vec<usize>;

impl GrubCfg {
    /// Read a configuration. What is not understood is no entry, and makes the default unknown where it may change it.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        parse::parse(&String::from_utf8_lossy(bytes))
    }

    /// Every entry that boots something, in the order of the menu.
    #[must_use]
    pub fn entries(&self) -> Vec<(Place, &Boot)> {
        let mut entries = Vec::new();
        collect(&self.items, &mut Vec::new(), &mut entries);
        entries
    }

    /// The entry that GRUB takes for this text; `None` where that cannot be told.
    #[must_use]
    pub fn resolve(&self, text: &str) -> Option<Place> {
        let (mut items, mut rest, mut place) = (&self.items, Some(text), Vec::new());
        loop {
            let (name, tail) = split(rest.unwrap_or_default());
            let index = find(items, name)?;
            place.push(index);
            match &items[index].action {
                Action::Boot(_) => return Some(place),
                Action::Submenu(inner) => (items, rest) = (inner, tail),
            }
        }
    }

    /// The text by which GRUB takes this entry, and whether that is by names alone: a number is another entry as soon as
    /// there is one more.
    #[must_use]
    pub fn name(&self, place: &Place) -> Option<(String, bool)> {
        let mut items = &self.items;
        let mut parts = Vec::new();
        for (depth, &index) in place.iter().enumerate() {
            let item = items.get(index)?;
            parts.push(name_of(item, depth).ok_or(index));
            if let Action::Submenu(inner) = &item.action {
                items = inner;
            }
        }
        let means = |parts: &[Result<String, usize>]| {
            let text = |part: &Result<String, usize>| match part {
                Ok(name) => name.clone(),
                Err(index) => index.to_string(),
            };
            let name = parts.iter().map(text).collect::<Vec<_>>().join(">");
            (self.resolve(&name).as_ref() == Some(place)).then_some(name)
        };
        let named = parts.iter().take_while(|part| part.is_ok()).count();
        // The name of a submenu takes the first entry in it.
        let stable = (1..=named).rev().find_map(|length| means(&parts[..length]));
        stable.map(|name| (name, true)).or_else(|| Some((means(&parts)?, false)))
    }
}

fn collect<'a>(items: &'a [Item], place: &mut Place, entries: &mut Vec<(Place, &'a Boot)>) {
    for (index, item) in items.iter().enumerate() {
        place.push(index);
        match &item.action {
            Action::Boot(boot) => entries.push((place.clone(), boot)),
            Action::Submenu(inner) => collect(inner, place, entries),
        }
        place.pop();
    }
}

/// The first part of a name and what comes after it; `>>` is a letter, `>` is not.
fn split(text: &str) -> (&str, Option<&str>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'>', Some(b'>')) => at += 2,
            (b'>', _) => return (&text[..at], Some(&text[at + 1..])),
            _ => at += 1,
        }
    }
    (text, None)
}

/// The line that a part of a name takes; the first one where it names none.
fn find(items: &[Item], name: &str) -> Option<usize> {
    let certain = |upto: usize| items.get(..=upto)?.iter().all(|item| item.is_certain).then_some(upto);
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        // What GRUB makes of `1st` depends on its version.
        let index: usize = name.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.parse().ok())??;
        return certain(if index < items.len() { index } else { 0 });
    }
    let name = name.replace(">>", ">");
    let is_called = |item: &Item| {
        [&item.title, &item.id].into_iter().any(|known| known.as_deref() == Some(&name) && !name.is_empty())
    };
    match items.iter().position(is_called) {
        Some(index) => items[index].is_certain.then_some(index),
        None => certain(0),
    }
}

/// The part of a name that is this line's, if it can be named at all.
fn name_of(item: &Item, depth: usize) -> Option<String> {
    let name = item.id.as_ref().or(item.title.as_ref())?;
    let plain = name.starts_with(|first: char| !first.is_ascii_digit() && !first.is_whitespace());
    // `a>` and `>b` make `a>>>b`, which GRUB reads as `a>` and `b`.
    let joins = depth == 0 || !name.starts_with('>');
    (plain && joins && !name.contains(['\n', '\0'])).then(|| name.replace('>', ">>"))
}

#[cfg(test)]
mod tests;
