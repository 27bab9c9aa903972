//! What the programs do: read, decide, take the steps.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use golden_core::{
    BootId, Cause, End, Event, Evidence, Injection, Ledger, Moment, Policy, RebootCause, Refusal, Seen,
    Toplevel, decide, is_settled, landing,
};

use crate::config::load_options_of;
use crate::execute::Session;
use crate::loader::{self, BootLoader};
use crate::{Error, Host, Limits, Reading, Store, Trouble, evidence, history, manager, profile, system};

/// Where the state directory is unless told otherwise.
pub const STATE_DIR: &str = "/var/lib/golden-generation";

/// How the programs are configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// What the owner chose.
    pub policy: Policy,
    /// Time from the start of userspace until a trial must be confirmed, on the monotonic clock.
    pub boot_deadline: Duration,
    /// The loader of this machine.
    pub loader: loader::Kind,
    /// The owner's command that knows the loader, where that is none of ours. Source: `docs/external-loader.md`.
    pub loader_command: Option<PathBuf>,
}

/// A loader installer has just made `toplevel` the default: make it a trial, unless it is known.
///
/// # Errors
/// Nothing was marked, or not everything: the toplevel is quarantined, or reading or writing failed.
pub fn mark(host: &dyn Host, options: &Options, toplevel: &Toplevel) -> Result<(), Error> {
    if system::is_disabled(host) {
        // Without us, what was installed is what boots.
        return loader::detect(host, options).map_or(Ok(()), |loader| loader.follow_installer(toplevel));
    }
    let loader = loader::detect(host, options)?;
    let is_listed = loader.see()?.listed.contains(toplevel);
    let marked = match elsewhere(host, options, toplevel) {
        // Its installer failed. What was deployed before it is still what is tried next.
        _ if !is_listed && check(host, options, toplevel).is_ok() => Err(Error::NoEntry(toplevel.clone())),
        Some(state_dir) => {
            let (new, old) = (state_dir.display(), options.state_dir.display());
            let text =
                format!("{toplevel} keeps its state in {new} and not in {old}: it is booted without a trial");
            host.complain(Trouble::NotMarked, &text);
            act(host, options, &Moment::MarkUnprotected(toplevel.clone()))
        }
        None => act(host, options, &Moment::Mark(toplevel.clone())),
    };
    match &marked {
        Ok(()) if !is_trial(host, options, toplevel) => return loader.follow_installer(toplevel),
        // Not marked on purpose.
        Ok(()) | Err(Error::Refused(_)) => {}
        Err(_) => stay_on_golden(host, options, loader.as_ref(), toplevel),
    }
    marked
}

/// Whether the ledger says so now.
fn is_trial(host: &dyn Host, options: &Options, toplevel: &Toplevel) -> bool {
    match Store::new(host, &options.state_dir).read() {
        Ok(Reading::Whole(ledger)) => ledger.trial.is_some_and(|trial| trial.toplevel == *toplevel),
        _ => false,
    }
}

/// Where this system keeps its state, if not where we do: then the two would count against each other.
fn elsewhere(host: &dyn Host, options: &Options, toplevel: &Toplevel) -> Option<PathBuf> {
    let theirs = load_options_of(host, toplevel)?.state_dir;
    (theirs != options.state_dir).then_some(theirs)
}

/// What could not be marked must not be what boots next: if it panics, nobody is there to help. Golden is known
/// without a ledger.
fn stay_on_golden(host: &dyn Host, options: &Options, loader: &dyn BootLoader, toplevel: &Toplevel) {
    let ledger = match Store::new(host, &options.state_dir).read() {
        Ok(Reading::Whole(ledger)) => *ledger,
        _ => Ledger::default(),
    };
    let Ok(seen) = system::see(host, loader.see().ok()) else { return };
    if ledger.is_confirmed(toplevel) || seen.golden.as_ref() == Some(toplevel) {
        return;
    }
    let stays = landing(&ledger, &seen, &options.policy, toplevel);
    let text = match stays.filter(|stays| loader.set_default(stays).is_ok()) {
        Some(stays) => format!("{toplevel} was not marked and is not booted: {stays} is what boots next"),
        None => {
            format!("{toplevel} was not marked: it is what boots next, and nothing protects from a panic")
        }
    };
    host.complain(Trouble::NotMarked, &text);
}

