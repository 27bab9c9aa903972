//! How the machine stands in two sentences: what happened, and what to do.

use golden_core::{Attempts, End, Ledger, Live, LivePhase, Toplevel, Trial};
use golden_host::{describe_cause, describe_injection, describe_reason};

use crate::status::{self, State, Status};

/// For a trial that was armed and not started.
pub(crate) const NOT_STARTED_ADVICE: &str =
    "Put that right and reboot, or pick its entry in the boot loader's menu: it has not failed, and waits.";

/// One sentence each, with store paths as they are.
pub(crate) struct Summary {
    pub happened: String,
    pub advice: String,
}

/// What the sentences are made of, besides the status.
pub(crate) struct Facts<'a> {
    pub ledger: &'a Ledger,
    pub max_failures: u32,
    /// Names of the checks that failed when they were run last, excused or not.
    pub failed_checks: &'a [String],
}

pub(crate) fn summary(status: &Status, facts: &Facts) -> Summary {
    let (happened, advice) = match status.state {
        State::SafeMode => safe_mode(facts.ledger),
        State::Trial if facts.ledger.live.is_some() => live(facts.ledger),
        State::Trial => trial(status, facts.max_failures),
        State::RolledBack => rolled_back(facts.ledger),
        State::Unprotected => unprotected(status),
        State::Ok => ok(status, facts.failed_checks),
    };
    Summary { happened, advice }
}

fn safe_mode(ledger: &Ledger) -> (String, String) {
    let reason = ledger.safe_mode.as_ref().map_or("", |mode| describe_reason(&mode.reason));
    let happened = format!(
        "{}. The network and sshd are up, nothing else, and the machine does not reboot by itself.",
        capitalised(reason)
    );
    let advice = "Log in and read `golden why`. Then deploy a system that works (nixos-rebuild boot), or try the normal boot \
                  (systemctl isolate multi-user.target): what gets there is confirmed, and safe mode ends.";
    (happened, advice.to_owned())
}

fn rolled_back(ledger: &Ledger) -> (String, String) {
    let unfinished = ledger.rollback.as_ref().map(|it| (&it.from, &it.to));
    let done = ledger.rolled_back.as_ref().map(|it| (&it.from, &it.to));
    let Some((from, to)) = unfinished.or(done) else { return (String::new(), String::new()) };
    let failed = ledger.quarantined(from);
    let trial = ledger.trial.iter().chain(&ledger.undecided).find(|it| it.toplevel == *from);
    let attempts = failed.map(|it| &it.attempts).or(trial.map(|it| &it.attempts));
    let happened = match attempts.map_or(0, Attempts::failures) {
        0 if failed.is_some_and(|it| it.by_person) => {
            format!("A person left {from}, and the machine came back to {to}.")
        }
        0 => format!("The machine came back from {from} to {to}."),
        times => format!("{from} failed{}, and the machine came back to {to}.", in_words(times)),
    };
    let last =
        attempts.and_then(last_cause).map_or_else(String::new, |cause| format!(" The last time {cause}."));
    let advice = if unfinished.is_some() {
        "Wait a minute: the rollback is not finished yet. If it stays so, `systemctl status golden-rollback` says why."
    } else if failed.is_some() {
        "Correct the configuration and deploy it again. The failed system is quarantined: deployers are refused it until it is changed or released."
    } else {
        "Read `golden why`, correct the configuration and deploy it again."
    };
    (happened + &last, advice.to_owned())
}

fn in_words(times: u32) -> String {
    match times {
        1 => " once".to_owned(),
        2 => " twice".to_owned(),
        times => format!(" {times} times"),
    }
}

fn last_cause(attempts: &Attempts) -> Option<String> {
    attempts.iter().rev().find_map(|attempt| match &attempt.end {
        Some(End::Failed { cause }) => Some(describe_cause(cause)),
        _ => None,
    })
}

fn live(ledger: &Ledger) -> (String, String) {
    let Some(Live { from, to, phase, .. }) = &ledger.live else { return (String::new(), String::new()) };
    match phase {
        LivePhase::Proving => (
            format!(
                "{to} runs since a switch, and has to prove itself: if it does not, {from} comes back without a reboot."
            ),
            "Nothing to do, unless it waits for your word: `golden confirm` gives it.".to_owned(),
        ),
        LivePhase::GoingBack => (
            format!("The switch to {to} failed, and {from} comes back without a reboot."),
            "Wait a minute, then read `golden why`.".to_owned(),
        ),
    }
}

