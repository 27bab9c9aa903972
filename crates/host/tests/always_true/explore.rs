//! Breadth first over every state that a machine can get into, one configuration at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{BootId, Ledger, Policy, Revision, RollbackTarget, Toplevel};
use golden_host::operation::Options;
use golden_host::simulated::{
    Disk, Lie, Loader, Program, SimulatedHost, Snapshot, World, boot_id, forget_generations, golden_profile,
    install, start,
};

use crate::ghost::Counted;
use crate::key::key;
use crate::views::Views;
use crate::{Property, step};

pub const STATE_DIR: &str = "/var/lib/golden-generation";
pub const LEDGER: &str = "/var/lib/golden-generation/ledger.json";
/// What is armed, where the loader boots nothing once.
pub const ONE_SHOT: &str = "/var/lib/golden-generation/one-shot.json";
pub const GOLDEN_ROOT: &str = "/nix/var/nix/gcroots/golden-generation-golden";
pub const HISTORY: &str = "/var/lib/golden-generation/history.jsonl";

/// What happens beside what always does: boots that go well or badly, power cuts, and people who reboot, pick entries and switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// What runs is pinned.
    Pin,
    /// Another program removes golden's profile, and what nothing holds is collected.
    Tidy,
    /// Failures are rehearsed.
    Rehearse,
    /// The running system is switched to anything, which works or does not.
    SwitchLive,
    /// A person asks for a rollback.
    RollBack,
    /// A person puts systems into quarantine and releases them, and somebody deploys what is refused all the same.
    Quarantine,
    /// The same with what they were built from.
    QuarantineRevisions,
    /// What failed gets a second chance after a while, and the machine may be up for so long.
    Wait,
    /// A required check fails, in any boot; also before a switch, which excuses it afterwards.
    Assess,
    /// What was confirmed fails in its probation.
    FailLate,
    /// Boot files are damaged while a boot has to be confirmed, and what ends that boot is killed.
    DamageBootFiles,
    /// The boot partition is not mounted in a boot.
    LoseBootPartition,
    /// Somebody has another operating system started once.
    BootElsewhere,
}

/// What is explored.
#[derive(Debug, Clone, Copy)]
pub struct Configuration {
    pub loader: Loader,
    /// What it does not do although it is told.
    pub lie: Option<Lie>,
    pub max_failures: u32,
    /// Whether the first system is golden from the beginning.
    pub pinned: bool,
    /// Whether the firmware says how often it started the machine.
    pub firmware_counts: bool,
    pub rollback_target: RollbackTarget,
    /// Systems there are: the first one is installed, the others are switched to.
    pub systems: usize,
    /// Whether the second one was confirmed after the first was pinned: what is deployed now is the third.
    pub third: bool,
    pub habits: &'static [Habit],
}

impl Configuration {
    /// As few as there can be, so that every bound is met early.
    pub const MAX_INTERRUPTIONS: u32 = 2;

    pub fn toplevels(self) -> Vec<Toplevel> {
        toplevels().into_iter().take(self.systems).collect()
    }

    /// What somebody may switch to.
    pub fn deployed(self) -> Vec<Toplevel> {
        self.toplevels().into_iter().skip(if self.third { 2 } else { 0 }).collect()
    }

    pub fn has(self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }

    /// Whether the loader boots something once by itself. If not, a trial is its default until the boot check takes that back:
    /// what dies before is booted for ever, and nobody hears of it.
    pub fn has_one_shot(self) -> bool {
        let consumes = matches!(self.loader, Loader::SystemdBoot | Loader::Grub { writes: true });
        consumes && !matches!(self.lie, Some(Lie::KeepsOneShots | Lie::SaysItForgets))
    }

    pub fn policy(self) -> Policy {
        Policy {
            max_failures: self.max_failures.try_into().unwrap(),
            max_interruptions: Self::MAX_INTERRUPTIONS.try_into().unwrap(),
            max_automatic_reboots: self.max_failures + 1,
            rollback_target: self.rollback_target,
            second_chance_after_secs: u32::from(self.has(Habit::Wait)),
        }
    }
}

