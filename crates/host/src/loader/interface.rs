//! What the loader of this boot says of itself. Source: systemd.io, "The Boot Loader Interface"; GRUB says the same with its
//! module `bli`.

use golden_core::StartedBy;

use crate::Host;

/// Name and version of the loader, such as `systemd-boot 257.9`.
pub(super) const INFO: &str = "LoaderInfo";
/// The partition that the firmware started the loader from: the identifier of its GPT entry.
pub(super) const PARTITION: &str = "LoaderDevicePartUUID";

/// Who started this boot, and from where. What cannot be read is not said: the loader is asked elsewhere, with its errors.
pub(super) fn started_by(host: &dyn Host) -> StartedBy {
    let text = |name| {
        let bytes = host.efi_read(name).ok().flatten()?;
        Some(from_utf16(&bytes)).filter(|text| !text.is_empty())
    };
    StartedBy {
        loader: text(INFO),
        partition: text(PARTITION).map(|partition| partition.to_ascii_lowercase()),
    }
}

/// The text of a variable: UTF-16, little-endian, ended by NUL.
pub(super) fn from_utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let units: Vec<u16> = units.take_while(|&unit| unit != 0).collect();
    String::from_utf16_lossy(&units)
}

/// The bytes of such a text.
pub(super) fn to_utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}
