//! What holds for any file of settings that an owner may write.
//!
//! The inputs in `corpus/` are tried by every `cargo test` (`crates/units/tests/corpus.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use golden_checks::{MAX_CHECKS, Work};
use golden_notify::{Settings, Url, Way};

/// Longest sentence that anybody is told, in letters.
const MAX_SENTENCE: usize = 1001;

/// What is said of a mistake is a line that can be read; what is understood is within its bounds, and runs nothing by accident.
pub fn checks_toml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let settings = match golden_checks::parse(&text) {
        Ok(settings) => settings,
        Err(problem) => return is_readable(&problem.to_string()),
    };
    assert_eq!(golden_checks::parse(&text).as_ref(), Ok(&settings), "it means one thing");
    assert!(
        settings.settle <= Duration::from_secs(600) && settings.probation <= Duration::from_secs(604_800)
    );
    assert!(settings.directories.iter().all(|directory| directory.is_absolute()));
    // Of the machine itself nothing is looked at.
    let nowhere = golden_host::LinuxHost::new("/nonexistent".as_ref());
    let checks = golden_checks::list(&nowhere, &settings);
    assert!(checks.len() <= MAX_CHECKS);
    let names: BTreeSet<&str> = checks.iter().map(|check| &*check.name).collect();
    assert_eq!(names.len(), checks.len(), "a name is there once");
    for check in &checks {
        is_readable(&check.name);
        let secs = |secs| Duration::from_secs(secs);
        assert!(check.timing.timeout >= secs(1) && check.timing.timeout <= secs(600));
        assert!(check.timing.retries <= 100 && check.timing.interval <= secs(600));
        match &check.work {
            Work::Command(words) => {
                assert!(!words[0].is_empty() && words.iter().all(|word| !word.contains('\0')));
            }
            Work::Broken(why) => {
                is_readable(why);
            }
            Work::Probe(_) => {}
            Work::Script(path) => panic!("there is no {}", path.display()),
        }
    }
}

/// A target can be used, or it is said why not.
pub fn notify_toml(bytes: &[u8]) {
    let settings = match Settings::parse(&String::from_utf8_lossy(bytes)) {
        Ok(settings) => settings,
        Err(problem) => return is_readable(&problem.to_string()),
    };
    settings.faults.iter().for_each(|fault| is_readable(fault));
    assert!(settings.targets.len() <= 16);
    let usable: BTreeSet<&String> = settings.targets.iter().map(|target| &target.name).collect();
    assert_eq!(usable.len(), settings.targets.len());
    for name in &settings.names {
        assert!(
            usable.contains(name) || !settings.faults.is_empty(),
            "{name:?} is not passed over in silence"
        );
    }
    for target in &settings.targets {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        assert!(settings.names.contains(&target.name) && target.name.chars().all(plain), "it is a file name");
        assert!((1..=60).contains(&target.timeout.as_secs()));
        let is_credential = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains('/');
        let credentials: Vec<&String> = match &target.way {
            Way::Ntfy(ntfy) => credential(&ntfy.url).into_iter().chain(&ntfy.token_credential).collect(),
            Way::Webhook(hook) => credential(&hook.url)
                .into_iter()
                .chain(&hook.token_credential)
                .chain(&hook.hmac_credential)
                .collect(),
            Way::Issue(issue) => vec![&issue.token_credential],
            Way::Mail(mail) => {
                let all = mail.to.iter().chain(&mail.from);
                assert!(
                    all.clone().all(|address| !address.contains(char::is_control)) && !mail.to.is_empty()
                );
                Vec::new()
            }
            Way::Command(_) => Vec::new(),
        };
        assert!(credentials.into_iter().all(|name| is_credential(name)), "{:?}", target.way);
    }
}

fn credential(url: &Url) -> Option<&String> {
    match url {
        Url::Credential(name) => Some(name),
        Url::Open(_) => None,
    }
}

fn is_readable(sentence: &str) {
    assert!(!sentence.is_empty() && sentence.chars().count() <= MAX_SENTENCE, "{sentence:?}");
    assert!(!sentence.contains(char::is_control), "{sentence:?}");
}