/// Whether a deployer may make this toplevel what boots next.
///
/// # Errors
/// It is quarantined, or the ledger cannot be read.
pub fn check(host: &dyn Host, options: &Options, toplevel: &Toplevel) -> Result<(), Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(()) };
    let is_golden = profile::golden(host)?.as_ref() == Some(toplevel);
    if ledger.is_quarantined(toplevel) && !is_golden && !system::is_disabled(host) {
        return Err(Error::Refused(Refusal::Quarantined(toplevel.clone())));
    }
    Ok(())
}

/// Whether this boot gives the boot check anything to do. Reads one small file and two links.
///
/// # Errors
/// The ledger cannot be read or used.
pub fn is_boot_settled(host: &dyn Host, state_dir: &std::path::Path) -> Result<bool, Error> {
    match Store::new(host, state_dir).read()? {
        Reading::Missing => Ok(true),
        Reading::Corrupt(_) => Ok(false),
        Reading::Whole(ledger) => {
            Ok(is_settled(&ledger, system::booted(host)?.as_ref(), profile::golden(host)?.as_ref()))
        }
    }
}

/// Early in a boot: count, arm, retry or roll back.
///
/// # Errors
/// Not everything could be done. The boot goes on all the same.
pub fn boot_check(host: &dyn Host, options: &Options) -> Result<(), Error> {
    // systemd starts what failed anew at every switch; that is no boot.
    if is_boot_settled(host, &options.state_dir)? || !system::runs_as_booted(host) {
        return Ok(());
    }
    consume_one_shot(host, options)?;
    act(host, options, &Moment::BootCheck)
}

/// What cannot be taken back is said, and counted all the same. Once a boot: what an attempt armed belongs to the next one.
fn consume_one_shot(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let has_begun = match Store::new(host, &options.state_dir).read() {
        Ok(Reading::Whole(ledger)) => is_watched(host, &ledger)?,
        _ => false,
    };
    // Trouble with finding the loader is said by whoever asks it next.
    let (Ok(loader), Some(booted)) = (loader::detect(host, options), system::booted(host)?) else {
        return Ok(());
    };
    if let Some(Err(error)) = (!has_begun).then(|| loader.consume_one_shot(&booted)) {
        host.complain(error.trouble(), &error.chain());
    }
    Ok(())
}

/// The boot is healthy: confirm what runs.
///
/// # Errors
/// Not everything could be done; the next healthy boot does the rest.
pub fn confirm(host: &dyn Host, options: &Options) -> Result<(), Error> {
    if !system::runs_as_booted(host) {
        return Ok(());
    }
    act(host, options, &Moment::Confirm)?;
    // Found before it is needed; the boot is healthy all the same.
    if let Err(error) = glance_at_golden(host, options) {
        host.complain(error.trouble(), &error.chain());
    }
    Ok(())
}

/// The machine may be going down: record how, if a trial runs.
///
/// # Errors
/// Not everything could be recorded.
pub fn record_shutdown(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(()) };
    if !is_watched(host, &ledger)? {
        return Ok(());
    }
    match manager::shutdown(host)? {
        Some(shutdown) => act(host, options, &Moment::Shutdown(shutdown)),
        None => Ok(()),
    }
}

/// Whether this boot has to be confirmed and is not yet: it is an attempt of a trial, a landing or a rehearsal.
fn is_watched(host: &dyn Host, ledger: &Ledger) -> Result<bool, Error> {
    Ok(ledger.is_watched(&system::boot(host)?))
}

/// Time until this boot must be confirmed; `None` where it need not be.
///
/// # Errors
/// The ledger or systemd cannot be asked.
pub fn time_left(host: &dyn Host, options: &Options) -> Result<Option<Duration>, Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(None) };
    if !is_watched(host, &ledger)? {
        return Ok(None);
    }
    let now = host.monotonic();
    let began = manager::userspace_began(host)?.unwrap_or(now);
    Ok(Some((began + options.boot_deadline).saturating_sub(now)))
}

/// The deadline has passed: this boot has failed, unless it was confirmed.
///
/// # Errors
/// Not everything could be done.
pub fn pass_deadline(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let units = manager::unfinished(host).unwrap_or_default();
    fail(host, options, Cause::Deadline { secs: options.boot_deadline.as_secs(), units })
}

