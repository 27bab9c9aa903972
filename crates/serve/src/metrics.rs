//! The state of a host for Prometheus. Source: `docs/metrics.md`, and "Exposition formats" of Prometheus.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::SystemTime;

use crate::document::{Document, Finding, State};

/// A text that is built line by line.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    /// A metric that has one value.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: &impl ToString) {
        self.many(name, kind, help, [(vec![], value.to_string())]);
    }

    /// A metric with a value for each set of labels; nothing is said of one that has none.
    fn many<'a>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, String)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = writeln!(self.0, "# HELP golden_generation_{name} {help}");
        let _ = writeln!(self.0, "# TYPE golden_generation_{name} {kind}");
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(self.0, "golden_generation_{name}{labels} {value}");
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Everything that is told of a host, in the text format.
#[must_use]
pub fn metrics(document: &Document) -> String {
    let mut text = Exposition::default();
    states(&mut text, document);
    systems(&mut text, document);
    history(&mut text, document);
    checks(&mut text, document);
    text.0
}

fn states(text: &mut Exposition, document: &Document) {
    let status = &document.status;
    let each = State::ALL.map(|state| (vec![("state", state.word())], bit(state == status.state)));
    text.many("state", "gauge", "How the host stands: 1 for the state that it is in.", each);
    let version = vec![("version", &*document.version)];
    text.many("build_info", "gauge", "Version of the suite.", [(version, "1".to_owned())]);
    let written = document.written().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let written = written.map_or(0, |since| since.as_secs());
    text.one(
        "published_timestamp_seconds",
        "gauge",
        "When this was written, by the clock of the host.",
        &written,
    );
    let readable = bit(status.unreadable.is_none());
    text.one("ledger_readable", "gauge", "Whether the state of the suite can be read.", &readable);
    text.one(
        "golden_pinned",
        "gauge",
        "Whether a golden generation is pinned.",
        &bit(status.golden.is_some()),
    );
    let damaged = bit(status.damage.is_some());
    text.one("golden_damaged", "gauge", "Whether golden could not be booted.", &damaged);
    let drill = bit(status.drill.is_some());
    text.one("drill_active", "gauge", "Whether a rehearsal is under way.", &drill);
    let covered = status.coverage.iter().map(|it| (vec![("failure", &*it.failure)], bit(it.covered)));
    let help = "Whether the host comes back by itself from this kind of failure.";
    text.many("failure_covered", "gauge", help, covered);
}

fn systems(text: &mut Exposition, document: &Document) {
    let status = &document.status;
    let trial = status.trial.as_ref().map(|trial| trial.toplevel.clone());
    let roles = [
        ("golden", &status.golden),
        ("running", &status.running),
        ("default", &status.default),
        ("trial", &trial),
    ];
    let systems = roles.iter().filter_map(|(role, toplevel)| {
        Some((vec![("role", *role), ("toplevel", toplevel.as_deref()?)], "1".to_owned()))
    });
    text.many("system_info", "gauge", "Which system has which role.", systems.collect::<Vec<_>>());
    let (tried, failed) =
        status.trial.as_ref().map_or((0, 0), |trial| (trial.attempts.len(), trial.failures()));
    text.one("trial_attempts", "gauge", "Boots so far of the trial under way.", &tried);
    text.one("trial_failed_attempts", "gauge", "Boots of the trial under way that failed.", &failed);
    let help = "Failed boots of one generation after which the host rolls back.";
    text.one("max_failures", "gauge", help, &document.max_failures);
    let help = "Generations that failed on this host and are not deployed again.";
    text.one("quarantined_systems", "gauge", help, &status.quarantine.len());
    let help = "Generations that the host came back to and that did not work either.";
    text.one("failed_landings", "gauge", help, &status.failed_landings.len());
    let help = "Reboots that the suite caused since the last healthy boot.";
    text.one("automatic_reboots_spent", "gauge", help, &document.automatic_reboots);
}

fn history(text: &mut Exposition, document: &Document) {
    for (name, event, help) in [
        ("failed_attempts_total", "attempt-failed", "Boots of a trial that failed."),
        ("rollbacks_total", "rolled-back", "Rollbacks that were finished."),
        (
            "live_rollbacks_total",
            "went-back",
            "Switches of the running system that were taken back without a reboot.",
        ),
        ("automatic_reboots_total", "rebooting", "Reboots that the suite caused."),
        ("confirmations_total", "confirmed", "Trials that passed."),
        ("refused_switches_total", "refused", "Switches to a quarantined generation that were refused."),
        ("safe_modes_total", "safe-mode", "How often the end of the ladder was reached."),
    ] {
        text.one(name, "counter", help, &document.total(event));
    }
    let began = document.last("marked").max(document.last("inferred"));
    let help = "When a new generation became a trial last.";
    text.many("last_trial_timestamp_seconds", "gauge", help, began.map(|secs| (vec![], secs.to_string())));
    for (name, event, help) in [
        ("last_confirmed_timestamp_seconds", "confirmed", "When a trial passed last."),
        ("last_failed_attempt_timestamp_seconds", "attempt-failed", "When a boot of a trial failed last."),
        ("last_rollback_timestamp_seconds", "rolled-back", "When a rollback was finished last."),
        ("last_drill_passed_timestamp_seconds", "drill-passed", "When a rehearsal passed last."),
    ] {
        text.many(name, "gauge", help, document.last(event).map(|secs| (vec![], secs.to_string())));
    }
}

fn checks(text: &mut Exposition, document: &Document) {
    let Some(assessment) = &document.assessment else { return };
    // Two samples with the same labels are no exposition at all.
    let mut names = BTreeSet::new();
    let findings: Vec<&Finding> =
        assessment.findings.iter().filter(|finding| names.insert(&*finding.check)).collect();
    let labels = |finding: &&Finding| {
        vec![("check", finding.check.to_string()), ("weight", finding.weight.word().to_owned())]
    };
    let of = |value: fn(&Finding) -> String| {
        findings.iter().map(|finding| (labels(finding), value(finding))).collect::<Vec<_>>()
    };
    let mut tell = |name: &str, help: &str, samples: Vec<(Vec<(&str, String)>, String)>| {
        let borrowed = samples.iter().map(|(labels, value)| {
            (labels.iter().map(|(label, text)| (*label, text.as_str())).collect(), value.clone())
        });
        text.many(name, "gauge", help, borrowed.collect::<Vec<_>>());
    };
    tell("check_passed", "Whether a health check passed when it was run last.", of(|it| bit(it.passed)));
    let help =
        "Whether what a failed check found was so before the switch, and says nothing against the system.";
    tell("check_excused", help, of(|it| bit(it.excuse.is_some())));
    let seconds = of(|it| format!("{}.{:03}", it.millis / 1000, it.millis % 1000));
    tell("check_duration_seconds", "How long a health check took with its retries.", seconds);
}

fn bit(is: bool) -> String {
    u8::from(is).to_string()
}
