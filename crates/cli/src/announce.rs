//! What whoever comes to a machine in safe mode reads first.

use std::path::Path;

use golden_core::SafeMode;
use golden_host::command::Common;
use golden_host::{Error, Host, Reading, Store, describe_reason};

/// Shown at every login. Source: `pam_motd(8)`.
const MOTD: &str = "/run/motd.d";

/// Say it, or take it back once it is over.
pub(crate) fn run(common: &Common, over: bool) -> Result<String, Error> {
    let host = common.host();
    if over {
        // It may be gone already.
        let _ = host.remove(&Path::new(MOTD).join("golden-generation"));
        return Ok(String::new());
    }
    let options = common.options(&host);
    let ledger = match Store::new(&host, &options.state_dir).read()? {
        Reading::Whole(ledger) => *ledger,
        _ => return Ok(String::new()),
    };
    let Some(SafeMode { reason, .. }) = &ledger.safe_mode else { return Ok(String::new()) };
    let text = format!(
        "golden-generation: SAFE MODE. {}.\n\
         The network and sshd are up, nothing else, and the machine does not reboot by itself.\n  \
         golden why                           what failed, and of what\n  \
         systemctl isolate multi-user.target  try the normal boot: what gets there is confirmed, and safe mode ends\n  \
         nixos-rebuild boot                   deploy something else: it is booted as a trial\n",
        capitalised(describe_reason(reason))
    );
    let motd = Path::new(MOTD);
    // The console and the journal have it all the same.
    let _ = host
        .create_directory(motd, 0o755)
        .and_then(|()| host.write(&motd.join("golden-generation"), text.as_bytes()));
    Ok(text)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
