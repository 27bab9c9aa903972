//! The disk: a GPT, an ESP with systemd-boot, a root file system with real generations on it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell::{cache, checkout, fingerprint, progress, script};
use crate::{roots, suite};

/// Run a command inside the tree `$1`; the mounts end with it.
const IN_TREE: &str = r#"
in_tree() {
  unshare --mount --fork bash -euc '
    mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"; mount -t sysfs sys "$1/sys"
    exec chroot "$@"' inside "$@"
}
"#;

/// Put the generations into a copy of the tree: `$1` the guest's tree, `$2` the copy, `$3` the recipes.
const FURNISH: &str = r#"
rm -rf --one-file-system "$2"; cp -a "$1" "$2"; mkdir "$2/golden-vm"; cp -r "$3/." "$2/golden-vm/"
mkdir -p "$2/etc/nix"
printf '%s\n' 'sandbox = false' 'build-users-group =' 'substitute = false' 'max-jobs = 2' > "$2/etc/nix/nix.conf"
echo 0123456789abcdef0123456789abcdef > "$2/etc/machine-id"
echo golden > "$2/etc/hostname"
: > "$2/etc/fstab"
passwd -R "$2" -d root >/dev/null
mkdir -p "$2/etc/systemd/journald.conf.d"
printf '%s\n' '[Journal]' 'Storage=persistent' 'SyncIntervalSec=1s' > "$2/etc/systemd/journald.conf.d/vm.conf"
mkdir -p "$2/var/log/journal"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer motd-news.timer e2scrub_all.timer \
  e2scrub_reap.service getty@tty1.service serial-getty@ttyS0.service getty.target systemd-logind.service dbus.service \
  dbus.socket systemd-hwdb-update.service ldconfig.service systemd-binfmt.service systemd-update-utmp.service \
  systemd-journal-catalog-update.service systemd-random-seed.service systemd-pcrphase.service \
  systemd-resolved.service systemd-timesyncd.service dev-hugepages.mount \
  dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount \
  systemd-boot-update.service systemd-boot-random-seed.service systemd-sysctl.service systemd-userdbd.socket \
  modprobe@configfs.service modprobe@drm.service modprobe@fuse.service modprobe@dm_mod.service modprobe@loop.service \
  systemd-udev-settle.service systemd-firstboot.service systemd-sysusers.service systemd-tpm2-setup-early.service \
  systemd-tpm2-setup.service systemd-hibernate-clear.service systemd-user-sessions.service systemd-networkd-wait-online.service \
  proc-sys-fs-binfmt_misc.automount boot.automount systemd-machine-id-commit.service kexec.service kexec-load.service; do
  ln -sf /dev/null "$2/etc/systemd/system/$unit"
done
# The image mounts its boot partition itself; nothing is to be guessed from the partition table.
mkdir -p "$2/etc/systemd/system-generators"
for generator in gpt-auto ssh; do ln -sf /dev/null "$2/etc/systemd/system-generators/systemd-$generator-generator"; done
in_tree "$2" bash -euc '
  for name in $(nix-instantiate --eval --json /golden-vm/systems.nix -A names | tr -d "[]\"" | tr , " "); do
    nix-build --quiet /golden-vm/systems.nix -A systems.$name --out-link /nix/var/nix/gcroots/vm-$name
  done
  nix-env --quiet --profile /nix/var/nix/profiles/system --set "$(readlink -f /nix/var/nix/gcroots/vm-good-a)"
  mv /boot /boot.debian; mkdir /boot
  /nix/var/nix/profiles/system/bin/switch-to-configuration boot
  rm -rf /boot.debian /var/cache/apt /var/lib/apt/lists /usr/share/doc /usr/share/locale
