//! Conditions that the units have to have.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;

#[test]
fn every_unit_that_is_enabled_can_be_switched_off_on_the_kernel_command_line() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../units");
    let units = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let mut started = 0;
    for unit in units.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("golden-")) {
        let Ok(text) = fs::read_to_string(&unit) else { continue };
        // A unit that nothing enables is started by an enabled one, or by a program that reads the command line itself.
        if text.contains("\n[Install]\n") {
            assert!(text.contains("\nConditionKernelCommandLine=!golden.disable=1\n"), "{}", unit.display());
            started += 1;
        }
    }
    assert!(started >= 12, "{started}");
}

#[test]
fn in_a_crash_kernel_systemd_starts_nothing_of_ours_but_the_boot_check() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../units");
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    for unit in files.filter(|path| path.extension().is_some_and(|extension| extension == "service")) {
        let text = fs::read_to_string(&unit).unwrap();
        // The other units only act for a person.
        if !text.contains("ConditionKernelCommandLine=!golden.disable=1\n") {
            continue;
        }
        let is_kept_out = text.contains("\nConditionKernelCommandLine=!elfcorehdr\n")
            && text.contains("\nConditionPathExists=!/proc/vmcore\n");
        assert_eq!(is_kept_out, !unit.ends_with("golden-boot-check.service"), "{}", unit.display());
    }
}
