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
  systemd-journal-catalog-update.service systemd-random-seed.service systemd-pcrphase.service nix-daemon.socket \
  nix-daemon.service systemd-networkd.service systemd-resolved.service systemd-timesyncd.service dev-hugepages.mount \
  dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount \
  systemd-boot-update.service systemd-boot-random-seed.service systemd-sysctl.service systemd-userdbd.socket \
  modprobe@configfs.service modprobe@drm.service modprobe@fuse.service modprobe@dm_mod.service modprobe@loop.service \
  systemd-udev-settle.service systemd-firstboot.service systemd-sysusers.service systemd-tpm2-setup-early.service \
  systemd-tpm2-setup.service systemd-hibernate-clear.service systemd-user-sessions.service systemd-networkd-wait-online.service \
  proc-sys-fs-binfmt_misc.automount boot.automount systemd-machine-id-commit.service; do
  ln -sf /dev/null "$2/etc/systemd/system/$unit"
done
# The image mounts its boot partition itself; nothing is to be guessed from the partition table.
ln -sf /dev/null "$2/etc/systemd/system-generators/systemd-gpt-auto-generator" 2>/dev/null ||
  { mkdir -p "$2/etc/systemd/system-generators"; ln -sf /dev/null "$2/etc/systemd/system-generators/systemd-gpt-auto-generator"; }
in_tree "$2" bash -euc '
  for name in good-a good-b panic broken-unit slow disabled; do
    nix-build --quiet /golden-vm/systems.nix -A $name --out-link /nix/var/nix/gcroots/vm-$name
  done
  nix-env --quiet --profile /nix/var/nix/profiles/system --set "$(readlink -f /nix/var/nix/gcroots/vm-good-a)"
  mv /boot /boot.debian; mkdir /boot
  /nix/var/nix/profiles/system/bin/switch-to-configuration boot
  rm -rf /boot.debian /var/cache/apt /var/lib/apt/lists /usr/share/doc /usr/share/locale
'
mkdir -p "$2/boot/EFI/BOOT" "$2/boot/EFI/other"
cp "$2/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$2/boot/EFI/BOOT/BOOTX64.EFI"
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
}

/// Make whatever is not there yet.
pub(crate) fn prepare() -> Result<Image> {
    roots::set_up_host()?;
    let tools = roots::tools()?;
    let guest = roots::guest()?;
    let recipes = checkout().join("vm-tests/qemu/image");
    let mut parts = vec![guest.to_string_lossy().into_owned().into_bytes(), FURNISH.into(), PARTITION.into()];
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
    Ok(Image { tools, disk, tree: furnished, suite: suite::disk()? })
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
