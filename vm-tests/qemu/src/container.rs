//! The fast tier: the same units and systems under a real systemd in a container. No loader and no kernel.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::image::Image;
use crate::shell::{cache, checkout};
use crate::suite::programs;

/// Exit status of a container that asked to be rebooted. Source: `systemd-nspawn(1)`.
const REBOOT: i32 = 133;
/// Longest a boot may take, in seconds; typical is one.
const LONGEST_SECS: &str = "60";

/// How a container went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    Reboot,
    PowerOff,
}

/// A root file system of its own on top of the image's. Its state survives its boots.
pub(crate) struct Container {
    tree: PathBuf,
    directory: PathBuf,
}

impl Container {
    pub fn new(image: &Image, name: &str) -> Result<Self> {
        let directory = cache().join("run").join(name);
        let _ = fs::remove_dir_all(&directory);
        for part in ["upper", "work", "root", "suite/bin", "suite/units", "out"] {
            fs::create_dir_all(directory.join(part))?;
        }
        for entry in fs::read_dir(programs())?.chain(fs::read_dir(checkout().join("units"))?) {
            let (path, name) =
                (entry.as_ref().map(fs::DirEntry::path), entry.as_ref().map(fs::DirEntry::file_name));
            let (Ok(path), Ok(name)) = (path, name) else { continue };
            let name = name.to_string_lossy().into_owned();
            if path.is_file() && name.contains("golden") && !name.contains('.') {
                fs::copy(&path, directory.join("suite/bin").join(&name))?;
            } else if path.is_file() && path.starts_with(checkout().join("units")) {
                fs::copy(&path, directory.join("suite/units").join(&name))?;
            }
        }
        Ok(Self { tree: image.tree.clone(), directory })
    }

    /// A file of the container, while it is down.
    pub fn file(&self, path: &str) -> PathBuf {
        self.directory.join("upper").join(path.trim_start_matches('/'))
    }

    /// Boot a system, run a script in it once it is up, and wait until it is down. What the script printed comes back.
    pub fn boot(&self, system: &str, arguments: &[&str], script: &str) -> Result<(Down, String)> {
        fs::write(self.directory.join("out/script"), script)?;
        let _ = fs::remove_file(self.directory.join("out/said"));
        let mut command = Command::new("timeout");
        command.args([
            "--kill-after=5",
            LONGEST_SECS,
            "unshare",
            "--mount",
            "--fork",
            "bash",
            "-euc",
            BOOT,
            "boot",
        ]);
        command.arg(&self.tree).arg(&self.directory).arg(system).args(arguments);
        let output = command.output().context("cannot start the container")?;
        let log = [output.stdout, output.stderr].concat();
        fs::write(self.directory.join("console.log"), &log)?;
        let said = fs::read_to_string(self.directory.join("out/said")).unwrap_or_default();
        match output.status.code() {
            Some(REBOOT) => Ok((Down::Reboot, said)),
            Some(0) => Ok((Down::PowerOff, said)),
            status => bail!("the container ended with {status:?}:\n{}", String::from_utf8_lossy(&log)),
        }
    }

    /// Boot a system that is to go down by itself the way its script asks for, and say what the script said.
    pub fn boot_and_power_off(&self, system: &str, arguments: &[&str], script: &str) -> Result<String> {
        let (down, said) = self.boot(system, arguments, script)?;
        ensure!(down == Down::PowerOff, "the container asked for a reboot; the script said:\n{said}");
        Ok(said)
    }
}

/// `$1` the tree, `$2` the container's directory, `$3` the system; what follows goes to systemd.
const BOOT: &str = r#"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
# systemd wants a hierarchy of cgroups of its own, of the second version.
mkdir -p "$2/cgroup"; mount -t cgroup2 cgroup2 "$2/cgroup"
mkdir -p "$2/cgroup/golden-$$"; echo $$ > "$2/cgroup/golden-$$/cgroup.procs"
umount -R /sys/fs/cgroup 2>/dev/null || umount -lR /sys/fs/cgroup || true
mount --bind "$2/cgroup" /sys/fs/cgroup
tree=$1 directory=$2; system=$(readlink "$1/nix/var/nix/gcroots/vm-$3"); shift 3
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_SECCOMP=0
exec systemd-nspawn --quiet --machine="golden-$$" --register=no --keep-unit --directory="$directory/root" --bind="$directory/out:/golden-out" \
  --bind-ro="$directory/suite:/golden-suite" --private-network --console=pipe "$system/init" "$@"
"#;
