//! Everything a machine holds, as one value that is cheap to copy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::{BootId, Toplevel};

use super::disk::{Disk, Rules, combinations};
use super::kernel::kernel_image;
use super::tree::Tree;

/// Where the simulated machine mounts its EFI system partition.
pub const ESP: &str = "/boot";
/// Where the simulated machine keeps state that must survive a boot.
pub const VAR: &str = "/var/lib";
/// The directory of the system profile and its generations.
pub const PROFILES: &str = "/nix/var/nix/profiles";

/// One state of a machine.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct World {
    /// The file system below [`VAR`].
    pub var: Arc<Disk>,
    /// The EFI system partition, below [`ESP`].
    pub esp: Arc<Disk>,
    /// The store, its profiles and `/etc`. A change of a profile is durable at once here.
    pub nix: Arc<Tree>,
    /// `/run`, `/proc` and whatever else a boot makes anew.
    pub volatile: Arc<Tree>,
    /// Variables of the boot loader interface that survive a boot.
    pub variables: Arc<BTreeMap<String, Vec<u8>>>,
    /// Variables that the loader sets anew at every boot.
    pub told_by_loader: Arc<BTreeMap<String, Vec<u8>>>,
    /// How often the firmware has started the machine; `None` where it does not count.
    pub firmware_boots: Option<u32>,
    /// Whether a running system can read and write the firmware's variables at all.
    pub has_variables: bool,
    /// What boots it.
    pub loader: Loader,
    /// What the loader does not do although it is told.
    pub lie: Option<Lie>,
    /// Whether firmware and Nix say that something is set and forget it at once.
    pub forgets: bool,
    /// Whether the boot partition is not mounted in this boot.
    pub lacks_boot_partition: bool,
    /// Whether a program asked for a reboot in this boot.
    pub reboot_asked: bool,
    /// Whether a program sent this boot to safe mode.
    pub is_safe: bool,
    /// The unit that keeps this boot from its end, if one does.
    pub hanging_unit: Option<String>,
    /// How the machine goes down, once it does.
    pub going_down: Option<GoingDown>,
}

/// Which loader the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loader {
    /// systemd-boot, on an ESP.
    SystemdBoot,
    /// GRUB on BIOS, on ext4, or where it cannot write its environment block: on btrfs.
    Grub {
        /// Whether it can.
        writes: bool,
    },
    /// U-Boot, on ext4.
    Extlinux,
}

/// What a loader does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// The boot partition says that something is written in its place, and forgets it at once.
    IgnoresWrites,
    /// It leaves a one-shot where it is.
    KeepsOneShots,
    /// The firmware forgets at the next start the variables that a running system has set.
    ForgetsVariables,
    /// The same, and it says so, as U-Boot does.
    SaysItForgets,
}

/// What systemd knows about a shutdown that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoingDown {
    /// The target that was asked for, such as `reboot.target`.
    pub target: &'static str,
    /// Units that have failed.
    pub failed_units: Vec<String>,
}

impl Default for World {
    /// One with systemd-boot.
    fn default() -> Self {
        Self::with_loader(Loader::SystemdBoot)
    }
}

impl World {
    /// A machine with formatted file systems and nothing on them but what the loader's own installer makes.
    #[must_use]
    pub fn with_loader(loader: Loader) -> Self {
        let (rules, directories) = match loader {
            Loader::SystemdBoot => (Rules::Fat, ["loader/entries", "EFI/nixos"]),
            Loader::Grub { .. } => (Rules::Journalled, ["grub", "kernels"]),
            Loader::Extlinux => (Rules::Journalled, ["extlinux", "nixos"]),
        };
        let mut esp = Disk::new(rules, Path::new(ESP));
        for directory in directories {
            esp.create_directory(&Path::new(ESP).join(directory));
        }
        if matches!(loader, Loader::Grub { .. }) {
            super::grub::create_environment(&mut esp);
        }
        Self {
            loader,
            lie: None,
            var: Arc::new(Disk::new(Rules::Journalled, Path::new(VAR))),
            esp: Arc::new(esp),
            nix: Arc::default(),
            volatile: Arc::default(),
            variables: Arc::default(),
            told_by_loader: Arc::default(),
            firmware_boots: (loader == Loader::SystemdBoot).then_some(0),
            has_variables: true,
            forgets: false,
            lacks_boot_partition: false,
            reboot_asked: false,
            is_safe: false,
            hanging_unit: None,
            going_down: None,
        }
    }

