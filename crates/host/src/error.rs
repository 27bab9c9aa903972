//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

use golden_core::{Damage, Refusal, Toplevel};

use crate::settings::Problem;
use crate::{Exit, Trouble};

/// An operation that could not be done. The cause chain is printed once, by whoever gives up.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {action} the EFI variable {name}")]
    EfiVariable { action: &'static str, name: &'static str, source: io::Error },
    #[error("the ledger {} is held by another program of the suite", .0.display())]
    LockHeld(PathBuf),
    #[error("the ledger {} was written for a newer build (it needs reader {needs}, this is {have})", path.display())]
    LedgerTooNew { path: PathBuf, needs: u32, have: u32 },
    #[error("cannot parse {}", path.display())]
    Config { path: PathBuf, source: Problem },
    #[error(
        "no boot loader found: there is no loader/entries in /boot, /efi or /boot/efi, and neither /boot/grub/grub.cfg nor \
         /boot/extlinux/extlinux.conf boots a NixOS system"
    )]
    NoLoader,
    #[error("the boot partition is unknown: {0}")]
    BootPartition(String),
    #[error("{0} has no boot entry")]
    NoEntry(Toplevel),
    #[error("no system is known to work here")]
    NothingKnownGood,
    #[error("the boot files of {toplevel} are not whole: {why}")]
    BootFiles { toplevel: Toplevel, why: String },
    #[error("the boot files of {toplevel} are not whole and cannot be repaired now")]
    NotRepaired { toplevel: Toplevel, source: Box<Error> },
    #[error("{0} did not stick: it was written, and reading it back says otherwise")]
    DidNotStick(&'static str),
    #[error("GRUB's environment block /boot/grub/grubenv {0}")]
    EnvironmentBlock(&'static str),
    #[error("the loader command failed at `{verb}`: {}", why.trim())]
    LoaderCommand { verb: &'static str, why: String },
    #[error("{0} boots nothing once")]
    NoOneShot(&'static str),
    #[error("{0} is not obeyed: the loader's configuration takes its default from elsewhere")]
    NotObeyed(&'static str),
    #[error("{0} did not take the one-shot back: it still names what was booted")]
    OneShotStayed(&'static str),
    #[error("the switch of the running system cannot be watched: {}", .0.trim())]
    NotWatched(String),
    #[error("{program} failed: {}", stderr.trim())]
    Program { program: String, stderr: String },
    #[error("the closure of {toplevel} is incomplete: {missing} is missing")]
    Closure { toplevel: Toplevel, missing: String },
    #[error("the closure of {toplevel} is not what was built: {}", why.trim())]
    ClosureChanged { toplevel: Toplevel, why: String },
    #[error("Nix's database cannot be read: {}", .0.trim())]
    Database(String),
    #[error("{0} is golden and could not be landed on")]
    GoldenDamaged(Toplevel, #[source] Box<Error>),
    #[error("{toplevel} would fail its required check {check}, and go back: {why}")]
    WouldFail { toplevel: Toplevel, check: String, why: String },
    #[error("a check ({0}) asks for the checks to be run: it is one of them, and they would never end")]
    CheckInCheck(String),
    #[error("required checks failed: {}", .0.join(", "))]
    Unhealthy(Vec<String>),
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("{named:?} {why}")]
    NotNamed { named: String, why: String, hint: &'static str },
    #[error("cannot write {}", path.display())]
    Serialize { path: PathBuf, source: serde_json::Error },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// The system that cannot be booted, if that is what it says.
    pub(crate) fn damage(&self) -> Option<Damage> {
        match self {
            Self::BootFiles { toplevel, why } => {
                Some(Damage { toplevel: toplevel.clone(), why: why.clone(), is_lasting: true })
            }
            Self::NotRepaired { toplevel, .. } => {
                Some(Damage { toplevel: toplevel.clone(), why: self.chain(), is_lasting: false })
            }
            _ => None,
        }
    }

    /// What could not be copied for want of room, or of a right to write, is not beyond repair.
    pub(crate) fn not_repaired(toplevel: &Toplevel, error: Self) -> Self {
        let toplevel = toplevel.clone();
        match error.trouble() {
            Trouble::NoSpace | Trouble::ReadOnly => Self::NotRepaired { toplevel, source: Box::new(error) },
            _ => Self::BootFiles { toplevel, why: error.chain() },
        }
    }

    /// `said` is an error of Nix. If Nix does not know this toplevel, the store is damaged; any other error is about Nix itself.
    pub(crate) fn not_known(toplevel: &Toplevel, said: String) -> Self {
        if said.contains("is not valid") {
            Self::Closure { toplevel: toplevel.clone(), missing: toplevel.to_string() }
        } else {
            Self::Database(said)
        }
    }

    /// A path that was changed, is gone or cannot be read is damage; a lost connection to the daemon is not.
    pub(crate) fn not_verified(toplevel: &Toplevel, said: String) -> Self {
        let of_the_path = ["was modified", "is not valid", "Input/output error", "No such file or directory"];
        // A socket is a file, too.
        let is_damage =
            of_the_path.iter().any(|words| said.contains(words)) && !said.contains("cannot connect");
        if is_damage {
            Self::ClosureChanged { toplevel: toplevel.clone(), why: said }
        } else {
            Self::Database(said)
        }
    }

    /// The documented exit status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::LockHeld(_) => Exit::LockHeld,
            Self::LedgerTooNew { .. } => Exit::LedgerUnusable,
            Self::Config { .. } | Self::WouldFail { .. } => Exit::Configuration,
            Self::Refused(_) => Exit::Refused,
            Self::Unhealthy(_) => Exit::Unhealthy,
            Self::NotNamed { .. } | Self::CheckInCheck(_) => Exit::Usage,
            _ => Exit::Io,
        }
    }

    /// The kind of trouble, for the journal.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::LockHeld(_) => Trouble::LockHeld,
            Self::LedgerTooNew { .. } => Trouble::LedgerTooNew,
            Self::Config { .. } | Self::WouldFail { .. } => Trouble::Configuration,
            Self::Refused(_) | Self::NotNamed { .. } | Self::CheckInCheck(_) => Trouble::Refused,
            Self::Unhealthy(_) => Trouble::Unhealthy,
            Self::NotRepaired { source, .. } => source.trouble(),
            Self::GoldenDamaged(..) => Trouble::GoldenDamaged,
            Self::Io { source, .. } | Self::EfiVariable { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Trouble::NoSpace,
                io::ErrorKind::ReadOnlyFilesystem => Trouble::ReadOnly,
                _ => Trouble::Io,
            },
            Self::NoLoader
            | Self::NothingKnownGood
            | Self::BootPartition(_)
            | Self::NoEntry(_)
            | Self::BootFiles { .. }
            | Self::DidNotStick(_)
            | Self::EnvironmentBlock(_)
            | Self::LoaderCommand { .. }
            | Self::NoOneShot(_)
            | Self::NotObeyed(_)
            | Self::OneShotStayed(_) => Trouble::Loader,
            Self::NotWatched(_)
            | Self::Program { .. }
            | Self::Closure { .. }
            | Self::ClosureChanged { .. }
            | Self::Database(_)
            | Self::Serialize { .. } => Trouble::Io,
        }
    }

    /// What to do, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        // A full or read-only file system is the cause, whichever operation failed.
        let of_place = self.place().and_then(|place| place_hint(self.trouble(), &place));
        of_place.or_else(|| self.own_hint().map(str::to_owned))
    }

    /// The file system, or the firmware, that refused to write.
    fn place(&self) -> Option<Place> {
        match self {
            Self::Io { path, .. } => Some(Place::Directory(path.parent().unwrap_or(path).to_owned())),
            Self::EfiVariable { .. } => Some(Place::Firmware),
            Self::NotRepaired { source, .. } => source.place(),
            _ => None,
        }
    }

    fn own_hint(&self) -> Option<&'static str> {
        match self {
            Self::NotNamed { hint, .. } => Some(hint),
            Self::LockHeld(_) => Some("it is safe to try again"),
            Self::LedgerTooNew { .. } => {
                Some("boot a generation with the newer suite; the ledger was not changed")
            }
            Self::Refused(Refusal::NeverConfirmed(_)) => {
                Some("reboot into it and let it reach multi-user.target, or vouch for it with --force")
            }
            Self::Refused(Refusal::Quarantined(_)) => Some(
                "deploy a changed system (`golden why` tells what failed), or let this one be tried again: `golden quarantine release STORE-PATH`",
            ),
            Self::Refused(Refusal::QuarantinedRevision { .. }) => {
                Some("deploy another revision, or allow this one again: `golden quarantine release REVISION`")
            }
            Self::Refused(Refusal::NoRollback(_)) => {
                Some("`golden status` says how the machine stands, and what it could come back to")
            }
            Self::Refused(Refusal::NoDrill(_)) => Some("`golden status` says how the machine stands"),
            Self::GoldenDamaged(..) => Some(
                "pin a system that works (pin-golden), or repair this one: `nix-store --repair-path`, then `nixos-rebuild boot`",
            ),
            Self::Database(_) => {
                Some("see whether the daemon answers: `nix store info`, `systemctl status nix-daemon.socket`")
            }
            Self::NothingKnownGood => Some("boot a system that you trust, and pin it: `pin-golden`"),
            Self::BootPartition(_) => {
                Some("mount it where the loader's installer writes (`bootctl status` names it)")
            }
            Self::NoEntry(_) => Some("run `nixos-rebuild boot`, which writes the boot entries anew"),
            Self::EnvironmentBlock(_) => Some("make it anew: `grub-editenv /boot/grub/grubenv create`"),
            Self::NotObeyed(_) => Some("let it: on NixOS, do not set boot.loader.grub.default"),
            Self::OneShotStayed(_) => Some(
                "panics of a trial are not covered from here on; once the loader can write again: `grub-editenv /boot/grub/grubenv unset golden_one_shot`",
            ),
            Self::NotRepaired { source, .. } if source.trouble() != Trouble::Io => {
                Some("make room on the boot partition, or remount it writable")
            }
            Self::BootFiles { .. } => Some("run `nixos-rebuild boot`, which copies them anew"),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("run it as root")
            }
            _ => None,
        }
    }

    /// The error and its causes, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            text.push_str(": ");
            text.push_str(source.to_string().trim());
            cause = source.source();
        }
        text
    }
}