/// A machine that runs.
#[derive(Debug, Clone)]
pub struct Up {
    pub toplevel: Toplevel,
    pub boot: BootId,
    /// Whether a person picked the entry in the loader's menu.
    pub picked: bool,
    /// Whether it has been up for [`LONG_SECS`]; else for no time at all.
    pub long: bool,
}

/// Longer than what failed waits for its second chance, however often it failed.
pub const LONG_SECS: u64 = 1 << 20;

/// A machine that is off, or runs.
#[derive(Debug, Clone)]
pub struct State {
    pub world: World,
    pub up: Option<Up>,
    pub ghost: Option<Counted>,
    pub memory: Memory,
    pub boots: u64,
}

/// What the test remembers of the past beside failed attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// What was in quarantine for [`LONG_SECS`] of one boot, and still is.
    pub waited: BTreeSet<Toplevel>,
    /// Whether the machine was taken down by a rollback that a person asked for, and nothing has gone wrong since.
    pub asked: bool,
}

/// How a machine goes on if no person does anything, no power is cut, what is not known to be good fails and what is
/// known to be good does not.
#[derive(Debug, Clone, Copy)]
pub struct Forced {
    pub to: usize,
    /// Whether that is so only if what is known to be good fails as well, as long as it has to prove itself.
    pub all_fails: bool,
    /// Boots on the way: 0 or 1.
    pub boots: u32,
    /// Whether the failure was an orderly reboot of its own.
    pub reboots_itself: bool,
    /// Whether that is so only if golden, or another one that is older than what was confirmed last, does not get as far as
    /// its boot check.
    pub dies_early: bool,
}

impl Forced {
    pub fn to(to: usize, boots: u32) -> Self {
        Self { to, boots, all_fails: false, reboots_itself: false, dies_early: false }
    }
}

/// What was explored, and what was found.
#[derive(Debug, Default)]
pub struct Explored {
    pub states: usize,
    pub transitions: usize,
    pub programs: usize,
    pub crash_points: usize,
    pub images: usize,
    pub violations: BTreeMap<Property, Vec<String>>,
}

impl Explored {
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }
}

pub struct Explorer {
    pub configuration: Configuration,
    pub explored: Explored,
    pub views: Views,
    host: SimulatedHost,
    queue: VecDeque<(usize, State)>,
    known: HashMap<String, usize>,
    /// Where a state was first come to from, and how.
    origins: Vec<(usize, String)>,
    pub forced: Vec<Vec<Forced>>,
    /// Whether the machine has arrived: a confirmed generation is up, or safe mode is on.
    pub arrived: Vec<bool>,
    /// Whether it has even if everything fails: nobody waits for a confirmation of what is up.
    pub settled: Vec<bool>,
}

/// Violations of one property that are kept: the first ones are the shortest.
const MAX_KEPT: usize = 5;

impl Explorer {
    pub fn explore(configuration: Configuration) -> Self {
        let options = Options {
            state_dir: PathBuf::from(STATE_DIR),
            policy: configuration.policy(),
            ..Options::default()
        };
        let mut explorer = Self {
            configuration,
            explored: Explored::default(),
            views: Views::default(),
            host: SimulatedHost::new(World::with_loader(configuration.loader), options),
            queue: VecDeque::new(),
            known: HashMap::new(),
            origins: Vec::new(),
            forced: Vec::new(),
            arrived: Vec::new(),
            settled: Vec::new(),
        };
        let first = explorer.installed();
        explorer.reach(first, 0, || "installed".to_owned());
        while let Some((id, state)) = explorer.queue.pop_front() {
            step::expand(&mut explorer, id, &state);
            if explorer.explored.violations.values().any(|kept| kept.len() == MAX_KEPT) {
                // The shortest ways to go wrong are known; what is wrong may have no end.
                break;
            }
        }
        explorer.explored.states = explorer.origins.len();
        explorer
    }

