//! Stories in plain text: what happens to a machine, line by line, and what becomes of it.
//!
//! ```
//! let timeline = golden_host::simulated::scenario::run(
//!     "install a
//!      boot
//!      pin
//!      switch b
//!      b panics
//!      person reboots
//!      expect running a
//!      expect quarantined b",
//! );
//! assert!(timeline.unwrap().contains("rolled back from b to a"));
//! ```
//!
//! A line is a statement; `#` begins a comment. Systems have names of lower-case letters, digits and dashes.
//!
//! | statement | meaning |
//! |---|---|
//! | `install a` | an empty machine gets the system `a` |
//! | `loader grub` | before that: it has another loader; `loader grub cannot write` its environment block, `loader extlinux` |
//! | `loader ignores writes` | from here on, what is overwritten on the boot partition stays as it was; `loader keeps one-shots` |
//! | `boot` | power on, until the machine stays up or off; `boot unconfirmed` stops before the confirmation |
//! | `confirm` | the boot that waits is confirmed |
//! | `switch b` | a deployer makes `b` what boots next; `switch b unmarked`: by an installer that does not know us |
//! | `b BEHAVIOUR, …` | how the next boots of `b` go, one by one; the last one goes on |
//! | `person reboots` | an orderly reboot, asked for by a person |
//! | `person powers off` | the same, and the machine stays off |
//! | `person picks a` | an orderly reboot, and the entry of `a` in the loader's menu |
//! | `power cut` | the machine is off; what was not synced is lost |
//! | `pin`, `pin force` | `pin-golden`, with `--force` |
//! | `collect garbage` | `nix-collect-garbage -d` |
//! | `crash after effect N` | in the next statement the power goes after effect N; `of PROGRAM` counts only there; `image I` chooses what survives of what was not synced (1: as little as possible) |
//! | `fail effect N with ENOSPC` | in the next statement effect N fails (`EIO`, `EROFS`); `of PROGRAM` as above |
//! | `ledger lost` | also `empty`, `corrupt`, `too new` |
//! | `lose loader.conf` | it is empty, as a crash on FAT can leave it |
//! | `firmware without counter` | from here on the firmware does not say how often it started the machine |
//! | `firmware without variables` | from here on no running system can use its variables: the loader boots nothing once |
//! | `disable`, `enable` | `golden.disable=1` on the kernel command line from the next boot on, or not |
//! | `max_failures N` | also `max_interruptions`, `max_automatic_reboots` |
//! | `expect …` | stop with an error unless it holds |
//!
//! Behaviours: `healthy`, `panics` (before the boot check), `vanishes` (after it), `vanishes late` (after
//! `multi-user.target`), `fails unit NAME`, `reboots itself`.
//!
//! Programs: `boot-check`, `rollback`, `confirm`, `shutdown`, `pin`, `switch`.
//!
//! Expectations: `running a`, `off`, `default a`, `one-shot a`, `no one-shot`, `golden a`, `no golden`,
//! `profile a`, `trial a`, `no trial`, `failures N`, `confirmed a`, `quarantined a`, `in store a`, `boots N`,
//! `safe mode`, `no safe mode`, `no ledger`, `refused`.

mod expect;
mod parse;
mod runner;
mod statement;
mod timeline;
mod trouble;

pub use parse::{ScenarioError, parse};
pub use statement::{Action, Behaviour, Damage, Expectation, Line, Setting, Statement, System, Trouble};

/// Play a scenario and tell what happened. The same text gives the same timeline.
pub fn run(text: &str) -> Result<String, ScenarioError> {
    let lines = parse(text)?;
    let mut runner = runner::Runner::new();
    for line in &lines {
        runner.play(line)?;
    }
    Ok(runner.timeline)
}
