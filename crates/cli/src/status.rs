//! `golden status`

use std::fmt::Write;

use golden_core::{Drill, Ledger, Live, LivePhase, MAX_NOT_STARTED, NotStarted, Revision, Toplevel, Trial};
use golden_host::command::Common;
use golden_host::loader;
use golden_host::operation::{self, Options};
use golden_host::{Error, Host, LinuxHost, Store, describe_injection, describe_not_started, describe_reason};
use serde::Serialize;

use crate::coverage::{Coverage, Machine, coverage};
use crate::style::{Look, paint};

/// Version of the JSON answer.
const SCHEMA: u32 = 1;

/// How the machine stands. The words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Ok,
    Trial,
    RolledBack,
    Unprotected,
    SafeMode,
}

#[derive(Serialize)]
pub(crate) struct Status {
    schema: u32,
    pub state: State,
    /// Whether `golden.disable=1` keeps the suite from doing anything in this boot.
    pub disabled: bool,
    /// Why the ledger cannot be read; nothing is known of trials then.
    pub unreadable: Option<String>,
    pub golden: Option<Toplevel>,
    /// Why golden could not be landed on.
    pub damage: Option<String>,
    /// What runs now: what was booted, or what was switched to since.
    pub running: Option<Toplevel>,
    booted: Option<Toplevel>,
    /// A switch of the running system that has yet to prove itself, or is being taken back.
    live: Option<Switch>,
    default: Option<Toplevel>,
    /// Why the loader cannot be asked or relied on: a sentence each.
    pub loader: Vec<String>,
    pub trial: Option<Trial>,
    /// Why the trial neither runs nor is armed.
    pub not_armed: Option<String>,
    /// Profiles besides `system` that name a failed system, by name.
    left_behind: Vec<String>,
    /// What a rollback comes back to whose second phase is not done.
    unfinished_rollback: Option<Toplevel>,
    /// A rehearsal under way.
    pub drill: Option<Drill>,
    /// The users and locks that hold a reboot of the suite, and its longest wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    reboot: Option<String>,
    /// Why the suite causes no further reboot.
    safe_mode: Option<String>,
    /// What a rollback came back to and did not work, and was not confirmed since.
    failed_landings: Vec<Toplevel>,
    quarantine: Vec<Toplevel>,
    /// Source revisions of which nothing is deployed.
    quarantined_revisions: Vec<Revision>,
    pub coverage: Vec<Coverage>,
}

#[derive(Serialize)]
struct Switch {
    from: Toplevel,
    to: Toplevel,
    phase: LivePhase,
    /// Whether a person has said `golden confirm`.
    confirmed: bool,
}

pub(crate) fn run(common: &Common, json: bool) -> Result<String, Error> {
    let host = common.host();
    let (ledger, unreadable) = Store::new(&host, &common.options(&host).state_dir).read()?.told();
    let status = status(&host, &common.options(&host), ledger.unwrap_or_default(), unreadable)?;
    let colours = crate::style::has_colours();
    Ok(if json { crate::print::json(&status) } else { in_words(&status, colours) })
}

