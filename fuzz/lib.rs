//! What holds for any bytes, of everything that reads bytes of others.

mod properties;
pub mod settings;

pub use properties::*;
