//! Claims that only a boot can prove, one test each.

mod boot;
mod checks;
mod console;
mod damage;
mod elsewhere;
mod faults;
mod golden;
mod ladder;
mod list;
mod live;
mod quarantine;
mod told;
mod wiring;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::image::{Image, prepare};
use crate::machine::Options;
use crate::matrix::Boots;
use crate::shell::cache;
use crate::story::{Story, WITH_SUITE, pinned};

use faults::Fault;
use list::CLAIMS;

/// Tests that passed and failed.
#[derive(Debug, Default, Clone, Copy)]
#[allow(missing_docs)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.passed += more.passed;
        self.failed += more.failed;
    }
}

/// Machines that run at the same time, at most: each has 768 MiB of memory.
const MOST_AT_ONCE: usize = 4;
/// Processors of a machine.
const PROCESSORS: usize = 2;

struct Claim {
    name: &'static str,
    says: &'static str,
    loader: Loader,
    /// Boots from the last reboot that the test asked for to the end of the story.
    boots: Option<Boots>,
    /// Whether `cargo xtask test` runs it too: CI has an hour.
    in_ci: bool,
    run: Run,
}

impl Claim {
    fn is_vm(&self) -> bool {
        !matches!(self.run, Run::Container(_))
    }
}

/// What boots the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loader {
    /// Version 257.
    SystemdBoot,
    /// Version 252.
    OlderSystemdBoot,
    /// Version 2.12, in BIOS mode.
    Grub,
}

/// Where and how a claim is proved.
#[derive(Clone, Copy)]
enum Run {
    /// In a virtual machine, with a loader and a kernel.
    Vm(fn(&Setting, &str) -> Result<Story>),
    /// The same, for a system that fails until golden is up.
    Fault(&'static Fault),
    /// In a container, with systemd alone; gives the number of boots.
    Container(fn(&Image, &str) -> Result<usize>),
}

/// What every test finds prepared.
struct Setting {
    image: Image,
    pinned: PathBuf,
}

impl Setting {
    fn new(image: &Image, loader: Loader) -> Result<Self> {
        let (image, name) = match loader {
            Loader::SystemdBoot => (image.clone(), "pinned"),
            Loader::OlderSystemdBoot => (image.with_older_loader()?, "pinned-older"),
            Loader::Grub => (image.with_grub()?, "pinned-grub"),
        };
        Ok(Self { pinned: pinned(&image, name)?, image })
    }

    /// A machine that runs `good-a`, confirmed and pinned.
    fn story(&self, name: &str) -> Result<Story> {
        self.story_with(name, WITH_SUITE)
    }

    fn story_with(&self, name: &str, options: Options) -> Result<Story> {
        let mut story = Story::begin(&self.image, name, Some(&self.pinned), options)?;
        story.expect(&["boot good-a", "up good-a"])?;
        Ok(story)
    }
}

/// Which claims are run.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// Those that CI runs.
    Ci,
    /// All of them.
    All,
    /// Those of these names.
    Named(Vec<String>),
}

/// How many CI runs.
#[must_use]
pub fn ci_count() -> usize {
    CLAIMS.iter().filter(|claim| claim.in_ci).count()
}

/// Print them.
pub fn list() {
    for claim in CLAIMS {
        let tier = if matches!(claim.run, Run::Container(_)) { "container" } else { "vm" };
        let ci = if claim.in_ci { "ci" } else { "" };
        println!("{:<24} {tier:<10} {ci:<3} {}", claim.name, claim.says);
    }
}

