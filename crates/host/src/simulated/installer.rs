//! What NixOS and Nix do: profiles, the loader installer, the collection of garbage.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golden_core::Toplevel;

use super::disk::Bytes;
use super::effect::Effect;
use super::host::SimulatedHost;
use super::world::{ESP, Loader, PROFILES, World, hash_of};
use super::{extlinux, grub};

/// Point a profile at a system, as `nix-env --profile PROFILE --set TOPLEVEL` does: one durable effect, and none
/// if it points there already.
pub(super) fn set_profile(host: &SimulatedHost, profile: &Path, toplevel: &Toplevel) -> io::Result<()> {
    if host.change(|world| world.current(profile)).is_some_and(|(_, current)| current == *toplevel) {
        return Ok(());
    }
    host.effect(
        || Effect::SetProfile(profile.to_owned()),
        |world| {
            let generations = world.generations(profile);
            let known = generations.iter().find(|(_, known)| host.reuses_generations() && known == toplevel);
            let next = generations.last().map_or(1, |(number, _)| number + 1);
            point(world, profile, known.map_or(next, |(number, _)| *number), toplevel);
            Ok(())
        },
    )
}

/// Point a profile at one of its generations, as `nix-env --profile PROFILE --switch-generation NUMBER` does.
pub(super) fn switch_generation(host: &SimulatedHost, profile: &Path, number: u32) -> io::Result<()> {
    host.effect(
        || Effect::SetProfile(profile.to_owned()),
        |world| {
            let generations = world.generations(profile);
            let known = generations.into_iter().find(|(known, _)| *known == number);
            let (_, toplevel) = known.ok_or(io::ErrorKind::NotFound)?;
            point(world, profile, number, &toplevel);
            Ok(())
        },
    )
}

fn point(world: &mut World, profile: &Path, number: u32, toplevel: &Toplevel) {
    let name = profile.file_name().unwrap_or_default().to_string_lossy();
    let link = format!("{name}-{number}-link");
    let nix = Arc::make_mut(&mut world.nix);
    nix.link(profile.with_file_name(&link), toplevel.as_str());
    nix.link(profile, link);
}

/// Files of a boot partition, in the order in which they are written.
pub(super) type Files = Vec<(PathBuf, Bytes)>;

/// Install the loader's configuration: an entry for every generation of every profile of systems, and `toplevel`
/// as the default. Each file is replaced durably and at once: what this installer loses in a crash is another
/// story (`lose loader.conf` in a scenario tells it). `knows_us` says that our module has a hand in it.
pub(super) fn install_loader(host: &SimulatedHost, toplevel: &Toplevel, knows_us: bool) -> io::Result<()> {
    host.change(|world| world.boot_partition().map(drop))?;
    let mut files = host.change(|world| match world.loader {
        Loader::SystemdBoot => wanted(world, toplevel),
        Loader::Grub { .. } => grub::wanted(world, toplevel, knows_us),
        Loader::Extlinux => extlinux::wanted(world, toplevel, knows_us),
    });
    let mut known = BTreeSet::new();
    files.retain(|(path, _)| known.insert(path.clone()));
    let stale: Vec<PathBuf> = host.change(|world| {
        let all = world.esp.files().map(|(path, _)| path);
        all.filter(|path| is_ours(path) && !known.contains(path)).collect()
    });
    // systemd-boot's installer removes first, the others last.
    if host.change(|world| world.loader == Loader::SystemdBoot) {
        remove(host, &stale)?;
        write(host, files)
    } else {
        write(host, files)?;
        remove(host, &stale)
    }
}

fn remove(host: &SimulatedHost, stale: &[PathBuf]) -> io::Result<()> {
    for path in stale {
        host.effect(
            || Effect::Remove(path.clone()),
            |world| {
                let esp = Arc::make_mut(&mut world.esp);
                esp.remove(path)?;
                esp.sync_directory(path.parent().unwrap_or(path))
            },
        )?;
    }
    Ok(())
}

fn write(host: &SimulatedHost, files: Files) -> io::Result<()> {
    for (path, bytes) in files {
        if host.change(|world| world.esp.read(&path)).is_ok_and(|known| known == bytes) {
            continue;
        }
        host.effect(
            || Effect::Write(path.clone()),
            |world| {
                let esp = Arc::make_mut(&mut world.esp);
                esp.write(&path, &bytes)?;
                esp.sync_directory(path.parent().unwrap_or(&path))?;
                esp.sync_file(&path)
            },
        )?;
    }
    Ok(())
}

/// What systemd-boot's ESP is to hold: kernels, entries, `loader.conf`.
fn wanted(world: &World, default: &Toplevel) -> Files {
    let (mut kernels, mut entries, mut default_entry) = (Vec::new(), Vec::new(), None);
    for profile in world.profiles() {
        for (number, toplevel) in world.generations(&profile) {
            let Some(parts) = Parts::of(world, &toplevel, "EFI/nixos") else { continue };
            let name = entry_name(&profile, number);
            if toplevel == *default {
                default_entry = Some(name.clone());
            }
            let text = parts.entry(number, &toplevel);
            entries.push((on_esp(&format!("loader/entries/{name}")), Bytes::from(text.as_bytes())));
            kernels.extend(parts.files);
        }
    }
    let conf = on_esp("loader/loader.conf");
    let text = default_entry.map(|entry| Bytes::from(format!("timeout 5\ndefault {entry}\n").as_bytes()));
    let text = text.or_else(|| world.esp.read(&conf).ok()).unwrap_or_else(|| b"timeout 5\n"[..].into());
    kernels.into_iter().chain(entries).chain([(conf, text)]).collect()
}

