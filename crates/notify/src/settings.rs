//! What the owner wants to be told, and where: `/etc/golden-generation/notify.toml`.
//!
//! What is wrong with one target is said, and is nobody else's trouble: a spelling mistake in the settings of one must not
//! keep the others from being told of a rollback.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use golden_host::settings::{Problem, nearest, one_line};
use golden_host::whole::Whole;
use golden_host::{Error, Host};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::message::Kind;

/// Where the settings are.
pub const PATH: &str = "/etc/golden-generation/notify.toml";
/// Most targets. Each has a file of its own in the outbox.
const MAX_TARGETS: usize = 16;
/// Time that one delivery may take, in seconds, unless told otherwise.
const TIMEOUT_SECS: u32 = 20;
/// Longest time that it may be told, in seconds. Must stay below the time of a round.
const MAX_TIMEOUT_SECS: u32 = 60;
/// Time that one delivery may take.
type Timeout = Whole<1, MAX_TIMEOUT_SECS>;
/// Where GitHub answers.
const GITHUB: &str = "https://api.github.com";

/// The file.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The name of this machine in messages, if it is not its host name.
    pub host: Option<String>,
    /// Those that can be used, by name.
    pub targets: Vec<Target>,
    /// What is wrong with the rest, a sentence each.
    pub faults: Vec<String>,
    /// Names of all targets, those with faults among them.
    pub names: BTreeSet<String>,
}

/// Somebody who is told.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// What it is told.
    pub events: BTreeSet<Kind>,
    /// The owner's title instead of ours.
    pub title: Option<String>,
    /// The owner's text instead of ours.
    pub text: Option<String>,
    /// Time that one delivery may take.
    pub timeout: Duration,
    /// How it is told.
    pub way: Way,
}

/// How a target is told.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Way {
    Ntfy(Ntfy),
    Webhook(Webhook),
    Mail(Mail),
    Issue(Issue),
    Command(Command),
}

/// An address, or the name of the credential that holds it: some addresses are all that a stranger needs.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Url {
    Open(String),
    Credential(String),
}

/// A topic of an ntfy server.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Ntfy {
    pub url: Url,
    pub token_credential: Option<String>,
}

/// An address that takes a message as JSON.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Webhook {
    pub url: Url,
    pub token_credential: Option<String>,
    pub hmac_credential: Option<String>,
}

/// People with an address.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Mail {
    pub to: Vec<String>,
    pub from: Option<String>,
    pub sendmail: PathBuf,
}

/// The issues of a repository.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Issue {
    pub forge: Forge,
    pub url: String,
    pub repository: String,
    pub token_credential: String,
}

/// Whose API it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forge {
    /// Forgejo and Gitea: `/api/v1`.
    Forgejo,
    /// GitHub, and GitHub Enterprise with the address of its API.
    Github,
}

/// A program of the owner.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Command {
    pub program: PathBuf,
    pub arguments: Vec<String>,
}

/// What every target may say.
const COMMON: [&str; 5] = ["kind", "events", "title", "text", "timeout_secs"];
/// What the file may say beside targets.
const TOP: [&str; 5] = ["host", "events", "title", "text", "target"];
/// What a target of each kind may say besides.
const KINDS: [(&str, &[&str]); 5] = [
    ("ntfy", &["url", "url_credential", "token_credential"]),
    ("webhook", &["url", "url_credential", "token_credential", "hmac_credential"]),
    ("mail", &["to", "from", "sendmail"]),
    ("issue", &["forge", "url", "repository", "token_credential"]),
    ("command", &["command"]),
];

type Table = serde_json::Map<String, Value>;

impl Settings {
    /// What the owner chose; `None` where there is no file: then nobody wants to be told anything.
    ///
    /// # Errors
    /// The file cannot be read, or is no TOML.
    pub fn load(host: &dyn Host) -> Result<Option<Self>, Error> {
        let table: Option<Table> = golden_host::settings::read(host, Path::new(PATH))?;
        Ok(table.map(Self::from_table))
    }

