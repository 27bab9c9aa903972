//! What holds for any bytes that a disk or an owner can put before a parser.
//!
//! `cargo xtask fuzz` looks for bytes for which it does not; the ones in `corpus/` are tried by every `cargo test`
//! (`crates/host/tests/corpus.rs`).

use golden_core::{Header, Ledger};
use golden_host::loader::entry::{Entry, Payload, is_managed};
use golden_host::loader::grub::grubenv::{self, GrubEnv};
use golden_host::loader::grub::menu::{Action, Default, GrubCfg, Item};
use golden_host::loader::loader_conf::{self, Key};
use golden_host::loader::pe::{HEAD_BYTES, Pe};
use golden_host::loader::uki::{self, Image};
use golden_host::loader::{authenticode, kernel_image};
use golden_host::simulated::efi_image;

/// What was read and is written reads the same, and its text does not change any more: unknown fields are kept.
pub fn ledger(bytes: &[u8]) {
    // No writer writes a key twice, and readers do not agree on which one counts.
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else {
        return assert!(serde_json::from_slice::<Ledger>(bytes).is_err());
    };
    let bytes = &serde_json::to_vec(&value).expect("what was read can be written");
    let Ok(ledger) = serde_json::from_slice::<Ledger>(bytes) else { return };
    let header: Header = serde_json::from_slice(bytes).expect("every ledger has the header");
    assert_eq!((header.format, header.min_reader), (ledger.format, ledger.min_reader));
    let written = serde_json::to_vec_pretty(&ledger).expect("what was read can be written");
    let again: Ledger = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, ledger);
    assert_eq!(serde_json::to_vec_pretty(&again).expect("as before"), written);
}

/// The default that was set is the one that is read, nothing is preferred to it, and no other line is touched.
pub fn loader_conf(bytes: &[u8]) {
    let id = "nixos-generation-1.conf";
    let set = loader_conf::with_default(bytes, id);
    assert_eq!(loader_conf::pattern(&set, Key::Default).as_deref(), Some(id));
    assert_eq!(loader_conf::pattern(&set, Key::Preferred), None);
    assert_eq!(loader_conf::with_default(&set, id), set, "once is enough");
    assert!(set.len() <= bytes.len() + "\ndefault \n".len() + id.len());
    let last = set.split_inclusive(|&byte| byte == b'\n').count() - 1;
    for line in set.split_inclusive(|&byte| byte == b'\n').take(last) {
        let line = line.trim_ascii_end();
        assert!(bytes.windows(line.len().max(1)).any(|window| window == line) || line.is_empty());
    }
    for key in [Key::Default, Key::Preferred] {
        let Some(pattern) = loader_conf::pattern(bytes, key) else { continue };
        let is_plain = !pattern.contains(['*', '?', '[', '\\']);
        let is_short = pattern.len() <= 1024;
        assert!(
            !is_plain || loader_conf::matches(&pattern, &pattern) == is_short,
            "a name is called by itself"
        );
        assert!(loader_conf::matches("*", &pattern));
        assert!(!loader_conf::matches("?", "") && !loader_conf::matches("", "x"));
    }
}

/// A name, a line feed and an entry: nothing is named that is not in its text, and its name is what it is called by.
pub fn entry(bytes: &[u8]) {
    let at = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (name, text) = bytes.split_at(at);
    let (name, lossy) = (String::from_utf8_lossy(name), String::from_utf8_lossy(text));
    let Some(entry) = Entry::parse(&name, text) else { return };
    assert_eq!(entry.file, name);
    assert!(entry.options.iter().all(|word| lossy.contains(word.as_str())));
    assert!(entry.options.iter().map(String::len).sum::<usize>() <= lossy.len());
    let Payload::Files(files) = &entry.payload else { panic!("a text is no image") };
    for path in files.all() {
        assert!(lossy.contains(path.as_str()));
        // What is managed is a file in one directory.
        let plain = path.replace('\\', "/");
        assert!(!is_managed(path) || plain.trim_start_matches('/').split('/').count() == 3);
        assert!(!is_managed(path) || !plain.split('/').any(|part| part == ".."));
    }
    boots_its_own_system(&entry);
    assert!(entry.is_called(&entry.id()) && entry.is_called(&entry.file), "it is called by its name");
    assert!(entry.is_exhausted() <= entry.is_counted());
    let pattern = entry.name_for_loader();
    // No file system has a longer name.
    let is_plain = name.len() <= 765 && !name.contains(['*', '?', '[', ']', '\\']);
    for spelling in [&entry.id(), &entry.file] {
        assert!(!is_plain || loader_conf::matches(&pattern, spelling), "{pattern} {spelling}");
    }
    assert!(entry.id().len() <= entry.file.len());
}