fn trial(status: &Status, max_failures: u32) -> (String, String) {
    let Some(Trial { toplevel, attempts, not_started, .. }) = &status.trial else {
        return (String::new(), String::new());
    };
    let failed = attempts.failures();
    let cause = last_cause(attempts).map_or_else(String::new, |cause| format!(" The last time {cause}."));
    if attempts.open().is_some() {
        // An interrupted one is made good by another of the same number.
        let number = failed + 1;
        let happened = format!("{toplevel} is being tried: attempt {number} of {max_failures} runs.{cause}");
        let advice =
            "Nothing to do: it is confirmed once it proves healthy, or the machine goes back by itself.";
        return (happened, advice.to_owned());
    }
    if let Some(why) = &status.not_armed {
        let happened = format!("{toplevel} is new, and could not be armed: {why}.{cause}");
        let advice = "Look at the boot partition and the EFI variables: each boot tries to arm it again.";
        return (happened, advice.to_owned());
    }
    if let Some(missed) = not_started {
        let (times, because) = status::not_started(missed);
        let happened =
            format!("{toplevel} was armed and not started {times}, which is no failure: {because}.{cause}");
        return (happened, NOT_STARTED_ADVICE.to_owned());
    }
    let happened = match failed {
        0 => format!("{toplevel} is new: it is tried at the next boot."),
        _ => format!(
            "{toplevel} is tried again at the next boot: {failed} of {max_failures} attempts failed.{cause}"
        ),
    };
    (happened, "Reboot when it suits you: if it does not work, the machine comes back by itself.".to_owned())
}

fn unprotected(status: &Status) -> (String, String) {
    if status.disabled {
        let happened =
            "The suite is switched off for this boot: golden.disable=1 is on the kernel command line.";
        let advice = "Reboot without golden.disable=1 when the machine is to be protected again.";
        return (happened.to_owned(), advice.to_owned());
    }
    if let Some(why) = &status.unreadable {
        let happened = format!("What golden-generation remembers cannot be read: {why}.");
        let advice = "Look at the disk, and at `journalctl -b -p warning`. Golden stays golden: nothing else is known until the next \
                      switch or boot begins anew.";
        return (happened, advice.to_owned());
    }
    if let Some(damage) = &status.damage {
        let happened = format!("Golden could not be booted: {damage}.");
        let advice = "Pin a system that works (pin-golden), or repair this one: nix-store --repair-path, then nixos-rebuild boot.";
        return (happened, advice.to_owned());
    }
    if status.golden.is_none() {
        let happened = "No golden is pinned: a generation that fails has nothing certain to come back to.";
        let advice = "Boot a system that you trust, wait until it is confirmed, and run pin-golden.";
        return (happened.to_owned(), advice.to_owned());
    }
    if let Some(doubt) = status.loader.first() {
        let happened = format!("The boot loader cannot be relied on: {doubt}.");
        let advice = "Mount the boot partition, have the firmware start the configured boot loader, or run nixos-rebuild boot, \
                      which writes the boot entries and the default anew. Then see `golden status`.";
        return (happened, advice.to_owned());
    }
    let why = status.coverage.iter().find(|it| !it.covered).map(|it| format!(": {}", it.by));
    let happened = format!("The boot loader could not bring the machine back{}.", why.unwrap_or_default());
    (
        happened,
        "Run nixos-rebuild boot, which writes the boot entries anew; then see `golden status`.".to_owned(),
    )
}

fn ok(status: &Status, failed_checks: &[String]) -> (String, String) {
    if let Some(drill) = &status.drill {
        let happened = format!(
            "A rehearsal is under way ({}): {} is booted to fail, and golden has to take over.",
            describe_injection(drill.injection),
            drill.trial.toplevel
        );
        return (happened, "Nothing to do: `golden drill` tells afterwards how it went.".to_owned());
    }
    let running = status.running.as_ref().map_or("What runs".to_owned(), Toplevel::to_string);
    let is_golden = status.running.is_some() && status.running == status.golden;
    let happened = if is_golden {
        format!("{running} runs, and is golden.")
    } else {
        format!("{running} runs; a generation that fails has a known-good one to come back to.")
    };
    if failed_checks.is_empty() {
        return (happened, "Nothing to do.".to_owned());
    }
    let (failed, them) = match failed_checks {
        [one] => (format!("The health check {one} fails"), "it"),
        _ => (format!("The health checks {} fail", failed_checks.join(", ")), "them"),
    };
    (
        format!("{failed}. {happened}"),
        format!("Look at {them} (`golden check`): nothing was rolled back for that."),
    )
}

pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
