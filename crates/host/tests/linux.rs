//! The real host, on a machine below a directory.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs2::FileExt;
use golden_core::{Kept, Live, LivePhase};
use golden_host::{Comparison, Host, LinuxHost, operation};
use tempfile::TempDir;

struct Machine {
    root: TempDir,
    host: LinuxHost,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let host = LinuxHost::new(root.path());
        Self { root, host }
    }

    /// Where a path of the machine is for the test.
    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), bytes).unwrap();
    }
}

fn path(path: &str) -> &Path {
    Path::new(path)
}

#[test]
fn links_are_followed_inside_the_machine() {
    let machine = Machine::new();
    machine.put("/data/file", b"inside");
    symlink("/data", machine.at("/absolute")).unwrap();
    symlink("../../../../data/file", machine.at("/data/relative")).unwrap();
    symlink("/loop", machine.at("/loop")).unwrap();
    assert_eq!(machine.host.read(path("/absolute/file")).unwrap(), b"inside");
    assert_eq!(machine.host.read(path("/data/relative")).unwrap(), b"inside");
    assert_eq!(machine.host.read_link(path("/absolute")).unwrap(), path("/data"));
    assert!(machine.host.read(path("/loop")).is_err());
    machine.host.write(path("/absolute/new"), b"here").unwrap();
    assert_eq!(fs::read(machine.at("/data/new")).unwrap(), b"here");
}

