//! A machine from power on to power off: firmware, loader, the boot, and the programs at their places in it.

use std::path::Path;

use golden_core::{
    ASSESSMENT_SCHEMA, Assessment, BootId, Cause, Finding, Injection, Kept, Named, Toplevel, Weight,
};

use super::host::SimulatedHost;
use super::installer::{collect_garbage, install_loader, set_profile, system_profile};
use crate::operation;
use crate::{Error, Host};

/// Something that runs on the machine and has effects.
#[derive(Debug, Clone, PartialEq)]
pub enum Program {
    /// `golden-boot-check`, early in the boot.
    BootCheck,
    /// `golden-rollback`, phase two.
    RollBack,
    /// `golden-confirm`, once the machine is healthy.
    Confirm,
    /// `golden-record-shutdown`, on the way down.
    RecordShutdown,
    /// `golden-deadline`, when the time is over.
    Deadline,
    /// `golden-emergency`, and nobody stops its countdown.
    Emergency,
    /// `golden-hibernate`, on the way to sleep.
    Hibernate,
    /// The same, when the machine is awake again.
    Resume,
    /// `golden drill`.
    Drill(Injection),
    /// `pin-golden`, with or without `--force`.
    Pin {
        /// Whether a person vouches for what runs.
        force: bool,
    },
    /// `golden-verify --entry`, after another program changed the profiles.
    PutBack,
    /// `golden rollback`, and the person says yes.
    RollBackNow,
    /// `golden quarantine add`.
    Quarantine(Named),
    /// `golden quarantine release`.
    Release(Named),
    /// A deployer that asks first, as NixOS does it: `nix-env --set`, `golden check` and then the rest of a switch.
    SwitchChecked(Toplevel),
    /// A deployer: `nix-env --set` and then `switch-to-configuration boot`, which marks.
    Switch(Toplevel),
    /// The same with `switch-to-configuration switch`: the running system changes too, and is watched.
    SwitchLive(Toplevel),
    /// `golden-assess`, and these required checks fail.
    Assess(Vec<String>),
    /// `golden-probation`, once these required checks fail; with or without the owner's wish to go back then.
    FailLate {
        /// What failed.
        checks: Vec<String>,
        /// What the owner wants.
        goes_back: bool,
    },
    /// `golden confirm`, while a switch of the running system is watched.
    ConfirmLive,
    /// `golden-live`, once what it watches has proved itself.
    PassLive,
    /// The same, once that has failed.
    FailLive(Cause),
    /// The same, while what ran before comes back.
    GoBack,
    /// The same with a generation whose installer does not know us.
    SwitchUnmarked(Toplevel),
}

