//! What an owner writes, and what is said about what cannot be meant.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use common::{Machine, REQUIRED, WANTED};
use golden_checks::{LateFailure, Probe, Settings, Timing, Whom, Work, load, load_or_fail, parse};
use golden_core::Weight;
use proptest::prelude::*;

#[test]
fn without_a_file_nothing_is_declared_and_greenboots_directories_are_looked_into() {
    let settings = load(&Machine::new().host).unwrap();
    assert_eq!(settings, Settings::default());
    assert_eq!((settings.settle, settings.probation), (Duration::from_secs(10), Duration::ZERO));
    let directories: Vec<_> = settings.directories.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(directories, golden_checks::DIRECTORIES);
}

#[test]
fn the_example_of_the_documentation_is_understood() {
    let page = include_str!("../../../docs/checks.md");
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let machine = Machine::new();
    machine.settings(example);
    let settings = load(&machine.host).unwrap();
    let checks = machine.checks();
    let names: Vec<&str> = checks.iter().map(|check| &*check.name).collect();
    for kind in ["unit", "no-failed-units", "tcp", "http", "dns", "mount", "disk-space", "ping", "command"] {
        assert!(example.contains(&format!("kind = \"{kind}\"")), "{kind}");
    }
    assert!(names.len() >= 9 && settings.late_failure == LateFailure::RollBack, "{names:?}");
    // Every key is there, and every default that the text names is one.
    let usual = Timing { timeout: Duration::from_secs(30), retries: 2, interval: Duration::from_secs(5) };
    assert_eq!(Timing::default(), usual);
}

#[test]
fn what_the_nixos_module_writes_is_understood() {
    let case = include_str!("../../../nixos/tests/cases/checks.expected");
    let text =
        case.split("== etc/golden-generation/checks.toml\n").nth(1).unwrap().split("\n== ").next().unwrap();
    let machine = Machine::new();
    machine.settings(text);
    let settings = load(&machine.host).unwrap();
    assert!(settings.report_only && settings.late_failure == LateFailure::RollBack);
    assert_eq!((settings.settle.as_secs(), settings.probation.as_secs()), (30, 3600));
    assert_eq!((machine.checks().len(), &*machine.checks()[0].name), (9, "a \"quoted\" name"));
}

#[test]
fn a_check_is_what_was_written_and_what_goes_without_saying() {
    let text = "
        [check.ssh]
        kind = \"unit\"
        unit = \"sshd\"
        [check.web]
        kind = \"http\"
        url = \"https://example.org/health\"
        status = 204
        required = false
        timeout_secs = 5
        retries = 0
        interval_secs = 1
        needs_network = false
        [check.gateway]
        kind = \"ping\"
        host = \"gateway\"
    ";
    let machine = Machine::new();
    machine.settings(text);
    let checks = machine.checks();
    let ping = Probe::Ping { whom: Whom::Gateway };
    let get = Probe::Http { url: "https://example.org/health".into(), status: Some(204) };
    let unit = Probe::Unit { unit: "sshd.service".into() };
    for (check, (name, weight, needs_network, probe)) in checks.iter().zip([
        ("gateway", Weight::Required, true, ping),
        ("ssh", Weight::Required, false, unit),
        ("web", Weight::Wanted, false, get),
    ]) {
        assert_eq!((&*check.name, check.weight, check.needs_network), (name, weight, needs_network));
        assert_eq!(check.work, Work::Probe(probe));
    }
    let quick = Timing { timeout: Duration::from_secs(5), retries: 0, interval: Duration::from_secs(1) };
    assert_eq!((checks.len(), checks[0].timing, checks[2].timing), (3, Timing::default(), quick));
}

