//! What a line of a scenario can say.

use std::io;

use golden_core::{Cause, Injection, Named, Revision, Toplevel};

use crate::simulated::{Lie, Loader};

/// A line that says something.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: usize,
    /// What it says, as it is written.
    pub text: String,
    /// What it means.
    pub statement: Statement,
}

/// What a line means.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// An empty machine gets its first system.
    Install(System),
    /// The machine has this loader.
    Loader(Loader),
    /// The loader does not do what it is told.
    LoaderLies(Lie),
    /// What the owner chose.
    Set(Setting, u32),
    /// How the next boots of a system go; the last one named goes on for ever.
    Behave(System, Vec<Behaviour>),
    /// Power on, until the machine stays up. `unconfirmed` stops before the confirmation.
    Boot {
        /// Whether the boot is to wait before its confirmation.
        unconfirmed: bool,
    },
    /// The boot that waits is confirmed.
    Confirm,
    /// A deployer makes a system what boots next.
    Switch {
        /// Which.
        system: System,
        /// Whether its installer runs the mark.
        marked: bool,
        /// Whether the running system becomes it too.
        live: bool,
        /// Whether the deployer asks first.
        checked: bool,
    },
    /// What a system says that it was built from.
    Source(System, Revision),
    /// `golden quarantine add`.
    Quarantine(Named),
    /// `golden quarantine release`.
    Release(Named),
    /// The machine is left alone for this many seconds.
    Wait(u32),
    /// The switch of the running system has its verdict: why it failed, if it did.
    Live(Option<Cause>),
    /// Somebody does something to the running machine.
    Person(Action),
    /// The power goes and comes back.
    PowerCut,
    /// `pin-golden`.
    Pin {
        /// With `--force`.
        force: bool,
    },
    /// `golden drill`.
    Drill(Injection),
    /// `nix-collect-garbage -d`.
    CollectGarbage,
    /// Something goes wrong in the middle of the next statement.
    Trouble {
        /// What.
        trouble: Trouble,
        /// Only in this program.
        of: Option<&'static str>,
    },
    /// Something happens to the ledger's file.
    Ledger(Damage),
    /// `loader.conf` is empty, as a crash on FAT can leave it.
    LoseLoaderConf,
    /// The firmware does not count how often it started the machine.
    NoFirmwareCounter,
    /// No running system can use the firmware's variables: the loader boots nothing once.
    NoFirmwareVariables,
    /// `golden.disable=1` on the kernel command line, or not.
    Disable(bool),
    /// The scenario is wrong unless this holds.
    Expect(Expectation),
}

/// A system, by the name that the scenario gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct System(String);

impl System {
    /// `name` must be one that a store path can end with.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (starts && name.len() <= 64 && name.chars().all(plain)).then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Its store path. The hash depends on nothing but the name.
    #[must_use]
    pub fn toplevel(&self) -> Toplevel {
        // FNV-1a; Source: RFC 9923, "FNV Basics".
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = self.0.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
        let path = format!("/nix/store/{hash:016x}-{}", self.0);
        path.parse().unwrap_or_else(|_| unreachable!("a name of a system fits a store path"))
    }
}

/// Something of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Setting {
    MaxFailures,
    MaxInterruptions,
    MaxAutomaticReboots,
    SecondChanceAfterSecs,
}

/// How one boot of a system goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// It gets to the end.
    Healthy,
    /// The kernel panics, or the initrd: the boot check never runs.
    Panics,
    /// It hangs and is reset, or loses its power, after the boot check.
    Vanishes,
    /// The same after `multi-user.target`, before the confirmation.
    VanishesLate,
    /// A unit fails whose `FailureAction=` reboots.
    FailsUnit(String),
    /// A unit never finishes to start; the deadline passes.
    Hangs(String),
    /// A unit that it needs never comes: it ends in `emergency.target`.
    Emergency(String),
    /// It reboots itself in an orderly way.
    RebootsItself,
}

/// What a person does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// An orderly reboot.
    Reboots,
    /// An orderly end; the machine stays off.
    PowersOff,
    /// A reboot of userspace alone.
    SoftReboots,
    /// A reboot into the running system's kernel, past firmware and loader.
    Kexecs,
    /// To disk, off, and on again.
    Hibernates,
    /// `golden rollback`, with the reboot that it takes.
    RollsBack,
    /// An orderly reboot, and this entry in the loader's menu.
    Picks(System),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The power goes after effect `after`; `image` chooses among what that may leave, from 1.
    Crash {
        /// Effects that are still done.
        after: u64,
        /// Which of the possible states of the disks the machine comes back with.
        image: usize,
    },
    /// Effect `number` fails.
    Fail {
        /// Which, from 1.
        number: u64,
        /// How.
        kind: io::ErrorKind,
    },
}

/// What happens to the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Damage {
    Lost,
    Empty,
    Corrupt,
    TooNew,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Expectation {
    /// The machine is up with this system; `None`: it is not up.
    Running(Option<System>),
    Default(System),
    OneShot(Option<System>),
    Golden(Option<System>),
    Profile(System),
    Trial(Option<System>),
    Failures(u32),
    Confirmed(System),
    Quarantined(System),
    /// Boots since the machine was installed.
    Boots(u32),
    SafeMode(bool),
    NoLedger,
    InStore(System),
    /// The last program that a person or a deployer ran said no.
    Refused,
}
