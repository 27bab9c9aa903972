//! Running the tools of the host.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A port of this machine that nobody listens on.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Everything that is built and kept, below the checkout.
pub(crate) fn cache() -> PathBuf {
    checkout().join("target/vm")
}

/// The checkout this was built from.
pub(crate) fn checkout() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    checkout.canonicalize().unwrap_or(checkout)
}

/// Run a command; its output is shown only if it fails.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed ({}):\n{said}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Run a script, with words for its `$1`, `$2` ….
pub(crate) fn script(text: &str, words: &[&Path]) -> Result<String> {
    run(Command::new("bash").args(["-euo", "pipefail", "-c", text, "script"]).args(words))
}

/// Say what takes long.
pub(crate) fn progress(text: &str) {
    eprintln!("-- {text}");
}

/// FNV-1a of some bytes: names what is cached, nothing more.
pub(crate) fn fingerprint(parts: &[Vec<u8>]) -> String {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", parts.iter().flatten().fold(0xcbf2_9ce4_8422_2325, mix))
}
