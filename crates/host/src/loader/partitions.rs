//! Which of the mounted partitions the loader reads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::interface;
use super::mounts::{Mount, Mounts};
use crate::{Error, Host, Limits};

/// Where the ESP is mounted, by custom.
const PLACES: [&str; 3] = ["/efi", "/boot/efi", EXTENDED];
/// Where XBOOTLDR is mounted beside an ESP. Source: `systemd-boot(7)`.
const EXTENDED: &str = "/boot";
/// Where the devices of GPT entries are found by their identifiers.
const DEVICES: &str = "/dev/disk/by-partuuid";
/// Set by the loader in every boot, as long as it has the boot loader interface.
const SELECTED: &str = "LoaderEntrySelected";
/// Time for an automount, which may wait for a disk. Only an idle one is waited for.
const TIME: Duration = Duration::from_secs(5);
/// More than the name of a directory and an error.
const OUTPUT_BYTES: usize = 1 << 12;

/// The partitions of one systemd-boot, and what is kept like them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Partitions {
    /// Where `loader.conf` is: the loader reads no other one.
    pub esp: PathBuf,
    /// Where there may be entries.
    pub all: Vec<PathBuf>,
    /// Other ESPs that the firmware may start the loader from.
    pub mirrors: Vec<PathBuf>,
    /// Whether the firmware started the loader from a mirror that the owner named.
    pub started_from_mirror: bool,
    /// What an owner has to know before these partitions can be relied on.
    pub doubts: Vec<String>,
}

/// The partitions that are there, and those mirrors of the ESP that the owner named. `None` where no place can be one.
///
/// # Errors
/// The partition that the loader came from is not mounted, or an automount does not come.
pub(super) fn find(
    host: &dyn Host,
    mirrors: &[PathBuf],
    has_conf: impl Fn(&Path) -> bool,
    has_entries: impl Fn(&Path) -> bool,
) -> Result<Option<Partitions>, Error> {
    let places = || PLACES.iter().map(Path::new);
    let mounts = awake(host, places())?;
    let by_custom = |among: &[&Path]| {
        let first = |is: &dyn Fn(&Path) -> bool| among.iter().copied().find(|place| is(place));
        first(&has_conf).or_else(|| first(&has_entries)).map(Path::to_owned)
    };
    let is_fat = |place: &Path| mounts.at(place).is_some_and(Mount::is_fat);
    let named = |place: &Path| mirrors.iter().any(|mirror| mirror == place);
    // The mount point of a mirror may be a usual one of the ESP, and the installer does not write to it.
    let fat: Vec<&Path> = places().filter(|place| is_fat(place) && !named(place)).collect();
    let origin = Origin::of(host, &mounts);
    if !mounts.are_known() || fat.is_empty() && matches!(origin, Origin::Unknown) {
        // Nothing says that a directory of that name is no partition.
        let all: Vec<PathBuf> = places().filter(|place| has_entries(place)).map(Path::to_owned).collect();
        let esp = places().find(|place| has_conf(place)).map(Path::to_owned).or_else(|| all.first().cloned());
        return Ok(esp.map(|esp| Partitions {
            esp,
            all,
            mirrors: mirrors.to_vec(),
            ..Partitions::default()
        }));
    }
    // What another loader leaves of the interface says nothing of systemd-boot.
    let is_ours = interface::started_by(host).loader.is_some()
        || places().any(|place| has_conf(place) || has_entries(place));
    let missing = |what: String| if is_ours { Err(Error::BootPartition(what)) } else { Ok(None) };
    let mut found = Partitions {
        started_from_mirror: matches!(&origin, Origin::Mounted(place) if named(place)),
        ..Partitions::default()
    };
    let installed = by_custom(&fat).or_else(|| fat.first().map(|place| (*place).to_owned()));
    found.esp = match origin {
        Origin::Mounted(place) if fat.contains(&place.as_path()) => place,
        Origin::Mounted(place) => match installed {
            Some(esp) => {
                if !named(&place) {
                    found.doubts.push(format!(
                        "the firmware started the loader from {}, which is neither the boot partition nor named as its mirror",
                        place.display()
                    ));
                    found.mirrors.push(place);
                }
                esp
            }
            None => place,
        },
        Origin::NotMounted(what) => return missing(what),
        Origin::Interface | Origin::Unknown => match installed {
            Some(esp) => esp,
            None => return missing("no FAT file system is mounted at /boot, /efi or /boot/efi".to_owned()),
        },
    };
    let extended = Path::new(EXTENDED);
    found.all.push(found.esp.clone());
    // A unit that may write to a directory sees that mounted, too.
    if let Some(mount) =
        mounts.at(extended).filter(|mount| found.esp != extended && !named(extended) && mount.root == "/")
    {
        if is_read_beside_an_esp(host, mount) {
            found.all.push(extended.to_owned());
        } else {
            found.doubts.push(format!(
                "the loader reads {} and not {EXTENDED}, which is no partition of the type XBOOTLDR",
                found.esp.display()
            ));
        }
    }
    found.add_mirrors(host, mirrors);
    Ok(Some(found))
}

impl Partitions {
    /// A mirror that is not mounted may be on a disk that is gone: the others are kept alike all the same.
    fn add_mirrors(&mut self, host: &dyn Host, named: &[PathBuf]) {
        for mirror in named.iter().filter(|mirror| **mirror != self.esp) {
            let is_mounted = awake(host, [mirror.as_path()].into_iter());
            if is_mounted.is_ok_and(|mounts| mounts.at(mirror).is_some()) {
                self.mirrors.push(mirror.clone());
            } else {
                self.doubts
                    .push(format!("{}, a mirror of the boot partition, is not mounted", mirror.display()));
            }
        }
    }
}

