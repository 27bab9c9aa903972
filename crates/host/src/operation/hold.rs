//! A reboot that can wait does so for a person who is logged in, and for a lock that a program holds against it.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Options;
use crate::evidence::printable;
use crate::execute::create_runtime_directory;
use crate::{Error, Host, Limits, Trouble, durable, system};

/// Since when a reboot waits; gone with the boot. A program that is killed while it waits goes on from there.
const HOLD: &str = "/run/golden-generation/reboot-hold.json";
/// systemd-logind answers in milliseconds.
const LIMITS: Limits = Limits { time: Duration::from_secs(5), output_bytes: 1 << 18 };
/// Most sessions and locks that are looked at and named.
const MAX_HOLDERS: usize = 8;
const LIST_INHIBITORS: [&str; 6] = [
    "--json=short",
    "call",
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
    "ListInhibitors",
];

/// A reboot that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// When it began to wait, in seconds on the monotonic clock.
    since_secs: u64,
    /// When it waits no longer, in seconds on the monotonic clock.
    until_secs: u64,
    /// The persons and programs that it waits for.
    by: Vec<String>,
}

/// Longest time that a reboot that is due, and can wait, still waits; `None` once it is to happen. The caller asks again every few
/// seconds. From the first call until [`end_hold`] all waiting together is bounded by [`Options::reboot_hold`], also if other users
/// log in meanwhile. If the time of the first call cannot be written down, nothing bounds the waiting, and the reboot does not wait.
/// Neither does it if systemd-logind cannot be asked.
#[must_use]
pub fn hold_reboot(host: &dyn Host, options: &Options) -> Option<Duration> {
    let longest = options.reboot_hold.as_secs();
    if longest == 0 {
        return None;
    }
    let by = holders(host);
    if by.is_empty() {
        return None;
    }
    let (now, before) = (host.monotonic().as_secs(), read(host));
    let since_secs = before.as_ref().map_or(now, |before| before.since_secs.min(now));
    let hold = Hold { since_secs, until_secs: since_secs.saturating_add(longest), by };
    let left = hold.until_secs.saturating_sub(now);
    if left == 0 {
        return None;
    }
    if before.as_ref() != Some(&hold)
        && let Err(error) = keep(host, &hold)
    {
        host.complain(error.trouble(), &error.chain());
        before.as_ref()?;
    }
    if before.is_none() {
        tell(host, &hold, left);
    }
    Some(Duration::from_secs(left))
}

/// The reboot that waits, in words; `None` where none does.
#[must_use]
pub fn held_reboot(host: &dyn Host) -> Option<String> {
    let hold = read(host)?;
    let left = hold.until_secs.saturating_sub(host.monotonic().as_secs());
    Some(format!("waits for {}, {left} s at most", hold.by.join(", ")))
}

/// No reboot is due any longer.
pub fn end_hold(host: &dyn Host) {
    if host.size(Path::new(HOLD)).is_ok() {
        // If it stays, the next wait is shorter, and never longer.
        let _ = host.remove(Path::new(HOLD));
    }
}

fn read(host: &dyn Host) -> Option<Hold> {
    serde_json::from_slice(&host.read(Path::new(HOLD)).ok()?).ok()
}

fn keep(host: &dyn Host, hold: &Hold) -> Result<(), Error> {
    create_runtime_directory(host)?;
    durable::replace(host, Path::new(HOLD), &serde_json::to_vec(hold).unwrap_or_default())
}

/// In the journal, and on the terminals of all who are logged in.
fn tell(host: &dyn Host, hold: &Hold, left: u64) {
    let running = system::running(host).map_or_else(|| "the system".to_owned(), |it| it.to_string());
    let text = format!(
        "{running} fails its checks, and the machine goes back by a reboot. The reboot waits for {}, {left} s at most. \
         `golden status` shows the remaining time.",
        hold.by.join(", ")
    );
    host.complain(Trouble::Unhealthy, &text);
    // A machine without the program has the journal.
    let _ = host.run_within(LIMITS, Path::new("wall"), &[&format!("golden-generation: {text}")]);
}

/// Users and programs that would lose work by a reboot.
fn holders(host: &dyn Host) -> Vec<String> {
    let mut all = sessions(host);
    all.extend(inhibitors(host));
    all.truncate(MAX_HOLDERS);
    all
}

/// Users who are logged in. Source: `loginctl(1)`; `org.freedesktop.login1(5)`, "Class", "State".
fn sessions(host: &dyn Host) -> Vec<String> {
    let list = run(host, "loginctl", &["list-sessions", "--no-legend", "--no-pager"]);
    let names = list.lines().filter_map(|line| line.split_whitespace().next()).take(MAX_HOLDERS * 8);
    let names: Vec<&str> =
        names.filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric())).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let show = ["show-session", "--no-pager", "--property=Name,TTY,Class,State"];
    let show = run(host, "loginctl", &[&show[..], &names].concat());
    show.split("\n\n").filter_map(session).collect()
}

fn session(block: &str) -> Option<String> {
    let property = |name: &str| {
        let value = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        printable(value.unwrap_or_default())
    };
    // `user`, `user-early`, `user-light`, `user-incomplete`; neither a greeter nor a service manager.
    if !property("Class").starts_with("user") || property("State") == "closing" {
        return None;
    }
    let (name, tty) = (property("Name"), property("TTY"));
    Some(if tty.is_empty() { name } else { format!("{name} on {tty}") })
}

/// Programs that hold a lock that blocks a shutdown. Source: `org.freedesktop.login1(5)`, "`ListInhibitors()`".
fn inhibitors(host: &dyn Host) -> Vec<String> {
    type Inhibitor = (String, String, String, String, u32, u32);
    #[derive(Deserialize)]
    struct Answer {
        data: (Vec<Inhibitor>,),
    }
    let answer = run(host, "busctl", &LIST_INHIBITORS);
    let Ok(Answer { data: (all,) }) = serde_json::from_str(&answer) else { return Vec::new() };
    let blocks = all.into_iter().filter(|(what, _, _, mode, ..)| {
        what.split(':').any(|what| what == "shutdown") && mode.starts_with("block")
    });
    blocks.map(|(_, who, why, ..)| printable(&format!("{who} ({why})"))).collect()
}

fn run(host: &dyn Host, program: &str, arguments: &[&str]) -> String {
    host.run_within(LIMITS, Path::new(program), arguments).map(|ended| ended.stdout).unwrap_or_default()
}
