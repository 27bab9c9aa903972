//! A switch of the running system, watched by the real program on a machine below a directory.

#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fs2::FileExt as _;
use serde_json::Value;

#[path = "../../host/tests/machine/mod.rs"]
mod machine;

use machine::{LEDGER, Machine, kernel, status, toplevel};

const CONFIRM: &str = env!("CARGO_BIN_EXE_golden-confirm");
const LIVE: &str = env!("CARGO_BIN_EXE_golden-live");
const MARK: &str = env!("CARGO_BIN_EXE_golden-mark-pending");
const ASSESS: &str = env!("CARGO_BIN_EXE_golden-assess");
const PROBATION: &str = env!("CARGO_BIN_EXE_golden-probation");
const SETTINGS: &str = "/etc/golden-generation/checks.toml";
const LOCK: &str = "/run/nixos/switch-to-configuration.lock";
const RUNNING: &str = "/run/current-system";
const PROFILE: &str = "/nix/var/nix/profiles/system";

/// No disk has that much room.
const FAILS: &str = "settle_secs = 0\n[check.room]\nkind = \"disk-space\"\npath = \"/\"\nfree_bytes = 9000000000000000000\nretries = 0\n";

/// Every disk has that much.
const PASSES: &str =
    "settle_secs = 0\n[check.room]\nkind = \"disk-space\"\npath = \"/\"\nfree_bytes = 1\nretries = 0\n";

/// What programs of the machine do, for whoever runs them in it.
const CHROOT: &str = r#"#!/bin/sh
root=$1 program=$2
shift 2
echo "$program $*" >>"$root/ran"
case $program in
env) shift; ROOT=$root exec "$root$1" "$2" ;;
nix-env) ln -sfn "$4" "$root/nix/var/nix/profiles/system" ;;
journalctl) cat "$root/journal" 2>/dev/null; true ;;
systemctl) case $* in list-units*) cat "$root/failed" 2>/dev/null ;; show*ExecStart*) cat "$root/exec-start" 2>/dev/null ;; show*boot-complete.target) cat "$root/boot-complete" 2>/dev/null ;; esac; true ;;
kill) exec kill "$@" ;;
loginctl) cat "$root/$1" 2>/dev/null; true ;;
wall) echo "$1" >>"$root/wall" ;;
esac
"#;

/// Holds the lock, and becomes what runs, with its own checks.
const ACTIVATES: &str = r#"#!/bin/sh
mkdir -p "$ROOT/run/nixos" "$ROOT/etc/golden-generation"
exec 9>>"$ROOT/run/nixos/switch-to-configuration.lock"
flock --nonblock 9 || exit 1
system=${0%/bin/switch-to-configuration}
ln -sfn "${system#"$ROOT"}" "$ROOT/run/current-system"
cp "$system/checks.toml" "$ROOT/etc/golden-generation/checks.toml"
"#;

/// A machine on which `a` runs and is known to work. The window is short.
fn up() -> Machine {
    let machine = Machine::installed();
    script(&machine, "/stubs/chroot", CHROOT);
    install(&machine, "c");
    for system in ["a", "b", "c"] {
        script(&machine, &format!("{}/bin/switch-to-configuration", toplevel(system)), ACTIVATES);
        checks(&machine, system, PASSES);
    }
    configure(&machine, "window_secs = 8\nactivation_secs = 60\n");
    machine.put(SETTINGS, PASSES.as_bytes());
    becomes(&machine, RUNNING, "a");
    assert_eq!(status(&run(&machine, CONFIRM, &[])).0, 0);
    machine
}

fn configure(machine: &Machine, live: &str) {
    machine.put("/etc/golden-generation/config.toml", format!("[live]\n{live}").as_bytes());
}

/// What has to be so for `system` to work.
fn checks(machine: &Machine, system: &str, settings: &str) {
    machine.put(&format!("{}/checks.toml", toplevel(system)), settings.as_bytes());
}

