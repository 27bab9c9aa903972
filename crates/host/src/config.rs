//! The owner's settings.

use std::io;
use std::path::Path;

use golden_core::Policy;

use crate::{Error, Host};

/// Where the settings are.
const PATH: &str = "/etc/golden-generation/config.toml";

/// Longest file of settings, in bytes.
const MAX_BYTES: usize = 1 << 16;
/// Deepest nesting, and longest dotted key: the parser goes as deep as the text does.
const MAX_DEPTH: usize = 32;

/// The owner's policy; the default where there is no file.
///
/// # Errors
/// The file cannot be read, or says something that is not understood.
pub fn load_policy(host: &dyn Host) -> Result<Policy, Error> {
    let path = Path::new(PATH);
    match host.read(path) {
        Ok(bytes) if bytes.len() > MAX_BYTES || is_too_deep(&bytes) => {
            Err(Error::io("read", path)(io::ErrorKind::FileTooLarge.into()))
        }
        Ok(bytes) => basic_toml::from_str(&String::from_utf8_lossy(&bytes))
            .map_err(|source| Error::Config { path: path.into(), source: Box::new(source) }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Policy::default()),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Whether more is opened than closed at any place, or a key has too many parts. Brackets in strings count too: settings
/// need neither.
fn is_too_deep(bytes: &[u8]) -> bool {
    let mut depth = 0_usize;
    let nested = bytes.iter().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    });
    let parts =
        |line: &[u8]| line.iter().take_while(|byte| **byte != b'=').filter(|byte| **byte == b'.').count();
    nested || bytes.split(|byte| *byte == b'\n').any(|line| parts(line) > MAX_DEPTH)
}
