//! What systemd says of units.

use std::process::{Command, Stdio};

use super::Answer;

/// Our own programs judge; their failures are not what is judged.
const OURS: &str = "golden-";

/// Whether a unit is active. Source: `systemctl(1)`, "show"; `org.freedesktop.systemd1(5)`, "`ActiveState`".
pub(super) fn active(unit: &str) -> Answer {
    let properties = "--property=LoadState,ActiveState,SubState,Result,UnitFileState";
    let show = match systemctl(&["show", properties, "--", unit]) {
        Ok(show) => show,
        Err(why) => return Answer::failed(why),
    };
    let property = |name: &str| {
        show.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
            .to_owned()
    };
    let (load, active, sub) = (property("LoadState"), property("ActiveState"), property("SubState"));
    let units = vec![unit.to_owned()];
    if load == "not-found" {
        return Answer { units, ..Answer::failed(format!("there is no {unit}")) };
    }
    match active.as_str() {
        "active" | "reloading" | "refreshing" => Answer::passed(format!("{unit} is active ({sub})")),
        "failed" => {
            let result = property("Result");
            Answer { output: status(unit), units, ..Answer::failed(format!("{unit} has failed ({result})")) }
        }
        "" => Answer { units, ..Answer::failed(format!("systemd does not say how {unit} is")) },
        other => Answer { units, ..Answer::failed(format!("{unit} is {other} ({sub})")) },
    }
}

/// Whether no unit has failed, but for the excepted ones.
pub(super) fn none_failed(except: &[String]) -> Answer {
    let list = match systemctl(&["list-units", "--state=failed", "--all", "--full", "--no-legend", "--plain"])
    {
        Ok(list) => list,
        Err(why) => return Answer::failed(why),
    };
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    let counts = |unit: &&str| !unit.starts_with(OURS) && !except.iter().any(|excepted| excepted == unit);
    let units: Vec<String> = names.filter(counts).map(str::to_owned).collect();
    match &units[..] {
        [] => Answer::passed("no unit has failed"),
        [unit] => {
            let (said, output) = (format!("{unit} has failed"), status(unit));
            Answer { output, units, ..Answer::failed(said) }
        }
        several => {
            let said = format!("{} units have failed: {}", several.len(), several.join(", "));
            let output = several.iter().take(3).map(|unit| status(unit)).collect::<Vec<_>>().join("\n\n");
            Answer { output: last(&output), units, ..Answer::failed(said) }
        }
    }
}

/// What an owner would look at next.
fn status(unit: &str) -> String {
    last(&systemctl(&["status", "--no-pager", "--full", "--lines=10", "--", unit]).unwrap_or_default())
}

/// As much as a finding may have.
fn last(text: &str) -> String {
    let mut tail = crate::tail::Tail::new(4096);
    tail.push(text.as_bytes());
    tail.text()
}

/// What `systemctl` prints. Its exit status says how the system is, not whether the answer is good; an answer is never empty
/// when it is asked to show something, and a list of nothing is empty and good.
fn systemctl(arguments: &[&str]) -> Result<String, String> {
    let run = Command::new("systemctl").args(arguments).stdin(Stdio::null()).output();
    let output = run.map_err(|error| format!("cannot run systemctl: {error}"))?;
    let is_status = arguments.first() == Some(&"status");
    if output.status.success() || is_status {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("systemctl failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