/// A kernel's command line, as an image has it: the system is the one that stage 1 of NixOS boots.
pub fn command_line(bytes: &[u8]) {
    let image = efi_image(&[(".cmdline", bytes), (".linux", b"kernel")]);
    // One that is too long is none.
    let Some(image) = Image::of_bytes(&image) else { return assert!(bytes.len() > 1 << 16) };
    let known = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    assert_eq!(image.command_line, String::from_utf8_lossy(known));
    let last = image
        .command_line
        .split_ascii_whitespace()
        .rev()
        .find_map(|word| word.trim_matches('"').strip_prefix("init=").map(str::to_owned));
    match Entry::of_image("nixos-1.efi", image) {
        None => assert!(last.is_none_or(|init| golden_core::Toplevel::from_init(&init).is_none())),
        Some(entry) => {
            assert_eq!(last, Some(format!("{}/init", entry.toplevel)));
            boots_its_own_system(&entry);
        }
    }
}

/// The system is named in the options, once or more; with the rest of the options as its parameters, the entry is its own.
fn boots_its_own_system(entry: &Entry) {
    let init = format!("init={}/init", entry.toplevel);
    let is_init = |word: &&String| **word == init;
    assert!(entry.options.iter().rfind(|word| word.starts_with("init=")) == Some(&init));
    let others: Vec<&str> = entry.options.iter().filter(|word| !is_init(word)).map(String::as_str).collect();
    let is_plain = others.iter().all(|word| !word.is_empty());
    let is_once = entry.options.iter().filter(is_init).count() == 1;
    assert!(!is_plain || entry.has_parameters(&others.join(" ")) == is_once);
    assert!(!entry.has_parameters(&format!("{} more", others.join(" "))));
}

/// An image names nothing that is not in the file, few and small parts of it are read, and what is hashed is in it, once.
pub fn uki(bytes: &[u8]) {
    let mut reads = 0;
    let image = Image::parse(|offset, count| {
        reads += 1;
        assert!(count <= HEAD_BYTES && reads <= 7, "it is read in pieces that fit");
        let rest = bytes.get(usize::try_from(offset).expect("64 bits")..).unwrap_or_default();
        Ok(rest[..rest.len().min(count)].to_vec())
    });
    let size = bytes.len() as u64;
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    if let Ok(pe) = Pe::parse(head) {
        holds(&pe, size);
    }
    if kernel_image::check(head, size).is_ok() {
        assert!(bytes.starts_with(b"MZ") && Pe::parse(head).is_ok_and(|pe| pe.is_inside(size)));
    }
    let Some(image) = image.expect("memory can be read") else { return };
    let is_there = |part: &[u8]| part.is_empty() || bytes.windows(part.len()).any(|window| window == part);
    assert!(is_there(image.command_line.as_bytes()) || image.command_line.contains('\u{fffd}'));
    for payload in [Some(&image.kernel), image.initrd.as_ref()].into_iter().flatten() {
        match payload {
            uki::Payload::File { path, hash } => assert!(is_there(path.as_bytes()) && is_there(hash)),
            uki::Payload::Inside(range) => assert!(!image.pe.is_inside(size) || range.end <= size),
        }
    }
    assert!(image.files().count() <= 2);
}

