//! What systemd says while the machine goes down.

use std::path::Path;

use golden_core::{Shutdown, ShutdownSeen};

use crate::{Error, Host};

/// Values of `FailureAction=` and `StartLimitAction=` that leave the machine running.
const HARMLESS: [&str; 2] = ["", "none"];

/// How the machine goes down; `None` while it does not.
pub(crate) fn shutdown(host: &dyn Host) -> Result<Option<ShutdownSeen>, Error> {
    if systemctl(host, &["is-system-running"])?.trim() != "stopping" {
        return Ok(None);
    }
    let kind = kind(&systemctl(host, &["list-jobs", "--no-legend", "--plain"])?);
    let properties = "--property=Id,ActiveState,Result,FailureAction,StartLimitAction";
    let failed_units = fatal_units(&systemctl(host, &["show", properties, "*"])?);
    Ok(Some(ShutdownSeen { kind, failed_units }))
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
    fn the_target_of_the_transaction_is_the_kind() {
        assert_eq!(kind("12 poweroff.target start waiting\n13 x.service stop running\n"), Shutdown::Poweroff);
        assert_eq!(kind("12 reboot.target start waiting\n"), Shutdown::Reboot);
    }
}
