//! Reading a menu: which command runs when, and what it says.

use super::super::script::{Token, Word, tokens};
use super::{Action, Boot, Default, GrubCfg, Item};

/// Deepest submenu that is read.
const MAX_DEPTH: usize = 8;

/// What of a configuration concerns us.
pub(super) fn parse(text: &str) -> GrubCfg {
    let tokens = tokens(text);
    let mut parser = Parser { tokens: &tokens, at: 0, header: Header::default() };
    let mut items = Vec::new();
    while parser.at < tokens.len() {
        // A brace that nothing opened ends nothing.
        items.extend(parser.items(0));
    }
    let Header { usually, once, loads, clears, .. } = parser.header;
    let default = match usually {
        Default::Saved if !loads => Default::Fixed(String::new()),
        other => other,
    };
    let one_shot = match once {
        _ if !loads => Err("its configuration does not load the environment block"),
        _ if saves_what_boots_once(text) => {
            Err("its entries make themselves the default (boot.loader.grub.default = \"saved\")")
        }
        Default::Fixed(value) if value == "${next_entry}" && clears => Ok(()),
        Default::Fixed(value) if value == "${next_entry}" => {
            Err("its configuration does not clear next_entry")
        }
        _ => Err("its configuration does not obey next_entry"),
    };
    GrubCfg { default, one_shot, items }
}

/// Whether an entry that is booted once becomes the default by that. NixOS's `savedefault` is to do nothing where
/// `boot_once` is set, but a submenu does not see a variable that is not exported. Both were seen with GRUB 2.12.
fn saves_what_boots_once(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let exports = text.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("export") && words.any(|word| word == "boot_once")
    });
    let in_submenus = lines.find(|line| line.starts_with("submenu ")).is_some();
    in_submenus && lines.any(|line| line == "savedefault") && !exports
}

/// When a command runs, as far as `next_entry` decides that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// Only if `next_entry` says something.
    Once,
    /// Only if it does not.
    Usually,
    Unknown,
}

/// What the commands outside of entries do.
struct Header {
    usually: Default,
    once: Default,
    loads: bool,
    /// Whether `next_entry` is empty by then.
    emptied: bool,
    clears: bool,
}

impl std::default::Default for Header {
    /// Without a default GRUB takes the first entry.
    fn default() -> Self {
        let first = || Default::Fixed(String::new());
        Self { usually: first(), once: first(), loads: false, emptied: false, clears: false }
    }
}

impl Header {
    fn command(&mut self, words: &[Word], when: When) {
        let Some((first, arguments)) = words.split_first() else { return };
        match first.text.as_str() {
            "load_env" => self.loads |= when == When::Always,
            "save_env" => {
                let saves = arguments.iter().any(|word| word.text == "next_entry");
                self.clears |= saves && self.emptied && matches!(when, When::Always | When::Once);
            }
            "set" => arguments.iter().for_each(|word| self.assign(word, when)),
            _ => self.assign(first, when),
        }
    }

