//! From text to statements.

use std::io;

use golden_core::{Cause, Injection, Named, Revision};

use super::statement::{Action, Behaviour, Damage, Expectation, Line, Setting, Statement, System, Trouble};
use crate::simulated::{Lie, Loader};

/// Longest scenario that is read, in lines.
const MAX_LINES: usize = 10_000;

/// Why a scenario cannot be read, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// A word is not one of those that can stand there.
    #[error("line {line}: expected {expected}, found {found}{}", hint(.nearest.as_deref()))]
    Word {
        /// The line, from 1.
        line: usize,
        /// What can stand there.
        expected: String,
        /// What stands there.
        found: String,
        /// The known word that is nearest to it.
        nearest: Option<String>,
    },
    /// The statement makes no sense at that moment.
    #[error("line {line}: {text}")]
    Impossible {
        /// The line, from 1.
        line: usize,
        /// Why.
        text: String,
    },
    /// An expectation does not hold.
    #[error("line {line}: expected {expected}, but {found}\n{timeline}")]
    Unmet {
        /// The line, from 1.
        line: usize,
        /// What was expected.
        expected: String,
        /// What holds.
        found: String,
        /// What happened until then.
        timeline: String,
    },
    /// The text is too long to be a scenario.
    #[error("a scenario has at most {MAX_LINES} lines")]
    TooLong,
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

/// The statements of a scenario.
pub fn parse(text: &str) -> Result<Vec<Line>, ScenarioError> {
    if text.lines().count() > MAX_LINES {
        return Err(ScenarioError::TooLong);
    }
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, without_comment(line)));
    lines.filter(|(_, line)| !line.is_empty()).map(|(number, line)| parse_line(number, line)).collect()
}

fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

fn parse_line(number: usize, text: &str) -> Result<Line, ScenarioError> {
    let mut words = Words { line: number, rest: text.split_whitespace().collect() };
    let statement = words.statement()?;
    words.end()?;
    Ok(Line { number, text: text.to_owned(), statement })
}

/// What is still to be read of a line.
struct Words<'a> {
    line: usize,
    rest: std::collections::VecDeque<&'a str>,
}

const STATEMENTS: &[&str] = &[
    "install",
    "loader",
    "boot",
    "confirm",
    "switch",
    "source",
    "quarantine",
    "release",
    "wait",
    "second_chance_after_secs",
    "live",
    "person",
    "power",
    "pin",
    "drill",
    "collect",
    "crash",
    "fail",
    "ledger",
    "lose",
    "firmware",
    "disable",
    "enable",
    "expect",
    "max_failures",
    "max_interruptions",
    "max_automatic_reboots",
];
const BEHAVIOURS: &[&str] = &["healthy", "panics", "vanishes", "fails", "hangs", "emergency", "reboots"];
const PROGRAMS: &[&str] = &[
    "boot-check",
    "rollback",
    "confirm",
    "shutdown",
    "deadline",
    "emergency",
    "hibernate",
    "resume",
    "drill",
    "pin",
    "rollback-now",
    "quarantine",
    "switch",
    "live",
    "go-back",
];
const EXPECTATIONS: &[&str] = &[
    "running",
    "off",
    "default",
    "one-shot",
    "golden",
    "profile",
    "trial",
    "failures",
    "confirmed",
    "quarantined",
    "boots",
    "safe",
    "no",
    "in",
    "refused",
];

