//! What a system says of its own boot files. Source: NixOS RFC 125, "Bootspec", and nixpkgs,
//! `nixos/modules/system/boot/loader/systemd-boot`.

use std::path::{Path, PathBuf};

use golden_core::Toplevel;
use serde_json::Value;

use crate::Host;

/// The device tree in the store that systemd-boot's installer copies for this system, if it names one.
pub(super) fn device_tree(host: &dyn Host, toplevel: &Toplevel) -> Option<PathBuf> {
    let bytes = host.read(&Path::new(toplevel.as_str()).join("boot.json")).ok()?;
    let spec: Value = serde_json::from_slice(&bytes).ok()?;
    let path = Path::new(spec.get("org.nixos.systemd-boot")?.get("devicetree")?.as_str()?);
    path.starts_with("/nix/store").then(|| path.to_owned())
}