pub(crate) fn status(
    host: &LinuxHost,
    options: &Options,
    ledger: Ledger,
    unreadable: Option<String>,
) -> Result<Status, Error> {
    let golden = golden_host::golden(host, Some(&ledger))?;
    let boot_loader = loader::detect(host, options).map_err(|error| error.chain());
    let boot_loader = boot_loader.as_ref().map_err(String::clone);
    let loader = boot_loader.clone().and_then(|it| it.see().map_err(|error| error.chain()));
    let takes_default = boot_loader.clone().and_then(|it| it.takes_default());
    let mut doubts = match &loader {
        Ok(_) => boot_loader.as_ref().map(|it| it.doubts()).unwrap_or_default(),
        Err(error) => vec![error.clone()],
    };
    if loader.as_ref().is_ok_and(|loader| loader.is_bypassed) {
        doubts.extend(takes_default.clone().err());
    }
    let link = |path: &str| host.read_link(std::path::Path::new(path)).ok()?.to_str()?.parse().ok();
    let booted: Option<Toplevel> = link("/run/booted-system");
    let live = operation::live(host, options).ok().flatten();
    let known = |toplevel: &Toplevel| golden.as_ref() == Some(toplevel) || ledger.is_confirmed(toplevel);
    let landing_exists = |loader: &golden_core::Loader| loader.listed.iter().any(known);
    // A mark that could not keep it back, or a system that nobody marked: a panic would boot it again.
    let default_is_good = loader.as_ref().map_err(String::clone).and_then(|loader| match &loader.default {
        Some(default) if known(default) => Ok(()),
        Some(default) => Err(format!("the default boot entry is {default}, which is not known to work here")),
        None => Err("the default boot entry is unknown".to_owned()),
    });
    let not_armed = crate::why::not_armed(host, options, &ledger, &loader);
    let failed = ledger
        .rolled_back
        .iter()
        .map(|done| &done.from)
        .chain(ledger.quarantine.iter().map(|it| &it.toplevel));
    let mut left_behind: Vec<String> =
        failed.flat_map(|failed| golden_host::others_that_name(host, failed)).collect();
    left_behind.sort();
    left_behind.dedup();
    // A loader that cannot be asked says nothing of golden.
    let damage = operation::glance_at_golden(host, options).err();
    let damage = damage.filter(|error| matches!(error, Error::GoldenDamaged(..))).map(|error| error.chain());
    let disabled = golden_host::is_disabled(host);
    let state = if disabled {
        State::Unprotected
    } else if ledger.safe_mode.is_some() {
        State::SafeMode
    } else if loader.as_ref().is_ok_and(|loader| loader.is_bypassed) {
        // Nobody reads the one-shot and the default: no trial is started, and no rollback works.
        State::Unprotected
    } else if ledger.trial.is_some() {
        State::Trial
    } else if ledger.rollback.is_some() || ledger.rolled_back.is_some() {
        State::RolledBack
    } else if unreadable.is_some()
        || golden.is_none()
        || damage.is_some()
        || takes_default.is_err()
        || !doubts.is_empty()
        || default_is_good.is_err()
        || !loader.as_ref().is_ok_and(landing_exists)
    {
        State::Unprotected
    } else {
        State::Ok
    };
    Ok(Status {
        schema: SCHEMA,
        state,
        disabled,
        unreadable,
        running: link("/run/current-system").or_else(|| booted.clone()),
        booted,
        live: live.map(|Live { from, to, phase, confirmed, .. }| Switch { from, to, phase, confirmed }),
        default: loader.as_ref().ok().and_then(|loader| loader.default.clone()),
        loader: doubts,
        coverage: coverage(&Machine {
            disabled,
            landing: loader.as_ref().map(landing_exists).map_err(String::clone),
            has_golden: golden.is_some(),
            default_is_good,
            default: takes_default,
            one_shot: boot_loader.and_then(|it| it.has_one_shot()),
            net: operation::safety_net(host).map_err(|error| error.chain()),
            deadline: options.boot_deadline,
            state_mount: operation::state_mount(host, options),
        }),
        damage,
        golden,
        trial: ledger.trial,
        not_armed,
        left_behind,
        unfinished_rollback: ledger.rollback.map(|rollback| rollback.to),
        drill: ledger.drill,
        reboot: operation::held_reboot(host),
        safe_mode: ledger.safe_mode.map(|mode| describe_reason(&mode.reason).to_owned()),
        failed_landings: ledger.failed_landings.into_iter().map(|landing| landing.toplevel).collect(),
        quarantine: ledger
            .quarantine
            .into_iter()
            .filter(|quarantined| !quarantined.second_chance)
            .map(|quarantined| quarantined.toplevel)
            .collect(),
        quarantined_revisions: ledger.quarantined_revisions.into_iter().map(|entry| entry.revision).collect(),
    })
}

/// How often an armed trial was not started, and why, as parts of a sentence.
pub(crate) fn not_started(missed: &NotStarted) -> (&'static str, &'static str) {
    let times = if missed.times < MAX_NOT_STARTED { "once" } else { "twice or more" };
    (times, describe_not_started(missed.because))
}

