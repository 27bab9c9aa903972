//! What a developer and an owner run from a checkout: `cargo xtask test`, `cargo xtask demo`, `cargo xtask vm`.

mod bench;
mod check;
mod fuzz;
mod install;
mod metrics;
mod nix;
mod page;
mod tally;
mod units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use golden_vm_tests::claims::{self, Chosen};

/// Test and demonstrate golden-generation
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Set up and pass all tests, the fast ones first
    Test {
        /// Leave out what needs a virtual machine; they are counted as skipped
        #[arg(long)]
        no_vm: bool,
    },
    /// Boot a broken generation in a virtual machine and watch it come back
    Demo,
    /// Install what a package has: programs, units, manual pages, completions
    Install(install::Install),
    /// Check the Nix files: parse, lint, evaluate
    Nix(nix::Nix),
    /// Look for bytes that a parser does not expect; needs a nightly compiler
    Fuzz(fuzz::Fuzz),
    /// Show the status page in a real browser, and look for what is wrong with it
    Page,
    /// Have Prometheus check metrics and alerts
    Metrics,
    /// Measure what a boot without a trial pays
    Bench,
    /// What can go wrong, and what proves that the machine comes back: the table of the README
    Matrix {
        /// Write it there
        #[arg(long)]
        bless: bool,
    },
    /// Claims that only a boot can prove
    Vm {
        #[command(subcommand)]
        task: Vm,
    },
}

#[derive(Subcommand)]
enum Vm {
    /// List them
    List,
    /// Run some, or all with --all
    Run {
        /// As `list` names them
        #[arg(value_name = "NAME", required_unless_present = "all")]
        names: Vec<String>,
        /// Run all of them
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test { no_vm } => check::all(!no_vm),
        Task::Install(install) => install::run(&install),
        Task::Nix(nix) => nix::run(&nix),
        Task::Fuzz(fuzz) => fuzz::run(&fuzz),
        Task::Page => page::run(),
        Task::Metrics => metrics::run(),
        Task::Bench => bench::run(),
        Task::Demo => golden_vm_tests::demo::run(),
        Task::Matrix { bless } => check::matrix(bless),
        Task::Vm { task: Vm::List } => {
            claims::list();
            Ok(true)
        }
        Task::Vm { task: Vm::Run { names, all } } => {
            claims::run(&if all { Chosen::All } else { Chosen::Named(names) }).map(|counts| {
                println!("{} passed, {} failed", counts.passed, counts.failed);
                counts.failed == 0
            })
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
