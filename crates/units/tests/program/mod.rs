//! The programs, and a machine for them.

#![allow(dead_code, reason = "each test uses a part")]

use std::process::Output;

use crate::machine::{Machine, status, toplevel};

pub const BOOT_CHECK: &str = env!("CARGO_BIN_EXE_golden-boot-check");
pub const CONFIRM: &str = env!("CARGO_BIN_EXE_golden-confirm");
pub const DEADLINE: &str = env!("CARGO_BIN_EXE_golden-deadline");
pub const EMERGENCY: &str = env!("CARGO_BIN_EXE_golden-emergency");
pub const HIBERNATE: &str = env!("CARGO_BIN_EXE_golden-hibernate");
pub const VERIFY: &str = env!("CARGO_BIN_EXE_golden-verify");
pub const MARK: &str = env!("CARGO_BIN_EXE_golden-mark-pending");
pub const NOTIFY: &str = env!("CARGO_BIN_EXE_golden-notify");
pub const RECORD_SHUTDOWN: &str = env!("CARGO_BIN_EXE_golden-record-shutdown");
pub const ROLLBACK: &str = env!("CARGO_BIN_EXE_golden-rollback");

/// Every program that reads the ledger, with its arguments.
pub fn programs() -> Vec<(&'static str, Vec<String>)> {
    let bare = [BOOT_CHECK, CONFIRM, RECORD_SHUTDOWN, ROLLBACK, DEADLINE, EMERGENCY, HIBERNATE]
        .map(|program| (program, Vec::new()));
    let mark = (MARK, vec![toplevel("b")]);
    bare.into_iter().chain([mark]).collect()
}

pub fn code(output: &Output) -> i32 {
    status(output).0
}

/// A machine on which `a` was found healthy and `b` is armed.
pub fn marked() -> Machine {
    let machine = Machine::installed();
    assert_eq!(code(&machine.run(CONFIRM, &[])), 0);
    machine.put("/boot/loader/loader.conf", b"timeout 3\ndefault nixos-b.conf\n");
    assert_eq!(code(&machine.run(MARK, &[&toplevel("b")])), 0);
    machine
}
