//! Takes the steps of a plan, in order.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use golden_core::{BootId, Event, Injection, Ledger, Plan, Step, Toplevel, Undo};

use crate::evidence::Dumps;
use crate::loader::BootLoader;
use crate::{Error, Host, Store, closure, golden, history, manager, operation, profile};

/// Where the boot check leaves word for later units; gone with the boot.
pub(crate) const RUNTIME: &str = "/run/golden-generation";
/// Mode of the runtime directory: units test for the file in it.
const PUBLIC: u32 = 0o755;

/// Create the runtime directory, if the boot check did not have to.
pub(crate) fn create_runtime_directory(host: &dyn Host) -> Result<(), Error> {
    host.create_directory(Path::new(RUNTIME), PUBLIC).map_err(Error::io("create", RUNTIME))
}

/// One program at work, with the lock held.
pub(crate) struct Session<'a> {
    pub host: &'a dyn Host,
    pub state_dir: &'a Path,
    pub loader: Option<&'a dyn BootLoader>,
    /// Time that an activation may take.
    pub activation: Duration,
    pub boot: BootId,
    /// Of the ledger on disk: a plan's ledgers all start from the one that was read.
    pub revision: Cell<u64>,
    /// Dumps of earlier boots: every commit says that they are no evidence against later boots.
    pub dumps: &'a Dumps<'a>,
    /// Whether the error that ended the plan is in the journal already, as an event.
    pub has_told_error: Cell<bool>,
}