/// One more system, with a boot entry.
fn install(machine: &Machine, system: &str) {
    let top = toplevel(system);
    machine.put(&format!("{top}/init"), b"");
    let initrd = format!("initrd of {system}").into_bytes();
    for (file, bytes) in [("kernel", kernel(system)), ("initrd", initrd)] {
        machine.put(&format!("{top}/{file}"), &bytes);
        machine.put(&format!("/boot/EFI/nixos/{system}-{file}.efi"), &bytes);
    }
    let entry = machine.text("/boot/loader/entries/nixos-b.conf");
    let entry = entry.replace(&toplevel("b"), &top).replace("/b-", &format!("/{system}-"));
    machine.put(&format!("/boot/loader/entries/nixos-{system}.conf"), entry.as_bytes());
}

fn script(machine: &Machine, path: &str, text: &str) {
    machine.put(path, text.as_bytes());
    fs::set_permissions(machine.at(path), fs::Permissions::from_mode(0o755)).unwrap();
}

fn becomes(machine: &Machine, link: &str, system: &str) {
    let _ = fs::remove_file(machine.at(link));
    machine.link(link, &toplevel(system));
}

fn runs(machine: &Machine, system: &str) -> bool {
    fs::read_link(machine.at(RUNNING)).unwrap() == Path::new(&toplevel(system))
}

fn command(machine: &Machine, program: &str, arguments: &[&str]) -> Command {
    let path = format!("{}:{}", machine.at("/stubs").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(program);
    command.arg("--root").arg(machine.root()).args(arguments).stdin(Stdio::null()).env("PATH", path);
    command
}

fn run(machine: &Machine, program: &str, arguments: &[&str]) -> Output {
    command(machine, program, arguments).output().unwrap()
}

/// The installer of `system` has run, and marks.
fn mark(machine: &Machine, system: &str) {
    becomes(machine, PROFILE, system);
    let conf = format!("timeout 3\ndefault nixos-{system}.conf\n");
    machine.put("/boot/loader/loader.conf", conf.as_bytes());
    let mut mark = command(machine, MARK, &[&toplevel(system)]);
    let marked = mark.env("NIXOS_ACTION", "switch").output().unwrap();
    assert_eq!(status(&marked).0, 0, "{}", status(&marked).1);
}

/// The same, and it was activated.
fn switch(machine: &Machine, system: &str) {
    mark(machine, system);
    activate(machine, system);
}

fn activate(machine: &Machine, system: &str) {
    let program = machine.at(&format!("{}/bin/switch-to-configuration", toplevel(system)));
    assert!(Command::new(program).env("ROOT", machine.root()).status().unwrap().success());
}

fn watch(machine: &Machine) {
    let (code, said) = status(&run(machine, LIVE, &[]));
    assert_eq!(code, 0, "{said}");
}

/// It goes on while the test does.
fn watching(machine: &Machine) -> Child {
    command(machine, LIVE, &[]).stderr(Stdio::null()).spawn().unwrap()
}

fn ends(mut watching: Child) {
    assert!(watching.wait().unwrap().success());
}

/// Wait until it is so; a minute at most.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} never comes");
        thread::sleep(Duration::from_millis(50));
    }
}

fn ledger(machine: &Machine) -> Value {
    serde_json::from_str(&machine.text(LEDGER)).unwrap()
}

fn is_quarantined(machine: &Machine, system: &str) -> bool {
    let ledger = ledger(machine);
    let all = ledger["quarantine"].as_array().unwrap();
    all.iter().any(|one| one["toplevel"] == toplevel(system).as_str())
}

/// It has failed once, and may be tried once more.
fn is_undecided(machine: &Machine, system: &str) -> bool {
    let ledger = ledger(machine);
    let all = ledger["undecided"].as_array().unwrap();
    !is_quarantined(machine, system) && all.iter().any(|one| one["toplevel"] == toplevel(system).as_str())
}

/// Nothing is watched any more, and the next boot tries `trial`.
fn is_over(machine: &Machine, trial: Option<&str>) {
    let ledger = ledger(machine);
    assert_eq!(ledger["live"], Value::Null);
    let armed = ledger["trial"]["toplevel"].as_str().filter(|_| ledger["trial"]["arming"] == "armed");
    assert_eq!(armed, trial.map(toplevel).as_deref(), "{ledger}");
}

fn profile_is(machine: &Machine, system: &str) -> bool {
    fs::read_link(machine.at(PROFILE)).unwrap() == Path::new(&toplevel(system))
}