/// What is mounted once every automount at these places was looked into, in bounded time.
fn awake<'a>(host: &dyn Host, places: impl Iterator<Item = &'a Path>) -> Result<Mounts, Error> {
    let is_idle = |mounts: &Mounts, place: &Path| mounts.at(place).is_some_and(Mount::is_idle);
    let mounts = Mounts::read(host);
    let idle: Vec<&Path> = places.filter(|place| is_idle(&mounts, place)).collect();
    if idle.is_empty() {
        return Ok(mounts);
    }
    for place in &idle {
        let inside = place.join(".");
        let limits = Limits { time: TIME, output_bytes: OUTPUT_BYTES };
        let look = host.run_within(limits, Path::new("ls"), &["-d", &inside.to_string_lossy()]);
        look.map_err(Error::io("mount", *place))?;
    }
    let mounts = Mounts::read(host);
    match idle.iter().find(|place| is_idle(&mounts, place)) {
        Some(place) => {
            let what = format!("{} is an automount, and nothing was mounted there", place.display());
            Err(Error::BootPartition(what))
        }
        None => Ok(mounts),
    }
}

/// Where the loader of this boot came from.
enum Origin {
    /// Its partition is mounted here.
    Mounted(PathBuf),
    /// Its partition is not mounted, as a sentence.
    NotMounted(String),
    /// A loader with the boot loader interface, from a partition that it does not name or that cannot be looked up.
    Interface,
    /// Nobody says; or it is not systemd-boot.
    Unknown,
}

impl Origin {
    fn of(host: &dyn Host, mounts: &Mounts) -> Self {
        let by = interface::started_by(host);
        if by.loader.as_ref().is_some_and(|loader| !loader.starts_with("systemd-boot")) {
            return Self::Unknown;
        }
        let Some(partition) = by.partition else {
            let is_told = by.loader.is_some() || matches!(host.efi_read(SELECTED), Ok(Some(_)));
            return if is_told { Self::Interface } else { Self::Unknown };
        };
        let whole = mounts.all().filter(|(_, mount)| mount.root == "/" && mount.source.starts_with("/dev/"));
        let looked_up = whole.map(|(place, mount)| (place, mount.is_fat(), is_on(host, mount, &partition)));
        let looked_up: Vec<(&Path, bool, Option<bool>)> = looked_up.collect();
        let places = || looked_up.iter().filter(|(.., is_on)| *is_on == Some(true)).map(|(place, ..)| *place);
        let by_custom = places().find(|place| PLACES.iter().any(|custom| *place == Path::new(custom)));
        // It may be one that nobody knows the identifier of, such as a member of an array.
        let may_be_there = looked_up.iter().any(|(_, is_fat, is_on)| *is_fat && is_on.is_none());
        match by_custom.or_else(|| places().next()) {
            Some(place) => Self::Mounted(place.to_owned()),
            None if may_be_there || looked_up.iter().all(|(.., is_on)| is_on.is_none()) => Self::Interface,
            None => {
                Self::NotMounted(format!("the loader came from partition {partition}, which is not mounted"))
            }
        }
    }
}

/// Types of a partition that the loader reads beside an ESP. Source: UAPI group, "Boot Loader Specification", "The Partitions".
const EXTENDED_TYPES: [&str; 2] = ["bc13c2ff-59e6-4262-a352-b275fd6f7172", "0xea"];

/// Whether the loader looks for entries there, too. A partition of an unknown type is taken for one that it reads.
fn is_read_beside_an_esp(host: &dyn Host, mount: &Mount) -> bool {
    let known = by_udev(host, mount, "E:ID_PART_ENTRY_TYPE=");
    known.is_none_or(|known| EXTENDED_TYPES.iter().any(|extended| known.eq_ignore_ascii_case(extended)))
}

/// A property of the mounted device in udev's database.
fn by_udev(host: &dyn Host, mount: &Mount, key: &str) -> Option<String> {
    property(host, &Path::new("/run/udev/data").join(format!("b{}", mount.number)), key)
}

fn property(host: &dyn Host, file: &Path, key: &str) -> Option<String> {
    let text = host.read(file).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned())
}

/// Whether this is mounted from the partition with this identifier; `None` where nobody knows. A unit that sees no devices
/// asks the kernel or udev.
fn is_on(host: &dyn Host, mount: &Mount, partition: &str) -> Option<bool> {
    let by_kernel =
        || property(host, &Path::new("/sys/dev/block").join(&mount.number).join("uevent"), "PARTUUID=");
    if let Some(identifier) = by_kernel().or_else(|| by_udev(host, mount, "E:ID_PART_ENTRY_UUID=")) {
        return Some(identifier.eq_ignore_ascii_case(partition));
    }
    host.list(Path::new(DEVICES)).ok()?;
    let is_identifier = partition.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let device = host.read_link(&Path::new(DEVICES).join(Some(partition).filter(|_| is_identifier)?)).ok();
    // What was mounted may be a link itself, such as one below `/dev/disk`.
    let source = host.read_link(Path::new(&mount.source)).unwrap_or_else(|_| PathBuf::from(&mount.source));
    let name = source.file_name()?.to_str()?;
    // An array or a mapped device lies on partitions, and is none.
    let is_partition =
        !name.starts_with("md") && !name.starts_with("dm-") && !source.starts_with("/dev/mapper");
    is_partition.then(|| device.is_some_and(|device| device.file_name() == source.file_name()))
}