    /// The settings that a text says.
    ///
    /// # Errors
    /// It is no TOML.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        golden_host::settings::parse(text).map(Self::from_table)
    }

    fn from_table(mut table: Table) -> Self {
        let mut settings = Self::default();
        settings.faults.extend(strangers(&table, &TOP, &TOP));
        let mut take = |key: &str| table.remove(key);
        let (host, title, text) = (take("host"), take("title"), take("text"));
        let (events, targets) = (take("events"), take("target"));
        let mut whole = Reader { name: "notify.toml", faults: Vec::new() };
        settings.host = whole.optional("host", host);
        let title: Option<String> = whole.optional("title", title);
        let text: Option<String> = whole.optional("text", text);
        let events = events.and_then(|events| whole.events(events));
        let events = events.unwrap_or_else(|| Kind::DEFAULT.into());
        let targets: BTreeMap<String, Table> = whole.optional("target", targets).unwrap_or_default();
        settings.faults.append(&mut whole.faults);
        for (number, (name, table)) in targets.into_iter().enumerate() {
            settings.names.insert(name.clone());
            if number >= MAX_TARGETS {
                settings.faults.push(format!("target.{name}: there are more than {MAX_TARGETS} targets"));
                continue;
            }
            match target(&name, table, &events) {
                Ok(mut target) => {
                    target.title = target.title.or_else(|| title.clone());
                    target.text = target.text.or_else(|| text.clone());
                    settings.targets.push(target);
                }
                Err(faults) => settings.faults.extend(faults),
            }
        }
        // They quote what was written.
        settings.faults.iter_mut().for_each(|fault| *fault = one_line(fault));
        settings
    }
}

/// One target, or what is wrong with it.
fn target(name: &str, mut table: Table, events: &BTreeSet<Kind>) -> Result<Target, Vec<String>> {
    let place = format!("target.{name}");
    if !is_name(name) {
        return Err(vec![format!("{place}: a name is 1 to 32 letters, digits, - and _")]);
    }
    let kind = table.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some((_, own)) = KINDS.into_iter().find(|(known, _)| *known == kind) else {
        let known: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
        return Err(vec![format!("{place}: kind is one of {}{}", known.join(", "), meant(&kind, &known))]);
    };
    let known: Vec<&str> = COMMON.iter().chain(own).copied().collect();
    let every: Vec<&str> = KINDS.iter().flat_map(|(_, keys)| keys.iter()).copied().collect();
    let mut reader = Reader { name: &place, faults: Vec::new() };
    reader
        .faults
        .extend(strangers(&table, &known, &every).into_iter().map(|fault| format!("{place}: {fault}")));
    let events = match table.remove("events") {
        Some(own) => reader.events(own),
        None => Some(events.clone()),
    };
    let (title, text) =
        (reader.optional("title", table.remove("title")), reader.optional("text", table.remove("text")));
    let timeout = reader.seconds("timeout_secs", table.remove("timeout_secs"));
    let way = reader.way(&kind, &mut table);
    let name = name.to_owned();
    match (way, events) {
        (Some(way), Some(events)) if reader.faults.is_empty() => {
            Ok(Target { name, events, title, text, timeout: timeout.secs(), way })
        }
        _ => Err(reader.faults),
    }
}

