//! `cargo xtask install`: the programs with everything that belongs to them, as a package has them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

/// Section of the manual: programs for administrators.
const SECTION: &str = "8";

/// Where things come from, and where they go.
#[derive(clap::Args)]
pub(crate) struct Install {
    /// Directory of the built programs
    #[arg(long, value_name = "DIR", default_value = "target/release")]
    pub programs: PathBuf,
    /// Where the programs will find themselves
    #[arg(long, value_name = "DIR", default_value = "/usr")]
    pub prefix: PathBuf,
    /// Install below DIR
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}

/// Install programs, units, journal catalog, tmpfiles, settings of systemd, manual pages and completions.
pub(crate) fn run(install: &Install) -> Result<bool> {
    let below = |part: &str| -> Result<PathBuf> {
        let prefix = install.prefix.strip_prefix("/").context("the prefix is not absolute")?;
        let directory = install.root.join(prefix).join(part);
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(directory)
    };
    programs(&install.programs, &below("bin")?)?;
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../units");
    for kind in ["service", "target", "timer", "path", "socket"] {
        for unit in listed(&units, kind)? {
            let program = format!("{}/bin/", install.prefix.display());
            let text = fs::read_to_string(&unit)?.replace("/usr/bin/", &program);
            fs::write(below("lib/systemd/system")?.join(name_of(&unit)), text)?;
        }
    }
    for (from, directory, to) in [
        ("golden-generation.catalog", "lib/systemd/catalog", "golden-generation.catalog"),
        ("golden-generation.tmpfiles.conf", "lib/tmpfiles.d", "golden-generation.conf"),
        ("golden-generation.sysusers.conf", "lib/sysusers.d", "golden-generation.conf"),
        ("golden-generation-system.conf", "lib/systemd/system.conf.d", "50-golden-generation.conf"),
    ] {
        fs::copy(units.join(from), below(directory)?.join(to))?;
    }
    let monitoring = units.join("../monitoring");
    for name in ["golden-generation.rules.yml", "grafana-dashboard.json"] {
        fs::copy(monitoring.join(name), below("share/golden-generation")?.join(name))?;
    }
    for command in golden_units::commands().into_iter().chain(golden_cli::commands()) {
        manual(command, &below("share/man/man8")?)?;
    }
    for mut command in golden_cli::commands() {
        let name = command.get_name().to_owned();
        for (shell, directory, file) in [
            (Shell::Bash, "share/bash-completion/completions", name.clone()),
            (Shell::Zsh, "share/zsh/site-functions", format!("_{name}")),
            (Shell::Fish, "share/fish/vendor_completions.d", format!("{name}.fish")),
        ] {
            let directory = below(directory)?;
            let made = generate_to(shell, &mut command, &name, &directory)?;
            fs::rename(made, directory.join(file))?;
        }
    }
    Ok(true)
}

fn programs(from: &Path, to: &Path) -> Result<()> {
    for command in golden_units::commands().into_iter().chain(golden_cli::commands()) {
        let program = from.join(command.get_name());
        ensure!(program.is_file(), "{} is not built: run cargo build --release", program.display());
        fs::copy(&program, to.join(command.get_name()))?;
    }
    Ok(())
}

/// One page for the program, and one for each of its subcommands, and of theirs.
fn manual(mut command: Command, to: &Path) -> Result<()> {
    command.build();
    let name = command.get_name().to_owned();
    pages(&command, to, &name)
}

fn pages(command: &Command, to: &Path, name: &str) -> Result<()> {
    for subcommand in command.get_subcommands().filter(|it| it.get_name() != "help") {
        pages(subcommand, to, &format!("{name}-{}", subcommand.get_name()))?;
    }
    write_page(command.clone().display_name(name.to_owned()), to, name)
}

fn write_page(command: Command, to: &Path, name: &str) -> Result<()> {
    let mut page = Vec::new();
    Man::new(command).section(SECTION).manual("golden-generation").render(&mut page)?;
    let mut file = fs::File::create(to.join(format!("{name}.{SECTION}")))?;
    Ok(file.write_all(&page)?)
}

