//! An attempt from its boot check to its end, by the programs that systemd runs.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;
mod program;

use machine::{LEDGER, Machine, status, toplevel};
use program::{BOOT_CHECK, CONFIRM, DEADLINE, EMERGENCY, HIBERNATE, MARK, RECORD_SHUTDOWN, code, marked};

type Make = fn(&Machine);

#[test]
fn after_a_live_switch_nothing_is_counted_or_confirmed() {
    let machine = marked();
    machine.boot(2, "b");
    machine.link("/run/current-system", &toplevel("a"));
    let before = machine.text(LEDGER);
    for program in [BOOT_CHECK, CONFIRM] {
        assert_eq!(code(&machine.run(program, &[])), 0);
        assert_eq!(machine.text(LEDGER), before, "{program}");
    }
    fs::remove_file(machine.at("/run/current-system")).unwrap();
    machine.link("/run/current-system", &toplevel("b"));
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    assert_ne!(machine.text(LEDGER), before);
}

#[test]
fn a_boot_that_need_not_be_confirmed_is_left_alone_by_the_programs_that_end_boots() {
    let machine = Machine::installed();
    assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
    let before = machine.text(LEDGER);
    for program in [DEADLINE, EMERGENCY, HIBERNATE] {
        let output = machine.run(program, &[]);
        assert_eq!(status(&output), (0, String::new()), "{program}");
        assert!(output.stdout.is_empty(), "{program} counts down");
    }
    assert_eq!(machine.text(LEDGER), before);
    assert!(!machine.at("/run/golden-generation/attempt").exists());
}

#[test]
fn an_attempt_leaves_word_for_the_deadline() {
    let machine = marked();
    machine.boot(2, "b");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    assert!(machine.at("/run/golden-generation/attempt").exists());
}

#[test]
fn hibernation_arms_the_running_system_and_waking_up_arms_the_trial() {
    let machine = marked();
    let armed = || machine.variable_text("LoaderEntryOneShot");
    let trial = armed();
    assert_eq!(code(&machine.run(HIBERNATE, &[])), 0);
    assert!(armed().is_some() && armed() != trial, "{:?}", armed());
    assert_eq!(code(&machine.run(HIBERNATE, &["--awake"])), 0);
    assert_eq!(armed(), trial);
}

#[test]
fn evidence_of_the_kernel_and_the_watchdog_stays_with_the_attempt_that_ended_without_a_word() {
    let machine = marked();
    machine.boot(2, "b");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    machine.put("/sys/class/watchdog/watchdog0/bootstatus", b"32\n");
    machine.put(
        "/sys/fs/pstore/dmesg-efi_pstore-1",
        b"<0>[    3.1] Kernel panic - not syncing: Attempted to kill init!\n",
    );
    machine.boot(3, "b");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
    let attempts = &ledger["trial"]["attempts"];
    let panic = "Kernel panic - not syncing: Attempted to kill init!";
    assert_eq!(attempts[0]["evidence"], serde_json::json!({ "panic": panic, "watchdog": true }));
    assert!(attempts[1]["evidence"].is_null(), "{attempts}");
}

#[test]
fn a_dump_that_was_there_before_an_attempt_is_no_evidence_of_its_end() {
    const OLD: &str = "/sys/fs/pstore/dmesg-efi_pstore-170000000001001";
    const IN_MEMORY: &str = "/sys/fs/pstore/dmesg-ramoops-0";
    let panic =
        |secs: u32, why: &str| format!("<0>[    {secs}.1] Kernel panic - not syncing: {why}\n").into_bytes();
    let machine = Machine::installed();
    // Nobody has cleared what is left of a panic of months ago.
    machine.put(OLD, &panic(1, "months ago"));
    assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
    machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-b.conf\n");
    assert_eq!(code(&machine.run(MARK, &[&toplevel("b")])), 0);
    let evidence_after = |number: u32| {
        // More failures than two end the trial: the last one is what is asked for.
        machine.boot(number, "b");
        assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
        let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        let attempts = &ledger["trial"]["attempts"];
        attempts.as_array().unwrap().iter().rev().nth(1).map(|last| last["evidence"]["panic"].clone())
    };
    machine.put("/etc/golden-generation/config.toml", b"max_failures = 9\n");
    assert_eq!(evidence_after(2), None, "there was no attempt before");
    assert_eq!(evidence_after(3), Some(serde_json::Value::Null), "power was lost, and nothing else");
    machine.put(IN_MEMORY, &panic(2, "of the second attempt"));
    assert_eq!(evidence_after(4).unwrap(), "Kernel panic - not syncing: of the second attempt");
    assert_eq!(evidence_after(5), Some(serde_json::Value::Null), "of the attempt before, and still there");
    // Memory has one place, and each boot begins with the same name.
    machine.put(IN_MEMORY, &panic(3, "of the fourth attempt"));
    assert_eq!(evidence_after(6).unwrap(), "Kernel panic - not syncing: of the fourth attempt");
    fs::remove_file(machine.at(IN_MEMORY)).unwrap();
    assert_eq!(evidence_after(7), Some(serde_json::Value::Null));
    let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
    assert_eq!(ledger["known_dumps"].as_array().unwrap().len(), 1, "what is gone need not be known");
}