'
# Nothing needs the network, but safe mode starts it.
rm -f "$2"/etc/systemd/system/multi-user.target.wants/{ssh,systemd-networkd}.service \
  "$2"/etc/systemd/system/sockets.target.wants/{ssh.socket,systemd-networkd*.socket} "$2"/etc/systemd/system/*/systemd-networkd*
mkdir -p "$2/etc/systemd/network"
printf '%s\n' '[Match]' 'Type=ether' '[Network]' 'Address=10.0.2.15/24' > "$2/etc/systemd/network/vm.network"
mkdir -p "$2/boot/EFI/BOOT" "$2/boot/EFI/other"
# As `bootctl install`: the second one is what the firmware tries when the first one gave up.
mkdir -p "$2/boot/EFI/systemd"
for file in systemd/systemd-bootx64.efi BOOT/BOOTX64.EFI; do
  cp "$2/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$2/boot/EFI/$file"
done
printf '%s\n' 'title Another OS' 'efi /EFI/other/other.efi' > "$2/boot/loader/entries/other.conf"
echo 'not ours' > "$2/boot/EFI/other/other.efi"
"#;

/// Make the disk `$2` from the furnished tree `$1`.
const PARTITION: &str = r#"
disk=$2; esp=$2.esp; root=$2.root
rm -f "$disk" "$esp" "$root"
mkfs.vfat -C "$esp" 131072 >/dev/null
(cd "$1/boot"; mcopy -s -i "$esp" -- * ::)
mv "$1/boot" "$2.boot"; mkdir "$1/boot"
truncate -s 1300M "$root"; mke2fs -q -t ext4 -d "$1" "$root"
truncate -s 1460M "$disk"
printf '%s\n' 'label: gpt' 'start=2048, size=262144, type=U' 'start=264192, size=2662400, type=L' | sfdisk -q "$disk"
dd if="$esp" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$root" of="$disk" bs=1M seek=129 conv=notrunc,sparse status=none
rm -rf --one-file-system "$esp" "$root" "$1/boot"
mv "$2.boot" "$1/boot"
"#;

/// Make the disk `$2` with GRUB from the furnished tree `$1`, with the tools `$3`. There is no `grub-install` without the
/// disk's device: the blocks of the core image are written into the boot sector by hand.
const PARTITION_GRUB: &str = r#"
uuid=6f6c6465-6e2d-4765-8e65-726174696f6e disk=$2; root=$2.root; tools=$3; work=$(mktemp -d)
grub() {
  local program=$1; shift
  "$tools/lib64/ld-linux-x86-64.so.2" --library-path "$tools/usr/lib/x86_64-linux-gnu:$tools/usr/lib" "$tools/usr/bin/$program" "$@"
}
rm -f "$disk" "$root"
grub grub-editenv "$work/grubenv" create
grub grub-mkimage --directory="$tools/usr/lib/grub/i386-pc" --format=i386-pc --output="$work/core.img" \
  --prefix='(,gpt2)/boot/grub' biosdisk part_gpt ext2
unshare --mount --fork bash -euc '
  grubenv=$(cat "$2/grubenv"); mount -t tmpfs tmpfs "$2"; mkdir "$2/upper" "$2/work" "$2/root"
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
  rm -rf "$2/root/boot"; mkdir -p "$2/root/boot/grub/i386-pc"; echo "$4" > "$2/root/etc/root-uuid"
  printf "%s" "$grubenv" > "$2/root/boot/grub/grubenv"
  cp "$3"/usr/lib/grub/i386-pc/*.{mod,lst} "$2/root/boot/grub/i386-pc/"
  chroot "$2/root" /nix/var/nix/profiles/system/bin/switch-to-configuration boot
  truncate -s 1300M "$5"; mke2fs -q -t ext4 -U "$4" -d "$2/root" "$5"' grub "$1" "$work" "$tools" "$uuid" "$root"
truncate -s 1304M "$disk"
printf '%s\n' 'label: gpt' 'start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649' \
  'start=4096, size=2662400, type=L' | sfdisk -q "$disk"
# Where the core image begins, in the boot sector; where its second sector is, in its first.
cp "$tools/usr/lib/grub/i386-pc/boot.img" "$work/boot.img"
number() { printf "$(printf '\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) 0 0 0 0 0 0)"; }
number 2048 | dd of="$work/boot.img" bs=1 seek=$((0x5c)) conv=notrunc status=none
number 2049 | dd of="$work/core.img" bs=1 seek=$((0x1f4)) conv=notrunc status=none
# What the disk's own table says begins at 0x1b8.
dd if="$work/boot.img" of="$disk" bs=1 count=$((0x1b8)) conv=notrunc status=none
dd if="$work/core.img" of="$disk" bs=512 seek=2048 conv=notrunc status=none
dd if="$root" of="$disk" bs=1M seek=2 conv=notrunc,sparse status=none
rm -rf "$root" "$work"
"#;

/// Make the disk `$2` from the disk `$1`, with the loader `$3`.
const REPLACE_LOADER: &str = r#"
cp --sparse=always "$1" "$2"
for file in BOOT/BOOTX64.EFI systemd/systemd-bootx64.efi; do mcopy -o -i "$2@@1M" "$3" "::/EFI/$file"; done
"#;

/// Make the disk `$2` from the disk `$1`, with a second ESP behind its root file system that has what the first one has.
const ADD_ESP: &str = r#"
cp --sparse=always "$1" "$2"; truncate -s 1590M "$2"
printf '%s\n' 'label: gpt' 'start=2048, size=262144, type=U' 'start=264192, size=2662400, type=L' \
  'start=2926592, size=262144, type=U' | sfdisk -q "$2"
dd if="$1" of="$2" bs=1M skip=1 count=128 seek=1429 conv=notrunc status=none
"#;

/// What starts the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Firmware {
    /// EDK II.
    Efi,
    /// `SeaBIOS`.
    Bios,
}

/// What a machine is started from.
#[derive(Clone)]
pub(crate) struct Image {
    /// The tree with QEMU in it.
    pub tools: PathBuf,
    /// The disk as it was made, without us and never booted.
    pub disk: PathBuf,
    /// The same as a tree, for containers.
    pub tree: PathBuf,
    /// The disk with our programs and units.
    pub suite: PathBuf,
    pub firmware: Firmware,
}

impl Image {
    /// The same systems with GRUB, in BIOS mode.
    pub fn with_grub(&self) -> Result<Self> {
        let disk = self.disk.with_extension("grub");
        self.made("the disk with GRUB", &disk, PARTITION_GRUB, &[&self.tree], &[&self.tools])?;
        Ok(Self { disk, firmware: Firmware::Bios, ..self.clone() })
    }

    /// The same disk with an older systemd-boot.
    pub fn with_older_loader(&self) -> Result<Self> {
        let disk = self.disk.with_extension("older");
        self.made(
            "the disk with systemd-boot 252",
            &disk,
            REPLACE_LOADER,
            &[&self.disk],
            &[&roots::older_loader()?],
        )?;
        Ok(Self { disk, ..self.clone() })
    }

    /// The same disk with a second ESP.
    pub fn with_second_esp(&self) -> Result<Self> {
        let disk = self.disk.with_extension("two-esps");
        self.made("the disk with two ESPs", &disk, ADD_ESP, &[&self.disk], &[])?;
        Ok(Self { disk, ..self.clone() })
    }

    /// `before`, the disk and `after` are the words of the script. An interrupted disk is never taken for a whole one.
    fn made(&self, what: &str, disk: &Path, text: &str, before: &[&Path], after: &[&Path]) -> Result<()> {
        if disk.exists() {
            return Ok(());
        }
        progress(&format!("making {what}"));
        let partial = self.disk.with_extension("partial");
        let words: Vec<&Path> =
            before.iter().copied().chain([partial.as_path()]).chain(after.iter().copied()).collect();
        script(text, &words)?;
        fs::rename(&partial, disk).context("cannot put the disk in place")
    }
}

/// Make whatever is not there yet.
pub(crate) fn prepare() -> Result<Image> {
    roots::set_up_host()?;
    let tools = roots::tools()?;
    let guest = roots::guest()?;
    let recipes = checkout().join("vm-tests/qemu/image");
    let scripts = [FURNISH, PARTITION, PARTITION_GRUB, REPLACE_LOADER, ADD_ESP];
    let mut parts: Vec<Vec<u8>> = vec![guest.to_string_lossy().into_owned().into_bytes()];
    parts.extend(scripts.map(Vec::from));
    contents(&recipes, &mut parts)?;
    let key = fingerprint(&parts);
    let (disk, furnished) =
        (cache().join(format!("disk-{key}.img")), cache().join(format!("furnished-{key}")));
    if !(disk.exists() && furnished.exists()) {
        progress("building the generations with Nix and the disk, about half a minute");
        let (tree, partial) = (cache().join("furnished.partial"), cache().join("disk.partial"));
        script(&format!("{IN_TREE}{FURNISH}"), &[&guest, &tree, &recipes])?;
        script(PARTITION, &[&tree, &partial])?;
        script("rm -rf --one-file-system \"$1\"", &[&furnished])?;
        fs::rename(&tree, &furnished).context("cannot put the tree in place")?;
        fs::rename(&partial, &disk).context("cannot put the disk in place")?;
    }
    Ok(Image { tools, disk, tree: furnished, suite: suite::disk()?, firmware: Firmware::Efi })
}

/// Every file below a directory, in the order of their names.
fn contents(directory: &Path, parts: &mut Vec<Vec<u8>>) -> Result<()> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            contents(&path, parts)?;
        } else {
            parts.push(path.to_string_lossy().into_owned().into_bytes());
            parts.push(fs::read(&path)?);
        }
    }
    Ok(())
}
