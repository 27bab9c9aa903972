//! Plays the statements of a scenario on a simulated machine.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error as _;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{BootId, Ledger, Toplevel};

use super::expect::Machine;
use super::parse::ScenarioError;
use super::statement::{Action, Behaviour, Line, Setting, Statement, System, Trouble};
use super::timeline;
use crate::Host;
use crate::operation::Options;
use crate::simulated::{
    Choice, ESP, GoingDown, Loader, Program, SimulatedHost, Start, VAR, Why, World, boot_id, collect,
    install, start, system_profile,
};

/// Boots of one statement after which nobody waits for an end any more.
const MAX_BOOTS: u32 = 40;

/// Boots in a row, each of them a panic, that are enough to see that there is no end. More than any trial is given.
const MAX_UNSEEN: u32 = 5;

pub(super) struct Runner {
    pub(super) host: SimulatedHost,
    behaviours: BTreeMap<Toplevel, VecDeque<Behaviour>>,
    pub(super) boots: u32,
    pub(super) power: Power,
    disabled: bool,
    /// What is to go wrong, and in which program.
    pub(super) trouble: Option<(Trouble, Option<&'static str>)>,
    /// Whether effects are already counted for it.
    pub(super) counting: bool,
    refused: bool,
    last_state: String,
    pub(super) timeline: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Power {
    Off,
    Up(Toplevel),
}

/// The power went in the middle of a program.
pub(super) struct PowerIsGone;

/// What a statement did, or why it makes no sense now.
pub(super) type Played = Result<(), String>;

impl Runner {
    pub(super) fn new() -> Self {
        Self {
            host: SimulatedHost::new(World::default(), options()),
            behaviours: BTreeMap::new(),
            boots: 0,
            power: Power::Off,
            disabled: false,
            trouble: None,
            counting: false,
            refused: false,
            last_state: String::new(),
            timeline: String::new(),
        }
    }

    /// Play one line.
    pub(super) fn play(&mut self, line: &Line) -> Result<(), ScenarioError> {
        let impossible = |text| ScenarioError::Impossible { line: line.number, text };
        if let Statement::Expect(expectation) = &line.statement {
            let (world, ledger, running) = (self.host.world(), self.ledger(), self.running());
            let machine = Machine {
                world: &world,
                ledger: ledger.as_ref().and_then(|ledger| ledger.as_ref().ok()),
                running: running.as_ref(),
                boots: self.boots,
                refused: self.refused,
            };
            return machine.misses(expectation).map_or(Ok(()), |found| {
                let expected = line.text.trim_start_matches("expect").trim().to_owned();
                Err(ScenarioError::Unmet {
                    line: line.number,
                    expected,
                    found,
                    timeline: self.timeline.clone(),
                })
            });
        }
        self.say(0, &format!("> {}", line.text));
        let sets_trouble = matches!(line.statement, Statement::Trouble { .. });
        self.statement(&line.statement).map_err(impossible)?;
        if !sets_trouble {
            if self.trouble.take().is_some() {
                return Err(impossible("the effect that was to go wrong was never reached".to_owned()));
            }
            self.say_state();
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Statement) -> Played {
        match statement {
            Statement::Install(system) => self.install(system),
            Statement::Loader(loader) => self.have_loader(*loader),
            Statement::LoaderLies(lie) => {
                self.host.change(|world| world.lie = Some(*lie));
                Ok(())
            }
            Statement::Set(setting, number) => {
                self.set(*setting, *number);
                Ok(())
            }
            Statement::Behave(system, behaviours) => {
                self.behaviours.insert(system.toplevel(), behaviours.iter().cloned().collect());
                Ok(())
            }
            Statement::Boot { unconfirmed } => {
                self.must_be_off()?;
                self.boot(None, !unconfirmed)
            }
            Statement::Confirm => {
                self.must_be_up()?;
                self.stoppable(&Program::Confirm)
            }
            Statement::Switch { system, checked: true, .. } => {
                self.build(&system.toplevel());
                self.stoppable(&Program::SwitchChecked(system.toplevel()))
            }
            Statement::Switch { system, marked, live, .. } => self.switch(&system.toplevel(), *marked, *live),
            Statement::Source(system, revision) => {
                self.build(&system.toplevel());
                let path = Path::new(system.toplevel().as_str()).join("etc/golden-generation/source.json");
                let text = format!("{{\"revision\":\"{revision}\"}}");
                self.host.change(|world| Arc::make_mut(&mut world.nix).write(path, text.as_bytes()));
                Ok(())
            }
            Statement::Quarantine(named) => self.stoppable(&Program::Quarantine(named.clone())),
            Statement::Release(named) => self.stoppable(&Program::Release(named.clone())),
            Statement::Wait(secs) => {
                self.host.set_clock(self.host.monotonic().as_secs() + u64::from(*secs));
                Ok(())
            }
            Statement::Live(None) => {
                self.must_be_up()?;
                self.stoppable(&Program::PassLive)
            }
            Statement::Live(Some(cause)) => {
                self.must_be_up()?;
                self.stoppable(&Program::FailLive(cause.clone()))?;
                self.go_back()
            }
            Statement::Person(action) => self.person(action),
            Statement::PowerCut => {
                self.must_be_up()?;
                self.lose_power(1)
            }
            Statement::Pin { force } => {
                self.must_be_up()?;
                self.stoppable(&Program::Pin { force: *force })
            }
            Statement::Drill(injection) => {
                self.must_be_up()?;
                self.stoppable(&Program::Drill(*injection))?;
                if !self.host.world().reboot_asked {
                    return Ok(());
                }
                self.reboot_through("reboot.target")?;
                self.boot(None, true)
            }
            Statement::CollectGarbage => {
                self.must_be_up()?;
                collect(&self.host);
                Ok(())
            }
            Statement::Trouble { trouble, of } => {
                self.trouble = Some((*trouble, *of));
                Ok(())
            }
            Statement::Ledger(damage) => self.damage(*damage),
            Statement::LoseLoaderConf => match self.host.world().loader {
                Loader::SystemdBoot => self.overwrite(&Path::new(ESP).join("loader/loader.conf"), b""),
                _ => Err("this loader has no loader.conf".to_owned()),
            },
            Statement::NoFirmwareCounter => {
                self.host.change(|world| world.firmware_boots = None);
                Ok(())
            }
            Statement::NoFirmwareVariables => {
                self.host.change(World::without_variables);
                Ok(())
            }
            Statement::Disable(disabled) => {
                self.disabled = *disabled;
                Ok(())
            }
            Statement::Expect(_) => Ok(()),
        }
    }

    fn have_loader(&mut self, loader: Loader) -> Played {
        if self.host.change(|world| world.current(&system_profile()).is_some()) {
            return Err("the machine has a system already".to_owned());
        }
        self.host.set_world(World::with_loader(loader));
        Ok(())
    }

    fn install(&mut self, system: &System) -> Played {
        if self.host.change(|world| world.current(&system_profile()).is_some()) {
            return Err("the machine has a system already".to_owned());
        }
        let state_dir = self.host.options().state_dir;
        self.host.change(|world| Arc::make_mut(&mut world.var).create_directory(&state_dir));
        install(&self.host, &system.toplevel()).map_err(|error| error.to_string())
    }

    fn set(&mut self, setting: Setting, number: u32) {
        let positive = number.try_into();
        self.host.configure(|options| {
            let policy = &mut options.policy;
            match (setting, positive) {
                (Setting::MaxFailures, Ok(number)) => policy.max_failures = number,
                (Setting::MaxInterruptions, Ok(number)) => policy.max_interruptions = number,
                (Setting::SecondChanceAfterSecs, _) => policy.second_chance_after_secs = number,
                _ => policy.max_automatic_reboots = number,
            }
        });
    }

    /// What ran before is activated again; if it cannot be, the machine is rebooted.
    fn go_back(&mut self) -> Played {
        if self.power == Power::Off {
            return Ok(());
        }
        self.stoppable(&Program::GoBack)?;
        if !self.host.world().reboot_asked {
            return Ok(());
        }
        self.reboot_through("reboot.target")?;
        self.boot(None, true)
    }

    fn build(&self, toplevel: &Toplevel) {
        self.host.change(|world| {
            if !world.has_built(toplevel) {
                world.build(toplevel);
            }
        });
    }

    fn switch(&mut self, toplevel: &Toplevel, marked: bool, live: bool) -> Played {
        self.must_be_up()?;
        self.build(toplevel);
        // A disabled suite is disabled for the running system, whose hooks it is part of.
        let marked = marked && !self.disabled;
        let program = match (marked, live) {
            (true, true) => Program::SwitchLive(toplevel.clone()),
            (true, false) => Program::Switch(toplevel.clone()),
            (false, _) => Program::SwitchUnmarked(toplevel.clone()),
        };
        self.stoppable(&program)
    }

    fn person(&mut self, action: &Action) -> Played {
        if matches!(action, Action::Picks(_)) && self.power == Power::Off {
            return self.pick(action);
        }
        self.must_be_up()?;
        match action {
            Action::PowersOff => self.reboot_through("poweroff.target"),
            Action::Reboots | Action::Picks(_) => {
                self.reboot_through("reboot.target")?;
                self.pick(action)
            }
            Action::RollsBack => {
                self.stoppable(&Program::RollBackNow)?;
                if !self.host.world().reboot_asked {
                    return Ok(());
                }
                self.reboot_through("reboot.target")?;
                self.boot(None, true)
            }
            Action::SoftReboots => self.past_the_loader("soft-reboot.target", 0),
            Action::Kexecs => self.past_the_loader("kexec.target", 1),
            Action::Hibernates => self.hibernate(),
        }
    }

    fn reboot_through(&mut self, target: &'static str) -> Played {
        match self.shut_down(target, Vec::new()) {
            Err(PowerIsGone) => self.power_is_gone(),
            Ok(()) => Ok(()),
        }
    }

    /// The same system again, without firmware and loader; a boot of userspace alone keeps the boot's ID.
    fn past_the_loader(&mut self, target: &'static str, boots: u32) -> Played {
        let Power::Up(toplevel) = self.power.clone() else { return Err("the machine is off".to_owned()) };
        self.reboot_through(target)?;
        self.boots += boots;
        self.say(1, &format!("boot {}: {} again, past the loader", self.boots, toplevel.short()));
        match self.run_boot(&toplevel, true) {
            Err(PowerIsGone) => self.power_is_gone(),
            Ok(true) => Ok(()),
            Ok(false) => self.boot(None, true),
        }
    }

    /// Off and on through the loader: memory comes back if it starts the kernel that wrote it.
    fn hibernate(&mut self) -> Played {
        let Power::Up(toplevel) = self.power.clone() else { return Err("the machine is off".to_owned()) };
        self.stoppable(&Program::Hibernate)?;
        let asleep = self.host.world();
        let started = self.start(None);
        let Start::Booted(choice) = started else { return Err(format!("it does not wake up: {started:?}")) };
        if choice.toplevel != toplevel {
            return Err(format!("it wakes up with the kernel of {}", choice.toplevel.short()));
        }
        // Memory is as it was; what the firmware and the loader did stays done.
        self.host.change(|world| world.volatile = asleep.volatile.clone());
        self.say(2, "it goes on where it was");
        self.stoppable(&Program::Resume)
    }

    fn pick(&mut self, action: &Action) -> Played {
        match action {
            Action::Picks(system) => self.boot(Some(&system.toplevel()), true),
            _ => self.boot(None, true),
        }
    }

    /// Boot until the machine stays up, or does not start at all.
    fn boot(&mut self, pick: Option<&Toplevel>, confirm: bool) -> Played {
        let mut pick = pick;
        // Boots in a row in which nothing of ours runs.
        let mut unseen = 0;
        for _ in 0..MAX_BOOTS {
            let choice = match self.start(pick.take()) {
                Start::Stuck(why) => {
                    self.say(2, &format!("nothing starts any more: {why}"));
                    return Ok(());
                }
                Start::Panicked(_, why) => {
                    self.say(2, &format!("the kernel panics: {why}"));
                    continue;
                }
                Start::Booted(choice) => choice,
            };
            unseen = if self.goes_on_panicking(&choice.toplevel) { unseen + 1 } else { 0 };
            match self.run_boot(&choice.toplevel, confirm) {
                Err(PowerIsGone) => return self.power_is_gone(),
                Ok(true) => return Ok(()),
                Ok(false) if unseen == MAX_UNSEEN => {
                    self.say(1, "and so on, for ever");
                    return Ok(());
                }
                Ok(false) => {}
            }
        }
        self.say(1, &format!("and so on: {MAX_BOOTS} boots, and no end"));
        Ok(())
    }

    fn start(&mut self, pick: Option<&Toplevel>) -> Start {
        let started = self.host.change(|world| start(world, pick));
        self.boots += 1;
        self.host.set_clock(u64::from(self.boots) * 60);
        match &started {
            Start::Booted(choice) | Start::Panicked(choice, _) => self.say_boot(choice),
            Start::Stuck(_) => self.say(1, &format!("boot {}", self.boots)),
        }
        started
    }

    fn say_boot(&mut self, choice: &Choice) {
        let why = match choice.why {
            Why::Menu => "picked in the menu",
            Why::OneShot => "booted once",
            Why::Default => "the loader's default",
            Why::First => "first in the loader's order: no default",
        };
        self.say(1, &format!("boot {}: {}, {why} ({})", self.boots, choice.toplevel.short(), choice.entry));
    }

    /// One boot of a system that got to its second stage; whether the machine stays up.
    fn run_boot(&mut self, toplevel: &Toplevel, confirm: bool) -> Result<bool, PowerIsGone> {
        let behaviour = self.next_behaviour(toplevel);
        if behaviour == Behaviour::Panics {
            self.say(2, "the kernel panics");
            self.host.change(|world| *world = world.after_shutdown());
            return Ok(false);
        }
        let boot: BootId = boot_id(u64::from(self.boots));
        self.host.change(|world| world.start(toplevel, &boot));
        self.power = Power::Up(toplevel.clone());
        self.run(&Program::BootCheck)?;
        if self.host.world().reboot_asked {
            return self.shut_down("reboot.target", Vec::new()).map(|()| false);
        }
        if self.host.world().is_safe {
            self.say(2, "safe mode: the network and sshd are up, and nothing else");
            return Ok(true);
        }
        let behaviour = match self.host.world().injected().as_deref() {
            None => behaviour,
            Some("unit") => Behaviour::FailsUnit("golden-drill-unit.service".to_owned()),
            Some("hang") => Behaviour::Hangs("golden-drill-hang.service".to_owned()),
            Some("check") => Behaviour::Hangs("boot-complete.target".to_owned()),
            Some(_) => Behaviour::Vanishes,
        };
        if behaviour == Behaviour::Vanishes {
            return Ok(self.vanish("it hangs and is reset"));
        }
        if self.host.world().phase_two_is_due() {
            self.run(&Program::RollBack)?;
        }
        match behaviour {
            Behaviour::FailsUnit(unit) => {
                self.say(2, &format!("{unit} fails, and that reboots the machine"));
                self.shut_down("reboot.target", vec![unit]).map(|()| false)
            }
            Behaviour::Hangs(unit) => {
                self.say(2, &format!("{unit} never finishes"));
                self.wait_for(&Program::Deadline, unit)
            }
            Behaviour::Emergency(unit) => {
                self.say(2, &format!("{unit} never comes: emergency mode"));
                self.wait_for(&Program::Emergency, unit)
            }
            Behaviour::RebootsItself => {
                self.say(2, "it reboots itself");
                self.shut_down("reboot.target", Vec::new()).map(|()| false)
            }
            Behaviour::VanishesLate => Ok(self.vanish("multi-user.target, and then it hangs and is reset")),
            _ if confirm => self.run(&Program::Confirm).map(|()| true),
            _ => Ok(true),
        }
    }

    /// The boot never gets to its end, until `program` ends it; whether the machine stays up.
    fn wait_for(&mut self, program: &Program, unit: String) -> Result<bool, PowerIsGone> {
        self.host.change(|world| world.hanging_unit = Some(unit));
        if *program != Program::Deadline || self.host.world().is_watched() {
            self.run(program)?;
        }
        let world = self.host.world();
        if world.reboot_asked {
            return self.shut_down("reboot.target", Vec::new()).map(|()| false);
        }
        let text = if world.is_safe { "safe mode" } else { "there it stays" };
        self.say(2, text);
        Ok(true)
    }

    /// Whether every boot of a system from here on ends before the boot check.
    fn goes_on_panicking(&self, toplevel: &Toplevel) -> bool {
        self.behaviours.get(toplevel).is_some_and(|behaviours| *behaviours == [Behaviour::Panics])
    }

    fn next_behaviour(&mut self, toplevel: &Toplevel) -> Behaviour {
        let Some(behaviours) = self.behaviours.get_mut(toplevel) else { return Behaviour::Healthy };
        let last = if behaviours.len() > 1 { behaviours.pop_front() } else { behaviours.front().cloned() };
        last.unwrap_or(Behaviour::Healthy)
    }

    /// The machine is reset without a word; as little as possible survives.
    fn vanish(&mut self, text: &str) -> bool {
        self.say(2, text);
        // There always is a first image.
        let _ = self.lose_power(1);
        false
    }

    fn shut_down(&mut self, target: &'static str, failed_units: Vec<String>) -> Result<(), PowerIsGone> {
        self.host.change(|world| world.going_down = Some(GoingDown { target, failed_units }));
        self.run(&Program::RecordShutdown)?;
        self.host.change(|world| *world = world.after_shutdown());
        self.power = Power::Off;
        Ok(())
    }

    /// Run a program outside of a boot, in which the power may go.
    fn stoppable(&mut self, program: &Program) -> Played {
        match self.run(program) {
            Ok(()) => Ok(()),
            Err(PowerIsGone) => self.power_is_gone(),
        }
    }

    fn run(&mut self, program: &Program) -> Result<(), PowerIsGone> {
        let deployer =
            matches!(program, Program::Switch(_) | Program::SwitchLive(_) | Program::SwitchUnmarked(_));
        if self.disabled && !deployer {
            return Ok(());
        }
        self.prepare_trouble(program);
        let result = program.run(&self.host);
        let crashed = self.look_for_trouble();
        for said in self.host.said() {
            self.say(2, &format!("{}: {}", program.name(), timeline::said(&said)));
        }
        if crashed {
            return Err(PowerIsGone);
        }
        self.refused = result.is_err();
        if let Err(error) = result {
            let causes = std::iter::successors(error.source(), |&cause| cause.source());
            let chain = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
            self.say(2, &format!("{}: error: {}", program.name(), timeline::short(&chain)));
        }
        Ok(())
    }

    /// The system that runs, which a live switch can have changed since the boot.
    fn running(&self) -> Option<Toplevel> {
        let world = self.host.world();
        let current = world.volatile.read_link(Path::new("/run/current-system"));
        (self.power != Power::Off).then(|| current?.to_str()?.parse().ok())?
    }

    fn must_be_up(&self) -> Played {
        if self.power == Power::Off { Err("the machine is off".to_owned()) } else { Ok(()) }
    }

    fn must_be_off(&self) -> Played {
        if self.power == Power::Off { Ok(()) } else { Err("the machine is up already".to_owned()) }
    }

    /// The ledger; `None` where there is none.
    fn ledger(&self) -> Option<Result<Ledger, String>> {
        let bytes = self.host.world().var.read(&self.ledger_path()).ok()?;
        Some(serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
    }

    pub(super) fn ledger_path(&self) -> PathBuf {
        self.host.options().state_dir.join("ledger.json")
    }

    pub(super) fn say(&mut self, depth: usize, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.timeline, "{:width$}{text}", "", width = 2 * depth);
    }

    /// What the ledger and the loader say now, where that has changed.
    fn say_state(&mut self) {
        let ledger = match self.ledger() {
            None => "none".to_owned(),
            Some(Ok(ledger)) => timeline::ledger(&ledger),
            Some(Err(_)) => "unreadable".to_owned(),
        };
        let power = match self.running() {
            None => "off".to_owned(),
            Some(toplevel) => format!("up with {}", toplevel.short()),
        };
        let loader = timeline::loader(&self.host.world());
        let state = format!("  = {power}\n    loader: {loader}\n    ledger: {ledger}\n");
        let is_installed = self.host.change(|world| world.current(&system_profile()).is_some());
        if is_installed && state != self.last_state {
            self.timeline.push_str(&state);
            self.last_state = state;
        }
    }
}

fn options() -> Options {
    Options { state_dir: PathBuf::from(VAR).join("golden-generation"), ..Options::default() }
}
