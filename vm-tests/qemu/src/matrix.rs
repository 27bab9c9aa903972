//! What can go wrong, where, with which loader, and what proves that the machine comes back. The README has it as a table.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::claims;

mod rows;

pub(crate) use rows::ROWS;

/// Boots from the first failure until the machine is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Boots {
    /// Attempts that fail.
    pub failed: usize,
    /// Boots of golden that only arm the next attempt: nothing of the suite ran in the one before.
    pub through_golden: usize,
    /// Boots of known-good systems that fail too.
    pub failed_landings: usize,
    /// The boot that is up in the end.
    pub landing: usize,
    /// Of these, the ones that begin without a reset: the loader or the firmware moves on by itself.
    pub without_reset: usize,
}

impl Boots {
    /// How often the firmware starts: what the machine is down for.
    pub const fn total(self) -> usize {
        self.failed + self.through_golden + self.failed_landings + self.landing - self.without_reset
    }
}

/// The boot check of each attempt arms the next.
pub(crate) const SEEN: Boots =
    Boots { failed: 2, through_golden: 0, failed_landings: 0, landing: 1, without_reset: 0 };
/// Golden arms the second attempt.
pub(crate) const UNSEEN: Boots = Boots { through_golden: 1, ..SEEN };
/// The loader cannot start the attempts, and goes on to golden without a reset. Golden repairs and arms again.
pub(crate) const PASSED_OVER: Boots = Boots { without_reset: 2, ..UNSEEN };
/// The same once; then what was repaired is up.
pub(crate) const REPAIRED: Boots = Boots { failed: 1, without_reset: 1, ..UNSEEN };
/// What the loader passed over cannot be repaired, which is the second failure.
pub(crate) const LOST: Boots = Boots { without_reset: 2, ..SEEN };
/// It is not armed, and golden boots.
pub(crate) const REFUSED: Boots = Boots { failed: 0, ..SEEN };
/// It does not come back.
pub(crate) const NEVER: Boots =
    Boots { failed: 0, through_golden: 0, failed_landings: 0, landing: 0, without_reset: 0 };
/// Golden fails once, and what was confirmed last takes over.
pub(crate) const SECOND_RUNG: Boots = Boots { failed_landings: 1, ..SEEN };
/// Golden fails once, what was confirmed last twice; after that it boots into safe mode.
pub(crate) const LADDER_ENDED: Boots = Boots { failed_landings: 3, ..SEEN };

/// One thing that can go wrong.
pub(crate) struct Row {
    /// When.
    pub stage: &'static str,
    /// What.
    pub fault: &'static str,
    pub systemd_boot: Proof,
    pub grub: Proof,
    pub extlinux: Proof,
    /// Where a proof says nothing else.
    pub boots: Boots,
}

