//! What the journal is told: every `MESSAGE_ID`, its priority and its text. Made known to people by the catalog.

use golden_core::{
    Cause, Event, Evidence, Injection, NotStartedBecause, RebootCause, Revision, SafeModeReason, Shutdown,
    Toplevel,
};

/// How urgent a journal entry is, as syslog counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Priority {
    Critical = 2,
    Error = 3,
    Warning = 4,
    Notice = 5,
}

/// Kinds of trouble that are no event of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Trouble {
    LedgerCorrupt,
    LedgerTooNew,
    LockHeld,
    NoSpace,
    ReadOnly,
    Io,
    Loader,
    Configuration,
    Refused,
    NotMarked,
    GoldenDamaged,
    Unhealthy,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::LedgerCorrupt,
        Self::LedgerTooNew,
        Self::LockHeld,
        Self::NoSpace,
        Self::ReadOnly,
        Self::Io,
        Self::Loader,
        Self::Configuration,
        Self::Refused,
        Self::NotMarked,
        Self::GoldenDamaged,
        Self::Unhealthy,
    ];

    /// The `MESSAGE_ID` of this kind.
    #[must_use]
    pub fn message_id(self) -> &'static str {
        match self {
            Self::LedgerCorrupt => "b9b6eb1adfb64baf9b9c8c05fc326cbc",
            Self::LedgerTooNew => "7e4e5572818a4ab4bfb7d6d6e1fda345",
            Self::LockHeld => "8e15d7908bd64404b6d067aa0e543323",
            Self::NoSpace => "df47c551136f4c9c9b8665a5cc925ffb",
            Self::ReadOnly => "8507c3cb2d42469da83895b5655138ce",
            Self::Io => "543c6dbe407d46629a5da5910373e328",
            Self::Loader => "37a65b007060469b95ac4a6cbb31e0d3",
            Self::Configuration => "7f083eb4bf2d40499c682188bd9d4a3a",
            Self::Refused => "7261c45cd19b4421833206b2843c9c7d",
            Self::NotMarked => "d14b1c3f0b8e4f7f9b0f6f1a2c5e7d90",
            Self::GoldenDamaged => "e7a3f5b92c0d4b7f9d8e6a1c4f2b0857",
            Self::Unhealthy => "8b20e5d1a6f74c39b0c1d58e7f3a4962",
        }
    }
}

/// What became of a message to the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The target has it.
    Delivered,
    /// The target did not take it; it is tried again.
    Failed,
    /// It is given up.
    Dropped,
}

impl Delivery {
    /// The `MESSAGE_ID` of this outcome.
    #[must_use]
    pub fn message_id(self) -> &'static str {
        match self {
            Self::Delivered => "2d83946fc64545dbbea1b9e85c1fc11b",
            Self::Failed => "5c92d1f391b145629186ef854c970d5a",
            Self::Dropped => "30b15a4c549f46709aa92f6e772e3052",
        }
    }

    /// How urgent it is.
    #[must_use]
    pub fn priority(self) -> Priority {
        match self {
            Self::Delivered => Priority::Notice,
            Self::Failed => Priority::Warning,
            Self::Dropped => Priority::Error,
        }
    }
}

