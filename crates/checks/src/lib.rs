//! Health checks: what an owner needs of a system, and whether it is so.
//!
//! ```no_run
//! # fn main() -> std::process::ExitCode {
//! // First of all: probes are this program, started again.
//! if let Some(status) = golden_checks::answer() {
//!     return status;
//! }
//! # let host = golden_host::LinuxHost::new("/".as_ref());
//! let Ok(assessor) = golden_checks::Assessor::new(&host) else { return std::process::ExitCode::FAILURE };
//! let assessment = assessor.assess(std::time::Duration::from_secs(120), true);
//! println!("failed: {:?}", assessment.failed_required());
//! # std::process::ExitCode::SUCCESS
//! # }
//! ```

mod assessor;
mod check;
mod child;
mod declared;
mod drop_in;
mod family;
mod foresee;
mod greenboot;
mod interrupt;
mod probe;
mod run;
mod settings;
mod tail;

pub use assessor::Assessor;
pub use check::{Check, MAX_CHECKS, Timing, Work, list};
pub use child::Subject;
pub use foresee::foresee;
pub use probe::{Probe, Whom, answer};
pub use run::Runner;
pub use settings::{DIRECTORIES, LateFailure, PATH, SETTINGS, Settings, load, load_of, load_or_fail, parse};
