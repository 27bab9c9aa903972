//! Claims that only a boot can prove, one test each.

mod boot;
mod damage;
mod golden;

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
    run: fn(&Setting, &str) -> Result<Story>,
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
        name: "good-switch",
        says: "a good switch is marked, booted once, confirmed, only then the default; ten reboots rewrite nothing",
        run: boot::good_switch,
    },
    Claim {
        name: "broken-unit",
        says: "a required unit that fails twice ends on golden, after exactly two attempts: T1, T2, G",
        run: boot::broken_unit,
    },
    Claim {
        name: "panic",
        says: "a kernel that panics twice ends on golden; the loader's default was golden all the time",
        run: boot::panic,
    },
    Claim {
        name: "person-reboots",
        says: "a person reboots during a trial before it is confirmed: nothing counts, the trial goes on",
        run: boot::person_reboots,
    },
    Claim {
        name: "power-cut",
        says: "power is cut while a switch writes ledger and loader.conf: the next boot is one of the two legal ones",
        run: damage::power_cut,
    },
    Claim {
        name: "damaged-ledger",
        says: "a corrupt, an empty and a too-new ledger: the machine boots, says so, loses nothing",
        run: damage::damaged_ledger,
    },
    Claim {
        name: "after-rollback",
        says: "after the rollback the profile is golden's, the failed closure is kept and quarantined, history knows",
        run: golden::after_rollback,
    },
    Claim {
        name: "pin",
        says: "pin-golden refuses what was never confirmed; garbage collection spares what was pinned",
        run: golden::pin,
    },
    Claim { name: "disabled", says: "golden.disable=1: nothing of ours runs", run: golden::disabled },
    Claim {
        name: "without-us",
        says: "with no ledger and no suite the machine boots as if we were not there",
        run: golden::without_us,
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
        println!("{:<16} {}", claim.name, claim.says);
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
    let pinned = pinned(&image)?;
    let setting = Setting { image, pinned };
    let mut counts = Counts::default();
    for claim in chosen {
        let before = Instant::now();
        match prove(&setting, claim) {
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
fn prove(setting: &Setting, claim: &Claim) -> Result<usize> {
    match (claim.run)(setting, claim.name) {
        Ok(story) => {
            let directory = story.machine.directory().to_owned();
            let boots = story.boots;
            drop(story);
            fs::remove_dir_all(directory)?;
            Ok(boots)
        }
        Err(error) => {
            let kept = cache().join("failed").join(claim.name);
            let _ = fs::remove_dir_all(&kept);
            fs::create_dir_all(cache().join("failed"))?;
            let _ = fs::rename(cache().join("run").join(claim.name), &kept);
            let _ = crate::machine::salvage(&setting.image, &kept);
            Err(error.context(format!("log and ledger are kept in {}", kept.display())))
        }
    }
}