/// The `MESSAGE_ID` of an event.
#[must_use]
pub fn message_id(event: &Event) -> &'static str {
    match event {
        Event::Marked { .. } => "2a13b97b8dd7407796dd25902714d0e6",
        Event::Inferred { .. } => "1dcbba484b814038807d0388af8b7c8a",
        Event::Superseded { .. } => "baa451010e6a4cd8bcec816057e01f2b",
        Event::Gone { .. } => "5a0e6c1d9f0b4d0c8a7b3d5b7e2f41c6",
        Event::Unprotected { .. } => "8c34956116e4442ca72444cbd29876fe",
        Event::Refused { .. } => "536e6d6fd46c40409a81d765d03608e8",
        Event::AttemptBegan { .. } => "886c963dd1a04a10baa6908a07545adb",
        Event::AttemptFailed { .. } => "3a66f6b6dd094974b0358c16fd1ea953",
        Event::AttemptInterrupted { .. } => "8d4948e2733f444f923f96e94296f152",
        Event::Confirmed { .. } => "bf5e3195f70d4a7ba4d7232bcd0f0e07",
        Event::Adopted { .. } => "10ebd48810164bc48f37cf7a97598af7",
        Event::Rebooting { .. } => "3307ddf8467044619a79bb2d6df609f1",
        Event::RollbackBegan { .. } => "cfec0381fd6d42828de8f6afd584a404",
        Event::RolledBack { .. } => "ba18af9fedda4688b2802dc09336a9b4",
        Event::NotArmed { .. } => "3c0b7d5e92f84a61b6d4e8a1f70c2935",
        Event::OneShotStayed { .. } => "94f1be0d6c3a4e7e8a5b0c9d2e716f38",
        Event::NotStarted { .. } => "bceb7cc4d6304c8f88fa1f1a752f27a2",
        Event::LandingFailed { .. } => "6f0d4c9be7c14f2c8b1d93a5c0e2f784",
        Event::DrillBegan { .. } => "0b6a1b7e5f0f4f6fa2c6c7f51d9a3e42",
        Event::DrillEnded { .. } => "c41d5e0a9d5b4b6e8f27f4b0a6d81c93",
        Event::Pinned { .. } => "1ab01d919c1540b8973156d453034fb0",
        Event::SafeMode { .. } => "2cfaff05a5334014809c58d9090153b7",
        Event::TriedAgain { .. } => "5d1c7b1f0e3a4c0f9b2a64d8c7f3e915",
        Event::SafeModeEnded { .. } => "a8f4e2d65b9c4f6d8e1073bb52c9d046",
        Event::QuarantineAdded { .. } => "1113e98855544865b609c939163dcd6a",
        Event::QuarantineReleased { .. } => "b7941a33b47c4ed5948702748f100707",
        Event::SecondChance { .. } => "68ee9c68acfd4b638c17e484a7f069eb",
        Event::RollbackAsked { .. } => "3d834b7e448b44a497da7467d3c2692f",
        Event::GoldenDamaged { .. } => Trouble::GoldenDamaged.message_id(),
        Event::GoldenPutBack { .. } => "9c5b0e72d14f4a6fb83a27c60ed5914b",
        Event::ChecksFailed { .. } => "7d3c1b8f5a0e4d3e9c6a2f81b4e7d059",
        Event::FailedLate { .. } => "91d4b7e8c05f4a2b8e3f67d0a1c95b24",
        Event::LiveBegan { .. } => "e1b6f0a7c2d84c6fa3950d7be8124f66",
        Event::LivePassed { .. } => "04c9d7e2b15f4f0d8a6be3719c5d28a1",
        Event::LiveLeft { .. } => "b7a05d3e91c64e1f92c8f46ad03be571",
        Event::LiveFailed { .. } => "58f2c6b90e7d4a34b1d7e09c3a86f41d",
        Event::WentBack { .. } => "c93e1d4f6ab74b0e85f26d91e07ca3b8",
    }
}

/// How urgent an event is.
#[must_use]
pub fn priority(event: &Event) -> Priority {
    match event {
        Event::SafeMode { .. } => Priority::Critical,
        Event::Refused { .. }
        | Event::AttemptFailed { .. }
        | Event::RollbackBegan { .. }
        | Event::LandingFailed { .. }
        | Event::LiveFailed { .. }
        | Event::FailedLate { .. }
        | Event::WentBack { .. }
        | Event::DrillEnded { passed: false, .. }
        | Event::GoldenDamaged { .. }
        | Event::RolledBack { .. } => Priority::Error,
        Event::OneShotStayed { .. }
        | Event::NotStarted { .. }
        | Event::NotArmed { .. }
        | Event::GoldenPutBack { .. }
        | Event::Inferred { .. }
        | Event::Gone { .. }
        | Event::Unprotected { .. }
        | Event::TriedAgain { .. }
        | Event::SecondChance { .. }
        | Event::RollbackAsked { .. }
        | Event::ChecksFailed { .. }
        | Event::Rebooting { .. } => Priority::Warning,
        Event::Marked { .. }
        | Event::Superseded { .. }
        | Event::LiveBegan { .. }
        | Event::LivePassed { .. }
        | Event::LiveLeft { .. }
        | Event::AttemptBegan { .. }
        | Event::AttemptInterrupted { .. }
        | Event::Confirmed { .. }
        | Event::Adopted { .. }
        | Event::QuarantineAdded { .. }
        | Event::QuarantineReleased { .. }
        | Event::DrillBegan { .. }
        | Event::DrillEnded { .. }
        | Event::SafeModeEnded { .. }
        | Event::Pinned { .. } => Priority::Notice,
    }
}