#[test]
fn no_number_of_dumps_makes_a_ledger_that_grows_without_end() {
    let machine = marked();
    for number in 0..1000 {
        machine.put(&format!("/sys/fs/pstore/dmesg-efi_pstore-{number:06}"), b"Oops: an old one\n");
    }
    machine.boot(2, "b");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    let known = || {
        let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        ledger["known_dumps"].as_array().unwrap().len()
    };
    assert_eq!(known(), golden_core::MAX_DUMPS);
    machine.put("/sys/fs/pstore/dmesg-efi_pstore-001000", b"Oops: the new one\n");
    machine.boot(3, "b");
    assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
    let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
    assert_eq!(ledger["trial"]["attempts"][0]["evidence"]["panic"], "Oops: the new one");
    assert_eq!(known(), golden_core::MAX_DUMPS);
}

#[test]
fn one_panic_with_a_crash_kernel_is_one_failed_attempt_and_its_cause_is_a_panic() {
    let with_elfcorehdr = ("/proc/cmdline", "quiet irqpoll maxcpus=1 elfcorehdr=0x75000000 1");
    for (path, text) in [with_elfcorehdr, ("/proc/vmcore", "ELF")] {
        let machine = marked();
        machine.boot(2, "b");
        assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
        let armed = fs::read(machine.variable("LoaderEntryOneShot")).unwrap();
        let before: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();

        // The crash kernel starts the same system, in rescue mode, without the loader.
        machine.boot(3, "b");
        fs::write(machine.variable("LoaderEntryOneShot"), &armed).unwrap();
        machine.put(path, text.as_bytes());
        for program in [BOOT_CHECK, EMERGENCY, DEADLINE, RECORD_SHUTDOWN] {
            assert_eq!(code(&machine.run(program, &[])), 0, "{program}");
        }
        assert!(!machine.at("/run/golden-generation/attempt").exists());
        assert_eq!(fs::read(machine.variable("LoaderEntryOneShot")).unwrap(), armed);
        let mut recorded: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        let attempts = recorded["trial"]["attempts"].clone();
        assert_eq!(attempts.as_array().map(Vec::len), Some(1), "{attempts}");
        assert!(attempts[0]["end"].is_null(), "{attempts}");
        // Nothing else has changed.
        recorded["trial"]["attempts"] = before["trial"]["attempts"].clone();
        recorded["revision"] = before["revision"].clone();
        assert_eq!(recorded, before);

        fs::remove_file(machine.at(path)).unwrap();
        machine.boot(4, "b");
        assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
        let ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        let attempts = ledger["trial"]["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 2, "{attempts:?}");
        assert_eq!(attempts[0]["end"]["kind"], "failed", "{attempts:?}");
        assert!(attempts[0]["evidence"]["panic"].as_str().unwrap().contains("panic"), "{attempts:?}");
        assert_eq!(ledger["quarantine"], serde_json::json!([]));
    }
}

#[test]
fn a_closed_boot_that_still_runs_is_left_when_its_deadline_is_started_again() {
    let makes: [(&str, Make); 4] = [
        ("nothing", |_| {}),
        ("its kernel", |machine| fs::remove_file(machine.at("/boot/EFI/nixos/b-kernel.efi")).unwrap()),
        ("no file in the place of its kernel", |machine| {
            fs::remove_file(machine.at("/boot/EFI/nixos/b-kernel.efi")).unwrap();
            fs::create_dir(machine.at("/boot/EFI/nixos/b-kernel.efi")).unwrap();
        }),
        ("its kernel, and that of the store", |machine| {
            fs::remove_file(machine.at("/boot/EFI/nixos/b-kernel.efi")).unwrap();
            fs::remove_file(machine.at(&format!("{}/kernel", toplevel("b")))).unwrap();
        }),
    ];
    for (what, make) in makes {
        let machine = marked();
        machine.boot(2, "b");
        assert_eq!(code(&machine.run(BOOT_CHECK, &[])), 0);
        make(&machine);
        let mut ledger: serde_json::Value = serde_json::from_str(&machine.text(LEDGER)).unwrap();
        let end = serde_json::json!({ "kind": "failed", "cause": { "kind": "vanished" } });
        ledger["trial"]["attempts"][0]["end"] = end;
        machine.put(LEDGER, ledger.to_string().as_bytes());
        let (_, said) = status(&machine.run(DEADLINE, &[]));
        assert!(said.contains("rebooting by ourselves"), "{what}: {said}");
        // A machine below a directory is not running.
        assert!(said.contains("cannot reboot"), "{what}: {said}");
    }
}

#[test]
fn a_boot_check_that_cannot_record_an_attempt_leaves_word_for_the_deadline() {
    let makes: [(&str, Make); 2] = [
        ("no room for the ledger", |machine| {
            fs::create_dir_all(machine.at("/var/lib/golden-generation/.ledger.json.new/full")).unwrap();
        }),
        ("no lock", |machine| {
            fs::remove_file(machine.at("/var/lib/golden-generation/lock")).unwrap();
            fs::create_dir(machine.at("/var/lib/golden-generation/lock")).unwrap();
        }),
    ];
    for (what, make) in makes {
        for (system, is_watched) in [("b", true), ("a", false)] {
            let machine = marked();
            make(&machine);
            machine.boot(2, system);
            let _ = machine.run(BOOT_CHECK, &[]);
            assert_eq!(machine.at("/run/golden-generation/attempt").exists(), is_watched, "{what}: {system}");
        }
    }
}