/// Reads values, and collects what is wrong with them.
struct Reader<'a> {
    name: &'a str,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn fault(&mut self, text: &str) {
        self.faults.push(format!("{}: {text}", self.name));
    }

    fn optional<T: DeserializeOwned>(&mut self, key: &str, value: Option<Value>) -> Option<T> {
        match serde_json::from_value(value?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(&format!("{key}: {error}"));
                None
            }
        }
    }

    fn seconds(&mut self, key: &str, value: Option<Value>) -> Timeout {
        match value.map(serde_json::from_value) {
            Some(Ok(seconds)) => seconds,
            Some(Err(error)) => {
                self.fault(&format!("{key}: {error} seconds"));
                Timeout::nearest(TIMEOUT_SECS)
            }
            None => Timeout::nearest(TIMEOUT_SECS),
        }
    }

    fn required(&mut self, key: &str, table: &mut Table) -> Option<String> {
        let value = self.optional(key, table.remove(key));
        if value.is_none() && !self.faults.iter().any(|fault| fault.contains(key)) {
            self.fault(&format!("{key} is missing"));
        }
        value
    }

    fn events(&mut self, value: Value) -> Option<BTreeSet<Kind>> {
        let names: Vec<String> = self.optional("events", Some(value))?;
        let known = Kind::ALL.map(Kind::name);
        let mut events = BTreeSet::new();
        for name in names {
            if let Ok(kind) = name.parse() {
                events.insert(kind);
            } else {
                let meant = meant(&name, &known);
                self.fault(&format!("events: there is no {name:?}{meant}; there are {}", known.join(", ")));
            }
        }
        Some(events)
    }

    fn credential(&mut self, key: &str, table: &mut Table) -> Option<String> {
        let name: String = self.optional(key, table.remove(key))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
            // It may be the secret itself.
            self.fault(&format!("{key} is the name of a credential of systemd (letters, digits and . _ -)"));
        }
        Some(name)
    }

    fn address(&mut self, url: String) -> String {
        if let Err(why) = crate::http::check(&url) {
            self.fault(&format!("url: {why}"));
        }
        url
    }

    fn url(&mut self, table: &mut Table) -> Option<Url> {
        let credential = self.credential("url_credential", table);
        let open: Option<String> = self.optional("url", table.remove("url"));
        match (open, credential) {
            (Some(url), None) => Some(Url::Open(self.address(url))),
            (None, Some(credential)) => Some(Url::Credential(credential)),
            _ => {
                self.fault("it needs url, or url_credential where the address is a secret, and not both");
                None
            }
        }
    }

    fn way(&mut self, kind: &str, table: &mut Table) -> Option<Way> {
        match kind {
            "ntfy" => {
                let token_credential = self.credential("token_credential", table);
                Some(Way::Ntfy(Ntfy { url: self.url(table)?, token_credential }))
            }
            "webhook" => {
                let token_credential = self.credential("token_credential", table);
                let hmac_credential = self.credential("hmac_credential", table);
                Some(Way::Webhook(Webhook { url: self.url(table)?, token_credential, hmac_credential }))
            }
            "mail" => self.mail(table).map(Way::Mail),
            "issue" => self.issue(table).map(Way::Issue),
            _ => self.command(table).map(Way::Command),
        }
    }

    fn mail(&mut self, table: &mut Table) -> Option<Mail> {
        let to: Vec<String> = match table.remove("to") {
            Some(Value::String(one)) => vec![one],
            to => self.optional("to", to)?,
        };
        let from: Option<String> = self.optional("from", table.remove("from"));
        let sendmail: Option<PathBuf> = self.optional("sendmail", table.remove("sendmail"));
        let is_address = |address: &String| {
            address.contains('@') && !address.chars().any(|it| it.is_control() || it == ',')
        };
        if to.is_empty() || !to.iter().chain(&from).all(is_address) {
            self.fault("to and from are mail addresses, and there is at least one to send to");
        }
        Some(Mail { to, from, sendmail: sendmail.unwrap_or_else(|| "sendmail".into()) })
    }

    fn issue(&mut self, table: &mut Table) -> Option<Issue> {
        let forge = match self.required("forge", table)?.as_str() {
            "forgejo" | "gitea" => Forge::Forgejo,
            "github" => Forge::Github,
            other => {
                let known = ["forgejo", "gitea", "github"];
                self.fault(&format!("forge is one of {}{}", known.join(", "), meant(other, &known)));
                return None;
            }
        };
        let url = match self.optional("url", table.remove("url")) {
            None if forge == Forge::Github => GITHUB.to_owned(),
            None => {
                self.fault("url is missing: the address of the forge, such as https://codeberg.org");
                return None;
            }
            Some(url) => self.address(url),
        };
        let repository = self.required("repository", table)?;
        let part = |part: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
        };
        if repository.split('/').count() != 2 || !repository.split('/').all(part) {
            self.fault("repository is OWNER/NAME");
        }
        let Some(token_credential) = self.credential("token_credential", table) else {
            self.fault("token_credential is missing: nobody may write issues without a token");
            return None;
        };
        Some(Issue { forge, url, repository, token_credential })
    }

    fn command(&mut self, table: &mut Table) -> Option<Command> {
        let mut words: Vec<String> = self.optional("command", table.remove("command")).unwrap_or_default();
        if words.is_empty() {
            self.fault("command is a list: the program and its arguments");
            return None;
        }
        let program = PathBuf::from(words.remove(0));
        Some(Command { program, arguments: words })
    }
}

/// Keys that mean nothing here. `elsewhere` are those that mean something to another kind of target.
fn strangers(table: &Table, known: &[&str], elsewhere: &[&str]) -> Vec<String> {
    let stranger = |key: &&String| !known.contains(&key.as_str());
    let said = |key: &String| {
        if elsewhere.contains(&key.as_str()) {
            return format!("{key} means nothing for this kind");
        }
        format!("there is no setting {key:?}{}", meant(key, known))
    };
    table.keys().filter(stranger).map(said).collect()
}