fn listed(directory: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == suffix));
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> &std::ffi::OsStr {
    path.file_name().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

    use super::*;

    /// The layout of a package whose prefix is in the store.
    fn installed(root: &Path) -> Install {
        let programs = root.join("built");
        fs::create_dir(&programs).unwrap();
        for command in golden_units::commands().into_iter().chain(golden_cli::commands()) {
            fs::write(programs.join(command.get_name()), command.get_name()).unwrap();
        }
        let install =
            Install { programs, prefix: "/nix/store/abc-golden-generation".into(), root: root.join("root") };
        run(&install).unwrap();
        install
    }

    #[test]
    fn everything_that_a_unit_refers_to_is_installed() {
        let root = tempfile::tempdir().unwrap();
        let install = installed(root.path());
        let prefix = install.root.join(install.prefix.strip_prefix("/").unwrap());
        let units = listed(&prefix.join("lib/systemd/system"), "service").unwrap();
        assert!(units.len() >= 4, "{units:?}");
        for unit in units {
            let text = fs::read_to_string(&unit).unwrap();
            let programs = text.lines().filter_map(|line| {
                let (key, value) = line.split_once('=')?;
                key.starts_with("Exec").then(|| value.split(' ').next().unwrap())
            });
            for program in programs {
                assert!(
                    program.starts_with("/nix/store/abc-golden-generation/bin/"),
                    "{}: {program}",
                    unit.display()
                );
                assert!(install.root.join(&program[1..]).is_file(), "{}: {program}", unit.display());
            }
            for page in text.lines().filter_map(|line| line.strip_prefix("Documentation=man:")) {
                let page = page.replace("(8)", ".8");
                assert!(prefix.join("share/man/man8").join(&page).is_file(), "{}: {page}", unit.display());
            }
        }
    }

    #[test]
    fn every_program_and_subcommand_has_a_page_that_says_what_it_does() {
        let root = tempfile::tempdir().unwrap();
        let install = installed(root.path());
        let prefix = install.root.join(install.prefix.strip_prefix("/").unwrap());
        for name in [
            "golden",
            "golden-status",
            "golden-why",
            "golden-simulate",
            "pin-golden",
            "golden-confirm",
            "golden-quarantine-add",
        ] {
            let page = fs::read_to_string(prefix.join(format!("share/man/man8/{name}.8"))).unwrap();
            assert!(
                page.contains(".SH NAME") && page.contains("Exit status") || name.contains('-'),
                "{name}"
            );
            assert!(page.contains(".SH DESCRIPTION"), "{name}: {page}");
        }
        for file in [
            "share/bash-completion/completions/golden",
            "share/zsh/site-functions/_pin-golden",
            "share/fish/vendor_completions.d/golden.fish",
            "lib/systemd/catalog/golden-generation.catalog",
            "lib/tmpfiles.d/golden-generation.conf",
            "lib/sysusers.d/golden-generation.conf",
            "lib/systemd/system/golden-serve.socket",
            "lib/systemd/system/golden-publish.path",
            "share/golden-generation/grafana-dashboard.json",
            "share/golden-generation/golden-generation.rules.yml",
            "lib/systemd/system.conf.d/50-golden-generation.conf",
        ] {
            assert!(prefix.join(file).is_file(), "{file}");
        }
    }

    #[test]
    fn no_page_and_no_completion_lists_a_subcommand_of_units() {
        let root = tempfile::tempdir().unwrap();
        let install = installed(root.path());
        let share = install.root.join(install.prefix.strip_prefix("/").unwrap()).join("share");
        for file in [
            "man/man8/golden.8",
            "bash-completion/completions/golden",
            "zsh/site-functions/_golden",
            "fish/vendor_completions.d/golden.fish",
        ] {
            let text = fs::read_to_string(share.join(file)).unwrap();
            assert!(text.contains("quarantine"), "{file}");
            assert!(
                !text.contains("announce") && !text.contains("inject"),
                "{file} lists a subcommand of units"
            );
        }
        assert!(!share.join("man/man8/golden-inject.8").exists());
        let hidden = |command: &Command| command.get_subcommands().any(Command::is_hide_set);
        assert!(!golden_cli::commands().iter().any(hidden), "completions of bash list hidden subcommands");
    }

    #[test]
    fn a_program_that_is_not_built_is_said() {
        let root = tempfile::tempdir().unwrap();
        let install =
            Install { programs: root.path().join("none"), prefix: "/usr".into(), root: root.path().into() };
        assert!(run(&install).unwrap_err().to_string().contains("is not built"));
    }
}
