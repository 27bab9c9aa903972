//! Whether somebody listens.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::Answer;

pub(super) fn connect(host: &str, port: u16, time: Duration) -> Answer {
    let addresses = match addresses(host, port) {
        Ok(addresses) => addresses,
        Err(why) => return Answer::failed(why),
    };
    // Each gets its share: the first one may be of a network that drops everything.
    let share = time / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut last = String::new();
    for address in addresses {
        match TcpStream::connect_timeout(&address, share) {
            Ok(_) => return Answer::passed(format!("{address} accepts connections")),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                last = format!("{address} does not answer");
            }
            Err(error) => last = format!("cannot connect to {address}: {error}"),
        }
    }
    Answer::failed(last)
}

/// What a name stands for, as the machine resolves it; at least one address.
pub(super) fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let why = |error: io::Error| format!("cannot resolve {host}: {}", without_prefix(&error));
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(why)?.collect();
    if addresses.is_empty() { Err(format!("{host} has no address")) } else { Ok(addresses) }
}

/// The standard library says twice what failed.
fn without_prefix(error: &io::Error) -> String {
    let said = error.to_string();
    said.strip_prefix("failed to lookup address information: ").unwrap_or(&said).to_owned()
}