impl<'a> Words<'a> {
    fn statement(&mut self) -> Result<Statement, ScenarioError> {
        let is_word = self.rest.front().is_some_and(|first| STATEMENTS.contains(first));
        let behaves =
            self.rest.get(1).is_some_and(|second| BEHAVIOURS.contains(&second.trim_end_matches(',')));
        if behaves && !is_word {
            return self.behave();
        }
        let first = self.one_of(STATEMENTS, "a statement or the name of a system and how it behaves")?;
        Ok(match first {
            "install" => Statement::Install(self.system()?),
            "loader" => self.loader()?,
            "boot" => Statement::Boot { unconfirmed: self.optional("unconfirmed") },
            "confirm" => Statement::Confirm,
            "switch" => Statement::Switch {
                system: self.system()?,
                marked: !self.optional("unmarked"),
                live: self.optional("live"),
                checked: self.optional("checked"),
            },
            "source" => Statement::Source(self.system()?, self.revision()?),
            "quarantine" => Statement::Quarantine(self.named()?),
            "release" => Statement::Release(self.named()?),
            "wait" => Statement::Wait(self.number()?),
            "second_chance_after_secs" => Statement::Set(Setting::SecondChanceAfterSecs, self.number()?),
            "live" => Statement::Live(self.verdict()?),
            "person" => Statement::Person(self.action()?),
            "power" => self.then("cut", Statement::PowerCut)?,
            "pin" => Statement::Pin { force: self.optional("force") },
            "drill" => Statement::Drill(self.injection()?),
            "collect" => self.then("garbage", Statement::CollectGarbage)?,
            "crash" => self.crash()?,
            "fail" => self.fail()?,
            "ledger" => Statement::Ledger(self.damage()?),
            "lose" => self.then("loader.conf", Statement::LoseLoaderConf)?,
            "firmware" => {
                self.then("without", ())?;
                match self.one_of(&["counter", "variables"], "what it is without")? {
                    "counter" => Statement::NoFirmwareCounter,
                    _ => Statement::NoFirmwareVariables,
                }
            }
            "disable" => Statement::Disable(true),
            "enable" => Statement::Disable(false),
            "expect" => Statement::Expect(self.expectation()?),
            "max_failures" => Statement::Set(Setting::MaxFailures, self.positive()?),
            "max_interruptions" => Statement::Set(Setting::MaxInterruptions, self.positive()?),
            _ => Statement::Set(Setting::MaxAutomaticReboots, self.number()?),
        })
    }

    fn loader(&mut self) -> Result<Statement, ScenarioError> {
        let known = &["systemd-boot", "grub", "extlinux", "ignores", "keeps"];
        Ok(match self.one_of(known, "a loader, or what it does not do")? {
            "systemd-boot" => Statement::Loader(Loader::SystemdBoot),
            "extlinux" => Statement::Loader(Loader::Extlinux),
            "grub" => {
                let writes = !self.optional("cannot");
                if !writes {
                    self.then("write", ())?;
                }
                Statement::Loader(Loader::Grub { writes })
            }
            "ignores" => self.then("writes", Statement::LoaderLies(Lie::IgnoresWrites))?,
            _ => self.then("one-shots", Statement::LoaderLies(Lie::KeepsOneShots))?,
        })
    }

    fn behave(&mut self) -> Result<Statement, ScenarioError> {
        let system = self.system()?;
        let mut behaviours = Vec::new();
        loop {
            let comma = self.behaviour(&mut behaviours)?;
            if !comma {
                return Ok(Statement::Behave(system, behaviours));
            }
        }
    }

    /// Read one behaviour; whether a comma follows it.
    fn behaviour(&mut self, behaviours: &mut Vec<Behaviour>) -> Result<bool, ScenarioError> {
        let (word, comma) = self.item_of(BEHAVIOURS, "a behaviour")?;
        let (behaviour, comma) = match word {
            "healthy" => (Behaviour::Healthy, comma),
            "panics" => (Behaviour::Panics, comma),
            "vanishes" if !comma && self.rest.front().is_some_and(|next| next.starts_with("late")) => {
                (Behaviour::VanishesLate, self.item_of(&["late"], "`late`")?.1)
            }
            "vanishes" => (Behaviour::Vanishes, comma),
            "fails" => {
                self.one_of(&["unit"], "`unit` and its name")?;
                let (unit, comma) = self.unit()?;
                (Behaviour::FailsUnit(unit), comma)
            }
            "hangs" => {
                self.one_of(&["in"], "`in` and the name of a unit")?;
                let (unit, comma) = self.unit()?;
                (Behaviour::Hangs(unit), comma)
            }
            "emergency" => {
                self.one_of(&["without"], "`without` and the name of a unit")?;
                let (unit, comma) = self.unit()?;
                (Behaviour::Emergency(unit), comma)
            }
            _ => (Behaviour::RebootsItself, self.item_of(&["itself"], "`itself`")?.1),
        };
        behaviours.push(behaviour);
        Ok(comma)
    }

