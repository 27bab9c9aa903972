//! From which failures this machine comes back by itself.

use std::time::Duration;

use golden_host::SafetyNet;
use serde::Serialize;

/// Whether it does from one kind of failure.
#[derive(Serialize)]
pub(crate) struct Coverage {
    pub failure: &'static str,
    pub covered: bool,
    pub by: String,
}

/// What that depends on.
pub(crate) struct Machine {
    /// Whether there is a known-good generation with a boot entry, or why the loader cannot be asked.
    pub landing: Result<bool, String>,
    /// Why the loader boots nothing once.
    pub one_shot: Result<(), String>,
    /// What is in force, or why systemd cannot be asked.
    pub net: Result<SafetyNet, String>,
    pub deadline: Duration,
}

/// What there is for it, or what is missing.
type Means = Result<String, String>;

pub(crate) fn coverage(machine: &Machine) -> Vec<Coverage> {
    let landing = match &machine.landing {
        Ok(true) => Ok(()),
        Ok(false) => Err("there is nothing to come back to: run pin-golden".to_owned()),
        Err(error) => Err(error.clone()),
    };
    let one_shot = || {
        landing.clone()?;
        machine.one_shot.clone().map_err(|why| format!("the loader boots nothing once: {why}"))
    };
    let net = |is_in_force: fn(&SafetyNet) -> bool, by: &str, missing: &str| -> Means {
        match &machine.net {
            Ok(net) if is_in_force(net) => Ok(by.to_owned()),
            Ok(_) => Err(missing.to_owned()),
            Err(error) => Err(error.clone()),
        }
    };
    let panic = net(
        |net| net.panic_reboots,
        "the one-shot: the loader's default stays known-good; panic= reboots",
        "the kernel stops and waits: set panic=10 on its command line",
    );
    let initrd = net(
        |net| net.initrd_panics,
        "the one-shot, and boot.panic_on_fail",
        "a failed initrd waits for a person: set boot.panic_on_fail on the kernel's command line",
    );
    let secs = machine.deadline.as_secs();
    let counted = |by: String| landing.clone().map(|()| by);
    let wedged = net(
        |net| net.watchdog_is_fed,
        "the hardware watchdog",
        "no hardware watchdog is fed: set RuntimeWatchdogSec=, and see whether /sys/class/watchdog names one",
    );
    let shutdown = net(
        |net| net.guards_shutdown,
        "the hardware watchdog",
        "no hardware watchdog guards it: set RebootWatchdogSec=",
    );
    [
        ("a kernel panic", one_shot().and(panic)),
        ("a dead initrd", one_shot().and(initrd)),
        ("a failed unit with FailureAction=reboot", counted("counting failed boots".to_owned())),
        ("emergency mode", counted("a reboot after a countdown on the console".to_owned())),
        ("a boot that does not get to its end", counted(format!("the deadline of {secs} s"))),
        ("a wedged kernel or manager", landing.clone().and(wedged)),
        ("a shutdown that hangs", shutdown),
    ]
    .map(|(failure, means)| Coverage { failure, covered: means.is_ok(), by: means.unwrap_or_else(|why| why) })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        let net = SafetyNet {
            panic_reboots: true,
            initrd_panics: true,
            watchdog: Some("i6300ESB timer".to_owned()),
            watchdog_is_fed: true,
            guards_shutdown: true,
        };
        Machine { landing: Ok(true), one_shot: Ok(()), net: Ok(net), deadline: Duration::from_secs(600) }
    }

    fn not_covered(machine: &Machine) -> Vec<&'static str> {
        coverage(machine).into_iter().filter(|it| !it.covered).map(|it| it.failure).collect()
    }

    #[test]
    fn each_thing_that_is_missing_leaves_its_own_failure_uncovered() {
        assert!(not_covered(&machine()).is_empty());
        let with = |change: fn(&mut SafetyNet)| {
            let mut machine = machine();
            change(machine.net.as_mut().unwrap());
            not_covered(&machine)
        };
        assert_eq!(with(|net| net.panic_reboots = false), ["a kernel panic"]);
        assert_eq!(with(|net| net.initrd_panics = false), ["a dead initrd"]);
        assert_eq!(with(|net| net.watchdog_is_fed = false), ["a wedged kernel or manager"]);
        assert_eq!(with(|net| net.guards_shutdown = false), ["a shutdown that hangs"]);
        let no_one_shot = Machine { one_shot: Err("the firmware has no variables".to_owned()), ..machine() };
        assert_eq!(not_covered(&no_one_shot), ["a kernel panic", "a dead initrd"]);
        let no_landing = Machine { landing: Ok(false), ..machine() };
        assert_eq!(not_covered(&no_landing).len(), 6);
    }
}
