//! What can be said of the Nix files on a machine without nixpkgs: they parse, lint, and evaluate to the text that is
//! checked in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use golden_vm_tests::tree;
use serde_json::Value;

use crate::tally::Tally;

const CASES: &str = "nixos/tests/cases";
/// Where stories are written to.
const STORIES: &str = "target/stories";
/// Compiles a file and keeps nothing.
const COMPILE: &str = "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')";
/// Where linters are built to.
const TOOLS: &str = "target/tools";
/// Crates with a linter in them, and how it is asked. `statix` on crates.io is something else.
const LINTERS: [(&str, &str, &[&str]); 2] =
    [("deadnix", "^1.2", &["--fail", "--no-lambda-pattern-names"]), ("nixpkgs-fmt", "^1.3", &["--check"])];

/// Evaluate with a real `lib` instead of our own part of it.
#[derive(clap::Args, Default)]
pub(crate) struct Nix {
    /// A checkout of nixpkgs, or of nixpkgs.lib, below this directory
    #[arg(long, value_name = "DIR")]
    nixpkgs: Option<PathBuf>,
    /// Write down what comes out as what is expected
    #[arg(long)]
    bless: bool,
}

/// Run every check.
pub(crate) fn run(nix: &Nix) -> Result<bool> {
    let mut tally = Tally::default();
    all(&mut tally, nix)?;
    crate::units::all(&mut tally, nix.bless)?;
    println!("{tally}");
    Ok(tally.failed == 0)
}

pub(crate) fn all(tally: &mut Tally, nix: &Nix) -> Result<()> {
    let files = files(Path::new("."))?;
    ensure!(files.len() > 5, "there are no Nix files here: run this in the checkout");
    println!("== Nix files");
    for file in &files {
        let output = tree::run("nix-instantiate", &["--parse", file])?;
        tally.verdict(&format!("{file} parses"), &said(&output));
    }
    for (name, version, arguments) in LINTERS {
        let output = Command::new(linter(name, version)?).args(arguments).args(&files).output();
        let output = output.with_context(|| format!("cannot run {name}"))?;
        tally.verdict(&format!("{name} has nothing to say"), &said(&output));
    }
    let lib = match &nix.nixpkgs {
        None => "import ./nixos/tests/lib.nix".to_owned(),
        Some(path) => format!("import ./{}/lib", path.display()),
    };
    for case in cases()? {
        let expression =
            format!("import ./nixos/tests/render.nix {{ lib = {lib}; case = ./{CASES}/{case}.nix; }}");
        let rendered = evaluate(&expression)?;
        golden_file(tally, nix, &format!("{CASES}/{case}.expected"), &case, rendered)?;
    }
    let options = evaluate(&format!("import ./nixos/tests/options.nix {{ lib = {lib}; }}"))?;
    golden_file(tally, nix, "docs/options.md", "the options are documented as they are", options)?;
    let entry_points = evaluate("import ./nixos/tests/entry-points.nix { }")?;
    let claim = "flake.nix and default.nix offer what they did";
    golden_file(tally, nix, "nixos/tests/entry-points.expected", claim, entry_points)?;
    stories(tally)
}

/// Each story of `vm-tests/nixos`: its machine evaluates, and what the driver gets is Python.
fn stories(tally: &mut Tally) -> Result<()> {
    let output = nix_eval("import ./nixos/tests/stories.nix { }")?;
    if !output.status.success() {
        tally.verdict("the machines of the stories evaluate", &said(&output));
        return Ok(());
    }
    let stories: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout)?;
    ensure!(!stories.is_empty(), "there are no stories");
    fs::create_dir_all(STORIES)?;
    for (name, story) in stories {
        let path = format!("{STORIES}/{name}.py");
        fs::write(&path, story["script"].as_str().unwrap_or_default())?;
        let compiled = tree::run_tool("python3", &["-c", COMPILE, &path])?;
        tally.verdict(&format!("the story of {name} is Python, and its machine evaluates"), &said(&compiled));
    }
    Ok(())
}