    /// What a power cut may leave, each distinct state once, without anything that only a running system has.
    #[must_use]
    pub fn after_crash(&self) -> Vec<World> {
        let (var, esp) = (after_crash(&self.var), after_crash(&self.esp));
        let world = |choice: Vec<usize>| World {
            var: var[choice[0]].clone(),
            esp: esp[choice[1]].clone(),
            ..self.switched_off()
        };
        combinations(&[var.len(), esp.len()]).map(world).collect()
    }

    /// What an orderly shutdown leaves.
    #[must_use]
    pub fn after_shutdown(&self) -> World {
        let mut world = self.switched_off();
        if !world.var.is_settled() {
            Arc::make_mut(&mut world.var).sync();
        }
        if !world.esp.is_settled() {
            Arc::make_mut(&mut world.esp).sync();
        }
        world
    }

    /// The same without anything that only a running system has.
    #[must_use]
    pub fn switched_off(&self) -> World {
        World {
            volatile: Arc::default(),
            told_by_loader: Arc::default(),
            lacks_boot_partition: false,
            reboot_asked: false,
            is_safe: false,
            hanging_unit: None,
            going_down: None,
            ..self.clone()
        }
    }

    /// Whether a power cut would lose nothing.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.var.is_settled() && self.esp.is_settled()
    }

    /// From here on no running system can use the firmware's variables, one of which is the counter of boots.
    pub fn without_variables(&mut self) {
        (self.has_variables, self.firmware_boots) = (false, None);
        self.variables = Arc::default();
    }

    /// The mount of the boot partition fails in this boot, whose system has been started.
    pub fn lose_boot_partition(&mut self) {
        self.lacks_boot_partition = true;
        let root = "30 1 8:2 / / rw - ext4 /dev/sda2 rw\n";
        Arc::make_mut(&mut self.volatile).write("/proc/self/mountinfo", root.as_bytes());
    }

    /// Have systemd-boot start another operating system once, which starts the machine again when it is done.
    pub fn send_elsewhere(&mut self) {
        super::systemd_boot::send_elsewhere(self);
    }

    /// Whether that was done, and has not happened yet.
    #[must_use]
    pub fn is_sent_elsewhere(&self) -> bool {
        super::systemd_boot::is_sent_elsewhere(self)
    }

    /// Put a system into the store: what NixOS has in every toplevel, with a kernel and an initrd of its own.
    pub fn build(&mut self, toplevel: &Toplevel) {
        let nix = Arc::make_mut(&mut self.nix);
        let top = Path::new(toplevel.as_str());
        nix.write("/nix/var/nix/daemon-socket/socket", b"");
        nix.write(top.join("init"), b"#! stage 2\n");
        nix.write(top.join("bin/switch-to-configuration"), b"#! switch\n");
        nix.write(format!("/nix/store/{}-etc-{}/etc/os-release", hash_of(toplevel), toplevel.short()), b"");
        for (name, part, file) in [("kernel", "linux", "bzImage"), ("initrd", "initrd", "initrd")] {
            let target =
                PathBuf::from(format!("/nix/store/{}-{part}-{}/{file}", hash_of(toplevel), toplevel.short()));
            let text = format!("{part} of {}", toplevel.short());
            nix.write(&target, &if name == "kernel" { kernel_image(&text) } else { text.into_bytes() });
            nix.link(top.join(name), target);
        }
    }

    /// Whether the store still has this system.
    #[must_use]
    pub fn has_built(&self, toplevel: &Toplevel) -> bool {
        self.nix.read(&Path::new(toplevel.as_str()).join("init")).is_some()
    }

    /// Every store path that this system needs, itself included, whether it is there or not.
    #[must_use]
    pub fn requisites(&self, toplevel: &Toplevel) -> Vec<String> {
        let part = |part: &str| format!("/nix/store/{}-{part}-{}", hash_of(toplevel), toplevel.short());
        [toplevel.to_string()].into_iter().chain(["linux", "initrd", "etc"].map(part)).collect()
    }

    /// The generations of a profile with what each points at, the oldest first.
    #[must_use]
    pub fn generations(&self, profile: &Path) -> Vec<(u32, Toplevel)> {
        let (Some(directory), Some(name)) = (profile.parent(), profile.file_name()) else {
            return Vec::new();
        };
        let number = |link: &str| -> Option<u32> {
            link.strip_prefix(name.to_str()?)?.strip_prefix('-')?.strip_suffix("-link")?.parse().ok()
        };
        let names = self.nix.list(directory).unwrap_or_default();
        let generation = |link: &std::ffi::OsString| {
            let target = self.nix.read_link(&directory.join(link))?.to_str()?;
            Some((number(link.to_str()?)?, target.parse().ok()?))
        };
        let mut generations: Vec<(u32, Toplevel)> = names.iter().filter_map(generation).collect();
        generations.sort();
        generations
    }

    /// The generation a profile points at.
    #[must_use]
    pub fn current(&self, profile: &Path) -> Option<(u32, Toplevel)> {
        let link = self.nix.read_link(profile)?;
        let number = link.to_str()?.strip_suffix("-link")?.rsplit('-').next()?.parse().ok()?;
        let target = self.nix.read_link(&profile.parent()?.join(link))?;
        Some((number, target.to_str()?.parse().ok()?))
    }

    /// Every profile of systems: `system`, and those in `system-profiles`.
    #[must_use]
    pub fn profiles(&self) -> Vec<PathBuf> {
        let more = Path::new(PROFILES).join("system-profiles");
        let names = self.nix.list(&more).unwrap_or_default();
        let is_profile = |path: &PathBuf| !path.to_string_lossy().ends_with("-link");
        let others = names.iter().map(|name| more.join(name)).filter(is_profile);
        std::iter::once(Path::new(PROFILES).join("system")).chain(others).collect()
    }

    /// Whether the boot check asked for phase two of a rollback in this boot.
    #[must_use]
    pub fn phase_two_is_due(&self) -> bool {
        self.volatile.exists(Path::new("/run/golden-generation/phase-two"))
    }

    /// What the boot check wants to fail in this boot, by the name of its flag.
    #[must_use]
    pub fn injected(&self) -> Option<String> {
        let names = self.volatile.list(Path::new("/run/golden-generation"))?;
        names.iter().find_map(|name| name.to_str()?.strip_prefix("drill-").map(str::to_owned))
    }

    /// Whether the unit of the deadline is started in this boot.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        let names = self.volatile.list(Path::new("/run/golden-generation"));
        names.is_some_and(|names| names.iter().any(|name| name == "attempt"))
    }

    /// The system of this boot, as stage 1 and stage 2 of the boot left it.
    pub fn start(&mut self, toplevel: &Toplevel, boot: &BootId) {
        let volatile = Arc::make_mut(&mut self.volatile);
        volatile.link("/run/booted-system", toplevel.as_str());
        volatile.link("/run/current-system", toplevel.as_str());
        let digits = boot.as_str();
        let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        volatile.write("/proc/sys/kernel/random/boot_id", format!("{}\n", parts.join("-")).as_bytes());
        let kind = if self.loader == (Loader::Grub { writes: false }) { "btrfs" } else { "ext4" };
        if self.loader != Loader::SystemdBoot {
            let mount = format!("40 1 8:1 / {ESP} rw - {kind} /dev/sda1 rw\n");
            volatile.write("/proc/self/mountinfo", mount.as_bytes());
        }
        let by_grub = if matches!(self.loader, Loader::Grub { .. }) {
            "BOOT_IMAGE=(hd0,msdos1)/kernels/linux "
        } else {
            ""
        };
        if self.lie == Some(Lie::SaysItForgets) {
            let name = "RTStorageVolatile-b2ac5fc9-92b7-4acd-aeac-11e818c3130c";
            volatile.write(format!("/sys/firmware/efi/efivars/{name}"), b"\x06\0\0\0ubootefi.var\0");
        }
        volatile.write("/proc/cmdline", format!("{by_grub}init={toplevel}/init quiet\n").as_bytes());
    }
}

/// The part of a store path that makes it unique.
pub(super) fn hash_of(toplevel: &Toplevel) -> &str {
    toplevel.as_str().trim_start_matches("/nix/store/").split('-').next().unwrap_or_default()
}

fn after_crash(disk: &Arc<Disk>) -> Vec<Arc<Disk>> {
    if disk.is_settled() {
        return vec![disk.clone()];
    }
    disk.after_crash().into_iter().map(Arc::new).collect()
}