/// Run some.
///
/// # Errors
/// There is none of that name, or the machines cannot be made.
pub fn run(chosen: &Chosen) -> Result<Counts> {
    if let Chosen::Named(names) = chosen {
        let unknown = names.iter().find(|name| !CLAIMS.iter().any(|claim| claim.name == **name));
        if let Some(name) = unknown {
            bail!("there is no claim {name}; `cargo xtask vm list` lists them");
        }
    }
    let is_chosen = |claim: &&Claim| match chosen {
        Chosen::Ci => claim.in_ci,
        Chosen::All => true,
        Chosen::Named(names) => names.iter().any(|name| name == claim.name),
    };
    let image = prepare()?;
    let claims: Vec<&Claim> = CLAIMS.iter().filter(is_chosen).collect();
    let mut settings: Vec<(Loader, Setting)> = Vec::new();
    for claim in claims.iter().filter(|claim| claim.is_vm()) {
        if !settings.iter().any(|(loader, _)| *loader == claim.loader) {
            settings.push((claim.loader, Setting::new(&image, claim.loader)?));
        }
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut counts = Counts::default();
        while let Some(claim) = claims.get(next.fetch_add(1, Ordering::Relaxed)) {
            let setting =
                settings.iter().find(|(loader, _)| *loader == claim.loader).map(|(_, setting)| setting);
            counts.add(verdict(&image, setting, claim));
        }
        counts
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let workers = (processors / PROCESSORS).clamp(1, MOST_AT_ONCE);
    thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let mut counts = Counts::default();
        for one in running {
            counts.add(one.join().map_err(|_| anyhow::anyhow!("a claim panicked"))?);
        }
        Ok(counts)
    })
}

/// Prove one and say how it went.
fn verdict(image: &Image, setting: Option<&Setting>, claim: &Claim) -> Counts {
    let before = Instant::now();
    match prove(image, setting, claim) {
        Ok(boots) => {
            println!("ok {} {:.1} s, {boots} boots", claim.name, seconds(before.elapsed()));
            Counts { passed: 1, failed: 0 }
        }
        Err(error) => {
            let mut said = format!("FAILED {} {:.1} s: {error:#}\n", claim.name, seconds(before.elapsed()));
            // Of a run elsewhere this output is all that is kept.
            for line in console::last_lines(&kept(claim)) {
                let _ = writeln!(said, "    {line}");
            }
            print!("{said}");
            Counts { passed: 0, failed: 1 }
        }
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// Where a test that failed leaves its files.
fn kept(claim: &Claim) -> PathBuf {
    cache().join("failed").join(claim.name)
}

/// The number of boots it took. What a failed test leaves is kept.
fn prove(image: &Image, setting: Option<&Setting>, claim: &Claim) -> Result<usize> {
    let directory = cache().join("run").join(claim.name);
    match count(image, setting, claim) {
        Ok(boots) => {
            fs::remove_dir_all(directory)?;
            Ok(boots)
        }
        Err(error) => {
            let kept = kept(claim);
            let _ = fs::remove_dir_all(&kept);
            fs::create_dir_all(cache().join("failed"))?;
            let _ = fs::rename(&directory, &kept);
            if let Some(setting) = setting.filter(|_| claim.is_vm()) {
                let _ = crate::machine::salvage(&setting.image, &kept);
            }
            Err(error.context(format!("log and ledger are kept in {}", kept.display())))
        }
    }
}

fn count(image: &Image, setting: Option<&Setting>, claim: &Claim) -> Result<usize> {
    let mut story = match (claim.run, setting) {
        (Run::Container(run), _) => return run(image, claim.name),
        (_, None) => bail!("no machine was prepared"),
        (Run::Vm(run), Some(setting)) => run(setting, claim.name)?,
        (Run::Fault(fault), Some(setting)) => {
            let boots = claim.boots.context("a fault has no number of boots")?;
            faults::prove(setting, claim.name, fault, boots)?
        }
    };
    if let Some(boots) = claim.boots {
        let seen = story.boots_since_reboot()?;
        ensure!(seen == boots.total(), "the machine was up after {seen} boots, not {}", boots.total());
    }
    story.boots()
}

/// Whether there is a claim of that name.
pub(crate) fn is_claim(name: &str) -> bool {
    CLAIMS.iter().any(|claim| claim.name == name)
}

/// The boots that a claim proves; `None` where it counts none.
pub(crate) fn boots_of(name: &str) -> Option<Boots> {
    CLAIMS.iter().find(|claim| claim.name == name)?.boots
}