    /// The name of a unit; whether a comma follows it.
    fn unit(&mut self) -> Result<(String, bool), ScenarioError> {
        let name = self.next("the name of a unit")?;
        let plain = name.trim_end_matches(',');
        Ok((plain.to_owned(), plain != name))
    }

    fn injection(&mut self) -> Result<Injection, ScenarioError> {
        Ok(match self.one_of(&["panic", "hang", "unit", "check", "power"], "what fails")? {
            "panic" => Injection::Panic,
            "hang" => Injection::Hang,
            "unit" => Injection::Unit,
            "check" => Injection::Check,
            _ => Injection::Power,
        })
    }

    fn verdict(&mut self) -> Result<Option<Cause>, ScenarioError> {
        let word = self.one_of(&["works", "fails", "unproven", "half-way"], "what comes of it")?;
        Ok(match word {
            "works" => None,
            "fails" => {
                self.then("check", ())?;
                Some(Cause::ChecksFailed { checks: vec![self.next("the name of a check")?.to_owned()] })
            }
            "unproven" => Some(Cause::Unproven { proof: "golden confirm".to_owned() }),
            _ => Some(Cause::ActivationFailed { why: "it ended half-way".to_owned() }),
        })
    }

    fn action(&mut self) -> Result<Action, ScenarioError> {
        const ACTIONS: &[&str] =
            &["rolls", "reboots", "powers", "soft-reboots", "kexecs", "hibernates", "picks"];
        match self.one_of(ACTIONS, "what the person does")? {
            "reboots" => Ok(Action::Reboots),
            "rolls" => self.then("back", Action::RollsBack),
            "soft-reboots" => Ok(Action::SoftReboots),
            "kexecs" => Ok(Action::Kexecs),
            "hibernates" => Ok(Action::Hibernates),
            "powers" => self.then("off", Action::PowersOff),
            _ => Ok(Action::Picks(self.system()?)),
        }
    }

    fn crash(&mut self) -> Result<Statement, ScenarioError> {
        self.one_of(&["after"], "`after effect N`")?;
        self.one_of(&["effect"], "`effect N`")?;
        let after = u64::from(self.number()?);
        let of = self.program()?;
        let image = if self.optional("image") { self.positive()? as usize } else { 1 };
        Ok(Statement::Trouble { trouble: Trouble::Crash { after, image }, of })
    }

    fn fail(&mut self) -> Result<Statement, ScenarioError> {
        self.one_of(&["effect"], "`effect N`")?;
        let number = u64::from(self.positive()?);
        let of = self.program()?;
        self.one_of(&["with"], "`with` and an error")?;
        let kind = match self.one_of(&["ENOSPC", "EROFS", "EIO"], "an error")? {
            "ENOSPC" => io::ErrorKind::StorageFull,
            "EROFS" => io::ErrorKind::ReadOnlyFilesystem,
            _ => io::ErrorKind::Other,
        };
        Ok(Statement::Trouble { trouble: Trouble::Fail { number, kind }, of })
    }

