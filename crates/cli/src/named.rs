//! What a person means by a part of a name.

use std::path::Path;

use golden_core::{BootId, Ledger, Named, Revision, Toplevel};
use golden_host::operation::Options;
use golden_host::{Error, Host, LinuxHost, loader};

/// Where every generation of the system profile is, by its number.
const PROFILE: &str = "/nix/var/nix/profiles/system";
/// Shortest beginning of a boot ID that names a boot.
const MIN_BOOT_DIGITS: usize = 6;

/// A boot, by its ID or the beginning of that.
pub(crate) fn is_boot(text: &str, boot: &BootId) -> bool {
    let digits: String = text.chars().filter(|&digit| digit != '-').collect::<String>().to_ascii_lowercase();
    digits.len() >= MIN_BOOT_DIGITS && boot.as_str().starts_with(&digits)
}

/// A generation by its number in the system profile, or what a person typed.
pub(crate) fn generation(host: &LinuxHost, text: &str) -> String {
    let target = text
        .parse::<u32>()
        .ok()
        .and_then(|number| host.read_link(Path::new(&format!("{PROFILE}-{number}-link"))).ok());
    target.and_then(|path| path.into_os_string().into_string().ok()).unwrap_or_else(|| text.to_owned())
}

/// Whether a part of its name names a system. The number of a generation that is gone is in many a hash.
pub(crate) fn is_part(text: &str, toplevel: &Toplevel) -> bool {
    let is_number = text.len() < MIN_BOOT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    !is_number && toplevel.as_str().contains(text)
}

/// Something that is in quarantine.
pub(crate) fn quarantined(host: &LinuxHost, ledger: &Ledger, text: &str) -> Result<Named, Error> {
    let text = &generation(host, text);
    if let Ok(toplevel) = text.parse() {
        return Ok(Named::Toplevel(toplevel));
    }
    let toplevels: Vec<&Toplevel> =
        ledger.quarantine.iter().map(|entry| &entry.toplevel).filter(|it| is_part(text, it)).collect();
    let revision = text.parse::<Revision>().ok().filter(|named| {
        let of_systems = ledger.quarantine.iter().filter_map(|entry| entry.revision.as_ref());
        let mut all = of_systems.chain(ledger.quarantined_revisions.iter().map(|entry| &entry.revision));
        all.any(|revision| named.names(revision) || revision.names(named))
    });
    match (&toplevels[..], revision) {
        ([one], None) => Ok(Named::Toplevel((*one).clone())),
        ([], Some(revision)) => Ok(Named::Revision(revision)),
        ([], None) => Err(Error::NotNamed {
            named: text.clone(),
            why: "is not in quarantine".to_owned(),
            hint: "`golden quarantine list` says what is",
        }),
        (several, _) => Err(ambiguous(text, several.iter().copied())),
    }
}

/// Something that may be put into quarantine: a system that this machine knows, or else a revision.
pub(crate) fn deployable(
    host: &LinuxHost,
    options: &Options,
    ledger: &Ledger,
    text: &str,
) -> Result<Named, Error> {
    let text = &generation(host, text);
    if text.starts_with('/') {
        return text.parse().map(Named::Toplevel).map_err(|error: golden_core::InvalidName| {
            let why = format!("is no system: {error}");
            Error::NotNamed { named: text.clone(), why, hint: "name the store path of the whole system" }
        });
    }
    let mut known: Vec<Toplevel> = known(host, options, ledger);
    known.retain(|toplevel| is_part(text, toplevel));
    known.sort();
    known.dedup();
    match &known[..] {
        [one] => Ok(Named::Toplevel(one.clone())),
        [] => text.parse().map(Named::Revision).map_err(|error: golden_core::InvalidName| {
            let why = format!("is no system that this machine knows, and no revision: {error}");
            Error::NotNamed { named: text.clone(), why, hint: "name a store path, or a source revision" }
        }),
        several => Err(ambiguous(text, several.iter())),
    }
}

fn known(host: &LinuxHost, options: &Options, ledger: &Ledger) -> Vec<Toplevel> {
    let seen =
        golden_host::see(host, Some(ledger), loader::detect(host, options).and_then(|it| it.see()).ok());
    let confirmed = ledger.confirmed.iter().map(|entry| entry.toplevel.clone());
    let quarantined = ledger.quarantine.iter().map(|entry| entry.toplevel.clone());
    let trial = ledger.trial.iter().map(|trial| trial.toplevel.clone());
    let of_machine = seen.into_iter().flat_map(|seen| {
        let listed = seen.loader.map_or_else(Vec::new, |loader| loader.listed);
        listed.into_iter().chain(seen.booted).chain(seen.golden).chain(seen.profile)
    });
    confirmed.chain(quarantined).chain(trial).chain(of_machine).collect()
}

fn ambiguous<'a>(text: &str, several: impl Iterator<Item = &'a Toplevel>) -> Error {
    const SHOWN: usize = 8;
    let names: Vec<&str> = several.take(SHOWN).map(Toplevel::as_str).collect();
    let why = format!("can mean more than one: {}", names.join(", "));
    Error::NotNamed { named: text.to_owned(), why, hint: "name the store path, or a longer part of it" }
}
