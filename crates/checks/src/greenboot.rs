//! The checks that greenboot's configuration disables. Source: greenboot's `usr/libexec/greenboot/greenboot`, greenboot-rs's
//! `src/main.rs` and `src/lib/greenboot.rs`.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use golden_host::{Host, Limits, LinuxHost, run_within};

use crate::child::program;
use crate::drop_in::{open_to_everybody, outside};

/// greenboot and its scripts source it; greenboot-rs reads it as an INI file.
pub(crate) const PATH: &str = "/etc/greenboot/greenboot.conf";
/// Where greenboot's check scripts are.
pub(crate) const DIRECTORIES: [&str; 2] = ["/etc/greenboot/check", "/usr/lib/greenboot/check"];
/// Longest run of one of its scripts, where the owner says nothing. greenboot has no limit: the time that all checks have ends
/// a script, and this is longer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3600);

const DISABLED: &str = "DISABLED_HEALTHCHECKS";
/// A file of settings is sourced in milliseconds.
const LIMITS: Limits = Limits { time: Duration::from_secs(5), output_bytes: 1 << 16 };
/// Prints the array after the file was sourced, as greenboot does it, also where the file ends the shell. The pipe is closed for the
/// file and the programs that it starts.
const ASK: &str = r#"
exec 3>&1 >/dev/null 2>&1
trap 'printf "%s\0" ${DISABLED_HEALTHCHECKS[@]+"${DISABLED_HEALTHCHECKS[@]}"} >&3' EXIT
IFS=$'\n\t'
source "$1" 3>&-
"#;

/// Names of the checks that the owner does not want, by the file at `path`.
///
/// # Errors
/// Everybody may write to the file, which is run as root, and nothing of it is read then; or bash does not answer.
pub(crate) fn disabled(host: &LinuxHost, path: &Path) -> Result<Vec<String>, String> {
    let Ok(bytes) = host.read(path) else { return Ok(Vec::new()) };
    if let Some(why) = open_to_everybody(host, path) {
        return Err(why);
    }
    let mut names = ask_bash(&outside(host, path))?;
    names.extend(by_greenboot_rs(&String::from_utf8_lossy(&bytes)));
    Ok(names)
}

/// The array as bash has it: no parser of ours would know loops, expansions and files that are sourced in turn. Where there is no
/// bash, none of the scripts can be run either.
fn ask_bash(file: &Path) -> Result<Vec<String>, String> {
    let mut bash = program("bash");
    bash.args(["--norc", "--noprofile", "-c", ASK, "greenboot"]).arg(file);
    bash.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    let names = match run_within(bash, LIMITS) {
        Ok(ended) => ended.stdout,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("bash cannot read it: {error}")),
    };
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// The array as greenboot-rs has it: the last `KEY = ("…" "…")` or `KEY: (…)` before any section; nothing where one line is none
/// of an INI file.
fn by_greenboot_rs(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let mut value = None;
    for line in lines.take_while(|line| !line.starts_with('[')) {
        let Some((key, said)) = line.split_once(['=', ':']) else { return Vec::new() };
        if key.trim_end() == DISABLED {
            value = Some(said.trim_start());
        }
    }
    let array = value.and_then(|value| value.strip_prefix('(')?.strip_suffix(')'));
    let words = array.unwrap_or_default().split_whitespace().map(|word| word.trim_matches('"'));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disabled_checks_are_read_as_bash_reads_them() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("greenboot.conf");
        std::fs::write(directory.path().join("more"), "DISABLED_HEALTHCHECKS+=(sourced.sh)\n").unwrap();
        let more = format!("source {}/more", directory.path().display());
        for (text, expected) in [
            ("", &[][..]),
            ("# DISABLED_HEALTHCHECKS=(\"a.sh\")\n", &[]),
            ("DISABLED_HEALTHCHECKS=()\n", &[]),
            ("DISABLED_HEALTHCHECKS=(\"01_a.sh\" '02 b.sh' c)\nX=1", &["01_a.sh", "02 b.sh", "c"]),
            ("A=1\n DISABLED_HEALTHCHECKS=( # these\n\t\"a.sh\" # not\n\tb.sh\n)\n", &["a.sh", "b.sh"]),
            ("DISABLED_HEALTHCHECKS=(a)\nDISABLED_HEALTHCHECKS=(b)\n", &["b"]),
            ("DISABLED_HEALTHCHECKS=(a)\nDISABLED_HEALTHCHECKS+=(b)\n", &["a", "b"]),
            ("DISABLED_HEALTHCHECKS+=(\"a\")\n", &["a"]),
            ("export DISABLED_HEALTHCHECKS=(a)", &["a"]),
            ("declare -a DISABLED_HEALTHCHECKS; DISABLED_HEALTHCHECKS[3]=a", &["a"]),
            ("DISABLED_HEALTHCHECKS=a.sh", &["a.sh"]),
            ("DISABLED_HEALTHCHECKS=(a.sh \\\n  b.sh)", &["a.sh", "b.sh"]),
            ("for i in 1 2; do DISABLED_HEALTHCHECKS+=(\"0${i}_x.sh\"); done", &["01_x.sh", "02_x.sh"]),
            ("DISABLED_HEALTHCHECKS=(0{1,2}.sh); unset 'DISABLED_HEALTHCHECKS[0]'", &["02.sh"]),
            ("set -eu; DISABLED_HEALTHCHECKS=(a); false; DISABLED_HEALTHCHECKS=(b)", &["a"]),
            ("echo noise; DISABLED_HEALTHCHECKS=(a); sleep 300 & exit 3", &["a"]),
            (&*more, &["sourced.sh"]),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(ask_bash(&file).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn disabled_checks_are_read_as_greenboot_rs_reads_them() {
        for (text, expected) in [
            ("", &[][..]),
            ("DISABLED_HEALTHCHECKS=()\n", &[]),
            ("A=1\nDISABLED_HEALTHCHECKS = (\"a.sh\" b.sh)\n", &["a.sh", "b.sh"]),
            ("DISABLED_HEALTHCHECKS: ( \"a.sh\" )\n; comment\n# comment\n", &["a.sh"]),
            ("DISABLED_HEALTHCHECKS=(a)\nDISABLED_HEALTHCHECKS=(b)\n", &["b"]),
            ("DISABLED_HEALTHCHECKS=(\na\n)\n", &[]),
            ("[section]\nDISABLED_HEALTHCHECKS=(a)\n", &[]),
            ("DISABLED_HEALTHCHECKS=a\n", &[]),
        ] {
            assert_eq!(by_greenboot_rs(text), expected, "{text}");
        }
    }
}
