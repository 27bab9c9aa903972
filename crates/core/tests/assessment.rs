//! What of a failed check counts against the system that runs.

use golden_core::{ASSESSMENT_SCHEMA, Assessment, Baseline, BootId, Excuse, Finding, Kept, Weight};

fn failed(check: &str, weight: Weight) -> Finding {
    Finding {
        check: check.into(),
        weight,
        passed: false,
        said: "exited with status 1".into(),
        output: String::new(),
        runs: 1,
        millis: 5,
        needs_network: false,
        units: Vec::new(),
        excuse: None,
        unknown: Kept::new(),
    }
}

fn of_units(units: &[&str]) -> Finding {
    let units = units.iter().map(ToString::to_string).collect();
    Finding { units, ..failed("units", Weight::Required) }
}

fn assessment(findings: Vec<Finding>) -> Assessment {
    let boot: BootId = "0123456789abcdef0123456789abcdef".parse().expect("32 digits");
    let unknown = Kept::new();
    Assessment { schema: ASSESSMENT_SCHEMA, toplevel: None, boot, report_only: false, findings, unknown }
}

fn baseline() -> Baseline {
    Baseline {
        failed_units: vec!["old.service".into()],
        failed_checks: vec!["backup".into()],
        network_down: true,
        unknown: Kept::new(),
    }
}

#[test]
fn what_counts_against_a_system() {
    let network = Finding { needs_network: true, ..failed("ping", Weight::Required) };
    let cases = [
        ("a required check", failed("web", Weight::Required), None),
        ("failed before", failed("backup", Weight::Required), Some(Excuse::FailedBefore)),
        ("its unit failed before", of_units(&["old.service"]), Some(Excuse::UnitsFailedBefore)),
        ("another unit fails as well", of_units(&["old.service", "new.service"]), None),
        ("there was no network before", network, Some(Excuse::NetworkWasDown)),
        ("failed in the trial", failed("gateway", Weight::Required), Some(Excuse::FailedInTrialToo)),
    ];
    for (case, finding, excuse) in cases {
        let judged = assessment(vec![finding]).excused(Some(&baseline()), &["gateway".into()]);
        assert_eq!(judged.findings[0].excuse, excuse, "{case}");
        assert_eq!(judged.is_healthy(), excuse.is_some(), "{case}");
        assert_eq!(judged.failed().len(), 1, "{case}: it is reported all the same");
    }
}

#[test]
fn nothing_is_excused_where_nobody_looked_before() {
    let network = Finding { needs_network: true, ..failed("ping", Weight::Required) };
    for finding in [failed("backup", Weight::Required), of_units(&["old.service"]), network] {
        assert!(!assessment(vec![finding]).excused(None, &[]).is_healthy());
    }
}

#[test]
fn only_required_checks_count_and_only_if_the_owner_does_not_watch_first() {
    assert!(assessment(vec![failed("web", Weight::Wanted)]).is_healthy());
    let watched = assessment(vec![failed("web", Weight::Required)]);
    assert_eq!(watched.failed_required(), ["web"]);
    assert!(Assessment { report_only: true, ..watched }.is_healthy());
}