fn is_going_back(machine: &Machine) -> bool {
    ledger(machine)["live"]["phase"] == "going-back"
}

#[test]
fn what_works_is_a_trial_of_the_next_boot_and_what_does_not_is_left() {
    let machine = up();
    switch(&machine, "b");
    watch(&machine);
    assert!(runs(&machine, "b"));
    is_over(&machine, Some("b"));

    let machine = up();
    checks(&machine, "b", FAILS);
    switch(&machine, "b");
    watch(&machine);
    assert!(runs(&machine, "a") && profile_is(&machine, "a"));
    assert!(is_quarantined(&machine, "b"));
    is_over(&machine, None);
}

#[test]
fn what_one_switch_has_failed_of_excuses_nothing_in_the_next_one() {
    let machine = up();
    for system in ["b", "c"] {
        checks(&machine, system, FAILS);
        switch(&machine, system);
        watch(&machine);
        assert!(runs(&machine, "a"));
        assert!(is_quarantined(&machine, system), "{system}");
    }
    // What fails on what runs again is known by then, and says nothing against what comes next.
    let machine = up();
    for system in ["a", "b", "c"] {
        checks(&machine, system, FAILS);
    }
    switch(&machine, "b");
    watch(&machine);
    assert!(is_quarantined(&machine, "b"));
    switch(&machine, "c");
    watch(&machine);
    assert!(runs(&machine, "c"));
    is_over(&machine, Some("c"));
}

#[test]
fn what_settles_longer_than_its_window_is_not_failed_for_that() {
    let machine = up();
    checks(&machine, "b", &PASSES.replace("settle_secs = 0", "settle_secs = 600"));
    switch(&machine, "b");
    watch(&machine);
    is_over(&machine, Some("b"));
}

#[test]
fn a_switch_that_comes_while_another_one_is_taken_back_is_watched() {
    let machine = up();
    checks(&machine, "b", FAILS);
    // What ran before cannot be activated at once.
    script(&machine, &format!("{}/bin/switch-to-configuration", toplevel("a")), "#!/bin/sh\nexit 1\n");
    switch(&machine, "b");
    let watching = watching(&machine);
    until("the way back", || is_going_back(&machine));
    // systemd does not start what runs already.
    checks(&machine, "c", FAILS);
    thread::sleep(Duration::from_secs(1));
    switch(&machine, "c");
    script(&machine, &format!("{}/bin/switch-to-configuration", toplevel("a")), ACTIVATES);
    ends(watching);
    assert!(is_quarantined(&machine, "c"), "nobody has looked at it");
    assert!(runs(&machine, "a"));
    is_over(&machine, None);
}

/// `system` was confirmed here before.
fn is_known(machine: &Machine, system: &str) {
    let mut ledger = ledger(machine);
    let confirmed = ledger["confirmed"].as_array_mut().unwrap();
    confirmed.insert(0, serde_json::json!({"toplevel": toplevel(system)}));
    machine.put(LEDGER, ledger.to_string().as_bytes());
}

#[test]
fn a_later_switch_to_what_is_known_to_work_is_not_undone() {
    for later in ["a", "c"] {
        let machine = up();
        is_known(&machine, "c");
        checks(&machine, "b", FAILS);
        switch(&machine, "b");
        let watching = watching(&machine);
        thread::sleep(Duration::from_secs(2));
        switch(&machine, later);
        ends(watching);
        assert!(runs(&machine, later) && profile_is(&machine, later), "{later}");
        assert!(!is_quarantined(&machine, "b"), "it had no verdict");
        assert_eq!(ledger(&machine)["rolled_back"], Value::Null);
        is_over(&machine, None);
    }
}

#[test]
fn what_somebody_tests_in_the_window_runs_on() {
    let machine = up();
    checks(&machine, "b", FAILS);
    switch(&machine, "b");
    let watching = watching(&machine);
    thread::sleep(Duration::from_secs(2));
    activate(&machine, "c");
    ends(watching);
    assert!(runs(&machine, "c"));
    is_over(&machine, Some("b"));
}

