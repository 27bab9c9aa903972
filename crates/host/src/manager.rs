//! What systemd says while the machine goes down.

use std::path::{Path, PathBuf};
use std::time::Duration;

use golden_core::{Shutdown, ShutdownSeen};

use crate::system::EFI_VARIABLES;
use crate::{Error, Host, Limits};

/// Source: the kernel's documentation, "sysfs-class-watchdog".
const WATCHDOGS: &str = "/sys/class/watchdog";
/// Values of `FailureAction=` and `StartLimitAction=` that leave the machine running.
const HARMLESS: [&str; 2] = ["", "none"];

/// Through these a login starts what requires `sysinit.target`, which ends emergency mode, waits for what never comes, and
/// takes sshd down when it fails again.
const LEAVE_EMERGENCY: [&str; 3] = ["dbus.service", "nix-daemon.socket", "systemd-logind.service"];

/// How the machine goes down; `None` while it does not.
pub(crate) fn shutdown(host: &dyn Host) -> Result<Option<ShutdownSeen>, Error> {
    if systemctl(host, &["is-system-running"])?.trim() != "stopping" {
        return Ok(None);
    }
    let kind = kind(&systemctl(host, &["list-jobs", "--no-legend", "--plain"])?);
    let properties = "--property=Id,ActiveState,Result,FailureAction,StartLimitAction";
    let failed_units = fatal_units(&systemctl(host, &["show", properties, "*"])?);
    Ok(Some(ShutdownSeen { kind, failed_units, goes_elsewhere: firmware_goes_elsewhere(host) }))
}

/// The next start; the kind of the shutdown before it is unknown.
pub(crate) fn next_start(host: &dyn Host) -> ShutdownSeen {
    let goes_elsewhere = firmware_goes_elsewhere(host);
    ShutdownSeen { kind: Shutdown::Other, failed_units: Vec::new(), goes_elsewhere }
}

/// Whether the firmware was asked for another boot option once, for its set-up, or for an update of itself. Source: UEFI
/// specification, "Globally Defined Variables". Linux shows four bytes of attributes before the value.
fn firmware_goes_elsewhere(host: &dyn Host) -> bool {
    let value = |name: &str| {
        let path = format!("{EFI_VARIABLES}/{name}-8be4df61-93ca-11d2-aa0d-00e098032b8c");
        host.read(Path::new(&path)).ok()?.get(4..).map(<[u8]>::to_vec)
    };
    let is_asked = |indications: Vec<u8>| indications.iter().any(|byte| *byte != 0);
    value("BootNext").is_some() || value("OsIndications").is_some_and(is_asked)
}

/// What is in force on the running machine against failures that need help from outside of userspace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct SafetyNet {
    /// Whether a panic reboots the machine, and does not wait for a person.
    pub panic_reboots: bool,
    /// Whether a dead initrd panics, or reboots.
    pub initrd_panics: bool,
    /// Name of the hardware watchdog; `None` where there is none but the kernel's own.
    pub watchdog: Option<String>,
    /// Whether systemd feeds it, so that a wedged kernel or manager is reset.
    pub watchdog_is_fed: bool,
    /// Whether it guards a shutdown as well.
    pub guards_shutdown: bool,
}

