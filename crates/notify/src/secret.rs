//! What nobody else may read. It comes from systemd's credentials, and goes nowhere but to its target.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

/// Longest secret, in bytes.
const MAX_BYTES: u64 = 4096;

/// Where systemd puts the credentials of this unit.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    directory: Option<PathBuf>,
}

/// A token or a key. Nothing prints it.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

impl Secret {
    /// What it is, for its target alone.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// A text of somebody else, who may have sent it back, without it. Of an address nobody knows which part is the secret:
    /// a server says the path, or a word of it, and nothing is left of such a text.
    pub(crate) fn hide_in(&self, text: &str) -> String {
        if self.0.contains("://") { String::new() } else { text.replace(&self.0, "(secret)") }
    }
}

impl Credentials {
    /// Those in `directory`.
    #[must_use]
    pub fn below(directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()) }
    }

    /// Those of this unit. Source: `systemd.exec(5)`, "`LoadCredential=`".
    #[must_use]
    pub fn of_this_unit() -> Self {
        Self { directory: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from) }
    }

    /// One of them; the error is a sentence for the owner, without anything of the secret in it.
    pub(crate) fn read(&self, name: &str) -> Result<Secret, String> {
        let Some(directory) = &self.directory else {
            return Err(format!("there is no credential {name}: systemd gave this process none"));
        };
        let mut text = String::new();
        File::open(directory.join(name))
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| format!("cannot read the credential {name}: {error}"))?;
        let secret = text.trim();
        if text.len() as u64 > MAX_BYTES {
            Err(format!("the credential {name} is longer than {MAX_BYTES} bytes"))
        } else if secret.is_empty() {
            Err(format!(
                "the credential {name} is empty, or its file was not there when the unit was started"
            ))
        } else if secret.chars().any(char::is_control) {
            Err(format!("the credential {name} has more than one line, or control characters"))
        } else {
            Ok(Secret(secret.to_owned()))
        }
    }

    /// The same for a credential that a target may do without.
    pub(crate) fn read_if(&self, name: Option<&str>) -> Result<Option<Secret>, String> {
        name.map(|name| self.read(name)).transpose()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

    use super::*;

    #[test]
    fn a_secret_is_read_without_its_line_end_and_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("token"), "tk_hidden\n").unwrap();
        let secret = Credentials::below(directory.path()).read("token").unwrap();
        assert_eq!(secret.reveal(), "tk_hidden");
        assert!(!format!("{secret:?} {:?}", Some(&secret)).contains("hidden"));
        assert_eq!(secret.hide_in("you sent tk_hidden"), "you sent (secret)");
        std::fs::write(directory.path().join("url"), "https://example.org/T0/hidden").unwrap();
        let address = Credentials::below(directory.path()).read("url").unwrap();
        assert_eq!(address.hide_in("cannot POST /T0/hidden"), "");
    }

    #[test]
    fn what_is_no_secret_is_said_without_its_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let credentials = Credentials::below(directory.path());
        for (name, bytes) in
            [("long", vec![b'x'; 5000]), ("lines", b"hid\nden".to_vec()), ("empty", b" \n".to_vec())]
        {
            std::fs::write(directory.path().join(name), bytes).unwrap();
            let said = credentials.read(name).unwrap_err();
            assert!(said.contains(name) && !said.contains("hid") && !said.contains("xxx"), "{said}");
        }
        std::fs::write(directory.path().join("binary"), [0xff, 0xfe]).unwrap();
        assert!(credentials.read("binary").is_err() && credentials.read("none").is_err());
        assert!(Credentials::default().read("token").unwrap_err().contains("systemd gave this process none"));
    }
}