/// An event as one sentence.
#[must_use]
#[allow(clippy::too_many_lines, reason = "one arm for each event")]
pub fn describe(event: &Event) -> String {
    match event {
        Event::Marked { toplevel, landing } => {
            format!("{toplevel} is a trial: the next boot tries it, and the machine comes back to {landing}")
        }
        Event::Inferred { toplevel } => {
            format!("{toplevel} runs, is not known and was not marked: it is a trial from now on")
        }
        Event::Superseded { toplevel } => {
            format!("{toplevel} is no trial any more: a later switch replaced it")
        }
        Event::Gone { toplevel } => {
            format!("{toplevel} is no trial any more: it has no boot entry, or is not in the store")
        }
        Event::Unprotected { toplevel } => format!(
            "{toplevel} is not protected: there is no known-good generation with a boot entry to come back to, or it keeps its state elsewhere"
        ),
        Event::Refused { toplevel } => {
            format!("{toplevel} is quarantined on this host: it does not become the default")
        }
        Event::QuarantineAdded { toplevel, revision } => {
            format!(
                "{} is in quarantine: a person said so",
                describe_named(toplevel.as_ref(), revision.as_ref())
            )
        }
        Event::QuarantineReleased { toplevel, revision } => format!(
            "{} is released from quarantine and may be deployed again",
            describe_named(toplevel.as_ref(), revision.as_ref())
        ),
        Event::SecondChance { toplevel } => {
            format!(
                "{toplevel} failed before and has waited for as long as the owner said: it is tried once more"
            )
        }
        Event::RollbackAsked { from, to } => {
            format!("a person asked for a rollback, and a reboot, from {from} to {to}")
        }
        Event::AttemptBegan { attempt, toplevel, .. } => format!("attempt {attempt} of {toplevel} begins"),
        Event::AttemptFailed { failures, max_failures, toplevel, cause, .. } => {
            let cause = describe_cause(cause);
            format!("failed attempt {failures} of {max_failures} of {toplevel}: {cause}")
        }
        Event::AttemptInterrupted { toplevel, shutdown, .. } => {
            let shutdown = describe_shutdown(*shutdown);
            format!("the attempt of {toplevel} ended by {shutdown}, which was asked for: it does not count")
        }
        Event::Confirmed { toplevel, .. } => format!("{toplevel} is confirmed and becomes the default"),
        Event::Adopted { toplevel } => {
            format!("{toplevel} reached multi-user.target and is known to work here")
        }
        Event::Rebooting { automatic_reboots, cause, toplevel } => {
            let cause = describe_reboot(*cause);
            format!("rebooting by ourselves (automatic reboot {automatic_reboots}), {cause}: {toplevel}")
        }
        Event::RollbackBegan { from, to } => format!("{from} has failed: rolling back to {to}"),
        Event::RolledBack { from, to } => format!("rolled back from {from} to {to}"),
        Event::OneShotStayed { toplevel } => format!(
            "the loader booted {toplevel} once and did not take that back: a panic before the boot check would boot it for ever"
        ),
        Event::NotStarted { toplevel, times, because } => format!(
            "{toplevel} was armed and not started, {times} times in a row: {}; it has not failed, and waits",
            describe_not_started(*because)
        ),
        Event::NotArmed { toplevel, why } => {
            format!("the boot loader could not be told to boot {toplevel} once: {why}")
        }
        Event::LandingFailed { toplevel, cause, .. } => {
            format!("{toplevel}, which the machine came back to, failed: {}", describe_cause(cause))
        }
        Event::DrillBegan { injection, toplevel } => {
            let injection = describe_injection(*injection);
            format!("rehearsal: {toplevel} is booted once more, and fails on purpose ({injection})")
        }
        Event::DrillEnded { injection, toplevel, passed, causes, golden_failed } => {
            let injection = describe_injection(*injection);
            let number = causes.len();
            let causes: Vec<String> = causes.iter().map(describe_cause).collect();
            let causes = if causes.is_empty() { String::new() } else { format!(" ({})", causes.join("; ")) };
            let attempts = format!("{number} failed attempts of {toplevel}{causes}");
            match golden_failed {
                _ if *passed => {
                    format!("rehearsal ({injection}) passed: golden took over after {attempts}")
                }
                Some(cause) => {
                    let cause = describe_cause(cause);
                    format!("rehearsal ({injection}) FAILED: golden failed after {attempts}: {cause}")
                }
                None => format!("rehearsal ({injection}) NOT PASSED: it ended after {attempts}"),
            }
        }
        Event::GoldenDamaged { toplevel, why } => {
            format!("{toplevel} is golden and could not be landed on: {why}")
        }
        Event::GoldenPutBack { toplevel, found: None } => {
            format!("another program removed the golden profile: it names {toplevel} again")
        }
        Event::GoldenPutBack { toplevel, found: Some(found) } => {
            format!("the golden profile named {found}, which was not pinned: it names {toplevel} again")
        }
        Event::Pinned { toplevel, .. } => format!("{toplevel} is golden"),
        Event::SafeMode { reason } => {
            let reason = describe_reason(reason);
            format!("no further automatic reboot: {reason}")
        }
        Event::TriedAgain { toplevel, .. } => {
            format!(
                "{toplevel} may have lost its power and nothing else: it is tried again instead of safe mode"
            )
        }
        Event::SafeModeEnded { toplevel } => format!("{toplevel} works: safe mode is over"),
        Event::FailedLate { toplevel, cause, .. } => {
            format!("{toplevel} was confirmed and failed since: {}", describe_cause(cause))
        }
        Event::LiveBegan { from, to } => {
            format!("the running system becomes {to}: if it does not work, {from} is activated again")
        }
        Event::LivePassed { toplevel } => format!("{toplevel} runs and works: the next boot tries it"),
        Event::LiveLeft { toplevel } => {
            format!("{toplevel} was not watched to the end: the next boot tries it")
        }
        Event::LiveFailed { from, to, cause } => {
            format!("{from} was activated and failed ({}): back to {to}", describe_cause(cause))
        }
        Event::WentBack { from, to } => format!("{to} runs again, instead of {from}"),
        Event::ChecksFailed { toplevel, required, wanted, .. } => {
            let kinds = [("required", required), ("wanted", wanted)];
            let some = kinds.into_iter().filter(|(_, checks)| !checks.is_empty());
            let said: Vec<_> = some.map(|(kind, checks)| format!("{kind}: {}", checks.join(", "))).collect();
            format!("checks of {toplevel} failed, and it stays as it is ({})", said.join("; "))
        }
    }
}

