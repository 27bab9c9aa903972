//! The owner's settings.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use golden_core::{Policy, RollbackTarget, Toplevel};
use serde::{Deserialize, Deserializer, de};

use crate::loader::Kind;
use crate::operation::{LiveOptions, Options, Proof, STATE_DIR};
use crate::whole::Whole;
use crate::{Error, Host, settings};

/// Where the settings are.
const PATH: &str = "/etc/golden-generation/config.toml";

/// A number of which 0 means nothing.
type Positive = Whole<1, { u32::MAX }>;
/// A number of which 0 means that there is none.
type Any = Whole<0, { u32::MAX }>;

/// The file, with a default for whatever it does not say.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    state_dir: StateDir,
    max_failures: Positive,
    max_interruptions: Positive,
    max_automatic_reboots: Any,
    rollback_target: RollbackTarget,
    boot_deadline_secs: Positive,
    reboot_hold_secs: Any,
    live: LiveSettings,
    loader: Kind,
    loader_command: Option<PathBuf>,
    mirrored_boot_partitions: Vec<PathBuf>,
    quarantine: Quarantine,
}

/// Where the state is. A relative path would depend on where a program is started.
struct StateDir(PathBuf);

impl<'de> Deserialize<'de> for StateDir {
    fn deserialize<From: Deserializer<'de>>(from: From) -> Result<Self, From::Error> {
        let path = PathBuf::deserialize(from)?;
        let is_absolute = path.is_absolute();
        let what = || de::Error::custom(format!("{:?} is not an absolute path", path.display()));
        if is_absolute { Ok(Self(path)) } else { Err(what()) }
    }
}

/// What the owner chose for what failed.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Quarantine {
    second_chance_after_secs: Any,
}

/// The table `live`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LiveSettings {
    enable: bool,
    activation_secs: Positive,
    window_secs: Positive,
    proof: Proof,
    #[serde(deserialize_with = "units")]
    except: Vec<String>,
}

/// Names of units, as systemd completes them.
fn units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    names.into_iter().map(|name| settings::unit_name(&name).map_err(de::Error::custom)).collect()
}

impl Default for LiveSettings {
    fn default() -> Self {
        let (activation_secs, window_secs) = (Whole::nearest(900), Whole::nearest(120));
        Self { enable: true, activation_secs, window_secs, proof: Proof::None, except: Vec::new() }
    }
}

/// Longest wait of a reboot for a person who is logged in, in seconds.
const REBOOT_HOLD_SECS: u32 = 1800;

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
            state_dir: StateDir(STATE_DIR.into()),
            max_failures: Whole::nearest(max_failures.get()),
            max_interruptions: Whole::nearest(max_interruptions.get()),
            max_automatic_reboots: Whole::nearest(max_automatic_reboots),
            rollback_target,
            boot_deadline_secs: Whole::nearest(BOOT_DEADLINE_SECS),
            reboot_hold_secs: Whole::nearest(REBOOT_HOLD_SECS),
            live: LiveSettings::default(),
            loader: Kind::default(),
            loader_command: None,
            mirrored_boot_partitions: Vec::new(),
            quarantine: Quarantine { second_chance_after_secs: Whole::nearest(second_chance_after_secs) },
        }
    }
}

impl From<Settings> for Options {
    fn from(settings: Settings) -> Self {
        // It is 1 at least.
        let positive = |number: Positive| NonZeroU32::new(number.count()).unwrap_or(NonZeroU32::MIN);
        Self {
            state_dir: settings.state_dir.0,
            policy: Policy {
                max_failures: positive(settings.max_failures),
                max_interruptions: positive(settings.max_interruptions),
                max_automatic_reboots: settings.max_automatic_reboots.count(),
                rollback_target: settings.rollback_target,
                second_chance_after_secs: settings.quarantine.second_chance_after_secs.count(),
            },
            boot_deadline: settings.boot_deadline_secs.secs(),
            reboot_hold: settings.reboot_hold_secs.secs(),
            live: LiveOptions {
                enable: settings.live.enable,
                activation: settings.live.activation_secs.secs(),
                window: settings.live.window_secs.secs(),
                proof: settings.live.proof,
                except: settings.live.except,
            },
            loader: settings.loader,
            loader_command: settings.loader_command,
            mirrors: settings.mirrored_boot_partitions,
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
        state_dir: StateDir,
    }
    let bytes = host.read(Path::new(PATH)).unwrap_or_default();
    let bytes = if settings::is_too_much(&bytes) { Vec::new() } else { bytes };
    let place = basic_toml::from_str::<Place>(&String::from_utf8_lossy(&bytes));
    let options = Options::default();
    let state_dir = place.map_or_else(|_| options.state_dir.clone(), |place| place.state_dir.0);
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