/// This boot has failed. What could not be armed or made the default is decided anew by the next boot, but there has to be
/// one: nobody comes back to a boot that is closed.
fn fail(host: &dyn Host, options: &Options, cause: Cause) -> Result<(), Error> {
    let Err(error) = act(host, options, &Moment::Fail(cause)) else { return Ok(()) };
    match Store::new(host, &options.state_dir).read() {
        Ok(Reading::Whole(ledger)) if has_failed(&ledger, &system::boot(host)?) => {
            leave_closed(host, options, &ledger)?;
        }
        Ok(Reading::Whole(ledger)) if !is_watched(host, &ledger)? => {}
        // It cannot be closed: nobody may reboot then, and nobody has to wait.
        _ if matches!(error.trouble(), Trouble::NoSpace | Trouble::ReadOnly | Trouble::Io) => {
            host.complain(error.trouble(), &error.chain());
            return manager::enter_safe_mode(host);
        }
        _ => {}
    }
    Err(error)
}

/// Whether the ledger says so of this boot. One that was confirmed meanwhile has not failed.
fn has_failed(ledger: &Ledger, boot: &BootId) -> bool {
    let quarantined = ledger.quarantine.iter().map(|failed| &failed.attempts);
    ledger
        .watched()
        .chain(quarantined)
        .flat_map(|attempts| attempts.iter())
        .any(|attempt| attempt.boot.as_ref() == Some(boot) && matches!(attempt.end, Some(End::Failed { .. })))
}

/// The reboot was counted when the boot was closed. One that history cannot know does not happen: then it is safe mode.
fn leave_closed(host: &dyn Host, options: &Options, ledger: &Ledger) -> Result<(), Error> {
    let next = match ledger {
        Ledger { safe_mode: Some(_), .. } => None,
        Ledger { rollback: Some(rollback), .. } => Some((RebootCause::RollBack, &rollback.to)),
        Ledger { trial: Some(trial), .. } => Some((RebootCause::Retry, &trial.toplevel)),
        Ledger { drill: Some(drill), .. } => Some((RebootCause::Drill, drill.next())),
        Ledger { landing: Some(landing), .. } => Some((RebootCause::LandAgain, &landing.toplevel)),
        _ => return Ok(()),
    };
    let is_known = next.is_some_and(|(cause, toplevel)| {
        let automatic_reboots = ledger.automatic_reboots;
        let event = Event::Rebooting { cause, toplevel: toplevel.clone(), automatic_reboots };
        let boot = system::boot(host);
        let written = boot.and_then(|boot| history::append(host, &options.state_dir, &boot, &event));
        host.tell(&event);
        written.is_ok()
    });
    if is_known { host.reboot().map_err(Error::io("reboot", "/")) } else { manager::enter_safe_mode(host) }
}

/// What a boot that ends in emergency mode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emergency {
    /// One that nobody watches: a person is needed, as without us.
    Unwatched,
    /// One that has to be confirmed: it has failed.
    Watched,
    /// The state cannot be reached, and the loader did not boot its default: golden, which is that, counts it.
    WithoutState,
}

/// The boot has ended in `emergency.target` or `rescue.target`: what is it? The boot check may not have run.
///
/// # Errors
/// The machine cannot be asked.
pub fn emergency(host: &dyn Host, options: &Options) -> Result<Emergency, Error> {
    if system::is_disabled(host) {
        return Ok(Emergency::Unwatched);
    }
    let store = Store::new(host, &options.state_dir);
    match store.read() {
        Ok(Reading::Whole(_)) => {}
        Err(error @ Error::LedgerTooNew { .. }) => return Err(error),
        // A file system that is not mounted looks like a machine on which nothing has happened yet.
        _ => return without_state(host, options),
    }
    boot_check(host, options)?;
    match store.read()? {
        Reading::Whole(ledger) if is_watched(host, &ledger)? => Ok(Emergency::Watched),
        _ => Ok(Emergency::Unwatched),
    }
}