/// Why it is believed that the machine comes back.
pub(crate) enum Proof {
    /// Claims of this rig.
    Vm(&'static [&'static str]),
    /// A scenario of `golden simulate`.
    Scenario(&'static str),
    /// One that takes another number of boots.
    ScenarioIn(&'static str, Boots),
    /// The loader has no part in it but what this claim or scenario shows.
    AsIn(&'static str),
    /// It does not, for this reason.
    NotCovered(&'static str),
}

/// Where the README has the table.
const BEGIN: &str = "<!-- made by `cargo xtask matrix --bless` -->\n";
const END: &str = "<!-- end of what is made -->";

/// The table, as Markdown, with the reasons for what is not covered below it.
#[must_use]
pub fn table() -> String {
    let mut table = String::from(
        "| stage | what goes wrong | systemd-boot | GRUB | extlinux | boots until it is up again | down for |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut reasons: Vec<&str> = Vec::new();
    let mut stage = "";
    for row in ROWS {
        let shown = if row.stage == stage { "" } else { row.stage };
        stage = row.stage;
        let [systemd_boot, grub, extlinux] = row.proofs().map(|proof| proof.in_words(&mut reasons));
        let total = row.boots.total();
        let (boots, total) =
            (row.boots.in_words(), if total == 0 { "ever".to_owned() } else { total.to_string() });
        let _ = writeln!(
            table,
            "| {shown} | {} | {systemd_boot} | {grub} | {extlinux} | {boots} | {total} |",
            row.fault
        );
    }
    table.push('\n');
    for (index, reason) in reasons.iter().enumerate() {
        let _ = writeln!(table, "{}. {reason}", index + 1);
    }
    table
}

impl Row {
    fn proofs(&self) -> [&Proof; 3] {
        [&self.systemd_boot, &self.grub, &self.extlinux]
    }
}

impl Proof {
    /// A reason is named by its number.
    fn in_words(&self, reasons: &mut Vec<&'static str>) -> String {
        match self {
            Self::Vm(names) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            Self::Scenario(name) => scenario(name),
            Self::ScenarioIn(name, boots) => format!("{}, down for {}", scenario(name), boots.total()),
            Self::AsIn(name) if claims::is_claim(name) => format!("as `{name}`"),
            Self::AsIn(name) => format!("as {}", scenario(name)),
            Self::NotCovered(why) => {
                let known = reasons.iter().position(|reason| reason == why);
                let index = known.unwrap_or_else(|| {
                    reasons.push(why);
                    reasons.len() - 1
                });
                format!("**no** ({})", index + 1)
            }
        }
    }

    /// Why this proves nothing; empty if it does.
    fn complaint(&self, boots: Boots, checkout: &Path) -> String {
        match self {
            Self::NotCovered(_) => String::new(),
            Self::Vm(names) => names.iter().map(|name| claim_complaint(name, boots)).collect(),
            Self::AsIn(name) if claims::is_claim(name) => String::new(),
            Self::Scenario(name) | Self::ScenarioIn(name, _) | Self::AsIn(name) => {
                let file = checkout.join(scenario_file(name));
                if file.is_file() { String::new() } else { format!("there is no scenario {name}\n") }
            }
        }
    }
}

fn scenario(name: &str) -> String {
    format!("[{name}]({})", scenario_file(name))
}

fn scenario_file(name: &str) -> String {
    format!("crates/cli/scenarios/{name}.scenario")
}

fn claim_complaint(name: &str, boots: Boots) -> String {
    if !claims::is_claim(name) {
        return format!("there is no claim {name}\n");
    }
    match claims::boots_of(name) {
        Some(proved) if proved == boots => String::new(),
        proved => format!("the claim {name} proves {proved:?}, not {boots:?}\n"),
    }
}

impl Boots {
    fn in_words(self) -> String {
        if self == NEVER {
            return "never".to_owned();
        }
        let parts = [
            (self.failed, "failed"),
            (self.through_golden, "through what was confirmed last, which alone can arm the next attempt"),
            (self.failed_landings, "failed too"),
            (self.landing, "landing"),
        ];
        let said = parts.iter().filter(|(number, _)| *number > 0);
        let sum = said.map(|(number, what)| format!("{number} {what}")).collect::<Vec<_>>().join(" + ");
        match self.without_reset {
            0 => sum,
            number => format!("{sum}, {number} of them without a reset"),
        }
    }

    /// Two failed attempts and a landing are enough, but where only golden can arm the next attempt.
    const fn is_bounded(self) -> bool {
        self.failed <= 2 && self.landing <= 1 && self.through_golden < 2
    }
}

/// What is wrong with the table and with the README's copy of it; empty if nothing is.
#[must_use]
pub fn complaints(checkout: &Path) -> String {
    let mut complaints = String::new();
    for row in ROWS {
        for proof in row.proofs() {
            complaints.push_str(&proof.complaint(row.boots, checkout));
        }
        if !row.boots.is_bounded() {
            let _ = writeln!(complaints, "{}: {:?} are too many", row.fault, row.boots);
        }
    }
    let readme = fs::read_to_string(checkout.join("README.md")).unwrap_or_default();
    if with_table(&readme).as_ref() != Some(&readme) {
        complaints.push_str("the README has another table: cargo xtask matrix --bless\n");
    }
    complaints
}

/// The README with the table as it is now; `None` where it has no place for it.
#[must_use]
pub fn with_table(readme: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}{END}{after}", table()))
}