#[test]
fn what_is_missing_is_not_found_and_what_is_no_link_is_invalid() {
    let machine = Machine::new();
    machine.put("/file", b"");
    let kind = |result: io::Result<PathBuf>| result.unwrap_err().kind();
    assert_eq!(kind(machine.host.read_link(path("/nothing"))), io::ErrorKind::NotFound);
    assert_eq!(kind(machine.host.read_link(path("/file"))), io::ErrorKind::InvalidInput);
    assert_eq!(machine.host.read(path("/nothing")).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn overwriting_keeps_the_place_and_the_size() {
    let machine = Machine::new();
    machine.put("/conf", b"old");
    let inode = fs::metadata(machine.at("/conf")).unwrap().ino();
    machine.host.overwrite(path("/conf"), b"new").unwrap();
    assert_eq!(fs::read(machine.at("/conf")).unwrap(), b"new");
    assert_eq!(fs::metadata(machine.at("/conf")).unwrap().ino(), inode);
    let longer = machine.host.overwrite(path("/conf"), b"longer").unwrap_err();
    assert_eq!(longer.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(fs::read(machine.at("/conf")).unwrap(), b"new");
}

#[test]
fn files_are_compared_to_their_last_byte() {
    let machine = Machine::new();
    // More than what is held in memory at a time.
    let long = vec![7; (1 << 19) + 3];
    let (mut other, mut longer) = (long.clone(), long.clone());
    *other.last_mut().unwrap() = 8;
    longer.push(9);
    machine.put("/long", &long);
    for (name, bytes, expected) in [
        ("/same", &long[..], Comparison::Same),
        ("/other", &other, Comparison::Different),
        ("/longer", &longer, Comparison::Longer),
        ("/shorter", &long[..1 << 18], Comparison::Different),
        ("/empty", &[], Comparison::Different),
    ] {
        machine.put(name, bytes);
        assert_eq!(machine.host.compare(path("/long"), path(name)).unwrap(), expected, "{name}");
    }
}

#[test]
fn the_state_directory_is_nobody_elses_business() {
    let machine = Machine::new();
    machine.host.create_directory(path("/var/lib/state"), 0o700).unwrap();
    assert_eq!(fs::metadata(machine.at("/var/lib/state")).unwrap().permissions().mode() & 0o777, 0o700);
    machine.host.write(path("/var/lib/state/ledger.json"), b"").unwrap();
    let mode = fs::metadata(machine.at("/var/lib/state/ledger.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn a_link_replaces_the_file_of_its_name_and_leaves_nothing_beside_it() {
    let machine = Machine::new();
    fs::create_dir_all(machine.at("/roots")).unwrap();
    machine.put("/target", b"kept");
    machine.put("/roots/.golden.new", b"left by a crash");
    for target in ["/nix/store/a", "/nix/store/b"] {
        machine.host.link(path(target), path("/roots/golden")).unwrap();
        assert_eq!(machine.host.read_link(path("/roots/golden")).unwrap(), path(target));
    }
    machine.host.link(path("/target"), path("/roots/golden")).unwrap();
    machine.host.link(path("/nix/store/a"), path("/roots/golden")).unwrap();
    assert_eq!(fs::read(machine.at("/target")).unwrap(), b"kept");
    assert_eq!(machine.host.list(path("/roots")).unwrap(), ["golden"]);
}

#[test]
fn every_watch_of_a_switch_is_counted_also_where_the_boot_check_left_no_word() {
    let machine = Machine::new();
    let live = Live {
        from: "/nix/store/aaaa-a".parse().unwrap(),
        to: "/nix/store/bbbb-b".parse().unwrap(),
        boot: "0".repeat(32).parse().unwrap(),
        phase: LivePhase::Proving,
        confirmed: false,
        baseline: None,
        replaced: None,
        unknown: Kept::new(),
    };
    let counts: Vec<u32> = (0..3).map(|_| operation::count_watch(&machine.host, &live)).collect();
    assert_eq!(counts, [1, 2, 3]);
}

#[test]
fn the_lock_keeps_others_out_as_long_as_it_is_held() {
    let machine = Machine::new();
    let held = machine.host.lock(path("/lock")).unwrap();
    let other = File::open(machine.at("/lock")).unwrap();
    assert_eq!(other.try_lock_exclusive().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(held);
    FileExt::try_lock_exclusive(&other).unwrap();
}

#[test]
fn a_killed_holder_leaves_no_lock() {
    let machine = Machine::new();
    let mut holder = Command::new("flock")
        .arg(machine.at("/lock"))
        .args(["sh", "-c", "echo held; exec sleep 3600"])
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut said = [0; 5];
    io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut said).unwrap();
    let is_held = File::open(machine.at("/lock")).unwrap().try_lock_exclusive().is_err();
    assert!(is_held);
    // Both the holder and what it runs have the file open.
    let kill = format!("kill -KILL -{}", holder.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    holder.wait().unwrap();
    machine.host.lock(path("/lock")).unwrap();
}

#[test]
fn variables_carry_their_attributes() {
    const VARIABLES: &str = "/sys/firmware/efi/efivars";
    const ONE_SHOT: &str = "LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    let machine = Machine::new();
    let unsupported = machine.host.efi_read("LoaderEntryOneShot").unwrap_err();
    assert_eq!(unsupported.kind(), io::ErrorKind::Unsupported);
    machine.put(&format!("{VARIABLES}/SecureBoot-8be4df61"), b"\x06\0\0\0\0");
    assert_eq!(machine.host.efi_read("LoaderEntryOneShot").unwrap(), None);
    machine.host.efi_write("LoaderEntryOneShot", b"a\0\0\0").unwrap();
    let file = machine.at(&format!("{VARIABLES}/{ONE_SHOT}"));
    assert_eq!(fs::read(&file).unwrap(), b"\x07\0\0\0a\0\0\0");
    assert_eq!(machine.host.efi_read("LoaderEntryOneShot").unwrap().unwrap(), b"a\0\0\0");
    machine.host.efi_remove("LoaderEntryOneShot").unwrap();
    machine.host.efi_remove("LoaderEntryOneShot").unwrap();
    assert!(!file.exists());
    // Shorter than its attributes: firmware that lies.
    fs::write(&file, b"\x07").unwrap();
    assert_eq!(machine.host.efi_read("LoaderEntryOneShot").unwrap().unwrap(), b"");
}

#[test]
fn nothing_but_a_regular_file_is_opened() {
    let machine = Machine::new();
    machine.put("/file", b"x");
    for (name, make) in [("fifo", "mkfifo"), ("directory", "mkdir")] {
        assert!(Command::new(make).arg(machine.at(name)).status().unwrap().success());
        let name = path(name);
        // Each of these would wait for ever for the other end of the FIFO.
        assert!(machine.host.read(name).is_err());
        assert!(machine.host.append(name, b"x").is_err());
        assert!(machine.host.overwrite(name, b"").is_err());
        assert!(machine.host.compare(path("/file"), name).is_err());
        assert!(machine.host.sync_file(name).is_err());
        assert!(machine.host.lock(name).is_err());
        machine.host.write(name, b"in its place").unwrap();
        assert_eq!(machine.host.read(name).unwrap(), b"in its place");
    }
    symlink("file", machine.at("link")).unwrap();
    machine.host.write(path("link"), b"not through it").unwrap();
    assert_eq!(fs::read(machine.at("file")).unwrap(), b"x");
    File::create(machine.at("huge")).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(machine.host.read(path("huge")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn nobody_reboots_for_a_machine_that_does_not_run() {
    assert!(Machine::new().host.reboot().is_err());
}

#[test]
fn a_part_of_a_file_is_what_is_there_of_it() {
    let machine = Machine::new();
    machine.put("/data/file", b"0123456789");
    symlink("/data/file", machine.at("/link")).unwrap();
    let part = |offset, bytes| machine.host.read_part(path("/link"), offset, bytes).unwrap();
    assert_eq!(part(0, 3), b"012");
    assert_eq!(part(8, 100), b"89");
    assert_eq!(part(10, 1), b"");
    assert_eq!(part(u64::from(u32::MAX), 1), b"");
    assert_eq!(machine.host.size(path("/link")).unwrap(), 10);
    for missing in ["/nothing", "/data"] {
        assert!(machine.host.read_part(path(missing), 0, 1).is_err());
        assert!(machine.host.size(path(missing)).is_err());
    }
    // More than is ever read at once.
    let big = File::create(machine.at("/big")).unwrap();
    big.set_len(1 << 25).unwrap();
    assert_eq!(machine.host.read_part(path("/big"), 0, usize::MAX).unwrap().len(), 1 << 24);
    assert_eq!(machine.host.size(path("/big")).unwrap(), 1 << 25);
}