/// Where something could not be written.
enum Place {
    /// On the file system of this directory.
    Directory(PathBuf),
    /// In a variable.
    Firmware,
}

/// Advice about a file system that is full or read-only.
fn place_hint(trouble: Trouble, place: &Place) -> Option<String> {
    Some(match (trouble, place) {
        (Trouble::NoSpace, Place::Directory(at)) => {
            format!("free space on the file system of {0} (`df -h {0}`), and run it again", at.display())
        }
        (Trouble::NoSpace, Place::Firmware) => {
            "the firmware has no room for variables: remove unused boot entries (`efibootmgr`), and run it again"
                .to_owned()
        }
        (Trouble::ReadOnly, Place::Directory(at)) => format!(
            "make the file system of {} writable (`journalctl -k` says why it is not), and run it again",
            at.display()
        ),
        (Trouble::ReadOnly, Place::Firmware) => {
            "make /sys/firmware/efi/efivars writable: `mount -o remount,rw /sys/firmware/efi/efivars`".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_full_or_read_only_file_system_names_it_and_gives_advice() {
        use io::ErrorKind::{NotFound, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let ledger =
            |kind: io::ErrorKind| Error::io("write", "/var/lib/golden-generation/ledger.json")(kind.into());
        let variable =
            |kind: io::ErrorKind| Error::EfiVariable { action: "write", name: "x", source: kind.into() };
        let boot = |kind: io::ErrorKind| Box::new(Error::io("write", "/boot/EFI/nixos/kernel")(kind.into()));
        let unrepaired = |kind| {
            "/nix/store/aaaa-a".parse().map(|toplevel| Error::NotRepaired { toplevel, source: boot(kind) })
        };
        for (kind, words) in
            [(StorageFull, "free space"), (QuotaExceeded, "free space"), (ReadOnlyFilesystem, "writable")]
        {
            let hint = ledger(kind).hint().unwrap_or_default();
            assert!(hint.contains(words) && hint.contains("/var/lib/golden-generation"), "{hint}");
            let hint = unrepaired(kind).ok().and_then(|error| error.hint()).unwrap_or_default();
            assert!(hint.contains(words) && hint.contains("/boot/EFI/nixos"), "{hint}");
            assert!(variable(kind).hint().is_some(), "{kind}");
        }
        assert_eq!(ledger(NotFound).hint(), None);
    }
}
