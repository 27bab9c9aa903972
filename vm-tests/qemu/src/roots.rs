//! Two Debian 13 trees: the tools of the host (QEMU, its firmware, GRUB) and the root file system of the guest, and the
//! loader of Debian 12. The same on every distribution.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{cache, fingerprint, progress, run, script};

/// Packages of the host's own distribution.
const HOST_PACKAGES: [&str; 7] = [
    "debian-archive-keyring",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "mmdebstrap",
    "mtools",
    "systemd-container",
];
/// What they bring, to see whether they are there.
const HOST_PROGRAMS: [&str; 6] = ["mkfs.vfat", "mke2fs", "sfdisk", "mmdebstrap", "mcopy", "systemd-nspawn"];
const TOOLS: &str = "qemu-system-x86,qemu-utils,ovmf,python3-minimal,grub-common,grub-pc-bin";
const GUEST: &str = "systemd,systemd-sysv,systemd-boot,systemd-boot-efi,udev,dbus,nix-bin,linux-image-cloud-amd64,busybox-static,kmod,\
                     cpio,xz-utils,sqlite3,openssh-server,kexec-tools";
/// The oldest systemd-boot that is supported, as a file: its own distribution is not needed for it.
const OLDER_LOADER: &str = "systemd-boot-efi";
/// Where the guest's packages come from if the host's are not Debian's.
const MIRROR: &str = "http://deb.debian.org/debian";
const SUITE: &str = "trixie";
const OLDER_SUITE: &str = "bookworm";

/// Make sure that the host has what building needs.
///
/// Installs it as root; names the command for anybody else.
pub(crate) fn set_up_host() -> Result<()> {
    let present = |program: &&&str| {
        ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].iter().any(|at| Path::new(at).join(program).exists())
    };
    let complete = HOST_PROGRAMS.iter().filter(present).count() == HOST_PROGRAMS.len();
    if !nix::unistd::geteuid().is_root() {
        bail!("the virtual machines are built as root; run: sudo -E cargo xtask …");
    }
    if complete && Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").exists() {
        return Ok(());
    }
    progress(&format!("installing {}", HOST_PACKAGES.join(", ")));
    run(Command::new("apt-get").args(["update", "-q"]))?;
    let install = ["install", "-qy", "--no-install-recommends"];
    let mut command = Command::new("apt-get");
    run(command.env("DEBIAN_FRONTEND", "noninteractive").args(install).args(HOST_PACKAGES)).map(drop)
}

/// The tree with QEMU in it.
pub(crate) fn tools() -> Result<PathBuf> {
    tree("tools", TOOLS, SUITE, "minbase")
}

/// The tree with the guest's root in it.
pub(crate) fn guest() -> Result<PathBuf> {
    tree("guest", GUEST, SUITE, "minbase")
}

/// systemd-boot of the distribution before: version 252.
pub(crate) fn older_loader() -> Result<PathBuf> {
    let tree = tree("older-loader", OLDER_LOADER, OLDER_SUITE, "extract")?;
    Ok(tree.join("usr/lib/systemd/boot/efi/systemd-bootx64.efi"))
}

/// Built under another name first: an interrupted one is never taken for a whole one.
fn tree(name: &str, packages: &str, suite: &str, variant: &str) -> Result<PathBuf> {
    let key = fingerprint(&[packages.into(), suite.into()]);
    let tree = cache().join(format!("{name}-{key}"));
    if tree.exists() {
        return Ok(tree);
    }
    progress(&format!("making the {name} tree from Debian {suite} packages, about half a minute"));
    fs::create_dir_all(cache())?;
    let partial = cache().join(format!("{name}.partial"));
    script("rm -rf --one-file-system \"$1\"", &[&partial])?;
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--mode=root", "--format=directory", &format!("--variant={variant}")]);
    command.args(["--aptopt=Apt::Install-Recommends \"false\"", &format!("--include={packages}")]);
    run(command.arg(suite).arg(&partial).arg(mirror()))?;
    fs::rename(&partial, &tree).context("cannot put the tree in place")?;
    Ok(tree)
}

/// The mirror of the machine's own package sources, if those are Debian's.
fn mirror() -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(
        fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|file| file.path()),
    );
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect::<Vec<_>>().join("\n");
    let words = texts.split_whitespace().map(|word| word.trim_end_matches('/'));
    let mut mirrors = words.filter(|word| word.starts_with("http") && word.ends_with("/debian"));
    mirrors.next().unwrap_or(MIRROR).to_owned()
}
