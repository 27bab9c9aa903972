//! What a person or a deployer asks for, with the power going after any of its effects.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use golden_host::simulated::scenario;

/// A machine that runs `b`, golden is `a`, and `c` has failed and is quarantined.
const BEGIN: &str = "install a\nboot\npin\nswitch c\nc fails unit web.service\nperson reboots\nexpect quarantined c\n\
                     switch b\nperson reboots\nexpect confirmed b\n";

/// The end of the story, with a crash after each effect of what is asked for. The first one has none left to crash after.
fn ends(begin: &str, program: &str, asked: &str, then: &str) -> Vec<String> {
    let mut ends = Vec::new();
    for effect in 0..60 {
        for image in 1..=8 {
            let crash = format!("crash after effect {effect} of {program} image {image}");
            let Ok(timeline) = scenario::run(&format!("{begin}{crash}\n{asked}\nboot\n{then}")) else {
                if image == 1 && effect > 0 {
                    return ends;
                }
                break;
            };
            ends.push(timeline.rsplit("  = ").next().unwrap().to_owned());
        }
    }
    panic!("there is no end to the effects of {asked}");
}

#[test]
fn a_rollback_that_is_cut_off_arrives_or_has_not_begun() {
    let ends = ends(BEGIN, "rollback-now", "person rolls back", "");
    assert!(ends.len() > 8, "{}", ends.len());
    let mut arrived = 0;
    for end in &ends {
        if end.contains("quarantined c b") {
            assert!(
                end.starts_with("up with a\n    loader: default a, once nothing; profile system a"),
                "{end}"
            );
            arrived += 1;
        } else {
            assert!(
                end.starts_with("up with b\n    loader: default b, once nothing; profile system b"),
                "{end}"
            );
            assert!(end.contains("confirmed a b"), "{end}");
        }
    }
    assert!(arrived > 0 && arrived < ends.len(), "{arrived} of {}", ends.len());
}

#[test]
fn a_rollback_comes_back_to_golden_and_not_to_a_trial_that_waited() {
    for end in ends(&format!("{BEGIN}switch d\n"), "rollback-now", "person rolls back", "") {
        let arrived = end.starts_with("up with a\n    loader: default a, once nothing; profile system a");
        let not_begun =
            end.contains("trial d (armed") && end.starts_with("up with b") || end.starts_with("up with d");
        assert!(
            arrived && end.contains("quarantined c b") || not_begun && !end.contains("quarantined c b"),
            "{end}"
        );
    }
}

#[test]
fn a_trial_that_is_called_off_is_tried_or_gone_and_never_half_of_it() {
    let begin = format!("{BEGIN}switch d\n");
    for end in ends(&begin, "quarantine", "quarantine d", "") {
        let is_whole = end.starts_with("up with b") && end.contains("quarantined c d")
            || end.starts_with("up with d") && end.contains("confirmed a b d")
            || end.starts_with("up with b") && end.contains("once d;") && end.contains("trial d (armed");
        assert!(is_whole, "{end}");
    }
}

#[test]
fn a_refusal_that_is_cut_off_deploys_nothing() {
    for switch in ["switch c", "switch c checked", "switch c live"] {
        // The deployer moves the profile, and an installer the default, before they ask.
        for end in ends(BEGIN, "switch", switch, "") {
            assert!(!end.starts_with("up with c") && !end.contains("trial c"), "{switch}: {end}");
        }
    }
}