    /// A machine that was installed, booted once, and found healthy; with golden pinned or not.
    fn installed(&mut self) -> State {
        let all = self.configuration.toplevels();
        let first = all[0].clone();
        self.host.change(|world| {
            world.lie = self.configuration.lie;
            world.firmware_boots = self.configuration.firmware_counts.then_some(0);
            Arc::make_mut(&mut world.var).create_directory(Path::new(STATE_DIR));
            for toplevel in &all {
                world.build(toplevel);
                if self.configuration.has(Habit::QuarantineRevisions) {
                    let path = Path::new(toplevel.as_str()).join("etc/golden-generation/source.json");
                    let text = format!("{{\"revision\":\"{}\"}}", revision_of(toplevel));
                    Arc::make_mut(&mut world.nix).write(path, text.as_bytes());
                }
            }
        });
        self.host.reuse_generations();
        // Every system was installed once: what an installer leaves halfway is another story.
        for toplevel in all.iter().chain([&first]) {
            install(&self.host, toplevel).unwrap();
        }
        self.host.change(|world| {
            start(world, None);
            world.start(&first, &boot_id(1));
        });
        let mut programs = vec![Program::BootCheck, Program::Confirm];
        programs.extend(self.configuration.pinned.then_some(Program::Pin { force: false }));
        for program in programs {
            program.run(&self.host).unwrap();
        }
        if self.configuration.third {
            Program::Switch(all[1].clone()).run(&self.host).unwrap();
            self.host.change(|world| {
                *world = world.after_shutdown();
                start(world, None);
                world.start(&all[1], &boot_id(2));
            });
            for program in [Program::BootCheck, Program::Confirm] {
                program.run(&self.host).unwrap();
            }
        }
        if self.configuration.has(Habit::Tidy) && self.configuration.third {
            self.host.change(|world| forget_generations(world, &first));
            install(&self.host, &all[1]).unwrap();
        }
        let world = self.host.world().after_shutdown();
        State { world, up: None, ghost: None, memory: Memory::default(), boots: 2 }
    }

    /// How long this boot has been up, for the programs that are run from here on.
    pub fn set_uptime(&self, up: Option<&Up>) {
        self.host.set_clock(if up.is_some_and(|up| up.long) { LONG_SECS } else { 0 });
    }

    /// Run a program from `world` on: what it held after each effect, what it holds at the end, and whether the
    /// program was content.
    pub fn run(&mut self, world: &World, program: &Program) -> (Vec<Snapshot>, World, bool) {
        self.host.set_world(world.clone());
        self.host.record();
        let content = program.run(&self.host).is_ok();
        let snapshots = self.host.recorded();
        self.host.said();
        self.explored.programs += 1;
        self.explored.crash_points += snapshots.len();
        let mut end = self.host.world();
        end.esp = self.views.intern(end.esp);
        (snapshots, end, content)
    }

    /// A state was come to. It is explored later, if it is new.
    pub fn reach(&mut self, mut state: State, from: usize, how: impl Fn() -> String) -> usize {
        self.explored.transitions += 1;
        state.world.esp = self.views.intern(state.world.esp);
        let ledger = self.views.ledger(&state.world);
        let is_refused = |toplevel: &Toplevel| ledger.as_ref().is_some_and(|it| it.is_quarantined(toplevel));
        state.memory.waited.retain(is_refused);
        let key = key(&mut self.views, &state, self.configuration);
        if let Some(&id) = self.known.get(&key) {
            return id;
        }
        forget_history(&mut state.world);
        let id = self.origins.len();
        self.known.insert(key, id);
        self.origins.push((from, how()));
        self.forced.push(Vec::new());
        self.arrived.push(false);
        self.settled.push(false);
        self.queue.push_back((id, state));
        id
    }

    pub fn violate(&mut self, property: Property, at: usize, text: &str) {
        if self.configuration.lie.is_some() && property.needs_the_loader() {
            return;
        }
        let kept = self.explored.violations.entry(property).or_default();
        if kept.len() < MAX_KEPT {
            let text = format!("{text}\n  after: {}", self.trace(at));
            self.explored.violations.entry(property).or_default().push(text);
        }
    }

