//! Health checks: what an owner needs of a system, and whether it is so.
//!
//! ```no_run
//! # fn main() -> std::process::ExitCode {
//! // First of all: probes are this program, started again.
//! if let Some(status) = golden_checks::answer() {
//!     return status;
//! }
//! # let (host, about) = (golden_host::LinuxHost::new("/".as_ref()), todo!());
//! let settings = golden_checks::load_or_fail(&host);
//! let checks = golden_checks::list(&host, &settings);
//! let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
//! let mut runner = golden_checks::Runner::new(&host, about);
//! let findings = runner.run(&checks, deadline);
//! let assessment = runner.assessment(settings.report_only, findings);
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
mod whole;

pub use assessor::Assessor;
pub use check::{Check, MAX_CHECKS, Timing, Work, list};
pub use child::Subject;
pub use foresee::foresee;
pub use probe::{Probe, Whom, answer};
pub use run::Runner;
pub use settings::{DIRECTORIES, LateFailure, PATH, SETTINGS, Settings, load, load_of, load_or_fail, parse};
