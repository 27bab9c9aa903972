//! Claims that only a boot can prove, one test each.

mod boot;
mod damage;
mod golden;
mod wiring;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::image::{Image, prepare};
use crate::shell::cache;
use crate::story::{Story, pinned};

/// Tests that passed and failed.
#[derive(Debug, Default, Clone, Copy)]
#[allow(missing_docs)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
}

struct Claim {
    name: &'static str,
    says: &'static str,
    run: Run,
}

/// Where a claim is proved.
#[derive(Clone, Copy)]
enum Run {
    /// In a virtual machine, with a loader and a kernel.
    Vm(fn(&Setting, &str) -> Result<Story>),
    /// In a container, with systemd alone; gives the number of boots.
    Container(fn(&Image, &str) -> Result<usize>),
}

/// What every test finds prepared.
struct Setting {
    image: Image,
    pinned: PathBuf,
}

impl Setting {
    /// A machine that runs `good-a`, confirmed and pinned.
    fn story(&self, name: &str) -> Result<Story> {
        let mut story = Story::begin(&self.image, name, Some(&self.pinned), true)?;
        story.expect(&["boot good-a", "up good-a"])?;
        Ok(story)
    }
}

const CLAIMS: &[Claim] = &[
    Claim {
        name: "wiring",
        says: "the units come in their order, once a boot, without a cycle; a switch confirms and counts nothing",
        run: Run::Container(wiring::once_a_boot),
    },
    Claim {
        name: "unit-failure",
        says: "a unit that takes the machine down twice is found out at each shutdown, and the landing takes over",
        run: Run::Container(wiring::failure_action),
    },
    Claim {
        name: "good-switch",
        says: "a good switch is marked, booted once, confirmed, only then the default; ten reboots rewrite nothing",
        run: Run::Vm(boot::good_switch),
    },
    Claim {
        name: "broken-unit",
        says: "a required unit that fails twice ends on golden, after exactly two attempts: T1, T2, G",
        run: Run::Vm(boot::broken_unit),
    },
    Claim {
        name: "panic",
        says: "a kernel that panics twice ends on golden; the loader's default was golden all the time",
        run: Run::Vm(boot::panic),
    },
    Claim {
        name: "person-reboots",
        says: "a person reboots during a trial before it is confirmed: nothing counts, the trial goes on",
        run: Run::Vm(boot::person_reboots),
    },
    Claim {
        name: "power-cut",
        says: "power is cut while a switch writes ledger and loader.conf: the next boot is one of the two legal ones",
        run: Run::Vm(damage::power_cut),
    },
    Claim {
        name: "damaged-ledger",
        says: "a corrupt, an empty and a too-new ledger: the machine boots, says so, loses nothing",
        run: Run::Vm(damage::damaged_ledger),
    },
    Claim {
        name: "after-rollback",
        says: "after the rollback the profile is golden's, the failed closure is kept and quarantined, history knows",
        run: Run::Vm(golden::after_rollback),
    },
    Claim {
        name: "pin",
        says: "pin-golden refuses what was never confirmed; garbage collection spares what was pinned",
        run: Run::Vm(golden::pin),
    },
    Claim {
        name: "disabled",
        says: "golden.disable=1: nothing of ours runs",
        run: Run::Vm(golden::disabled),
    },
    Claim {
        name: "without-us",
        says: "with no ledger and no suite the machine boots as if we were not there",
        run: Run::Vm(golden::without_us),
    },
];

/// How many there are.
#[must_use]
pub fn count() -> usize {
    CLAIMS.len()
}

/// Print them.
pub fn list() {
    for claim in CLAIMS {
        let tier = if matches!(claim.run, Run::Vm(_)) { "vm" } else { "container" };
        println!("{:<16} {tier:<10} {}", claim.name, claim.says);
    }
}

/// Run one, or all.
///
/// # Errors
/// There is none of that name, or the machines cannot be made.
pub fn run(name: Option<&str>) -> Result<Counts> {
    let chosen: Vec<&Claim> =
        CLAIMS.iter().filter(|claim| name.is_none_or(|name| name == claim.name)).collect();
    if chosen.is_empty() {
        bail!("there is no claim {}; `cargo xtask vm list` lists them", name.unwrap_or_default());
    }
    let image = prepare()?;
    let mut setting = None;
    let mut counts = Counts::default();
    for claim in chosen {
        if setting.is_none() && matches!(claim.run, Run::Vm(_)) {
            setting = Some(Setting { pinned: pinned(&image)?, image: image.clone() });
        }
        let before = Instant::now();
        match prove(&image, setting.as_ref(), claim) {
            Ok(boots) => {
                counts.passed += 1;
                println!("ok {} {:.1} s, {boots} boots", claim.name, seconds(before.elapsed()));
            }
            Err(error) => {
                counts.failed += 1;
                println!("FAILED {} {:.1} s: {error:#}", claim.name, seconds(before.elapsed()));
            }
        }
    }
    Ok(counts)
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// The number of boots it took. What a failed test leaves is kept.
fn prove(image: &Image, setting: Option<&Setting>, claim: &Claim) -> Result<usize> {
    let directory = cache().join("run").join(claim.name);
    let boots = match (claim.run, setting) {
        (Run::Vm(run), Some(setting)) => run(setting, claim.name).map(|story| story.boots),
        (Run::Vm(_), None) => bail!("no machine was prepared"),
        (Run::Container(run), _) => run(image, claim.name),
    };
    match boots {
        Ok(boots) => {
            fs::remove_dir_all(directory)?;
            Ok(boots)
        }
        Err(error) => {
            let kept = cache().join("failed").join(claim.name);
            let _ = fs::remove_dir_all(&kept);
            fs::create_dir_all(cache().join("failed"))?;
            let _ = fs::rename(&directory, &kept);
            if matches!(claim.run, Run::Vm(_)) {
                let _ = crate::machine::salvage(image, &kept);
            }
            Err(error.context(format!("log and ledger are kept in {}", kept.display())))
        }
    }
}