/// The known word that may have been meant, if there is one.
fn meant(word: &str, known: &[&str]) -> String {
    nearest(word, known).map(|known| format!(" (did you mean {known}?)")).unwrap_or_default()
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=32).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

    use super::*;

    fn read(text: &str) -> Settings {
        Settings::from_table(basic_toml::from_str(text).unwrap())
    }

    #[test]
    fn the_whole_file_is_read() {
        let settings = read(
            r#"
            host = "web1.example.org"
            events = ["rolled-back", "safe-mode"]
            title = "{{ host }}"
            [target.phone]
            kind = "ntfy"
            url = "https://ntfy.sh/web1"
            token_credential = "ntfy"
            timeout_secs = 5
            [target.hook]
            kind = "webhook"
            url_credential = "hook"
            hmac_credential = "key"
            events = ["confirmed"]
            title = "mine"
            [target.people]
            kind = "mail"
            to = "root@example.org"
            [target.forge]
            kind = "issue"
            forge = "github"
            repository = "me/hosts"
            token_credential = "github"
            [target.bell]
            kind = "command"
            command = ["/usr/bin/bell", "--loud"]
            "#,
        );
        assert_eq!(settings.faults, [""; 0]);
        assert_eq!(settings.targets.len(), 5);
        let of = |name: &str| settings.targets.iter().find(|target| target.name == name).unwrap();
        assert_eq!(of("phone").events, [Kind::RolledBack, Kind::SafeMode].into());
        assert_eq!(of("phone").title.as_deref(), Some("{{ host }}"));
        assert_eq!(of("phone").timeout, Duration::from_secs(5));
        assert_eq!(of("hook").events, [Kind::Confirmed].into());
        assert_eq!(of("hook").title.as_deref(), Some("mine"));
        assert!(matches!(&of("forge").way, Way::Issue(issue) if issue.url == GITHUB));
    }

    #[test]
    fn what_is_wrong_with_one_target_is_said_and_leaves_the_others() {
        for (text, fault) in [
            (
                "kind = \"ntfy\"\nurl = \"https://x/t\"\ntokn_credential = \"t\"",
                "target.bad: there is no setting \"tokn_credential\" (did you mean token_credential?)",
            ),
            (
                "kind = \"ntfi\"",
                "target.bad: kind is one of ntfy, webhook, mail, issue, command (did you mean ntfy?)",
            ),
            ("url = \"https://x/t\"", "target.bad: kind is one of ntfy, webhook, mail, issue, command"),
            (
                "kind = \"ntfy\"\nurl = \"https://x/t\"\nhmac_credential = \"t\"",
                "target.bad: hmac_credential means nothing for this kind",
            ),
            ("kind = \"ntfy\"\nurl = \"ftp://x/t\"", "target.bad: url: it begins with https:// or http://"),
            (
                "kind = \"ntfy\"\nurl = \"https://me:hidden@x/t\"",
                "target.bad: url: it holds a password, which belongs in a credential",
            ),
            ("kind = \"ntfy\"\nurl = 5", "target.bad: url: invalid type: integer `5`, expected a string"),
            (
                "kind = \"ntfy\"\nurl = \"https://x/t\"\ntoken_credential = \"tk/hidden\"",
                "target.bad: token_credential is the name of a credential of systemd (letters, digits and . _ -)",
            ),
            (
                "kind = \"ntfy\"\nurl = \"https://x/t\"\nevents = [\"roled-back\"]",
                "target.bad: events: there is no \"roled-back\" (did you mean rolled-back?)",
            ),
            (
                "kind = \"ntfy\"\nurl = \"https://x/t\"\ntimeout_secs = -5",
                "target.bad: timeout_secs: -5 is out of range: 1 to 60 seconds",
            ),
            (
                "kind = \"ntfy\"\nurl = \"https://x/t\"\ntimeout_secs = 0",
                "target.bad: timeout_secs: 0 is out of range: 1 to 60 seconds",
            ),
            (
                "kind = \"ntfy\"\nurl = \"https://x/t\"\ntimeout_secs = \"5\"",
                "target.bad: timeout_secs: \"5\" is not a whole number: 1 to 60 seconds",
            ),
            ("kind = \"mail\"\nto = \"a@b\\nBcc: c@d\"", "target.bad: to and from are mail addresses"),
            ("kind = \"issue\"\nforge = \"forgejo\"\nrepository = \"../x\"", "target.bad: url is missing"),
            (
                "kind = \"issue\"\nforge = \"github\"\nrepository = \"a/..\"\ntoken_credential = \"t\"",
                "target.bad: repository is OWNER/NAME",
            ),
            ("kind = \"command\"\ncommand = []", "target.bad: command is a list"),
        ] {
            let good = "[target.good]\nkind = \"ntfy\"\nurl = \"https://x/t\"";
            let settings = read(&format!("[target.bad]\n{text}\n{good}"));
            let said = settings.faults.join("\n");
            assert!(said.contains(fault), "{text}: {said}");
            assert!(!said.contains("hidden"), "{said}");
            assert_eq!(settings.targets.len(), 1, "{text}");
            assert_eq!(settings.names.len(), 2);
        }
        let settings = read("evnts = [\"x\"]\n[target.good]\nkind = \"ntfy\"\nurl = \"https://x/t\"");
        assert_eq!(settings.faults, ["there is no setting \"evnts\" (did you mean events?)"]);
        assert_eq!(settings.targets.len(), 1);
        assert_eq!(read("[target.\"../x\"]\nkind = \"ntfy\"\nurl = \"https://x/t\"").targets.len(), 0);
    }
}