/// Why an attempt failed, as a part of a sentence.
#[must_use]
pub fn describe_cause(cause: &Cause) -> String {
    match cause {
        Cause::NeverReachedBootCheck => {
            "it died before the boot check, in the kernel, the initrd or early userspace".to_owned()
        }
        Cause::Vanished => "it stopped without a word: a panic, a hang and a reset, or power loss".to_owned(),
        Cause::UnitFailed { units } => format!("{} failed, which takes the machine down", units.join(", ")),
        Cause::Interrupted { times } => {
            format!("it was rebooted {times} times in a row before it was confirmed")
        }
        Cause::Deadline { secs, units } => {
            let units = if units.is_empty() { String::new() } else { format!(": {}", units.join(", ")) };
            format!("it was not confirmed within {secs} s{units}")
        }
        Cause::Emergency { units } => {
            let units =
                if units.is_empty() { String::new() } else { format!(", because of {}", units.join(", ")) };
            format!("it ended in emergency mode{units}")
        }
        Cause::NotBootable { why } => format!("it could not be started: {why}"),
        Cause::ChecksFailed { checks } => format!("required checks failed: {}", checks.join(", ")),
        Cause::ActivationFailed { why } => format!("its activation failed: {why}"),
        Cause::Unproven { proof } => format!("the proof that it works did not come: {proof}"),
        Cause::AskedByPerson => "a person rolled it back".to_owned(),
        Cause::Unknown(_) => "a cause that a newer build recorded".to_owned(),
    }
}