/// Somebody holds the lock of activations for longer than anybody waits for it.
fn hold(machine: &Machine, secs: u64) -> thread::JoinHandle<()> {
    machine.put(LOCK, b"");
    let lock = fs::File::options().append(true).open(machine.at(LOCK)).unwrap();
    lock.try_lock_exclusive().unwrap();
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(secs));
        drop(lock);
    })
}

#[test]
fn what_was_never_activated_waits_for_its_boot() {
    let machine = up();
    mark(&machine, "b");
    let held = hold(&machine, 12);
    watch(&machine);
    held.join().unwrap();
    assert!(runs(&machine, "a"));
    assert!(!is_quarantined(&machine, "b"));
    is_over(&machine, Some("b"));
}

#[test]
fn what_ended_half_way_is_taken_back() {
    let machine = up();
    mark(&machine, "b");
    machine.put("/journal", format!("switching to system configuration {}\n", toplevel("b")).as_bytes());
    let held = hold(&machine, 12);
    watch(&machine);
    held.join().unwrap();
    assert!(is_undecided(&machine, "b"));
    is_over(&machine, None);

    // The same with its name on what runs, and units that it stopped and did not start again.
    let machine = up();
    switch(&machine, "b");
    machine.put("/run/nixos/start-list", b"sshd.service\n");
    watch(&machine);
    assert!(runs(&machine, "a"));
    assert!(is_undecided(&machine, "b"));
    // It may have been nobody's fault, once.
    switch(&machine, "b");
    watch(&machine);
    assert!(runs(&machine, "a"));
    assert!(is_quarantined(&machine, "b"));
}

/// `switch-to-configuration` has said that units failed, and these still do.
fn failed_units(machine: &Machine, units: &str) {
    let begins = format!("switching to system configuration {}", toplevel("b"));
    machine.put("/journal", format!("{begins}\n{begins} failed (status 4)\n").as_bytes());
    machine.put("/failed", units.as_bytes());
}

#[test]
fn a_unit_that_fails_in_the_activation_has_the_window_to_recover() {
    let machine = up();
    switch(&machine, "b");
    failed_units(&machine, "acme.service loaded failed failed Certificates\n");
    let watching = watching(&machine);
    thread::sleep(Duration::from_secs(2));
    machine.put("/failed", b"");
    ends(watching);
    assert!(runs(&machine, "b"));
    is_over(&machine, Some("b"));

    let machine = up();
    switch(&machine, "b");
    failed_units(&machine, "web.service loaded failed failed Pages\n");
    watch(&machine);
    assert!(runs(&machine, "a"));
    assert!(is_undecided(&machine, "b"));
    is_over(&machine, None);
}

#[test]
fn a_unit_that_may_fail_and_one_that_waits_for_the_network_do_not_take_a_switch_back() {
    for unit in [
        "backup.service",
        "NetworkManager-wait-online.service",
        "systemd-networkd-wait-online.service",
        "systemd-networkd-wait-online@eth7.service",
    ] {
        let machine = up();
        configure(&machine, "window_secs = 8\nactivation_secs = 60\nexcept = [\"backup\"]\n");
        switch(&machine, "b");
        failed_units(&machine, &format!("{unit} loaded failed failed Something\n"));
        watch(&machine);
        assert!(runs(&machine, "b"), "{unit}");
        is_over(&machine, Some("b"));
    }
}

#[test]
fn a_switch_that_starts_the_checks_of_a_boot_has_them_neither_run_nor_fail_nor_told() {
    let told = |machine: &Machine| {
        machine.text("/var/lib/golden-generation/history.jsonl").contains("\"event\":\"checks-failed\"")
    };
    // The switch is to another system than the booted one, and is not watched; or back to it, and the boot has completed.
    for (running, completed) in [("b", &b"inactive\n"[..]), ("a", b"active\n")] {
        let machine = up();
        machine.put(SETTINGS, FAILS.as_bytes());
        becomes(&machine, RUNNING, running);
        machine.put("/boot-complete", completed);
        let (code, said) = status(&run(&machine, ASSESS, &[]));
        assert_eq!((code, &*said), (0, ""), "{running}");
        assert!(!told(&machine) && !machine.at("/run/golden-generation/assessment.json").exists());
    }
    // The boot itself.
    let machine = up();
    machine.put(SETTINGS, FAILS.as_bytes());
    machine.put("/boot-complete", b"inactive\n");
    assert_eq!(status(&run(&machine, ASSESS, &[])).0, 69);
    assert!(told(&machine));
}