#[test]
fn what_cannot_be_meant_is_said_in_one_sentence() {
    for (text, expected) in [
        ("settle_sec = 3", "line 1: unknown key `settle_sec`: did you mean `settle_secs`?"),
        ("settle_secs = -1", "line 1: settle_secs: -1 is out of range: 0 to 600 seconds"),
        ("settle_secs = 601", "line 1: settle_secs: 601 is out of range: 0 to 600 seconds"),
        ("settle_secs = 1.5", "line 1: settle_secs: 1.5 is not a whole number: 0 to 600 seconds"),
        ("report_only = 1", "line 1: report_only: invalid type: integer `1`, expected a boolean"),
        ("probation_secs = -5", "line 1: probation_secs: -5 is out of range: 0 to 604800 seconds"),
        (
            "late_failure = \"rollback\"",
            "line 1: late_failure: unknown value `rollback`: did you mean `roll-back`?",
        ),
        ("directories = [\"checks\"]", "directories: checks is not an absolute path"),
        ("[check.a]\nunit = \"x\"", "line 1: check.a: missing field `kind`"),
        ("[check.a]\nkind = \"htpp\"", "line 2: check.a.kind: unknown value `htpp`: did you mean `http`?"),
        ("[check.a]\nkind = \"http\"", "check.a: the kind http needs `url`"),
        ("[check.a]\nkind = \"tcp\"\nurl = \"x\"", "check.a: the kind tcp needs `address`"),
        (
            "[check.a]\nkind = \"unit\"\nunit = \"x\"\nurl = \"http://x\"",
            "check.a: `url` means nothing for the kind unit",
        ),
        (
            "[check.a]\nkind = \"unit\"\nunit = \"x\"\ntimeout = 3",
            "line 4: check.a: unknown key `timeout`: did you mean `timeout_secs`?",
        ),
        (
            "[check.a]\nkind = \"unit\"\nunit = \"x\"\ntimeout_secs = 0",
            "line 4: check.a.timeout_secs: 0 is out of range: 1 to 600 seconds",
        ),
        (
            "[check.a]\nkind = \"unit\"\nunit = \"x\"\nretries = -2",
            "line 4: check.a.retries: -2 is out of range: 0 to 100",
        ),
        ("[check.a]\nkind = \"unit\"\nunit = \"a b\"", "check.a: `unit` is \"a b\", and one word is meant"),
        (
            "[check.a]\nkind = \"unit\"\nunit = \"--all\"",
            "check.a: `unit` is \"--all\", and one word is meant",
        ),
        (
            "[check.a]\nkind = \"unit\"\nunit = \"ssh*\"",
            "check.a: `ssh*` is a pattern, and the name of one unit is meant",
        ),
        (
            "[check.a]\nkind = \"tcp\"\naddress = \"host\"",
            "check.a: `address` is \"host\", and HOST:PORT is meant",
        ),
        (
            "[check.a]\nkind = \"tcp\"\naddress = \"h:0\"",
            "check.a: `address` is \"h:0\", and HOST:PORT is meant",
        ),
        (
            "[check.a]\nkind = \"tcp\"\naddress = \"::1:22\"",
            "check.a: `address` is \"::1:22\", and HOST:PORT is meant",
        ),
        (
            "[check.a]\nkind = \"http\"\nurl = \"example.org\"",
            "check.a: `url` is \"example.org\", and http://… or https://… is meant",
        ),
        (
            "[check.a]\nkind = \"http\"\nurl = \"http://x\"\nstatus = 20",
            "line 4: check.a.status: 20 is out of range: 100 to 599",
        ),
        (
            "[check.a]\nkind = \"dns\"\nname = \"x\"\nserver = \"ns\"",
            "check.a: `server` is \"ns\", and an IP address is meant, with a port if it is not 53",
        ),
        (
            "[check.a]\nkind = \"mount\"\npath = \"data\"",
            "check.a: `path` is data, and one that begins with / is meant",
        ),
        (
            "[check.a]\nkind = \"disk-space\"\npath = \"/\"",
            "check.a: the kind disk-space needs `free_bytes` or `free_percent`",
        ),
        (
            "[check.a]\nkind = \"disk-space\"\npath = \"/\"\nfree_bytes = -1",
            "line 4: check.a.free_bytes: -1 is out of range: 0 to 9223372036854775807 bytes",
        ),
        (
            "[check.a]\nkind = \"command\"\ncommand = []",
            "check.a: `command` is a list: the program and its arguments",
        ),
        (
            "[check.a]\nkind = \"command\"\ncommand = \"true\"",
            "line 3: check.a.command: invalid type: string \"true\", expected a list",
        ),
        (
            "[check.\" \"]\nkind = \"no-failed-units\"",
            "\" \" is no name for a check: it is one line of letters",
        ),
        ("[drop_in.a]\nretry = 1", "line 2: drop_in.a: unknown key `retry`: did you mean `retries`?"),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn what_is_no_table_no_port_or_no_name_is_said_too() {
    for (text, expected) in [
        (
            "[check]\nweb = \"http://x\"",
            "line 2: check.web: invalid type: string \"http://x\", expected a table",
        ),
        (
            "[check.a]\nkind = \"http\"\nurl = \"http://[::1]:99999/\"",
            "check.a: `url` is \"http://[::1]:99999/\", and http://… or https://… is meant",
        ),
        ("[drop_in.\"a\\u001b\"]", "\"a\\u{1b}\" is no name for a check: it is one line of letters"),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn a_file_that_is_not_understood_is_a_required_check_that_has_failed_and_drop_ins_are_run() {
    let machine = Machine::new();
    machine.settings("[check.web]\nkind = \"http\"\nulr = \"http://localhost\"\n");
    machine.script("good", "true");
    let error = load(&machine.host).unwrap_err();
    assert_eq!(error.exit(), golden_host::Exit::Configuration);
    let findings = machine.run();
    assert_eq!(
        (findings.len(), &*findings[0].check, findings[0].weight),
        (2, "checks.toml", Weight::Required)
    );
    let expected = "cannot parse /etc/golden-generation/checks.toml: line 3: check.web: unknown key `ulr`: did you mean `url`?";
    assert_eq!((findings[0].passed, &*findings[0].said), (false, expected));
    assert!(findings[1].passed);
    assert!(!load_or_fail(&machine.host).report_only);
}

#[test]
fn drop_ins_are_found_in_their_order_and_the_first_of_a_name_has_it() {
    let machine = Machine::new();
    let script = |said: &str| format!("#!/bin/sh\necho {said}\n");
    for (path, said) in [
        (format!("{REQUIRED}/20-b"), "own"),
        (format!("{REQUIRED}/10-a"), "own"),
        (format!("{WANTED}/10-a"), "hidden by its required one"),
        (format!("{WANTED}/30-c"), "own"),
        ("/etc/greenboot/check/required.d/30-c".into(), "hidden by a directory that comes first"),
        ("/etc/greenboot/check/required.d/below/x.sh".into(), "greenboot"),
        ("/usr/lib/greenboot/check/wanted.d/40-d.sh".into(), "vendor"),
        ("/usr/lib/greenboot/check/required.d/50-masked.sh".into(), "masked"),
        ("/usr/lib/greenboot/check/required.d/60-disabled.sh".into(), "disabled"),
        ("/usr/lib/greenboot/check/required.d/declared".into(), "hidden by one that is declared"),
        (format!("{REQUIRED}/.hidden"), "no check"),
        (format!("{REQUIRED}/10-a~"), "no check"),
        (format!("{REQUIRED}/README.md"), "no check"),
    ] {
        machine.put(&path, &script(said), 0o755);
    }
    machine.put(&format!("{REQUIRED}/below/data"), "", 0o644);
    machine.link("/etc/greenboot/check/wanted.d/50-masked.sh", "/dev/null");
    machine.put("/etc/greenboot/greenboot.conf", "DISABLED_HEALTHCHECKS=(\"60-disabled.sh\")\n", 0o644);
    machine.settings(
        "[check.declared]\nkind = \"command\"\ncommand = [\"echo\", \"declared\"]\n\
         [drop_in.10-a]\ntimeout_secs = 7\nneeds_network = true\n[drop_in.gone]\nretries = 1\n",
    );
    let checks = machine.checks();
    assert_eq!((checks[0].timing.timeout, checks[0].needs_network), (Duration::from_secs(7), true));
    let found: Vec<String> = machine
        .run()
        .iter()
        .map(|finding| format!("{:?} {}: {}", finding.weight, finding.check, finding.output))
        .collect();
    let expected = [
        "Required 10-a: own",
        "Required 20-b: own",
        "Required below/x.sh: greenboot",
        "Required declared: declared",
        "Wanted 30-c: own",
        "Wanted 40-d.sh: vendor",
        "Wanted gone: ",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_script_of_greenboot_has_the_time_of_all_checks_unless_the_owner_says_otherwise() {
    let machine = Machine::new();
    machine.put("/usr/lib/greenboot/check/required.d/10-a.sh", "true\n", 0o644);
    machine.put("/etc/greenboot/check/required.d/20-b.sh", "true\n", 0o644);
    machine.put(&format!("{REQUIRED}/30-c.sh"), "true\n", 0o755);
    machine.settings("[drop_in.\"20-b.sh\"]\ntimeout_secs = 7\n");
    let secs = machine.checks().into_iter().map(|check| check.timing.timeout.as_secs());
    assert_eq!(secs.collect::<Vec<_>>(), [3600, 7, 30]);
}

#[test]
fn a_check_that_is_taken_away_may_be_so_through_links_as_everything_in_etc_is_on_nixos() {
    let machine = Machine::new();
    machine.link("/etc/greenboot/check/required.d/50-x", "/etc/static/50-x");
    machine.link("/etc/static/50-x", "../../nix/store/etc-50-x");
    machine.link("/nix/store/etc-50-x", "/dev/null");
    machine.link("/etc/greenboot/check/required.d/60-loop", "60-loop");
    let names: Vec<String> = machine.checks().into_iter().map(|check| check.name).collect();
    assert_eq!(names, ["60-loop"]);
}

#[test]
fn names_that_nobody_can_read_are_still_names_of_two_checks() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let machine = Machine::new();
    machine.script("plain", "true");
    let directory = machine.at(REQUIRED);
    for name in [&b"a\nb"[..], b"a\tb", b"a\x1b[2Jb", b"a\xff", b"a\xfe"] {
        std::fs::copy(directory.join("plain"), directory.join(OsStr::from_bytes(name))).unwrap();
    }
    let findings = machine.run();
    let names: Vec<&str> = findings.iter().map(|finding| &*finding.check).collect();
    assert_eq!(names, ["a\\nb", "a\\tb", "a\\u{1b}[2Jb", "a\\xfe", "a\\xff", "plain"]);
    assert!(findings.iter().all(|finding| finding.passed), "{findings:?}");
}

#[test]
fn what_everybody_may_write_to_is_not_run() {
    let machine = Machine::new();
    let ran = machine.at("/ran");
    let script = format!("#!/bin/sh\ntouch {}\n", ran.display());
    machine.put(&format!("{REQUIRED}/open"), &script, 0o777);
    machine.put("/etc/greenboot/check/required.d/x.sh", &script, 0o644);
    let open = std::fs::Permissions::from_mode(0o1777);
    std::fs::set_permissions(machine.at("/etc/greenboot/check/required.d"), open).unwrap();
    let findings = machine.run();
    assert_eq!(findings.len(), 2, "{findings:?}");
    for finding in findings {
        assert!(!finding.passed && finding.said.starts_with("everybody may write to /etc/"), "{finding:?}");
    }
    assert!(!ran.exists());
}

#[test]
fn dots_in_comments_and_lists_are_no_key_of_many_parts() {
    let machine = Machine::new();
    let units: Vec<String> = (0..40).map(|number| format!("\"unit-{number}.service\"")).collect();
    let text = format!(
        "# {}\n[check.units] # ...\nkind = \"no-failed-units\"\nexcept = [\n  {},\n]\n",
        ".".repeat(60),
        units.join(", ")
    );
    machine.settings(&text);
    assert_eq!(machine.checks()[0].name, "units", "{:?}", machine.checks());
}

#[test]
fn a_password_in_an_address_is_not_said() {
    for url in ["ftp://me:secret@host/", "me:sec@ret@host", "http://me:secret@ho st/"] {
        let said = parse(&format!("[check.a]\nkind = \"http\"\nurl = \"{url}\"")).unwrap_err().to_string();
        assert!(said.contains("is meant") && !said.contains("sec") && !said.contains("ret"), "{said}");
    }
}

#[test]
fn more_checks_than_can_be_run_are_a_failure() {
    let machine = Machine::new();
    for number in 0..golden_checks::MAX_CHECKS + 5 {
        machine.put(&format!("{WANTED}/{number}"), "", 0o755);
    }
    let checks = machine.checks();
    assert_eq!(checks.len(), golden_checks::MAX_CHECKS);
    assert_eq!((&*checks[0].name, checks[0].is_required()), ("too-many-checks", true));
    let many: Vec<String> =
        (0..300).map(|number| format!("[check.a{number}]\nkind = \"no-failed-units\"\n")).collect();
    assert!(parse(&many.concat()).unwrap_err().to_string().contains("300 checks"));
}

proptest! {
    #[test]
    fn any_text_is_settings_or_one_line_about_them(
        text in "((\\[(check|drop_in)\\.[a-c]\\]|kind|url|path|command|retries|=|\"|http|-?[0-9]{1,20}|\\[|\\]|\\{|\\.|\n|\\PC)){0,40}"
    ) {
        if let Err(problem) = parse(&text) {
            prop_assert!(!problem.to_string().is_empty());
        }
    }
}
