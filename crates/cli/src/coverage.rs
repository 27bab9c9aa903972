//! From which failures this machine comes back by itself.

use std::path::PathBuf;
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
    /// Whether the suite is switched off for this boot.
    pub disabled: bool,
    /// Whether there is a known-good generation with a boot entry, or why the loader cannot be asked.
    pub landing: Result<bool, String>,
    pub has_golden: bool,
    /// Why the default boot entry is not known to boot a known-good system.
    pub default_is_good: Result<(), String>,
    /// Why what boots by itself cannot be set.
    pub default: Result<(), String>,
    /// Why the loader boots nothing once.
    pub one_shot: Result<(), String>,
    /// What is in force, or why systemd cannot be asked.
    pub net: Result<SafetyNet, String>,
    pub deadline: Duration,
    /// Where the state directory is mounted, if it is not on the root file system.
    pub state_mount: Option<PathBuf>,
}

/// What there is for it, or what is missing.
type Means = Result<String, String>;

pub(crate) fn coverage(machine: &Machine) -> Vec<Coverage> {
    let landing = match &machine.landing {
        _ if machine.disabled => Err("golden.disable=1 is on the kernel command line".to_owned()),
        Ok(true) => {
            let cannot =
                |why| format!("no trial can be kept back, for the loader's default cannot be set: {why}");
            machine.default.clone().map_err(cannot)
        }
        Ok(false) => Err("there is nothing to come back to: run pin-golden".to_owned()),
        Err(error) => Err(error.clone()),
    };
    let one_shot = || {
        landing.clone()?;
        machine.default_is_good.clone()?;
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
    // Without its state, a boot does not know whether it is a trial; only a loader that has gone back to its default tells.
    let without_state = landing.clone().and(match (&machine.state_mount, &machine.one_shot) {
        (Some(_), Ok(())) if machine.default_is_good.is_err() => {
            machine.default_is_good.clone().map(|()| String::new())
        }
        (None, _) => Ok("the state directory is on the root file system".to_owned()),
        (Some(_), Ok(())) if machine.has_golden => {
            Ok("a reboot after a countdown on the console: the loader's default is golden, or what was confirmed last".to_owned())
        }
        (Some(_), Ok(())) => Err("only golden is known without the ledger: run pin-golden".to_owned()),
        (Some(mount), Err(why)) => Err(format!(
            "the loader boots nothing once ({why}), and what to go back to is known on {} alone: keep the state on the \
             root file system",
            mount.display()
        )),
    });
    [
        ("a kernel panic", one_shot().and(panic)),
        ("a dead initrd", one_shot().and(initrd)),
        ("a failed unit with FailureAction=reboot", counted("counting failed boots".to_owned())),
        ("emergency mode", counted("a reboot after a countdown on the console".to_owned())),
        ("emergency mode without the state directory", without_state),
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
        Machine {
            disabled: false,
            landing: Ok(true),
            has_golden: true,
            default_is_good: Ok(()),
            default: Ok(()),
            one_shot: Ok(()),
            net: Ok(net),
            deadline: Duration::from_secs(600),
            state_mount: None,
        }
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
        assert_eq!(not_covered(&no_landing).len(), 7);
        let disabled = Machine { disabled: true, ..machine() };
        assert_eq!(not_covered(&disabled), not_covered(&no_landing), "no unit of the suite runs");
        let fixed = Machine { default: Err("it is fixed".to_owned()), ..machine() };
        assert_eq!(not_covered(&fixed), not_covered(&no_landing), "nothing is ever tried");
        let unclear = Machine { default_is_good: Err("it is unknown".to_owned()), ..machine() };
        assert_eq!(not_covered(&unclear), ["a kernel panic", "a dead initrd"]);
        let apart = Machine { state_mount: Some(PathBuf::from("/var")), ..unclear };
        assert_eq!(not_covered(&apart).len(), 3, "without its state, a boot has nothing but the default");
        assert!(coverage(&fixed).iter().filter(|it| !it.covered).all(|it| it.by.contains("it is fixed")));
    }

    #[test]
    fn a_boot_without_its_state_is_told_from_others_by_what_the_loader_went_back_to_alone() {
        let state_mount = Some(PathBuf::from("/var"));
        let apart = Machine { state_mount: state_mount.clone(), ..machine() };
        assert!(not_covered(&apart).is_empty());
        let no_golden = Machine { has_golden: false, ..apart };
        assert_eq!(not_covered(&no_golden), ["emergency mode without the state directory"]);
        let no_one_shot = Machine { one_shot: Err("it is U-Boot".to_owned()), state_mount, ..machine() };
        let expected = ["a kernel panic", "a dead initrd", "emergency mode without the state directory"];
        assert_eq!(not_covered(&no_one_shot), expected);
        let by = coverage(&no_one_shot).into_iter().find(|it| it.failure == expected[2]).unwrap().by;
        assert!(by.contains("/var") && by.contains("U-Boot"), "{by}");
    }
}
