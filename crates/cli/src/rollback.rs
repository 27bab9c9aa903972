//! `golden rollback` and `golden confirm`: what a person decides about what runs.

use std::io::{self, BufRead};

use golden_core::{End, Ledger, Live, LivePhase};
use golden_host::command::{Common, answer};
use golden_host::{Error, LinuxHost, Store, operation};

/// Leave what runs, after a question.
pub(crate) fn roll_back(common: &Common, yes: bool) -> Result<String, Error> {
    let host = common.host();
    let options = common.options(&host);
    let (from, to) = operation::foresee_rollback(&host, &options)?;
    if !yes {
        let question = format!(
            "This machine reboots now, and comes back to {to}.\n\
             {from} goes into quarantine: it is not deployed here until it is released.\nType yes to go on: "
        );
        let _ = answer(&question);
        let mut typed = String::new();
        // Whoever has nothing to type on has not agreed.
        let read = io::stdin().lock().read_line(&mut typed);
        if read.is_err() || typed.trim() != "yes" {
            return Ok("nothing was done\n".to_owned());
        }
    }
    operation::roll_back_now(&host, &options)?;
    Ok(format!("the machine reboots into {to}; afterwards `golden why` tells the rest\n"))
}

/// A person vouches for what runs.
pub(crate) fn confirm(common: &Common) -> Result<String, Error> {
    let host = common.host();
    let options = common.options(&host);
    if let Some(live) = operation::live(&host, &options)?.filter(|live| live.phase == LivePhase::Proving) {
        operation::confirm_live(&host, &options)?;
        let failed = |now: &Live| now.to == live.to && now.phase == LivePhase::GoingBack;
        if operation::live(&host, &options)?.as_ref().is_some_and(failed) {
            return Err(Error::NotNamed {
                named: live.to.to_string(),
                why: "has failed already, and what ran before comes back".to_owned(),
                hint: "`golden why` tells why",
            });
        }
        return Ok(format!(
            "noted: {} works. Once its checks have passed too, it stays, and the next boot tries it\n",
            live.to
        ));
    }
    let seen = golden_host::see(&host, None, None)?;
    let Some(booted) = seen.booted else {
        return Err(Error::Refused(golden_core::Refusal::NothingBooted));
    };
    operation::confirm(&host, &options)?;
    let ledger = read(&host, &options.state_dir)?;
    let of_this_boot = |attempt: &&golden_core::Attempt| attempt.boot.as_ref() == Some(&seen.boot);
    let failed = ledger.watched().flat_map(|attempts| attempts.iter()).filter(of_this_boot);
    let has_failed = failed.filter(|attempt| matches!(attempt.end, Some(End::Failed { .. }))).count() > 0;
    let no = |why: &str, hint| Error::NotNamed { named: booted.to_string(), why: why.to_owned(), hint };
    if ledger.is_quarantined(&booted) {
        return Err(no(
            "is in quarantine and is not confirmed",
            "release it and boot it again: `golden quarantine release`, `nixos-rebuild boot`",
        ));
    }
    if has_failed {
        return Err(no(
            "has failed in this boot already, and is not confirmed",
            "`golden why` tells what failed; the next boot tries it again, or comes back to golden",
        ));
    }
    Ok(match (ledger.is_confirmed(&booted), &ledger.trial) {
        (true, Some(trial)) => format!("{booted} works; {} still waits for its boot\n", trial.toplevel),
        (true, None) => format!("{booted} is confirmed\n"),
        (false, Some(trial)) => {
            format!("{booted} was not to be confirmed: {} waits for its boot\n", trial.toplevel)
        }
        (false, None) => format!(
            "nothing was confirmed: what runs was activated after the boot of {booted}, and its own boot confirms it\n"
        ),
    })
}

fn read(host: &LinuxHost, state_dir: &std::path::Path) -> Result<Ledger, Error> {
    Ok(Store::new(host, state_dir).read()?.known().unwrap_or_default())
}