fn without_state(host: &dyn Host, options: &Options) -> Result<Emergency, Error> {
    let seen = system::see(host, see_loader(host, options))?;
    let boots_golden =
        |loader: &golden_core::Loader| loader.default.is_some() && loader.default == seen.golden;
    let is_other = seen.booted.is_some() && seen.booted != seen.golden;
    let is_stray = is_other && seen.loader.as_ref().is_some_and(boots_golden);
    Ok(if is_stray { Emergency::WithoutState } else { Emergency::Unwatched })
}

/// A person wants to look at it: it has failed all the same, and nobody reboots.
///
/// # Errors
/// It could not be recorded.
pub fn stay_in_emergency(host: &dyn Host, options: &Options, emergency: Emergency) -> Result<(), Error> {
    if emergency != Emergency::Watched {
        return Ok(());
    }
    let units = manager::missing(host).unwrap_or_default();
    act(host, options, &Moment::Close(Cause::Emergency { units }))
}

/// Close this boot as one that ended in emergency mode, and reboot.
///
/// # Errors
/// Not everything could be done.
pub fn leave_emergency(host: &dyn Host, options: &Options, emergency: Emergency) -> Result<(), Error> {
    match emergency {
        Emergency::Unwatched => Ok(()),
        Emergency::Watched => {
            let units = manager::missing(host).unwrap_or_default();
            fail(host, options, Cause::Emergency { units })
        }
        Emergency::WithoutState => host.reboot().map_err(Error::io("reboot", "/")),
    }
}

/// The machine is about to be hibernated.
///
/// # Errors
/// Not everything could be done; the machine may come back with another kernel.
pub fn hibernate(host: &dyn Host, options: &Options) -> Result<(), Error> {
    act_for_trial(host, options, &Moment::Hibernate)
}

/// The machine runs again after a hibernation.
///
/// # Errors
/// The trial that waited is not armed again; the next boot check does it.
pub fn resume(host: &dyn Host, options: &Options) -> Result<(), Error> {
    act_for_trial(host, options, &Moment::Resume)
}

fn act_for_trial(host: &dyn Host, options: &Options, moment: &Moment) -> Result<(), Error> {
    match Store::new(host, &options.state_dir).read()? {
        Reading::Whole(ledger) if ledger.trial.is_some() => act(host, options, moment),
        _ => Ok(()),
    }
}

/// Boot what runs once more, with a failure on purpose.
///
/// # Errors
/// It would not end on golden, something else is under way, or not everything could be done.
pub fn drill(host: &dyn Host, options: &Options, injection: Injection) -> Result<(), Error> {
    loader::detect(host, options)?.see()?;
    act(host, options, &Moment::Drill(injection))
}

/// The last that the journal has of a boot and that was no everyday matter; empty where it has nothing.
#[must_use]
pub fn last_words(host: &dyn Host, boot: &BootId) -> Vec<String> {
    const LINES: &str = "--lines=3";
    let boot = format!("--boot={}", boot.as_str());
    let arguments = ["--quiet", "--no-pager", "--output=cat", "--priority=warning", LINES, &boot];
    let limits = Limits { time: Duration::from_secs(5), output_bytes: 1 << 16 };
    let ended = host.run_within(limits, std::path::Path::new("journalctl"), &arguments);
    let text = ended.map_or_else(|_| String::new(), |ended| ended.stdout);
    let printable = |line: &str| line.chars().filter(|letter| !letter.is_control()).take(200).collect();
    text.lines().map(printable).filter(|line: &String| !line.is_empty()).take(3).collect()
}

/// What a rehearsal wants to fail in this boot; `None` where none is under way.
///
/// # Errors
/// The ledger cannot be read.
pub fn injected(host: &dyn Host, options: &Options) -> Result<Option<Injection>, Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(None) };
    let boot = system::boot(host)?;
    let drill = ledger.drill.filter(|drill| drill.trial.attempts.is_open_in(&boot));
    Ok(drill.map(|drill| drill.injection))
}

/// What the settings of the running machine say about failures that no ledger sees.
///
/// # Errors
/// systemd cannot be asked.
pub fn safety_net(host: &dyn Host) -> Result<manager::SafetyNet, Error> {
    manager::safety_net(host)
}

/// Make sure that golden could be landed on now: its boot entry and files, and its whole closure.
///
/// # Errors
/// It could not, and was not repaired.
pub fn verify_golden(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let Some(golden) = profile::golden(host)? else { return Ok(()) };
    let verified = loader::detect(host, options)
        .and_then(|loader| loader.check(&golden))
        .and_then(|()| profile::verify_closure(host, &golden));
    verified.map_err(|error| Error::GoldenDamaged(golden, Box::new(error)))
}