/// How many checks there are.
pub(crate) fn count() -> Result<usize> {
    // Three files are what the others are made of.
    let stories = files(Path::new("vm-tests/nixos"))?.len() - 3;
    Ok(files(Path::new("."))?.len() + LINTERS.len() + cases()?.len() + 2 + stories)
}

/// What an expression says, or in one line why it says nothing.
fn evaluate(expression: &str) -> Result<String> {
    let output = nix_eval(expression)?;
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout)?);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let error = text.lines().map(str::trim).rfind(|line| line.starts_with("error: "));
    Ok(format!("{}\n", error.unwrap_or(&text)))
}

fn nix_eval(expression: &str) -> Result<Output> {
    tree::run("nix-instantiate", &["--eval", "--strict", "--json", "--expr", expression])
}

/// Compare with what is checked in.
fn golden_file(tally: &mut Tally, nix: &Nix, path: &str, claim: &str, text: String) -> Result<()> {
    if nix.bless {
        fs::write(path, text)?;
        return Ok(());
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    let difference = || format!("{path} says:\n{expected}\nand this came out:\n{text}");
    tally.verdict(claim, &if same(&expected, &text) { String::new() } else { difference() });
    Ok(())
}

/// Errors may say more than we do after the sentence.
fn same(expected: &str, text: &str) -> bool {
    expected == text || expected.starts_with("error: ") && text.starts_with(expected.trim_end())
}

/// What a program said that failed; nothing if it did not.
fn said(output: &Output) -> String {
    if output.status.success() {
        return String::new();
    }
    format!(
        "it failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn cases() -> Result<Vec<String>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(CASES)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        cases.extend(name.strip_suffix(".nix").map(str::to_owned));
    }
    cases.sort();
    Ok(cases)
}

/// Every Nix file of ours, by name.
fn files(directory: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() && !name.starts_with('.') && name != "target" {
            files.extend(self::files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "nix") {
            files.push(path.strip_prefix("./").unwrap_or(&path).display().to_string());
        }
    }
    files.sort();
    Ok(files)
}

fn linter(name: &str, version: &str) -> Result<PathBuf> {
    let program = Path::new(TOOLS).join("bin").join(name);
    if !program.exists() {
        println!("== building {name}, a minute");
        let install = ["install", name, "--version", version, "--locked", "--quiet", "--root", TOOLS];
        let status = Command::new("cargo").args(install).status().context("cannot run cargo")?;
        ensure!(status.success(), "{name} does not build");
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

    use std::process::Stdio;

    use super::*;

    /// Where it is.
    const MOTD: &str = "/run/motd.d/golden-generation";

    /// The hook as NixOS puts it behind the installer, with a mark that says what it was asked for.
    fn installer(builder: &str, mark: &str, owners: &str) -> (Option<i32>, String) {
        let text = include_str!("../../../nixos/tests/cases/minimal.expected");
        let hook = text
            .split("== ")
            .find(|section| section.starts_with("boot.loader.systemd-boot.extraInstallCommands"));
        let hook = hook.unwrap().split_once('\n').unwrap().1;
        let program = "/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-golden-generation/bin/golden-mark-pending";
        assert!(hook.contains(program));
        let script = format!(
            "mark() {{ echo \"marks $*\"; {mark}; }}\n{builder}\n{}{owners}\n",
            hook.replace(program, "mark")
        );
        let output =
            Command::new("bash").args(["-c", &script, "installer", "/nix/store/x"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// What NixOS runs instead of an installer that has no hook, below a directory, with programs that say what they
    /// were asked for.
    fn wrapped(case: &str, root: &Path, programs: &str) -> (Option<i32>, String) {
        let text = fs::read_to_string(format!("../../{CASES}/{case}.expected")).unwrap();
        let section = text.split("== ").find(|section| section.starts_with("system.build.installBootLoader"));
        let mut script = section.unwrap().split_once('\n').unwrap().1.to_owned();
        let store = "/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
        for (from, to) in [
            (format!("{store}-golden-generation/bin/golden-mark-pending"), "mark".to_owned()),
            (format!("{store}-coreutils/bin/sync"), "true".to_owned()),
            (format!("{store}-coreutils/bin/"), String::new()),
            (format!("{store}-gnused/bin/"), String::new()),
            (format!("{store}-grub2/bin/"), String::new()),
            (
                "/nix/store/ffffffffffffffffffffffffffffffff-installer --flag".to_owned(),
                "installer".to_owned(),
            ),
            ("/nix/var".to_owned(), format!("{}/var", root.display())),
            ("/boot".to_owned(), format!("{}/boot", root.display())),
        ] {
            script = script.replace(&from, &to);
        }
        let below = format!("{}/boot", root.display());
        assert!(
            !script.replace(&below, "").contains("/boot"),
            "nothing outside of the directory is written: {script}"
        );
        let script = format!("boot={}/boot\n{programs}\n{script}", root.display());
        let output =
            Command::new("bash").args(["-c", &script, "installer", "/nix/store/b"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn the_mark_behind_any_installer_runs_however_that_ends_and_hides_no_failure() {
        let root = tempfile::tempdir().unwrap();
        for case in ["grub", "extlinux", "external"] {
            for (installer, mark, status) in [(0, 0, 0), (0, 77, 77), (3, 0, 3), (3, 74, 3)] {
                let programs = format!(
                    "installer() {{ echo \"installs $*\"; return {installer}; }}\n\
                     mark() {{ echo \"marks $*\"; return {mark}; }}\ngrub-editenv() {{ :; }}"
                );
                let (code, said) = wrapped(case, root.path(), &programs);
                assert_eq!(code, Some(status), "{case}: {said}");
                assert_eq!(said, "installs /nix/store/b\nmarks /nix/store/b\n", "{case}");
            }
        }
    }

    #[test]
    fn golden_has_a_label_of_its_own_with_files_that_its_installer_keeps() {
        let root = tempfile::tempdir().unwrap();
        let (golden, boot) = (root.path().join("a"), root.path().join("boot"));
        fs::create_dir_all(root.path().join("var/nix/profiles/system-profiles")).unwrap();
        fs::create_dir_all(&golden).unwrap();
        fs::write(golden.join("kernel"), "").unwrap();
        let link = root.path().join("var/nix/profiles/system-profiles/golden");
        std::os::unix::fs::symlink(&golden, link).unwrap();
        let programs = "mark() { :; }\ninstaller() {\n  place=${3:-$boot}; mkdir -p $place/extlinux\n  \
                        printf 'DEFAULT nixos-default\\n\\nLABEL nixos-default\\n  MENU LABEL NixOS - Default\\n  LINUX \
                        ../nixos/k\\n  INITRD ../nixos/i\\n  APPEND init=%s/init ../nixos/x\\n  FDTDIR ../nixos/d\\n' $1 >\
                        $place/extlinux/extlinux.conf\n}";
        for _ in 0..2 {
            let (code, said) = wrapped("extlinux", root.path(), programs);
            assert_eq!(code, Some(0), "{said}");
            let conf = fs::read_to_string(boot.join("extlinux/extlinux.conf")).unwrap();
            let label = conf.split("\nLABEL golden\n").nth(1).unwrap();
            let expected =
                "  MENU LABEL NixOS - Golden\n  LINUX ../golden/nixos/k\n  INITRD ../golden/nixos/i\n";
            assert!(label.starts_with(expected), "{conf}");
            assert!(label.contains(&format!("init={}/init", golden.display())), "{conf}");
            assert!(label.contains("  FDTDIR ../golden/nixos/d\n"), "{conf}");
            assert!(conf.starts_with("DEFAULT nixos-default\n"), "{conf}");
        }
        // A file that is not there is not replaced by half of one.
        fs::remove_dir_all(&boot).unwrap();
        let fails = programs.replace("place=${3:-$boot}", "[ $# -gt 1 ] || return 1; place=${3:-$boot}");
        fs::create_dir_all(boot.join("extlinux")).unwrap();
        assert_eq!(wrapped("extlinux", root.path(), &fails).0, Some(1));
        assert!(!boot.join("extlinux/extlinux.conf").exists());
    }

    #[test]
    fn the_message_of_the_day_is_for_a_terminal_and_for_no_program_that_starts_a_login_shell() {
        let text = include_str!("../../../nixos/tests/cases/minimal.expected");
        let section = text.split("== ").find(|section| section.starts_with("login shells")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let motd = directory.path().join("motd");
        let shell = section.split_once('\n').unwrap().1.replace(MOTD, &motd.display().to_string());
        let script = directory.path().join("profile");
        fs::write(&script, format!("set -eu\n{shell}\necho goes on\n")).unwrap();
        let piped = || Command::new("bash").arg(&script).output().unwrap();
        // script(1) has a terminal for it.
        let typed = || {
            let asked = format!("bash {}", script.display());
            Command::new("script").args(["-qec", &asked, "/dev/null"]).stdin(Stdio::null()).output().unwrap()
        };
        for (there, shown) in [(false, "goes on"), (true, "safe mode\ngoes on")] {
            if there {
                fs::write(&motd, "safe mode\n").unwrap();
            }
            let said = |output: Output| String::from_utf8(output.stdout).unwrap().replace('\r', "");
            assert_eq!(said(piped()), "goes on\n");
            assert_eq!(said(typed()).trim(), shown);
        }
    }

    /// Tests that a Nix build does not run, and why.
    const LEFT_OUT: [(&str, &[&str]); 3] = [
        ("it takes minutes", &["always_true"]),
        (
            "it reads fuzz/ or nixos/, and a change of those would build everything anew",
            &["corpus", "settings"],
        ),
        (
            "it runs scripts, or servers with certificates, as a whole machine does",
            &[
                "assess",
                "assessor",
                "external",
                "greenboot",
                "interrupt",
                "measure",
                "notify",
                "people",
                "probes",
                "runner",
                "targets",
                "tls",
                "units",
            ],
        ),
    ];

    #[test]
    fn the_package_runs_every_test_but_those_that_are_named_here() {
        let package = include_str!("../../../nixos/package.nix");
        let list = package.split("\"--test\" name ]) [").nth(1).unwrap().split(']').next().unwrap();
        let mut named: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
        named.extend(LEFT_OUT.iter().flat_map(|(_, names)| names.iter()));
        named.sort_unstable();
        let mut there = Vec::new();
        for tests in fs::read_dir("..").unwrap().map(|entry| entry.unwrap().path().join("tests")) {
            for entry in fs::read_dir(tests).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|it| it == "rs") || path.join("main.rs").exists() {
                    there.push(path.file_stem().unwrap().to_string_lossy().into_owned());
                }
            }
        }
        there.sort_unstable();
        there.dedup();
        assert_eq!(named, there);
    }

    #[test]
    fn the_mark_runs_however_the_installer_ends_and_hides_no_failure() {
        for (builder, mark, owners, status) in [
            ("true", "true", "", 0),
            ("true", "true", "echo mine >&2", 0),
            ("true", "true", "exit 0", 0),
            ("true", "true", "set -e; false; true", 1),
            ("true", "true", "shift; set -- other", 0),
            ("true", "return 77", "true", 77),
            ("(exit 3)", "true", "true", 3),
            ("(exit 3)", "return 74", "", 74),
        ] {
            let (code, said) = installer(builder, mark, owners);
            assert_eq!((code, said.as_str()), (Some(status), "marks /nix/store/x\n"), "{builder}; {owners}");
        }
    }
}