    fn assign(&mut self, word: &Word, when: When) {
        match word.text.split_once('=') {
            Some(("next_entry", "")) => self.emptied |= matches!(when, When::Always | When::Once),
            Some(("default", value)) => {
                let value = match value {
                    "${saved_entry}" => Default::Saved,
                    "${next_entry}" => Default::Fixed(value.to_owned()),
                    _ if !word.is_known => Default::Unknown,
                    _ => Default::Fixed(value.to_owned()),
                };
                let value = if when == When::Unknown { Default::Unknown } else { value };
                if when != When::Usually {
                    self.once = value.clone();
                }
                if when != When::Once {
                    self.usually = value;
                }
            }
            _ => {}
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    header: Header,
}

impl<'a> Parser<'a> {
    /// The next command, and what ended it.
    fn command(&mut self) -> (Vec<Word>, Option<&'a Token>) {
        let mut words = Vec::new();
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            match token {
                Token::Word(word) => words.push(word.clone()),
                end => return (words, Some(end)),
            }
        }
        (words, None)
    }

    /// Everything up to the end of this block.
    fn items(&mut self, depth: usize) -> Vec<Item> {
        let mut items = Vec::new();
        let mut conditions: Vec<When> = Vec::new();
        loop {
            let (words, end) = self.command();
            let words = without_keywords(&words, &mut conditions);
            let when = conditions.iter().copied().fold(When::Always, both);
            if end != Some(&Token::Open) {
                if depth == 0 {
                    self.header.command(words, when);
                }
                match end {
                    Some(Token::End) => continue,
                    _ => return items,
                }
            }
            let is_certain = when == When::Always;
            match words.first().map(|word| word.text.as_str()) {
                Some("menuentry") => {
                    let action = Action::Boot(self.boot());
                    items.push(item(&words[1..], is_certain, action));
                }
                Some("submenu") if depth < MAX_DEPTH => {
                    let action = Action::Submenu(self.items(depth + 1));
                    items.push(item(&words[1..], is_certain, action));
                }
                Some("submenu") => {
                    self.skip_block();
                    items.push(item(&words[1..], false, Action::Submenu(Vec::new())));
                }
                _ => self.skip_block(),
            }
        }
    }

    /// What the block of an entry boots.
    fn boot(&mut self) -> Boot {
        let mut boot = Boot::default();
        loop {
            let (words, end) = self.command();
            let text = |words: &[Word]| words.iter().map(|word| word.text.clone()).collect::<Vec<_>>();
            if let Some((first, arguments)) = words.split_first() {
                let is_kernel = arguments.iter().any(|word| word.text.starts_with("init="));
                match first.text.as_str() {
                    "linux" | "linux16" | "linuxefi" => boot.set_linux(&text(arguments)),
                    // Of Xen, the first module is the kernel.
                    "module" | "module2" if is_kernel => boot.set_linux(&text(arguments)),
                    "initrd" | "initrd16" | "initrdefi" | "module" | "module2" => {
                        boot.initrds.extend(text(arguments));
                    }
                    "devicetree" => boot.device_tree = text(arguments).into_iter().next(),
                    _ => {}
                }
            }
            match end {
                Some(Token::Open) => self.skip_block(),
                Some(Token::End) => {}
                _ => return boot,
            }
        }
    }

    /// Go on after the end of this block.
    fn skip_block(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.tokens.get(self.at) {
                None => return,
                Some(Token::Open) => depth += 1,
                Some(Token::Close) => depth -= 1,
                Some(_) => {}
            }
            self.at += 1;
        }
    }
}

impl Boot {
    fn set_linux(&mut self, words: &[String]) {
        if let Some((linux, options)) = words.split_first() {
            self.linux = Some(linux.clone());
            self.options = options.to_vec();
        }
    }
}

/// The words without those that only say when a command runs.
fn without_keywords<'a>(words: &'a [Word], conditions: &mut Vec<When>) -> &'a [Word] {
    let mut words = words;
    while let Some((first, rest)) = words.split_first() {
        let last = conditions.last_mut();
        match (first.text.as_str(), last) {
            ("then" | "do", _) => {}
            ("else", Some(last)) => {
                *last = match last {
                    When::Once => When::Usually,
                    When::Usually => When::Once,
                    _ => When::Unknown,
                }
            }
            ("elif", Some(last)) => {
                *last = When::Unknown;
                return &[];
            }
            ("if", _) => {
                conditions.push(condition(rest));
                return &[];
            }
            ("while" | "until" | "for", _) => {
                conditions.push(When::Unknown);
                return &[];
            }
            ("fi" | "done", _) => {
                conditions.pop();
                return &[];
            }
            _ => return words,
        }
        words = rest;
    }
    words
}

fn condition(words: &[Word]) -> When {
    let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    match words[..] {
        ["[", "${next_entry}", "]"] | ["[", "-n", "${next_entry}", "]"] => When::Once,
        ["[", "-z", "${next_entry}", "]"] => When::Usually,
        // Whoever sets a variable has looked that the block is there.
        ["[", "-s" | "-e" | "-f", "${prefix}/grubenv", "]"] => When::Always,
        _ => When::Unknown,
    }
}

fn both(outer: When, inner: When) -> When {
    match (outer, inner) {
        (When::Always, other) | (other, When::Always) => other,
        (outer, inner) if outer == inner => outer,
        _ => When::Unknown,
    }
}

/// A line of the menu from the words after `menuentry` or `submenu`.
fn item(words: &[Word], is_certain: bool, action: Action) -> Item {
    let (mut title, mut id) = (None, None);
    let known = |word: &Word| word.is_known.then(|| word.text.clone());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "--class" | "--users" | "--hotkey" | "--source" => drop(words.next()),
            // What `grub-mkconfig` writes for `--id`.
            "--id" | "${menuentry_id_option}" => id = words.next().and_then(known),
            text if text.starts_with("--id=") => id = known(word).map(|text| text[5..].to_owned()),
            text if text.starts_with("--") => {}
            _ if title.is_none() => title = Some(known(word)),
            _ => {}
        }
    }
    Item { title: title.flatten(), id, is_certain, action }
}
