//! KVM where a guest really runs with it, and QEMU in software everywhere else.

use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Result;

use crate::image::Image;
use crate::machine::{Machine, Options};
use crate::shell::{cache, progress};

/// Longest that the probe may take until its init says so; typical with KVM is three seconds.
const LONGEST: Duration = Duration::from_secs(15);

/// How instructions of a guest are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accelerator {
    Kvm,
    Software,
}

impl Accelerator {
    /// What this machine can do, found out once.
    pub fn of(image: &Image) -> Self {
        static FOUND: OnceLock<Accelerator> = OnceLock::new();
        *FOUND.get_or_init(|| if has_kvm(image) { Self::Kvm } else { Self::Software })
    }

    /// Arguments of QEMU.
    pub fn arguments(self) -> &'static str {
        match self {
            Self::Kvm => "-accel kvm -cpu host",
            Self::Software => "-accel tcg,thread=multi,tb-size=256 -cpu qemu64,-svm",
        }
    }
}

/// The device may be there and fail with every guest, so one is started. The answer is kept until the next boot.
fn has_kvm(image: &Image) -> bool {
    if fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
        return false;
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let kept = cache().join(format!("kvm-{}", boot.trim()));
    if let Ok(answer) = fs::read_to_string(&kept) {
        return answer == "yes";
    }
    progress("trying KVM");
    let works = probe(image).is_ok();
    progress(if works { "KVM works" } else { "no guest runs with KVM here: QEMU in software" });
    // Without it the next run tries again.
    let _ = fs::write(kept, if works { "yes" } else { "no" });
    works
}

fn probe(image: &Image) -> Result<()> {
    let mut machine = Machine::new(image, cache().join("run/kvm"), None, Options::default())?;
    machine.start_with(Accelerator::Kvm)?;
    machine.next_line(LONGEST).map(drop)
}
