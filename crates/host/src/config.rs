//! The owner's settings.

use std::io;
use std::path::Path;

use golden_core::Policy;

use crate::{Error, Host};

/// Where the settings are.
const PATH: &str = "/etc/golden-generation/config.toml";

/// The owner's policy; the default where there is no file.
///
/// # Errors
/// The file cannot be read, or says something that is not understood.
pub fn load_policy(host: &dyn Host) -> Result<Policy, Error> {
    let path = Path::new(PATH);
    match host.read(path) {
        Ok(bytes) => basic_toml::from_str(&String::from_utf8_lossy(&bytes))
            .map_err(|source| Error::Config { path: path.into(), source: Box::new(source) }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Policy::default()),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}