#[test]
fn an_owner_who_watches_first_has_nothing_taken_back() {
    let machine = up();
    checks(&machine, "b", &format!("report_only = true\n{FAILS}"));
    switch(&machine, "b");
    machine.put("/run/nixos/start-list", b"sshd.service\n");
    watch(&machine);
    assert!(runs(&machine, "b"));
    is_over(&machine, Some("b"));
}

#[test]
fn whoever_kills_what_watches_again_and_again_does_not_keep_a_switch() {
    let machine = up();
    switch(&machine, "b");
    let killed = |times: u32| {
        machine.put("/run/golden-generation/live-watches", format!("{} {times}\n", toplevel("b")).as_bytes());
    };
    killed(5);
    watch(&machine);
    assert!(runs(&machine, "a"));
    assert!(is_undecided(&machine, "b"));
    is_over(&machine, None);
    // The next switch to it is another one.
    switch(&machine, "b");
    watch(&machine);
    assert!(runs(&machine, "b"));
}

#[test]
fn settings_that_only_a_newer_version_understands_are_read_by_that_in_its_boot() {
    for (program, goes_back) in [("/nix/store/newer/bin/golden-live", false), (LIVE, true)] {
        let machine = up();
        machine.put("/exec-start", format!("{{ path={program} ; argv[]={program} ; }}\n").as_bytes());
        checks(&machine, "b", "key_of_a_later_year = 1\n");
        switch(&machine, "b");
        watch(&machine);
        assert_eq!(runs(&machine, "a"), goes_back, "{program}");
        assert_eq!(is_quarantined(&machine, "b"), goes_back, "{program}");
        is_over(&machine, (!goes_back).then_some("b"));
    }
}

#[test]
fn an_activation_that_hangs_is_ended_and_what_ran_before_runs_again() {
    let machine = up();
    configure(&machine, "window_secs = 8\nactivation_secs = 1\n");
    let hangs = ACTIVATES.to_owned() + "sleep 1000 &\necho $! >\"$ROOT/child\"\nwait\n";
    script(&machine, &format!("{}/bin/switch-to-configuration", toplevel("b")), &hangs);
    mark(&machine, "b");
    let program = machine.at(&format!("{}/bin/switch-to-configuration", toplevel("b")));
    let mut hanging = Command::new(program).env("ROOT", machine.root()).spawn().unwrap();
    until("the activation", || machine.at("/child").exists() && runs(&machine, "b"));
    let (parent, child) = (hanging.id().to_string(), machine.text("/child").trim().to_owned());
    // As proc(5) has it, below the directory.
    machine.link(&format!("/proc/{parent}/fd/9"), LOCK);
    machine.put(&format!("/proc/{parent}/stat"), format!("{parent} (a) b) S 1 1").as_bytes());
    machine.put(&format!("/proc/{child}/stat"), format!("{child} (sleep) S {parent} 1").as_bytes());
    machine.put("/proc/1/stat", b"1 (systemd) S 0 1");
    watch(&machine);
    assert!(!hanging.wait().unwrap().success());
    assert!(fs::read_link(format!("/proc/{child}/exe")).is_err(), "what it started goes on");
    assert!(runs(&machine, "a"));
    assert!(is_undecided(&machine, "b"));
    is_over(&machine, None);
}

#[test]
fn what_ran_before_is_not_waited_for_without_end() {
    let machine = up();
    configure(&machine, "window_secs = 8\nactivation_secs = 2\n");
    let hangs = ACTIVATES.to_owned() + "exec sleep 1000\n";
    script(&machine, &format!("{}/bin/switch-to-configuration", toplevel("a")), &hangs);
    checks(&machine, "b", FAILS);
    switch(&machine, "b");
    watch(&machine);
    assert!(runs(&machine, "a"));
    is_over(&machine, None);
}