/// Kernel and initrd of a system, with their places on the ESP.
pub(super) struct Parts {
    pub files: [(PathBuf, Bytes); 2],
    /// On the boot partition.
    pub names: [String; 2],
}

impl Parts {
    /// Of a system that is built, in this directory of the boot partition.
    pub fn of(world: &World, toplevel: &Toplevel, directory: &str) -> Option<Self> {
        let top = Path::new(toplevel.as_str());
        let name = |part: &str| {
            let target = world.nix.read_link(&top.join(part))?.to_str()?;
            let suffix = if directory == "EFI/nixos" { ".efi" } else { "" };
            let name = target.strip_prefix("/nix/store/")?.replace('/', "-");
            Some(format!("{directory}/{name}{suffix}"))
        };
        let names = [name("kernel")?, name("initrd")?];
        let bytes = |part: &str| world.bytes(&top.join(part)).ok();
        let files = [(on_esp(&names[0]), bytes("kernel")?), (on_esp(&names[1]), bytes("initrd")?)];
        Some(Self { files, names })
    }

    fn entry(&self, number: u32, toplevel: &Toplevel) -> String {
        format!(
            "title NixOS\nsort-key nixos\nversion Generation {number}, {}\nlinux /{}\ninitrd /{}\n\
             options init={toplevel}/init quiet\nmachine-id 0123456789abcdef0123456789abcdef\n",
            toplevel.short(),
            self.names[0],
            self.names[1],
        )
    }
}

fn entry_name(profile: &Path, number: u32) -> String {
    match profile.file_name().and_then(|name| name.to_str()) {
        Some("system") | None => format!("nixos-generation-{number}.conf"),
        Some(name) => format!("nixos-{name}-generation-{number}.conf"),
    }
}

/// What the installer made itself: it never removes anything else.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ["EFI/nixos", "kernels", "nixos"].iter().any(|directory| path.starts_with(on_esp(directory)))
        || (path.starts_with(on_esp("loader/entries"))
            && name.starts_with("nixos-")
            && name.ends_with(".conf"))
}

/// The system profile.
#[must_use]
pub fn system_profile() -> PathBuf {
    Path::new(PROFILES).join("system")
}

/// The golden profile.
#[must_use]
pub fn golden_profile() -> PathBuf {
    Path::new(PROFILES).join("system-profiles/golden")
}

fn on_esp(path: &str) -> PathBuf {
    Path::new(ESP).join(path)
}

/// `nix-collect-garbage -d`: drop every generation but the current one of each profile, then collect the garbage.
pub(super) fn collect_garbage(world: &mut World) {
    for profile in world.profiles() {
        let current = world.current(&profile).map(|(number, _)| number);
        for (number, _) in world.generations(&profile) {
            if Some(number) != current {
                drop_generation(world, &profile, number);
            }
        }
    }
    collect_store(world);
}

/// Drop the generations of the system profile that name this toplevel, but not the current one.
pub fn forget_generations(world: &mut World, toplevel: &Toplevel) {
    let profile = system_profile();
    let current = world.current(&profile).map(|(number, _)| number);
    for (number, _) in world.generations(&profile).iter().filter(|(_, named)| named == toplevel) {
        if Some(*number) != current {
            drop_generation(world, &profile, *number);
        }
    }
}

fn drop_generation(world: &mut World, profile: &Path, number: u32) {
    let name = profile.file_name().unwrap_or_default().to_string_lossy();
    Arc::make_mut(&mut world.nix).remove(&profile.with_file_name(format!("{name}-{number}-link")));
}

/// `nix-store --gc`: every store path goes that no generation, no root and no running system holds.
pub fn collect_store(world: &mut World) {
    let mut links: Vec<_> = ["/run/booted-system", "/run/current-system"]
        .map(|link| world.volatile.read_link(Path::new(link)))
        .into();
    let roots = Path::new("/nix/var/nix/gcroots");
    let roots: Vec<PathBuf> =
        world.nix.list(roots).unwrap_or_default().iter().map(|root| roots.join(root)).collect();
    links.extend(roots.iter().map(|root| world.nix.read_link(root)));
    let named = links.into_iter().flatten().filter_map(|path| path.to_str()?.parse().ok());
    let generations = world.profiles().into_iter().flat_map(|profile| world.generations(&profile));
    let held: BTreeSet<String> = named
        .chain(generations.map(|(_, toplevel)| toplevel))
        .map(|toplevel| hash_of(&toplevel).to_owned())
        .collect();
    let store = Path::new("/nix/store");
    let is_dead = |name: &std::ffi::OsString| {
        let name = name.to_string_lossy();
        !held.contains(name.split('-').next().unwrap_or_default())
    };
    let mut paths = world.nix.list(store).unwrap_or_default();
    paths.retain(is_dead);
    let nix = Arc::make_mut(&mut world.nix);
    for path in paths {
        nix.remove(&store.join(path));
    }
}

/// Tidy profiles as comin does with every deployment: it unlinks each entry of the directory of profiles that is not its own and does
/// not name the booted system, as `golden` never does. Source: comin, `internal/profile/profile.go`.
pub fn tidy_profiles(world: &mut World) {
    let directory = Path::new(PROFILES).join("system-profiles");
    let booted = world.volatile.read_link(Path::new("/run/booted-system")).map(Path::to_owned);
    for name in world.nix.list(&directory).unwrap_or_default() {
        let path = directory.join(name);
        if booted.is_none() || world.nix.read_link(&path) != booted.as_deref() {
            Arc::make_mut(&mut world.nix).remove(&path);
        }
    }
}