impl Session<'_> {
    /// The first step that fails ends the plan: what is left is decided anew by the next program or boot.
    pub fn execute(&self, plan: &Plan) -> Result<(), Error> {
        for (number, step) in plan.steps.iter().enumerate() {
            let Err(error) = self.take(step) else { continue };
            let taken = &plan.steps[..=number];
            // A commit that fails may have come as far as the disk; and a reboot that fails has nothing left to be done before it.
            let is_begun = taken.iter().any(|step| matches!(step, Step::Commit(_)));
            if let Some(undo) = plan.undo.as_ref().filter(|_| is_begun && *step != Step::Reboot)
                && let Err(error) = self.undo(undo, taken)
            {
                self.host.complain(error.trouble(), &error.chain());
            }
            return Err(error);
        }
        Ok(())
    }

    /// The machine works, and is left as it was before `taken`, the last of which has failed.
    fn undo(&self, undo: &Undo, taken: &[Step]) -> Result<(), Error> {
        self.commit(&undo.ledger)?;
        if taken.iter().any(|step| matches!(step, Step::Arm(_))) {
            self.loader()?.disarm()?;
        }
        let has_set_default = taken.iter().any(|step| matches!(step, Step::SetDefault(_)));
        undo.default.iter().filter(|_| has_set_default).try_for_each(|to| self.loader()?.set_default(to))
    }

    fn take(&self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Commit(ledger) => self.commit(ledger),
            Step::Tell(event) => self.tell(event),
            Step::SetDefault(toplevel) => self.loader()?.set_default(toplevel),
            Step::Arm(toplevel) => self.arm(toplevel),
            Step::Check(toplevel) => self.loader()?.check(toplevel),
            Step::Disarm => self.loader()?.disarm(),
            Step::Bless(toplevel) => self.loader()?.bless(toplevel),
            Step::Keep(toplevel) => {
                self.keep(toplevel);
                Ok(())
            }
            Step::PinProfile(toplevel) => self.pin(toplevel),
            Step::SetProfile(toplevel) => profile::set_system(self.host, toplevel),
            Step::PutProfileBack(toplevel) => profile::put_system_back(self.host, toplevel),
            Step::InstallLoader(toplevel) => {
                let installed = profile::install_loader(self.host, toplevel);
                self.loader.inspect(|loader| loader.forget());
                installed
            }
            Step::WatchLive => manager::watch_live(self.host),
            Step::Activate(toplevel) => {
                profile::activate(self.host, toplevel, self.activation);
                Ok(())
            }
            Step::RequestRollback => self.flag("phase-two"),
            Step::Watch => self.watch(),
            Step::BeginProbation => {
                self.word("probation");
                Ok(())
            }
            Step::Inject(injection) => self.flag(flag_of(*injection)),
            Step::EnterSafeMode => operation::enter_safe_mode(self.host),
            Step::Reboot => self.host.reboot().map_err(Error::io("reboot", "/")),
        }
    }

    fn loader(&self) -> Result<&dyn BootLoader, Error> {
        self.loader.ok_or(Error::NoLoader)
    }

    /// Boot files that are damaged for good are a failed attempt. Any other error may last, and history has it once for each
    /// attempt.
    fn arm(&self, toplevel: &Toplevel) -> Result<(), Error> {
        let armed = self.loader()?.arm(toplevel);
        if let Err(error) = &armed
            && !error.damage().is_some_and(|damage| damage.is_lasting)
            && !history::says_not_armed(self.host, self.state_dir, toplevel)
        {
            self.tell(&Event::NotArmed { toplevel: toplevel.clone(), why: error.chain() })?;
            self.has_told_error.set(true);
        }
        armed
    }

    fn commit(&self, ledger: &Ledger) -> Result<(), Error> {
        let mut ledger = ledger.clone();
        ledger.revision = self.revision.get();
        ledger.known_dumps = self.dumps.identities();
        Store::new(self.host, self.state_dir).commit(&mut ledger)?;
        self.revision.set(ledger.revision);
        Ok(())
    }

    /// The journal and history never keep a plan from going on, with one exception: no reboot of ours happens that
    /// history does not know.
    fn tell(&self, event: &Event) -> Result<(), Error> {
        let written = history::append(self.host, self.state_dir, &self.boot, event);
        self.host.tell(event);
        match written {
            Err(error) if !matches!(event, Event::Rebooting { .. }) => {
                self.host.complain(error.trouble(), &error.chain());
                Ok(())
            }
            written => written,
        }
    }

    /// The trial is armed by then, and worth more than what a collection of garbage in its boot might take.
    fn keep(&self, toplevel: &Toplevel) {
        if let Err(error) = profile::keep(self.host, toplevel) {
            self.host.complain(error.trouble(), &error.chain());
        }
    }

    /// Checked before, because a golden that cannot be landed on is worse than none, and after.
    fn pin(&self, toplevel: &Toplevel) -> Result<(), Error> {
        self.loader()?.check(toplevel)?;
        closure::check(self.host, toplevel)?;
        profile::set_golden(self.host, toplevel)?;
        if golden::listed(self.host)?.as_ref() != Some(toplevel) {
            return Err(Error::DidNotStick("the golden profile"));
        }
        // Last: golden is the system that the root holds, at every moment.
        golden::set_root(self.host, toplevel)
    }

    /// The same, where it matters less than what comes after it.
    fn word(&self, name: &str) {
        if let Err(error) = self.flag(name) {
            self.host.complain(error.trouble(), &error.chain());
        }
    }

    /// A word to a unit that is started later in this boot, and tests for the file.
    fn flag(&self, name: &str) -> Result<(), Error> {
        self.leave_word(name, b"")
    }

    /// With the revision of the ledger before this boot is in it: a boot that the disk refuses to record is watched as well.
    pub fn watch(&self) -> Result<(), Error> {
        self.leave_word("attempt", format!("{}\n", self.revision.get()).as_bytes())
    }

    fn leave_word(&self, name: &str, text: &[u8]) -> Result<(), Error> {
        create_runtime_directory(self.host)?;
        let word = Path::new(RUNTIME).join(name);
        self.host.write(&word, text).map_err(Error::io("write", word))
    }
}

fn flag_of(injection: Injection) -> &'static str {
    match injection {
        Injection::Panic => "drill-panic",
        Injection::Hang => "drill-hang",
        Injection::Unit => "drill-unit",
        Injection::Check => "drill-check",
        Injection::Power => "drill-power",
    }
}