    /// The shortest way to a state.
    pub fn trace(&self, at: usize) -> String {
        let mut steps = Vec::new();
        let mut id = at;
        while id != 0 {
            let (from, how) = &self.origins[id];
            steps.push(how.as_str());
            id = *from;
        }
        steps.reverse();
        steps.join("; ")
    }

    /// The distinct states that a power cut during `snapshots` may leave, with the effect it came after. Of what is below
    /// `/var` only the ledger counts, and what is armed where the loader boots nothing once: nothing else there is read to
    /// decide anything.
    pub fn images(&mut self, snapshots: &[Snapshot]) -> Vec<(usize, World)> {
        let mut seen = HashSet::new();
        let mut images = Vec::new();
        let (mut vars, mut esps) = (Images::default(), Images::default());
        for (number, snapshot) in snapshots.iter().enumerate() {
            let world = &snapshot.world;
            vars.follow(&world.var);
            if esps.follow(&world.esp) {
                esps.after_crash.iter_mut().for_each(|esp| *esp = self.views.intern(esp.clone()));
            }
            let (variables, nix) = (Arc::as_ptr(&world.variables), Arc::as_ptr(&world.nix));
            for var in &vars.after_crash {
                let state = [LEDGER, ONE_SHOT].map(|file| var.read(Path::new(file)).ok());
                for esp in &esps.after_crash {
                    self.explored.images += 1;
                    if seen.insert((state.clone(), Arc::as_ptr(esp), variables, nix)) {
                        let image = World { var: var.clone(), esp: esp.clone(), ..world.switched_off() };
                        images.push((number + 1, image));
                    }
                }
            }
        }
        images
    }
}

/// What a crash may leave of one file system; worked out when that has changed.
#[derive(Default)]
struct Images {
    of: Option<Arc<Disk>>,
    after_crash: Vec<Arc<Disk>>,
}

impl Images {
    fn follow(&mut self, disk: &Arc<Disk>) -> bool {
        let changed = self.of.as_ref().is_none_or(|of| !Arc::ptr_eq(of, disk));
        if changed {
            let settled = disk.is_settled();
            let images = || disk.after_crash().into_iter().map(Arc::new).collect();
            self.after_crash = if settled { vec![disk.clone()] } else { images() };
            self.of = Some(disk.clone());
        }
        changed
    }
}

/// The systems of the world that is explored: the first one is installed, the others are switched to.
pub fn toplevels() -> [Toplevel; 3] {
    ["a", "b", "c"].map(|name| format!("/nix/store/{name}{name}-{name}").parse().unwrap())
}

/// What it was built from, if anybody asks.
pub fn revision_of(toplevel: &Toplevel) -> Revision {
    format!("revision-of-{}", toplevel.short()).parse().unwrap()
}

/// What is known to be good: golden, and what was confirmed.
pub fn is_known_good(world: &World, ledger: Option<&Ledger>, toplevel: &Toplevel) -> bool {
    golden(world, ledger).as_ref() == Some(toplevel)
        || ledger.is_some_and(|ledger| ledger.is_confirmed(toplevel))
}

/// Golden, from its root, its profile and the ledger.
pub fn golden(world: &World, ledger: Option<&Ledger>) -> Option<Toplevel> {
    let root =
        world.nix.read_link(Path::new(GOLDEN_ROOT)).map(|path| path.to_str().unwrap().parse().unwrap());
    let profile = world.current(&golden_profile()).map(|(_, toplevel)| toplevel);
    let pinned = ledger.and_then(|ledger| ledger.golden.as_ref()).map(|golden| &golden.toplevel);
    golden_core::golden(root.as_ref(), profile.as_ref(), pinned).cloned()
}

/// History is only ever added to: a state is the same whatever came before it.
fn forget_history(world: &mut World) {
    let history = Path::new(HISTORY);
    if world.var.read(history).is_ok_and(|bytes| bytes.ends_with(b"\n")) {
        let settled = world.var.is_settled();
        let var = Arc::make_mut(&mut world.var);
        var.write(history, b"").unwrap();
        if settled {
            var.sync();
        }
    }
}