impl Program {
    /// The name of the program.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::BootCheck => "boot-check",
            Self::RollBack => "rollback",
            Self::Confirm => "confirm",
            Self::RecordShutdown => "shutdown",
            Self::Deadline => "deadline",
            Self::Emergency => "emergency",
            Self::Hibernate => "hibernate",
            Self::Resume => "resume",
            Self::Drill(_) => "drill",
            Self::Pin { .. } => "pin",
            Self::PutBack => "put-back",
            Self::RollBackNow => "rollback-now",
            Self::Quarantine(_) | Self::Release(_) => "quarantine",
            Self::Switch(_) | Self::SwitchLive(_) | Self::SwitchUnmarked(_) | Self::SwitchChecked(_) => {
                "switch"
            }
            Self::Assess(_) => "assess",
            Self::FailLate { .. } => "probation",
            Self::ConfirmLive => "confirm-live",
            Self::PassLive | Self::FailLive(_) => "live",
            Self::GoBack => "go-back",
        }
    }

    /// Run it on `host`, as it would run there.
    pub fn run(&self, host: &SimulatedHost) -> Result<(), Failure> {
        let options = &host.options();
        match self {
            Self::BootCheck => Ok(operation::boot_check(host, options)?),
            Self::RollBack => Ok(operation::roll_back(host, options)?),
            Self::Confirm => Ok(operation::confirm(host, options)?),
            Self::RecordShutdown => Ok(operation::record_shutdown(host, options)?),
            Self::Deadline => Ok(operation::pass_deadline(host, options)?),
            Self::Emergency => {
                let emergency = operation::emergency(host, options)?;
                Ok(operation::leave_emergency(host, options, emergency)?)
            }
            Self::Hibernate => Ok(operation::hibernate(host, options)?),
            Self::Resume => Ok(operation::resume(host, options)?),
            Self::Drill(injection) => Ok(operation::drill(host, options, *injection)?),
            Self::Pin { force } => Ok(operation::pin(host, options, *force)?),
            Self::PutBack => {
                operation::put_golden_back(host, options)?;
                Ok(operation::list_golden(host, options)?)
            }
            Self::RollBackNow => Ok(operation::roll_back_now(host, options)?),
            Self::Quarantine(named) => Ok(operation::quarantine(host, options, named.clone())?),
            Self::Release(named) => Ok(operation::release(host, options, named.clone())?),
            Self::SwitchChecked(toplevel) => {
                set_profile(host, &system_profile(), toplevel)?;
                operation::check(host, options, toplevel, None)?;
                deploy(host, toplevel, "boot")
            }
            Self::Switch(toplevel) => deploy(host, toplevel, "boot"),
            Self::SwitchLive(toplevel) => deploy(host, toplevel, "switch"),
            Self::Assess(checks) => {
                let verdict = operation::judge(host, options, assessment(host, checks)?)?;
                match verdict {
                    operation::Verdict::Healthy => Ok(()),
                    operation::Verdict::Unhealthy(checks) | operation::Verdict::Failed(checks) => {
                        Err(Error::Unhealthy(checks).into())
                    }
                }
            }
            Self::FailLate { checks, goes_back } => {
                Ok(operation::fail_late(host, options, &assessment(host, checks)?, *goes_back)?)
            }
            Self::ConfirmLive => Ok(operation::confirm_live(host, options)?),
            Self::PassLive => Ok(operation::pass_live(host, options)?),
            Self::FailLive(cause) => Ok(operation::fail_live(host, options, cause.clone())?),
            Self::GoBack => {
                operation::go_back(host, options)?;
                Ok(operation::end_going_back(host, options)?)
            }
            Self::SwitchUnmarked(toplevel) => {
                set_profile(host, &system_profile(), toplevel)?;
                Ok(install_loader(host, toplevel, false)?)
            }
        }
    }
}

/// Required checks that were run once each, and failed.
fn assessment(host: &SimulatedHost, failed: &[String]) -> Result<Assessment, Error> {
    let (toplevel, boot) = operation::subject(host)?;
    let finding = |check: &String| Finding {
        check: check.clone(),
        weight: Weight::Required,
        passed: false,
        said: "exited with status 1".to_owned(),
        output: String::new(),
        runs: 1,
        millis: 1,
        needs_network: false,
        units: Vec::new(),
        excuse: None,
        unknown: Kept::new(),
    };
    let findings = failed.iter().map(finding).collect();
    let (schema, unknown) = (ASSESSMENT_SCHEMA, Kept::new());
    Ok(Assessment { schema, toplevel, boot, report_only: false, findings, unknown })
}

fn deploy(host: &SimulatedHost, toplevel: &Toplevel, action: &str) -> Result<(), Failure> {
    set_profile(host, &system_profile(), toplevel)?;
    let program = Path::new(toplevel.as_str()).join("bin/switch-to-configuration");
    let output = host.run(&program, &[action])?;
    if output.success { Ok(()) } else { Err(Failure::Program(output.stderr)) }
}

/// Why a program did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// One of ours says so.
    #[error(transparent)]
    Ours(#[from] Error),
    /// An effect of another one failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Another one says so.
    #[error("{0}")]
    Program(String),
}

/// A boot ID that no other boot of the machine has.
#[must_use]
pub fn boot_id(number: u64) -> BootId {
    format!("{number:032x}").parse().unwrap_or_else(|_| unreachable!("32 hexadecimal digits"))
}

/// Put the first system on an empty machine, as an installation medium does. None of our programs runs there.
pub fn install(host: &SimulatedHost, toplevel: &Toplevel) -> std::io::Result<()> {
    host.change(|world| world.build(toplevel));
    set_profile(host, &system_profile(), toplevel)?;
    install_loader(host, toplevel, true)
}

/// Delete old generations and everything that nothing holds any more.
pub fn collect(host: &SimulatedHost) {
    host.change(collect_garbage);
}