/// Source: `systemd-system.conf(5)`, the kernel's documentation, and NixOS's `stage-1-init.sh`.
pub(crate) fn safety_net(host: &dyn Host) -> Result<SafetyNet, Error> {
    let text = |path: &str| {
        let bytes = host.read(Path::new(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    };
    let cmdline = text("/proc/cmdline");
    let words: Vec<&str> = cmdline.split_ascii_whitespace().collect();
    let show = systemctl(host, &["show", "--property=RuntimeWatchdogUSec,RebootWatchdogUSec"])?;
    let is_set = |name: &str| {
        let value = show.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.is_some_and(|value| !matches!(value, "0" | "" | "infinity" | "[not set]"))
    };
    let watchdogs = host.list(Path::new(WATCHDOGS)).unwrap_or_default();
    let identity =
        |name: &std::ffi::OsString| text(&format!("{WATCHDOGS}/{}/identity", name.to_string_lossy()));
    let watchdog = watchdogs.iter().map(identity).find(|name| name != "Software Watchdog");
    Ok(SafetyNet {
        panic_reboots: !matches!(text("/proc/sys/kernel/panic").as_str(), "" | "0"),
        initrd_panics: ["boot.panic_on_fail", "stage1panic", "stage1panic=1"]
            .iter()
            .any(|word| words.contains(word)),
        watchdog_is_fed: watchdog.is_some() && is_set("RuntimeWatchdogUSec"),
        guards_shutdown: watchdog.is_some() && is_set("RebootWatchdogUSec"),
        watchdog,
    })
}

/// Have the switch that is about to change the running system watched, before it does.
pub(crate) fn watch_live(host: &dyn Host) -> Result<(), Error> {
    let start = ["--no-block", "start", "golden-live.service"];
    let said = host.run(Path::new("systemctl"), &start).map_err(Error::io("run", "systemctl"))?;
    if said.success { Ok(()) } else { Err(Error::NotWatched(said.stderr)) }
}

/// Whether the caller waits for the unit that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It does.
    UntilDone,
    /// It does not.
    No,
}

/// Have golden's boot entry installed again, by a unit in which an installer can run.
pub(crate) fn list_golden(host: &dyn Host, wait: Wait) -> Result<(), Error> {
    let unit = "golden-profile.service";
    let arguments: &[&str] = match wait {
        Wait::UntilDone => &["start", unit],
        Wait::No => &["--no-block", "start", unit],
    };
    let said = host.run(Path::new("systemctl"), arguments).map_err(Error::io("run", "systemctl"))?;
    if said.success {
        Ok(())
    } else {
        Err(Error::Program { program: "systemctl".to_owned(), stderr: said.stderr })
    }
}

/// The program of a service; `None` where systemd names none.
pub(crate) fn program_of(host: &dyn Host, unit: &str) -> Option<PathBuf> {
    // `{ path=/usr/bin/golden-live ; argv[]=… }`
    let show = systemctl(host, &["show", "--property=ExecStart", "--value", unit]).ok()?;
    show.split_once("path=")?.1.split_whitespace().next().map(PathBuf::from)
}

/// Have the checks looked at, before a switch: what fails already is not its doing. Where there are none, nothing is started.
pub(crate) fn take_baseline(host: &dyn Host) -> Result<(), Error> {
    const LIMITS: Limits = Limits { time: Duration::from_secs(40), output_bytes: 4096 };
    let start = ["start", "golden-baseline.service"];
    let said =
        host.run_within(LIMITS, Path::new("systemctl"), &start).map_err(Error::io("run", "systemctl"))?;
    if said.status == Some(0) {
        Ok(())
    } else {
        Err(Error::Program { program: "systemctl".to_owned(), stderr: said.stderr })
    }
}

/// Units that have failed, and are none of ours.
pub(crate) fn failed_units(host: &dyn Host) -> Result<Vec<String>, Error> {
    let mut units = failed(host)?;
    units.retain(|unit| !unit.starts_with("golden-"));
    units.truncate(MAX_FAILED_UNITS);
    Ok(units)
}

/// Whether this boot has reached `boot-complete.target`. A switch starts an active target again, with the units that it newly requires.
/// Source: `systemd.special(7)`.
pub(crate) fn has_boot_completed(host: &dyn Host) -> Result<bool, Error> {
    let show = ["show", "--property=ActiveState", "--value", "boot-complete.target"];
    Ok(systemctl(host, &show)?.trim() == "active")
}

/// Whether this unit is active, as far as systemd can be asked.
pub(crate) fn is_active(host: &dyn Host, unit: &str) -> bool {
    let show = ["show", "--property=ActiveState", "--value", unit];
    systemctl(host, &show).is_ok_and(|state| state.trim() == "active")
}

/// Leave whatever is starting and go to what a person needs to help.
pub(crate) fn enter_safe_mode(host: &dyn Host) -> Result<(), Error> {
    const TARGET: &str = "golden-safe-mode.target";
    let run = |arguments: &[&str]| {
        host.run(Path::new("systemctl"), arguments).map_err(Error::io("run", "systemctl"))
    };
    if run(&["--no-block", "isolate", TARGET])?.success {
        return Ok(());
    }
    // Emergency mode that a failed mount asked for gives way to nothing: what safe mode wants comes up beside it. On NixOS
    // `network.target` wants the services that set addresses.
    let wants = systemctl(host, &["show", "--property=Wants", "--value", TARGET, "network.target"])?;
    let start = ["--no-block", "--job-mode=ignore-dependencies", "start"];
    let is_wanted = |unit: &&str| !unit.ends_with(".target") && !LEAVE_EMERGENCY.contains(unit);
    let units: Vec<&str> = wants.split_whitespace().filter(is_wanted).collect();
    // What a host does not have is not missed.
    run(&[&start[..], &units].concat())?;
    let said = run(&[&start[..], &["golden-safe-mode.service", TARGET]].concat())?;
    if said.success {
        Ok(())
    } else {
        Err(Error::Program { program: "systemctl".to_owned(), stderr: said.stderr })
    }
}

/// Units that keep a boot from its end: those that are still starting, then those that failed.
pub(crate) fn unfinished(host: &dyn Host) -> Result<Vec<String>, Error> {
    let jobs = systemctl(host, &["list-jobs", "--no-legend", "--plain"])?;
    let mut units = running_jobs(&jobs);
    units.extend(failed(host)?);
    Ok(first(units))
}

/// Units that led to emergency mode: those that failed, then those that the boot needs and that never came.
pub(crate) fn missing(host: &dyn Host) -> Result<Vec<String>, Error> {
    let mut units = failed(host)?;
    let targets = ["local-fs.target", "sysinit.target", "basic.target"];
    for target in targets {
        let required = systemctl(host, &["show", "--property=Requires", "--value", target])?;
        let required: Vec<&str> =
            required.split_whitespace().filter(|unit| !targets.contains(unit)).collect();
        if !required.is_empty() {
            let show = [&["show", "--property=Id,ActiveState"], &required[..]].concat();
            units.extend(inactive(&systemctl(host, &show)?));
        }
    }
    Ok(first(units))
}

/// Most units that are remembered as failed before a switch.
const MAX_FAILED_UNITS: usize = 256;
/// Most units that a cause names.
const MAX_UNITS: usize = 8;

/// Each once, and none of ours.
fn first(units: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for unit in units {
        if kept.len() < MAX_UNITS && !unit.starts_with("golden-") && !kept.contains(&unit) {
            kept.push(unit);
        }
    }
    kept
}

fn failed(host: &dyn Host) -> Result<Vec<String>, Error> {
    let list = systemctl(host, &["list-units", "--state=failed", "--no-legend", "--plain"])?;
    Ok(list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// `12 slow.service start running`; what only waits is not to blame.
fn running_jobs(jobs: &str) -> Vec<String> {
    let running = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words[..], [_, _, "start", "running"]).then(|| words[1].to_owned())
    };
    jobs.lines().filter_map(running).collect()
}

fn inactive(show: &str) -> Vec<String> {
    let unit = |block: &str| {
        let property = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        matches!(property("ActiveState")?, "inactive" | "failed")
            .then(|| property("Id").map(str::to_owned))?
    };
    show.split("\n\n").filter_map(unit).collect()
}

/// When userspace of this boot began, on the monotonic clock; `None` where systemd does not say. The time in the initrd
/// comes before it. Source: `org.freedesktop.systemd1(5)`, "`UserspaceTimestampMonotonic`".
pub(crate) fn userspace_began(host: &dyn Host) -> Result<Option<Duration>, Error> {
    let text = systemctl(host, &["show", "--property=UserspaceTimestampMonotonic", "--value"])?;
    let micros: Option<u64> = text.trim().parse().ok();
    Ok(micros.filter(|&micros| micros > 0).map(Duration::from_micros))
}

fn systemctl(host: &dyn Host, arguments: &[&str]) -> Result<String, Error> {
    // Its exit status says whether the system is well, not whether the answer is good.
    let output = host.run(Path::new("systemctl"), arguments).map_err(Error::io("run", "systemctl"))?;
    Ok(output.stdout)
}

/// From the jobs of the transaction that takes the machine down.
fn kind(jobs: &str) -> Shutdown {
    let units: Vec<&str> = jobs.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    [
        ("soft-reboot.target", Shutdown::SoftReboot),
        ("kexec.target", Shutdown::Kexec),
        ("poweroff.target", Shutdown::Poweroff),
        ("halt.target", Shutdown::Halt),
    ]
    .into_iter()
    .find(|(target, _)| units.contains(target))
    .map_or(Shutdown::Reboot, |(_, kind)| kind)
}

/// Units that failed and whose failure takes the machine down: then nobody asked for it.
fn fatal_units(show: &str) -> Vec<String> {
    show.split("\n\n").filter_map(fatal_unit).collect()
}

fn fatal_unit(block: &str) -> Option<String> {
    let property = |name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let acts = |name: &str| !HARMLESS.contains(&property(name));
    let limited = property("Result") == "start-limit-hit" && acts("StartLimitAction");
    let fatal = property("ActiveState") == "failed" && (acts("FailureAction") || limited);
    fatal.then(|| property("Id").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_unit_with_an_action_takes_the_machine_down() {
        let unit = |id: &str, state: &str, result: &str, failure: &str, limit: &str| {
            format!(
                "Id={id}\nActiveState={state}\nResult={result}\nFailureAction={failure}\nStartLimitAction={limit}\n"
            )
        };
        let show = [
            unit("bad.service", "failed", "exit-code", "reboot", "none"),
            unit("harmless.service", "failed", "exit-code", "none", "reboot"),
            unit("limited.service", "failed", "start-limit-hit", "none", "reboot-force"),
            unit("good.service", "active", "success", "reboot", "none"),
            "Id=basic.target\nActiveState=active\n".to_owned(),
        ]
        .join("\n");
        assert_eq!(fatal_units(&show), ["bad.service", "limited.service"]);
    }

    #[test]
    fn what_is_still_starting_keeps_a_boot_from_its_end() {
        let jobs =
            "1 multi-user.target start waiting\n2 slow.service start running\n3 old.service stop running\n";
        assert_eq!(running_jobs(jobs), ["slow.service"]);
    }

    #[test]
    fn what_is_required_and_not_there_led_to_emergency_mode() {
        let show = "Id=mnt.mount\nActiveState=inactive\n\nId=boot.mount\nActiveState=active\n\nId=var.mount\nActiveState=failed\n";
        assert_eq!(inactive(show), ["mnt.mount", "var.mount"]);
    }

    #[test]
    fn a_cause_names_few_units_each_once_and_none_of_ours() {
        let units = (0..20).map(|number| format!("{}.service", number / 2));
        let units = std::iter::once("golden-deadline.service".to_owned()).chain(units).collect();
        let named = first(units);
        assert_eq!(named.len(), MAX_UNITS);
        assert_eq!(named[..2], ["0.service", "1.service"]);
    }

    #[test]
    fn the_target_of_the_transaction_is_the_kind() {
        assert_eq!(kind("12 poweroff.target start waiting\n13 x.service stop running\n"), Shutdown::Poweroff);
        assert_eq!(kind("12 reboot.target start waiting\n"), Shutdown::Reboot);
    }
}