/// The same by what costs nothing: it has a boot entry, and is in the store.
///
/// # Errors
/// It could not be landed on.
pub fn glance_at_golden(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let Some(golden) = profile::golden(host)? else { return Ok(()) };
    let loader = loader::detect(host, options)?.see()?;
    let error = match host.read_link(&std::path::Path::new(golden.as_str()).join("kernel")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Error::Closure { toplevel: golden.clone(), missing: golden.to_string() }
        }
        _ if !loader.listed.contains(&golden) => Error::NoEntry(golden.clone()),
        _ if loader.incomplete.contains(&golden) => Error::BootFiles {
            toplevel: golden.clone(),
            why: "its kernel or initrd is not on the boot partition".to_owned(),
        },
        _ => return Ok(()),
    };
    Err(Error::GoldenDamaged(golden, Box::new(error)))
}

/// Pin what runs as golden.
///
/// # Errors
/// What runs was never confirmed here and nobody forces it, or it cannot be landed on.
pub fn pin(host: &dyn Host, options: &Options, force: bool) -> Result<(), Error> {
    loader::detect(host, options)?.see()?;
    act(host, options, &Moment::Pin { force })
}

/// Phase two of a rollback, if one has begun and this is where it lands. Every part can be repeated.
///
/// # Errors
/// Not everything could be done; it is tried again at the next boot.
pub fn roll_back(host: &dyn Host, options: &Options) -> Result<(), Error> {
    let Reading::Whole(ledger) = Store::new(host, &options.state_dir).read()? else { return Ok(()) };
    let seen = system::see(host, None)?;
    let plan = decide(&ledger, &seen, &options.policy, &Moment::RollBack);
    // Without the lock, for it takes its time, and who deploys meanwhile wins.
    session(host, options, &ledger, &seen).execute(&plan)?;
    act(host, options, &Moment::RolledBack)
}

/// Read, decide and take the steps, alone on this machine.
fn act(host: &dyn Host, options: &Options, moment: &Moment) -> Result<(), Error> {
    let store = Store::new(host, &options.state_dir);
    let _lock = store.lock()?;
    let goes_on =
        matches!(moment, Moment::BootCheck | Moment::Fail(_) | Moment::Close(_) | Moment::Shutdown(_));
    let evidence = if *moment == Moment::BootCheck { evidence::gather(host) } else { Evidence::default() };
    let mut damaged = Vec::new();
    loop {
        let ledger = store.open()?;
        let seen = system::see(host, see_loader(host, options))?;
        let seen = Seen { evidence: evidence.clone(), damaged: damaged.clone(), ..seen };
        let plan = decide(&ledger, &seen, &options.policy, moment);
        match session(host, options, &ledger, &seen).execute(&plan) {
            // What cannot be booted is no place to go to: it is decided anew, without it.
            Err(error)
                if goes_on && error.damage().is_some_and(|it| seen.damage_of(&it.toplevel).is_none()) =>
            {
                host.complain(error.trouble(), &error.chain());
                damaged.extend(error.damage());
            }
            done => {
                done?;
                return plan.refusal.map_or(Ok(()), |refusal| Err(Error::Refused(refusal)));
            }
        }
    }
}

fn session<'a>(host: &'a dyn Host, options: &'a Options, ledger: &Ledger, seen: &Seen) -> Session<'a> {
    Session {
        host,
        state_dir: &options.state_dir,
        loader: loader::detect(host, options).ok(),
        boot: seen.boot.clone(),
        revision: Cell::new(ledger.revision),
    }
}

/// A loader that cannot be asked is said and then left alone; the ledger's part of the work goes on.
fn see_loader(host: &dyn Host, options: &Options) -> Option<golden_core::Loader> {
    match loader::detect(host, options).and_then(|loader| loader.see()) {
        // A partition that is not mounted leaves an empty directory, or an old one: nothing is concluded from that.
        Ok(loader) if loader.listed.is_empty() => None,
        Ok(loader) => Some(loader),
        Err(error) => {
            host.complain(error.trouble(), &error.chain());
            None
        }
    }
}
