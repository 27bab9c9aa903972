//! What a system was built from.

use std::path::Path;

use golden_core::{Revision, Toplevel};
use serde::Deserialize;

use crate::Host;

/// Where our NixOS module writes it: a file of the system, so that it can be read before the system has ever run.
const PATH: &str = "etc/golden-generation/source.json";
/// What a deployer may say in the environment of `switch-to-configuration`, where the system itself does not know.
const VARIABLE: &str = "GOLDEN_REVISION";
/// Longest file that is read, in bytes.
const MAX_BYTES: usize = 1 << 16;

#[derive(Deserialize)]
struct Source {
    revision: Option<String>,
}

/// What the system itself says. It is welcome and not needed: what cannot be read says nothing.
#[must_use]
pub fn revision_of(host: &dyn Host, toplevel: &Toplevel) -> Option<Revision> {
    let path = Path::new(toplevel.as_str()).join(PATH);
    let bytes = host.read_part(&path, 0, MAX_BYTES).ok()?;
    serde_json::from_slice::<Source>(&bytes).ok()?.revision?.parse().ok()
}

/// What the deployer says of what it deploys just now.
#[must_use]
pub fn told_by_deployer() -> Option<Revision> {
    std::env::var(VARIABLE).ok()?.parse().ok()
}

/// All that is said of these systems; the deployer's word, which is about the first one, comes first: it knows best what it
/// deploys.
pub(crate) fn sources(
    host: &dyn Host,
    told: Option<&Revision>,
    toplevels: &[&Toplevel],
) -> Vec<(Toplevel, Revision)> {
    let told = told.zip(toplevels.first()).map(|(told, first)| ((*first).clone(), told.clone()));
    let own = toplevels.iter().filter_map(|of| Some(((*of).clone(), revision_of(host, of)?)));
    let mut sources: Vec<(Toplevel, Revision)> = Vec::new();
    for source in told.into_iter().chain(own) {
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}