#[test]
fn a_disk_that_takes_nothing_does_not_keep_the_network_cut() {
    let machine = up();
    checks(&machine, "b", FAILS);
    switch(&machine, "b");
    // Nothing can be written beside the ledger.
    let in_the_way = "/var/lib/golden-generation/.ledger.json.new";
    machine.put(&format!("{in_the_way}/file"), b"");
    let before = machine.text(LEDGER);
    assert_ne!(status(&run(&machine, LIVE, &[])).0, 0);
    assert_eq!(machine.text(LEDGER), before, "it could be written");
    assert!(runs(&machine, "a"));

    // The system profile cannot be set: that is tried again, and the activation is not.
    let machine = up();
    script(&machine, "/stubs/chroot", &CHROOT.replace("nix-env) ", "nix-env) exit 1;"));
    checks(&machine, "b", FAILS);
    switch(&machine, "b");
    let mut watching = watching(&machine);
    until("what ran before", || runs(&machine, "a"));
    thread::sleep(Duration::from_secs(1));
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert!(is_going_back(&machine), "that is not done yet");
    let activated = machine.text("/ran").lines().filter(|line| line.ends_with(" test")).count();
    assert_eq!(activated, 1);
}

#[test]
fn a_gateway_that_was_out_of_reach_before_is_no_proof_against_a_switch() {
    let machine = up();
    configure(&machine, "window_secs = 8\nproof = \"gateway\"\n");
    machine.put("/proc/net/route", b"Iface\tDestination\tGateway\n");
    switch(&machine, "b");
    watch(&machine);
    is_over(&machine, Some("b"));
}

#[test]
fn who_shuts_down_says_what_becomes_of_a_switch() {
    let machine = up();
    checks(&machine, "b", FAILS);
    switch(&machine, "b");
    let stopping =
        CHROOT.replace("systemctl) case $* in", "systemctl) case $* in is-system-running) echo stopping ;;");
    script(&machine, "/stubs/chroot", &stopping);
    let mut watching = watching(&machine);
    thread::sleep(Duration::from_secs(12));
    assert!(watching.try_wait().unwrap().is_none());
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert_eq!(ledger(&machine)["live"]["phase"], "proving");
}

#[test]
fn what_fails_in_probation_because_of_a_switch_is_no_late_failure() {
    let late = |machine: &Machine| {
        let history = machine.text("/var/lib/golden-generation/history.jsonl");
        history.contains("\"event\":\"failed-late\"")
    };
    let machine = up();
    machine.put(SETTINGS, format!("probation_secs = 1\n{FAILS}").as_bytes());
    let held = hold(&machine, 12);
    let (code, said) = status(&run(&machine, PROBATION, &[]));
    assert_eq!(code, 0, "{said}");
    assert!(!late(&machine));
    held.join().unwrap();
    assert_eq!(status(&run(&machine, PROBATION, &[])).0, 69);
    assert!(late(&machine));
}

#[test]
fn a_reboot_after_a_late_failure_waits_for_a_user_no_longer_than_the_owner_says() {
    let went_back = |machine: &Machine| ledger(machine)["rollback"]["from"] == toplevel("b").as_str();
    let machine = up();
    switch(&machine, "b");
    watch(&machine);
    machine.boot(2, "b");
    becomes(&machine, RUNNING, "b");
    assert_eq!(status(&run(&machine, CONFIRM, &[])).0, 0);
    machine.put("/etc/golden-generation/config.toml", b"reboot_hold_secs = 4\n");
    machine.put(SETTINGS, format!("probation_secs = 1\nlate_failure = \"roll-back\"\n{FAILS}").as_bytes());
    machine.put("/list-sessions", b"     3 1000 alice seat0 812 user tty1 no -\n");
    machine.put("/show-session", b"Name=alice\nTTY=tty1\nClass=user\nState=active\n");
    let began = Instant::now();
    let mut waiting = command(&machine, PROBATION, &[]).spawn().unwrap();
    while !machine.at("/wall").exists() {
        assert!(waiting.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(20));
    }
    assert!(!went_back(&machine) && machine.text("/wall").contains("waits for alice on tty1"));
    waiting.wait().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(3) && went_back(&machine));
    assert!(!machine.at("/run/golden-generation/reboot-hold.json").exists());
}
