//! Debian 13 with systemd and Nix, for checks that need neither a loader nor a kernel.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};

use crate::roots;
use crate::shell::checkout;

/// `$1` the tree; what follows runs in it. The checkout is in `/srv`; nothing that is written survives.
const IN_TREE: &str = r#"
work=$(mktemp -d); mount -t tmpfs tmpfs "$work"; mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$work/upper,workdir=$work/work" "$work/root"
mount --rbind /dev "$work/root/dev"; mount -t proc proc "$work/root/proc"; mount -t sysfs sys "$work/root/sys"
mount --bind "$2" "$work/root/srv"; shift 2
cd /; exec chroot "$work/root" "$@"
"#;

/// Run a program in the tree, in `/srv`, the checkout.
///
/// # Errors
/// The tree cannot be made, or nothing can be run in it. A program that fails is no error.
pub fn run(program: &str, arguments: &[&str]) -> Result<Output> {
    roots::set_up_host()?;
    run_in(&roots::guest()?, program, arguments)
}

/// The same in the tree with the tools of the host.
///
/// # Errors
/// As [`run`].
pub fn run_tool(program: &str, arguments: &[&str]) -> Result<Output> {
    roots::set_up_host()?;
    run_in(&roots::tools()?, program, arguments)
}

fn run_in(tree: &Path, program: &str, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--fork", "bash", "-euc", IN_TREE, "in-tree"]).arg(tree).arg(checkout());
    command.args(["env", "--chdir=/srv", "NIX_REMOTE=dummy://", "LC_ALL=C", program]).args(arguments);
    command.stdin(Stdio::null()).output().context("cannot run in the tree")
}
