//! The journal, by its native protocol, or standard error where there is none yet.

use std::sync::OnceLock;

use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

use crate::Priority;
use crate::command::say;

/// The journal, connected at the first word: a boot check without a trial has nothing to say.
fn journal() -> Option<&'static Dispatch> {
    static JOURNAL: OnceLock<Option<Dispatch>> = OnceLock::new();
    let connect = || {
        // A prefix would turn MESSAGE_ID into F_MESSAGE_ID, which no catalog knows.
        let layer = tracing_journald::layer().ok()?.with_field_prefix(None);
        Some(Dispatch::new(tracing_subscriber::registry().with(layer)))
    };
    JOURNAL.get_or_init(connect).as_ref()
}

/// Write one entry to this machine's journal. Nobody learns whether it arrived.
pub(super) fn write(priority: Priority, message_id: &'static str, text: &str) {
    match journal() {
        Some(journal) => tracing::dispatcher::with_default(journal, || send(priority, message_id, text)),
        // systemd reads the priority from the line.
        None => say(&format!("<{}>{text}", priority as u8)),
    }
}

fn send(priority: Priority, message_id: &'static str, text: &str) {
    match priority {
        Priority::Critical | Priority::Error => tracing::error!(MESSAGE_ID = message_id, "{text}"),
        Priority::Warning => tracing::warn!(MESSAGE_ID = message_id, "{text}"),
        Priority::Notice => tracing::info!(MESSAGE_ID = message_id, "{text}"),
    }
}
