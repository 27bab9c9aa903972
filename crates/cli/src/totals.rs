//! How often each kind of event happened, ever: history forgets its oldest lines, and a counter of Prometheus must not fall.

use std::collections::BTreeMap;
use std::path::Path;

use golden_core::Event;
use golden_host::{Error, Host, Line, LinuxHost};
use serde::{Deserialize, Serialize};

/// Longest file that is read, in bytes.
const MAX_BYTES: usize = 1 << 16;

/// The counts, and the last line of history that they count.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// By the kind of event, as history writes it.
    pub counts: BTreeMap<String, u64>,
    /// When each happened last.
    pub latest: BTreeMap<String, String>,
    last: Option<Line>,
}

impl Totals {
    /// What was counted until now; nothing if that cannot be read. Then it is counted anew from what history still has.
    pub(crate) fn read(host: &LinuxHost, state_dir: &Path) -> Self {
        let bytes = host.read(&state_dir.join(FILE)).unwrap_or_default();
        if bytes.len() > MAX_BYTES {
            Self::default()
        } else {
            serde_json::from_slice(&bytes).unwrap_or_default()
        }
    }

    /// Count what is new in history, the oldest first.
    pub(crate) fn count(&mut self, history: &[Line]) {
        let counted = self.last.as_ref().and_then(|last| history.iter().rposition(|line| line == last));
        let new = counted.map_or(history, |index| &history[index + 1..]);
        for line in new {
            let kind = kind(&line.event);
            *self.counts.entry(kind.clone()).or_default() += 1;
            self.latest.insert(kind, line.time.clone());
        }
        if let Some(line) = new.last() {
            self.last = Some(line.clone());
        }
    }

    /// Keep them for the next time.
    pub(crate) fn write(&self, host: &LinuxHost, state_dir: &Path) -> Result<(), Error> {
        let path = state_dir.join(FILE);
        let bytes =
            serde_json::to_vec(self).map_err(|source| Error::Serialize { path: path.clone(), source })?;
        host.publish(&path, &bytes, 0o600).map_err(|source| Error::Io { action: "write", path, source })
    }
}

/// In the state directory.
const FILE: &str = "counted.json";

/// The kind of an event, as history writes it; a rehearsal that passed and one that did not are two.
pub(crate) fn kind(event: &Event) -> String {
    match event {
        Event::DrillEnded { passed: true, .. } => return "drill-passed".to_owned(),
        Event::DrillEnded { passed: false, .. } => return "drill-failed".to_owned(),
        _ => {}
    }
    let value = serde_json::to_value(event).unwrap_or_default();
    value["event"].as_str().unwrap_or_default().to_owned()
}
