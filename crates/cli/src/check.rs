//! `golden check`: the health checks, now.

use std::fmt::Write;
use std::time::Duration;

use golden_checks::Assessor;
use golden_core::{Assessment, Excuse, Finding, Weight};
use golden_host::command::Common;
use golden_host::{Error, operation};

use crate::print::printable;

/// Time for all of them: a person waits.
const LONGEST: Duration = Duration::from_secs(600);

/// The answer, and the required checks that failed.
pub(crate) fn run(common: &Common, json: bool) -> Result<(String, Vec<String>), Error> {
    let host = common.host();
    let found = Assessor::new(&host)?.assess(LONGEST, false);
    let assessment = operation::excused(&host, &common.options(&host), found)?;
    // What they said when the machine came up is old.
    operation::note(&host, &assessment);
    let text = if json { crate::print::json(&assessment) } else { in_words(&assessment) };
    Ok((text, if assessment.is_healthy() { Vec::new() } else { assessment.failed_required() }))
}

fn in_words(assessment: &Assessment) -> String {
    let mut text = String::new();
    if assessment.findings.is_empty() {
        text.push_str("there are no checks; docs/checks.md says how to make some\n");
    }
    for finding in &assessment.findings {
        let weight = match finding.weight {
            Weight::Required => "required",
            Weight::Wanted => "wanted",
        };
        let Finding { check, said, millis, .. } = finding;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<7} {weight:<8} {}: {} ({millis} ms){}",
            verdict(finding),
            printable(check),
            printable(said),
            excuse(finding)
        );
        if !finding.passed {
            text.extend(finding.output.lines().map(|line| format!("    {}\n", printable(line))));
        }
    }
    if assessment.report_only {
        text.push_str("nothing of this counts: report_only is set\n");
    }
    text
}

fn verdict(finding: &Finding) -> &'static str {
    match (finding.passed, finding.excuse) {
        (true, _) => "ok",
        (false, None) => "FAILED",
        (false, Some(_)) => "excused",
    }
}

fn excuse(finding: &Finding) -> &'static str {
    match finding.excuse {
        None => "",
        Some(Excuse::FailedBefore) => ", and had failed before the switch",
        Some(Excuse::UnitsFailedBefore) => ", and those had failed before the switch",
        Some(Excuse::NetworkWasDown) => ", and there was no network before the switch",
        Some(Excuse::FailedInTrialToo) => ", as it did in what the machine came back from",
        Some(Excuse::Other) => ", which a newer build excuses",
    }
}
