//! Mail, through whatever the machine has as `sendmail`.

use std::fmt::Write as _;
use std::process::Command as Process;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{command, cut};
use crate::courier::{Letter, Outcome};
use crate::settings::Mail;

/// Longest line of base64. Source: RFC 2045.
const LINE: usize = 76;
/// Longest part of a subject that is encoded as one word, in bytes. Source: RFC 2047: 75 letters with all around it.
const WORD_BYTES: usize = 42;
/// Longest subject, in bytes.
const MAX_SUBJECT_BYTES: usize = 240;

pub(super) fn deliver(mail: &Mail, letter: &Letter, timeout: Duration) -> Result<Outcome, String> {
    let mut process = Process::new(&mail.sendmail);
    // The people are in the headers, and a line with a single dot does not end the text.
    process.args(["-t", "-i"]);
    command::run(process, &write(mail, letter), timeout)
}

/// The mail, as `sendmail` reads it.
fn write(mail: &Mail, letter: &Letter) -> Vec<u8> {
    let mut text = String::new();
    if let Some(from) = &mail.from {
        let _ = writeln!(text, "From: {from}");
    }
    let host: String =
        letter.message.host.chars().filter(|it| it.is_ascii_alphanumeric() || ".-".contains(*it)).collect();
    let host = if host.is_empty() { "localhost".to_owned() } else { host };
    let _ = writeln!(text, "To: {}", mail.to.join(",\n "));
    let _ = writeln!(text, "Subject: {}", subject(&letter.title));
    // The same message has the same one: many mailboxes show what comes twice once.
    let _ = writeln!(text, "Message-ID: <{}@{host}>", letter.message.id);
    // Nobody's answering machine answers. Source: RFC 3834.
    text.push_str("Auto-Submitted: auto-generated\nMIME-Version: 1.0\n");
    text.push_str("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n");
    let body = STANDARD.encode(format!("{}\n", letter.text));
    for line in body.as_bytes().chunks(LINE) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.into_bytes()
}

/// One header, whatever is in it.
fn subject(title: &str) -> String {
    let title: String = cut(title, MAX_SUBJECT_BYTES).chars().filter(|it| !it.is_control()).collect();
    if title.is_ascii() && title.len() <= 70 && !title.contains("=?") {
        return title;
    }
    let (mut words, mut rest) = (Vec::new(), title.as_str());
    while !rest.is_empty() {
        let word = cut(rest, WORD_BYTES);
        words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
        rest = &rest[word.len()..];
    }
    words.join("\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_header_whatever_is_in_it() {
        assert_eq!(subject("web1 rolled back"), "web1 rolled back");
        assert_eq!(subject("web1\r\nBcc: everybody@example.org"), "web1Bcc: everybody@example.org");
        let long = subject(&"ä".repeat(300));
        assert!(
            long.lines().all(|line| line.trim().len() <= 75 && line.trim().starts_with("=?utf-8?B?")),
            "{long}"
        );
        let decoded: Vec<u8> = long
            .lines()
            .flat_map(|line| {
                let word = line.trim().trim_start_matches("=?utf-8?B?").trim_end_matches("?=");
                STANDARD.decode(word).unwrap_or_default()
            })
            .collect();
        assert_eq!(String::from_utf8(decoded).as_deref(), Ok("ä".repeat(120).as_str()));
    }
}