fn holds(pe: &Pe, size: u64) {
    for section in &pe.sections {
        assert!(section.bytes.start == section.stored.start && section.bytes.end <= section.stored.end);
    }
    let is_inside = pe.is_inside(size);
    assert!(!is_inside || pe.sections.iter().all(|section| section.stored.end <= size));
    let Some(parts) = authenticode::hashed(pe, size).filter(|_| is_inside) else { return };
    assert!(parts.iter().all(|part| part.start < part.end && part.end <= size));
    assert!(parts.iter().map(|part| part.end - part.start).sum::<u64>() <= size);
}

/// What is written reads as it was set, in one block of its size, and what is somebody else's stays as it was.
pub fn grubenv(bytes: &[u8]) {
    // A fuzzer does not find a block by itself.
    let header = b"# GRUB Environment Block\n";
    let mut block = [header, bytes].concat();
    block.resize(grubenv::SIZE_BYTES, b'#');
    assert!(GrubEnv::parse(bytes).is_none() || bytes.len() == grubenv::SIZE_BYTES);
    let Some(mut env) = GrubEnv::parse(&block) else { return };
    let others = ["saved_entry", "golden_armed_in", "boot_success", "a"].map(|name| (name, env.get(name)));
    if let Some(written) = env.render() {
        assert_eq!(written.len(), grubenv::SIZE_BYTES);
        let again = GrubEnv::parse(&written).expect("what was written is a block");
        assert_eq!(again.render().as_ref(), Some(&written), "once is enough");
        for (name, value) in &others {
            assert_eq!(again.get(name), *value, "{name}");
        }
    }
    for value in ["nixos-generation-1", "a>b\\c=d\n# e"] {
        env.set(grubenv::NEXT_ENTRY, value);
        let Some(written) = env.render() else { continue };
        let again = GrubEnv::parse(&written).expect("what was written is a block");
        assert_eq!(again.get(grubenv::NEXT_ENTRY).as_deref(), Some(value));
        for (name, value) in &others {
            assert_eq!(again.get(name), *value, "{name}");
        }
    }
    env.remove(grubenv::NEXT_ENTRY);
    assert_eq!(env.get(grubenv::NEXT_ENTRY), None);
}

/// An entry that has a name is the one that GRUB takes for it, and nothing but entries is ever taken.
pub fn grub_cfg(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let cfg = GrubCfg::parse(bytes);
    // The menu, eight submenus below each other, and one that is not looked into.
    assert!(depth(&cfg.items) <= 10 && count(&cfg.items) <= bytes.len());
    let entries = cfg.entries();
    let is_entry = |place: &Vec<usize>| entries.iter().any(|(known, _)| known == place);
    for (place, boot) in &entries {
        if let Some((name, _)) = cfg.name(place) {
            assert_eq!(cfg.resolve(&name).as_ref(), Some(place), "{name}");
        }
        // `$a` is written `${a}`.
        let words = boot.options.iter().chain(&boot.initrds).chain(&boot.linux);
        assert!(words.map(String::len).sum::<usize>() <= 4 * text.len());
    }
    for name in ["", "0", "1", "1>0", "0>", ">", ">>", "99999999999999999999", &text] {
        assert!(cfg.resolve(name).is_none_or(|place| is_entry(&place)), "{name}");
    }
    assert!(cfg.default != Default::Saved || text.contains("saved_entry") && text.contains("load_env"));
    assert!(cfg.one_shot.is_err() || text.contains("next_entry") && text.contains("load_env"));
}

fn depth(items: &[Item]) -> usize {
    let inner = |item: &Item| match &item.action {
        Action::Submenu(items) => depth(items),
        Action::Boot(_) => 0,
    };
    1 + items.iter().map(inner).max().unwrap_or(0)
}

fn count(items: &[Item]) -> usize {
    let inner = |item: &Item| match &item.action {
        Action::Submenu(items) => 1 + count(items),
        Action::Boot(_) => 1,
    };
    items.iter().map(inner).sum()
}