fn in_words(status: &Status, colours: bool) -> String {
    let mut text = String::new();
    let word = serde_json::to_value(status.state).ok();
    let look = match status.state {
        State::Ok => Look::Good,
        State::Trial => Look::Bold,
        State::RolledBack | State::Unprotected => Look::Warning,
        State::SafeMode => Look::Bad,
    };
    let word = word.as_ref().and_then(|word| word.as_str()).unwrap_or_default();
    let _ = writeln!(text, "{}", paint(colours, look, word));
    if status.disabled {
        text.push_str("disabled: golden.disable=1 is on the kernel command line; no unit of the suite runs in this boot\n");
    }
    if let Some(why) = &status.unreadable {
        let _ =
            writeln!(text, "ledger:   not readable: {why}; the next program that writes it keeps it aside");
    }
    let name = |toplevel: &Option<Toplevel>| toplevel.as_ref().map_or("none".to_owned(), Toplevel::to_string);
    let _ = writeln!(text, "golden:   {}", name(&status.golden));
    if let Some(damage) = &status.damage {
        let _ = writeln!(text, "          DAMAGED: {damage}");
    }
    let _ = writeln!(text, "running:  {}", name(&status.running));
    if status.booted != status.running {
        let _ = writeln!(text, "booted:   {}", name(&status.booted));
    }
    let _ = writeln!(text, "default:  {}", name(&status.default));
    for doubt in &status.loader {
        let _ = writeln!(text, "loader:   {doubt}");
    }
    if let Some(Switch { from, to, phase, .. }) = &status.live {
        let _ = match phase {
            LivePhase::Proving => {
                writeln!(text, "switch:   {to} has to show that it works; otherwise {from} runs again")
            }
            LivePhase::GoingBack => writeln!(text, "switch:   {to} failed, and {from} is about to run again"),
        };
    }
    if let Some(trial) = &status.trial {
        let (tried, failed) = (trial.attempts.len(), trial.attempts.failures());
        let _ = writeln!(text, "trial:    {} ({tried} attempts, {failed} failed)", trial.toplevel);
        if let Some(missed) = &trial.not_started {
            let (times, because) = not_started(missed);
            let _ = writeln!(text, "          NOT STARTED {times}, which is no failure: {because}");
        }
    }
    if let Some(why) = &status.not_armed {
        let _ = writeln!(text, "          NOT ARMED: {why}");
    }
    for name in &status.left_behind {
        let _ = writeln!(text, "profile:  {name} still names a system that failed");
    }
    if let Some(to) = &status.unfinished_rollback {
        let _ =
            writeln!(text, "rollback: to {to} is not finished; `systemctl status golden-rollback` says why");
    }
    if let Some(drill) = &status.drill {
        let (injection, rehearsed) = (describe_injection(drill.injection), &drill.trial);
        let (tried, failed) = (rehearsed.attempts.len(), rehearsed.attempts.failures());
        let _ = writeln!(
            text,
            "rehearsal: {injection} in {} ({tried} attempts, {failed} failed); {} is next to be confirmed",
            rehearsed.toplevel,
            drill.next()
        );
    }
    if let Some(held) = &status.reboot {
        let _ = writeln!(text, "reboot:   {held}");
    }
    if let Some(reason) = &status.safe_mode {
        let _ = writeln!(text, "safe mode: {reason}");
    }
    for toplevel in &status.failed_landings {
        let _ = writeln!(text, "failed:   {toplevel} (the machine came back to it, and it did not work)");
    }
    for toplevel in &status.quarantine {
        let _ = writeln!(text, "failed:   {toplevel} (quarantined)");
    }
    for revision in &status.quarantined_revisions {
        let _ = writeln!(text, "refused:  every system of revision {revision}");
    }
    for Coverage { failure, covered, by } in &status.coverage {
        let _ = writeln!(text, "{failure} is covered: {}, {by}", if *covered { "yes" } else { "no" });
    }
    if status.golden.is_none() {
        text.push_str("hint: no golden is pinned; boot a system you trust and run pin-golden\n");
    }
    text
}
