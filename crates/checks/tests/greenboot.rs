//! Checks that greenboot's owner has switched off. A process of its own: the runner reaps every child of the process that it runs in.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod common;

use common::Machine;

#[test]
fn a_disabled_check_of_greenboot_is_not_run_from_any_directory() {
    for conf in [
        "DISABLED_HEALTHCHECKS=(\"x.sh\")\n",
        "DISABLED_HEALTHCHECKS+=(\"x.sh\")\n",
        "DISABLED_HEALTHCHECKS = (\"x.sh\")\n",
        "NUMBER=x; export DISABLED_HEALTHCHECKS=(\"$NUMBER.sh\")\n",
    ] {
        let machine = Machine::new();
        for path in [
            "/etc/greenboot/check/required.d/below/deeper/x.sh",
            "/usr/lib/greenboot/check/required.d/x.sh",
            "/usr/lib/greenboot/check/wanted.d/below/x.sh",
            "/usr/lib/greenboot/check/wanted.d/y.sh",
        ] {
            machine.put(path, "exit 1\n", 0o644);
        }
        machine.put("/etc/greenboot/greenboot.conf", conf, 0o644);
        let names: Vec<String> = machine.checks().into_iter().map(|check| check.name).collect();
        assert_eq!(names, ["y.sh"], "{conf}");
    }
}
