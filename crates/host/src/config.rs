//! The owner's settings.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use golden_core::{Policy, RollbackTarget, Toplevel};
use serde::Deserialize;

use crate::loader::Kind;
use crate::operation::{LiveOptions, Options, Proof, STATE_DIR};
use crate::{Error, Host, settings};

/// Where the settings are.
const PATH: &str = "/etc/golden-generation/config.toml";

/// The file, with a default for whatever it does not say.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    state_dir: PathBuf,
    max_failures: NonZeroU32,
    max_interruptions: NonZeroU32,
    max_automatic_reboots: u32,
    rollback_target: RollbackTarget,
    boot_deadline_secs: NonZeroU32,
    live: LiveSettings,
    loader: Kind,
    loader_command: Option<PathBuf>,
    quarantine: Quarantine,
}

/// What the owner chose for what failed.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Quarantine {
    second_chance_after_secs: u32,
}

/// The table `live`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LiveSettings {
    enable: bool,
    activation_secs: NonZeroU32,
    window_secs: NonZeroU32,
    proof: Proof,
}

impl Default for LiveSettings {
    fn default() -> Self {
        let secs = |secs| NonZeroU32::new(secs).unwrap_or(NonZeroU32::MAX);
        Self { enable: true, activation_secs: secs(900), window_secs: secs(120), proof: Proof::None }
    }
}

/// Time for a boot to be confirmed. Source: the design, "Fail early".
const BOOT_DEADLINE_SECS: u32 = 600;

impl Default for Settings {
    fn default() -> Self {
        let Policy {
            max_failures,
            max_interruptions,
            max_automatic_reboots,
            rollback_target,
            second_chance_after_secs,
        } = Policy::default();
        Self {
            state_dir: STATE_DIR.into(),
            max_failures,
            max_interruptions,
            max_automatic_reboots,
            rollback_target,
            boot_deadline_secs: NonZeroU32::new(BOOT_DEADLINE_SECS).unwrap_or(NonZeroU32::MAX),
            live: LiveSettings::default(),
            loader: Kind::default(),
            loader_command: None,
            quarantine: Quarantine { second_chance_after_secs },
        }
    }
}

impl From<Settings> for Options {
    fn from(settings: Settings) -> Self {
        Self {
            state_dir: settings.state_dir,
            policy: Policy {
                max_failures: settings.max_failures,
                max_interruptions: settings.max_interruptions,
                max_automatic_reboots: settings.max_automatic_reboots,
                rollback_target: settings.rollback_target,
                second_chance_after_secs: settings.quarantine.second_chance_after_secs,
            },
            boot_deadline: Duration::from_secs(settings.boot_deadline_secs.get().into()),
            live: LiveOptions {
                enable: settings.live.enable,
                activation: Duration::from_secs(settings.live.activation_secs.get().into()),
                window: Duration::from_secs(settings.live.window_secs.get().into()),
                proof: settings.live.proof,
            },
            loader: settings.loader,
            loader_command: settings.loader_command,
        }
    }
}

/// What the owner chose; the defaults where there is no file.
///
/// # Errors
/// The file cannot be read, or says something that is not understood.
pub fn load_options(host: &dyn Host) -> Result<Options, Error> {
    load(host, Path::new(PATH)).map(Option::unwrap_or_default)
}

/// What the owner chose for a system that may not run; `None` if it says nothing that is understood.
pub(crate) fn load_options_of(host: &dyn Host, toplevel: &Toplevel) -> Option<Options> {
    load(host, &Path::new(toplevel.as_str()).join(&PATH[1..])).ok().flatten()
}

/// The defaults, but for where the state is, if only the rest of the file is not understood: two programs with two
/// ledgers would count against each other.
#[must_use]
pub fn default_options(host: &dyn Host) -> Options {
    #[derive(Deserialize)]
    struct Place {
        state_dir: PathBuf,
    }
    let bytes = host.read(Path::new(PATH)).unwrap_or_default();
    let bytes = if settings::is_too_much(&bytes) { Vec::new() } else { bytes };
    let place = basic_toml::from_str::<Place>(&String::from_utf8_lossy(&bytes));
    let options = Options::default();
    let state_dir = place.map_or_else(|_| options.state_dir.clone(), |place| place.state_dir);
    Options { state_dir, ..options }
}

fn load(host: &dyn Host, path: &Path) -> Result<Option<Options>, Error> {
    Ok(settings::read::<Settings>(host, path)?.map(Settings::into))
}

impl Default for Options {
    fn default() -> Self {
        Settings::default().into()
    }
}
