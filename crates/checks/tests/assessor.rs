//! What comes of all checks together, in the time that there is.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod common;

use std::time::Duration;

use common::{Machine, REQUIRED, WANTED};
use golden_checks::Assessor;
use golden_core::{Assessment, Weight};

fn assess(machine: &Machine, time: Duration) -> Assessment {
    machine.put("/proc/sys/kernel/random/boot_id", "00000001-0000-4000-8000-000000000000\n", 0o444);
    let _alone = common::alone();
    Assessor::new(&machine.host).unwrap().assess(time, true)
}

#[test]
fn a_wanted_check_that_hangs_takes_no_time_from_the_required_ones() {
    let machine = Machine::new();
    machine.settings("settle_secs = 1");
    machine.put(&format!("{WANTED}/hangs"), "#!/bin/sh\nexec sleep 7800\n", 0o755);
    machine.put(&format!("{REQUIRED}/good"), "#!/bin/sh\ntrue\n", 0o755);
    let assessment = assess(&machine, Duration::from_secs(4));
    assert!(assessment.is_healthy(), "{:?}", assessment.findings);
    let [good, hangs] = &assessment.findings[..] else { panic!("{:?}", assessment.findings) };
    assert_eq!((good.weight, good.passed), (Weight::Required, true));
    assert_eq!((hangs.passed, &*hangs.said), (false, "it was not over when the time for all checks was"));
}

#[test]
fn a_settle_time_that_is_longer_than_all_of_the_time_fails_nobody() {
    let machine = Machine::new();
    machine.settings("settle_secs = 600");
    machine.put(&format!("{REQUIRED}/good"), "#!/bin/sh\ntrue\n", 0o755);
    let assessment = assess(&machine, Duration::from_secs(3));
    assert!(assessment.is_healthy(), "{:?}", assessment.findings);
}

#[test]
fn what_falls_over_in_the_settle_time_does_not_work() {
    let machine = Machine::new();
    machine.settings("settle_secs = 1\n[drop_in.starts]\nretries = 0\n");
    let flag = machine.at("/flag");
    let script = format!("#!/bin/sh\n[ ! -e {0} ] && touch {0}\n", flag.display());
    machine.put(&format!("{REQUIRED}/starts"), &script, 0o755);
    let assessment = assess(&machine, common::LONG);
    assert_eq!(assessment.failed_required(), ["starts"]);
}