fn describe_named(toplevel: Option<&Toplevel>, revision: Option<&Revision>) -> String {
    match (toplevel, revision) {
        (Some(toplevel), Some(revision)) => {
            format!("every system of revision {revision}, such as {toplevel}, which waited for its boot,")
        }
        (Some(toplevel), None) => toplevel.to_string(),
        (None, Some(revision)) => format!("every system of revision {revision}"),
        (None, None) => "something that a newer build names".to_owned(),
    }
}

fn describe_reboot(cause: RebootCause) -> &'static str {
    match cause {
        RebootCause::Retry => "an attempt failed and the trial gets its next one",
        RebootCause::RollBack => "what ran failed and this takes over",
        RebootCause::LandAgain => "what the machine came back to failed, and there is nothing else",
        RebootCause::Drill => "for a rehearsal",
        RebootCause::LiveSwitch => "what ran before a switch could not be activated again",
    }
}

fn describe_shutdown(shutdown: Shutdown) -> &'static str {
    match shutdown {
        Shutdown::Reboot => "a reboot",
        Shutdown::Poweroff => "a poweroff",
        Shutdown::Halt => "a halt",
        Shutdown::Kexec => "a kexec",
        Shutdown::SoftReboot => "a soft reboot",
        Shutdown::Other => "a shutdown",
    }
}

/// Why something was not started although it was armed, as a part of a sentence.
#[must_use]
pub fn describe_not_started(because: NotStartedBecause) -> &'static str {
    match because {
        NotStartedBecause::AnotherLoader => "another boot loader than the configured one started the machine",
        NotStartedBecause::AnotherPartition => "the boot loader was read from another boot partition",
        NotStartedBecause::Forgotten => {
            "its one-shot is gone and the firmware has started the machine only once, so the firmware forgets its variables or \
             somebody picked another entry"
        }
        NotStartedBecause::Ignored => {
            "its one-shot is still there although the firmware has started the machine, so its boot loader did not run"
        }
        NotStartedBecause::Other => "for a reason that only a newer build knows",
    }
}

/// What is made to fail, as a part of a sentence.
#[must_use]
pub fn describe_injection(injection: Injection) -> &'static str {
    match injection {
        Injection::Panic => "the kernel panics",
        Injection::Hang => "the boot never gets to its end",
        Injection::Unit => "a unit fails",
        Injection::Check => "a check fails",
        Injection::Power => "the machine is reset",
    }
}

/// What the next boot found about an end that nobody saw, as sentences.
#[must_use]
pub fn describe_evidence(evidence: &Evidence) -> String {
    let panic = evidence.panic.iter().map(|line| format!(" The kernel's last words: {line}."));
    let watchdog = evidence.watchdog.then(|| " The hardware watchdog had reset the machine.".to_owned());
    panic.chain(watchdog).collect()
}

/// Why there is nothing left to do, as a part of a sentence.
#[must_use]
pub fn describe_reason(reason: &SafeModeReason) -> &'static str {
    match reason {
        SafeModeReason::BudgetSpent => "the budget of automatic reboots is spent",
        SafeModeReason::NoLanding => "there is no known-good generation with a boot entry",
        SafeModeReason::LadderEnded => "every generation that the machine could come back to failed as well",
        SafeModeReason::Unknown(_) => "for a reason that a newer build recorded",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Every 32 digits in quotes in this file.
    fn declared() -> Vec<&'static str> {
        let is_id = |text: &&str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        include_str!("journal.rs").split('"').filter(is_id).collect()
    }

    #[test]
    fn every_message_id_is_unique_and_explained_in_the_catalog() {
        let catalog = include_str!("../../../units/golden-generation.catalog");
        let explained: Vec<&str> = catalog.lines().filter_map(|line| line.strip_prefix("-- ")).collect();
        let declared = declared();
        assert!(declared.len() > 20, "{declared:?}");
        assert_eq!(declared.iter().collect::<BTreeSet<_>>().len(), declared.len());
        assert_eq!(declared.iter().collect::<BTreeSet<_>>(), explained.iter().collect::<BTreeSet<_>>());
        let entries = catalog.split("\n-- ").skip(1);
        assert!(
            entries.clone().all(|entry| entry.contains("\nSubject: ") && entry.trim().lines().count() > 4)
        );
    }
}