    fn program(&mut self) -> Result<Option<&'static str>, ScenarioError> {
        if !self.optional("of") {
            return Ok(None);
        }
        self.one_of(PROGRAMS, "a program").map(Some)
    }

    fn damage(&mut self) -> Result<Damage, ScenarioError> {
        match self.one_of(&["lost", "empty", "corrupt", "too"], "what happens to the ledger")? {
            "lost" => Ok(Damage::Lost),
            "empty" => Ok(Damage::Empty),
            "corrupt" => Ok(Damage::Corrupt),
            _ => self.then("new", Damage::TooNew),
        }
    }

    fn expectation(&mut self) -> Result<Expectation, ScenarioError> {
        Ok(match self.one_of(EXPECTATIONS, "what is expected")? {
            "running" => Expectation::Running(Some(self.system()?)),
            "off" => Expectation::Running(None),
            "default" => Expectation::Default(self.system()?),
            "one-shot" => Expectation::OneShot(Some(self.system()?)),
            "golden" => Expectation::Golden(Some(self.system()?)),
            "profile" => Expectation::Profile(self.system()?),
            "trial" => Expectation::Trial(Some(self.system()?)),
            "failures" => Expectation::Failures(self.number()?),
            "confirmed" => Expectation::Confirmed(self.system()?),
            "quarantined" => Expectation::Quarantined(self.system()?),
            "boots" => Expectation::Boots(self.number()?),
            "safe" => self.then("mode", Expectation::SafeMode(true))?,
            "refused" => Expectation::Refused,
            "in" => {
                self.one_of(&["store"], "`store` and a system")?;
                Expectation::InStore(self.system()?)
            }
            _ => match self
                .one_of(&["trial", "golden", "one-shot", "ledger", "safe"], "what is not to be there")?
            {
                "trial" => Expectation::Trial(None),
                "golden" => Expectation::Golden(None),
                "one-shot" => Expectation::OneShot(None),
                "safe" => self.then("mode", Expectation::SafeMode(false))?,
                _ => Expectation::NoLedger,
            },
        })
    }

    fn system(&mut self) -> Result<System, ScenarioError> {
        let expected = "the name of a system (lower-case letters, digits and dashes)";
        let word = self.next(expected)?;
        let name = System::parse(word).filter(|_| !STATEMENTS.contains(&word));
        name.ok_or_else(|| self.unexpected(expected, word, &[]))
    }

    fn revision(&mut self) -> Result<Revision, ScenarioError> {
        let word = self.next("a source revision")?;
        word.parse().map_err(|_| self.unexpected("a source revision", word, &[]))
    }

    /// A system, or `revision` and a source revision.
    fn named(&mut self) -> Result<Named, ScenarioError> {
        if self.optional("revision") {
            return Ok(Named::Revision(self.revision()?));
        }
        Ok(Named::Toplevel(self.system()?.toplevel()))
    }

    fn number(&mut self) -> Result<u32, ScenarioError> {
        let word = self.next("a number")?;
        word.parse().map_err(|_| self.unexpected("a number", word, &[]))
    }

    fn positive(&mut self) -> Result<u32, ScenarioError> {
        match self.number()? {
            0 => Err(self.unexpected("a number from 1", "0", &[])),
            number => Ok(number),
        }
    }

    /// One of a list; whether a comma follows it.
    fn item_of(
        &mut self,
        known: &'static [&'static str],
        what: &str,
    ) -> Result<(&'static str, bool), ScenarioError> {
        if let Some(first) = self.rest.front_mut()
            && let Some(plain) = first.strip_suffix(',')
        {
            *first = plain;
            return Ok((self.one_of(known, what)?, true));
        }
        Ok((self.one_of(known, what)?, false))
    }

    fn one_of(&mut self, known: &'static [&'static str], what: &str) -> Result<&'static str, ScenarioError> {
        let list = known.join(", ");
        let expected = if known.len() > 1 { format!("{what} ({list})") } else { what.to_owned() };
        let word = self.next(&expected)?;
        known.iter().find(|one| **one == word).copied().ok_or_else(|| self.unexpected(&expected, word, known))
    }

    fn optional(&mut self, word: &str) -> bool {
        let is_next = self.rest.front() == Some(&word);
        if is_next {
            self.rest.pop_front();
        }
        is_next
    }

    fn then<T>(&mut self, word: &'static str, value: T) -> Result<T, ScenarioError> {
        let next = self.next(&format!("`{word}`"))?;
        if next == word { Ok(value) } else { Err(self.unexpected(&format!("`{word}`"), next, &[word])) }
    }

    fn next(&mut self, expected: &str) -> Result<&'a str, ScenarioError> {
        let end = || ScenarioError::Word {
            line: self.line,
            expected: expected.to_owned(),
            found: "the end of the line".to_owned(),
            nearest: None,
        };
        self.rest.pop_front().ok_or_else(end)
    }

    fn end(&mut self) -> Result<(), ScenarioError> {
        match self.rest.front() {
            Some(word) => Err(self.unexpected("the end of the line", word, &[])),
            None => Ok(()),
        }
    }

    fn unexpected(&self, expected: &str, found: &str, known: &[&str]) -> ScenarioError {
        let shown: String = found.chars().take(60).collect();
        ScenarioError::Word {
            line: self.line,
            expected: expected.to_owned(),
            found: format!("`{shown}`"),
            nearest: nearest(&shown, known),
        }
    }
}

