//! What a program does to a simulated machine, effect by effect.

use std::io;
use std::path::PathBuf;

use golden_core::Event;

use super::files::is_below;
use super::world::World;
use crate::{Delivery, Trouble};

/// What is going to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The power goes after this many more effects.
    CrashAfter(u64),
    /// The effect with this number, counted from 1, fails like this.
    Fail(u64, io::ErrorKind),
    /// Whatever would take more of the disk of `/var` fails like this.
    Full(io::ErrorKind),
}

/// The machine after one effect.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What was done.
    pub effect: Effect,
    /// What the machine held then.
    pub world: World,
}

/// One effect, for traces.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Effect {
    Write(PathBuf),
    Append(PathBuf),
    Overwrite(PathBuf),
    Copy(PathBuf),
    Rename(PathBuf),
    Link(PathBuf),
    Remove(PathBuf),
    CreateDirectory(PathBuf),
    SyncFile(PathBuf),
    SyncDirectory(PathBuf),
    SyncFileSystem(PathBuf),
    SetVariable(String),
    RemoveVariable(String),
    SetProfile(PathBuf),
    Activate,
    EnterSafeMode,
    Reboot,
}

impl Effect {
    /// Whether it makes or lengthens a file below this directory.
    pub(super) fn grows_below(&self, directory: &str) -> bool {
        match self {
            Self::Write(path) | Self::Append(path) | Self::Copy(path) | Self::CreateDirectory(path) => {
                is_below(path, directory)
            }
            _ => false,
        }
    }
}

/// What programs told the journal.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Something that happened.
    Told(Event),
    /// Trouble.
    Complained(Trouble, String),
    /// What became of a message to the owner.
    Reported(Delivery, String),
}