/// The known word with the fewest changes, if a third of its letters or fewer are wrong.
fn nearest(word: &str, known: &[&str]) -> Option<String> {
    let best = known.iter().map(|one| (distance(word, one), *one)).min()?;
    (best.0 <= best.1.len().div_ceil(3)).then(|| best.1.to_owned())
}

/// Letters to insert, remove or replace. Source: Levenshtein distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_the_line_what_was_expected_and_the_nearest_word() {
        assert_eq!(
            error("install a\n\nb panix, healthy\n").split(" (").next().unwrap(),
            "line 3: expected a statement or the name of a system and how it behaves"
        );
        assert_eq!(
            error("b healthy, panix"),
            "line 1: expected a behaviour (healthy, panics, vanishes, fails, hangs, emergency, reboots), found `panix`; \
             did you mean `panics`?"
        );
        assert_eq!(
            error("expect runing a").split("found ").last().unwrap(),
            "`runing`; did you mean `running`?"
        );
        assert_eq!(error("power"), "line 1: expected `cut`, found the end of the line");
        assert_eq!(error("boot now"), "line 1: expected the end of the line, found `now`");
        assert_eq!(error("max_failures 0"), "line 1: expected a number from 1, found `0`");
    }

    #[test]
    fn a_line_may_be_empty_or_a_comment() {
        let lines = parse("# a story\n\n  boot  # power on\n").unwrap();
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].number, lines[0].text.as_str()), (3, "boot"));
    }

    #[test]
    fn behaviours_are_a_list() {
        let lines = parse("b panics, fails unit x.service, vanishes late, reboots itself, healthy").unwrap();
        let Statement::Behave(system, behaviours) = &lines[0].statement else { panic!("{lines:?}") };
        assert_eq!(system.name(), "b");
        let unit = Behaviour::FailsUnit("x.service".to_owned());
        let expected =
            [Behaviour::Panics, unit, Behaviour::VanishesLate, Behaviour::RebootsItself, Behaviour::Healthy];
        assert_eq!(*behaviours, expected);
    }

    #[test]
    fn a_machine_may_have_another_loader() {
        for (text, statement) in [
            ("loader grub", Statement::Loader(Loader::Grub { writes: true })),
            ("loader grub cannot write", Statement::Loader(Loader::Grub { writes: false })),
            ("loader extlinux", Statement::Loader(Loader::Extlinux)),
            ("loader keeps one-shots", Statement::LoaderLies(Lie::KeepsOneShots)),
        ] {
            assert_eq!(parse(text).unwrap()[0].statement, statement);
        }
        assert_eq!(error("loader grub cannot"), "line 1: expected `write`, found the end of the line");
    }

    #[test]
    fn a_crash_may_name_the_program_and_what_survives() {
        let lines = parse("crash after effect 3 of boot-check image 2").unwrap();
        let trouble = Trouble::Crash { after: 3, image: 2 };
        assert_eq!(lines[0].statement, Statement::Trouble { trouble, of: Some("boot-check") });
    }
}
