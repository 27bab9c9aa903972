//! Whether a name has an address.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Answer, tcp};

/// Types of records. Source: RFC 1035, 3.2.2; RFC 3596, 2.1.
const A: u16 = 1;
const AAAA: u16 = 28;
/// Longest answer without EDNS, in bytes. Source: RFC 1035, 4.2.1.
const MAX_BYTES: usize = 512;
/// Time after which a question is asked again: a packet may be lost.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn resolve(name: &str, server: Option<SocketAddr>, time: Duration) -> Answer {
    let addresses = match server {
        None => tcp::addresses(name, 0).map(|addresses| addresses[0].ip().to_string()),
        Some(server) => ask(server, name, time),
    };
    match addresses {
        Ok(address) => Answer::passed(format!("{name} is {address}")),
        Err(why) => Answer::failed(why),
    }
}

/// An address that one server knows for a name.
fn ask(server: SocketAddr, name: &str, time: Duration) -> Result<String, String> {
    let deadline = Instant::now() + time;
    let why = |error: io::Error| format!("cannot ask {server}: {error}");
    let mut said = format!("{server} does not answer");
    while Instant::now() < deadline {
        for kind in [A, AAAA] {
            match exchange(server, name, kind, deadline).map_err(why)? {
                Some(Reply::Address(address)) => return Ok(address),
                Some(Reply::None(reason)) => said = format!("{server} knows no address of {name}: {reason}"),
                None => {}
            }
        }
        if !said.ends_with("answer") {
            break;
        }
    }
    Err(said)
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Address(String),
    None(&'static str),
}

/// One question and its answer; `None` if none comes.
fn exchange(server: SocketAddr, name: &str, kind: u16, deadline: Instant) -> io::Result<Option<Reply>> {
    let local = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(local)?;
    socket.connect(server)?;
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    let [_, _, high, low] = (nanos ^ std::process::id()).to_be_bytes();
    let question =
        question([high, low], name, kind).ok_or_else(|| io::Error::other("it is no name of the DNS"))?;
    socket.send(&question)?;
    let until = deadline.min(Instant::now() + PATIENCE);
    let mut buffer = [0; MAX_BYTES];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            // One of another question, or of nobody's, is passed over.
            Ok(length) => {
                if let Some(reply) = reply(&buffer[..length], &question, kind) {
                    return Ok(Some(reply));
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Source: RFC 1035, 4.1.
fn question(id: [u8; 2], name: &str, kind: u16) -> Option<Vec<u8>> {
    const MAX_NAME_BYTES: usize = 253;
    let name = name.trim_end_matches('.');
    // One question, and the server may ask others.
    let mut bytes = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    (name.len() <= MAX_NAME_BYTES).then_some(bytes)
}

/// What an answer to a question says; `None` if it is none. Source: RFC 1035, 4.1.
fn reply(bytes: &[u8], question: &[u8], kind: u16) -> Option<Reply> {
    let number = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let is_answer = bytes.get(..2)? == &question[..2] && bytes.get(2)? & 0x80 != 0;
    if !is_answer {
        return None;
    }
    match bytes.get(3)? & 0x0f {
        0 => {}
        3 => return Some(Reply::None("there is no such name")),
        5 => return Some(Reply::None("it refuses to say")),
        _ => return Some(Reply::None("it has failed")),
    }
    let mut at = question.len();
    for _ in 0..number(6)? {
        at = after_name(bytes, at)?;
        let (found, length) = (number(at)?, usize::from(number(at + 8)?));
        let data = bytes.get(at + 10..at + 10 + length)?;
        match (found, data.len()) {
            (A, 4) if kind == A => {
                return Some(Reply::Address(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string()));
            }
            (AAAA, 16) if kind == AAAA => {
                return Some(Reply::Address(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string()));
            }
            _ => at += 10 + length,
        }
    }
    Some(Reply::None("it has none"))
}

/// Where a name ends. It ends with an empty label or with a pointer to the rest.
fn after_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "a.example";

    fn answer(code: u8, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = question([1, 2], NAME, A).unwrap();
        (bytes[2], bytes[3], bytes[7]) = (0x81, code, records.len().try_into().unwrap());
        for (kind, data) in records {
            bytes.extend_from_slice(&[0xc0, 12]);
            bytes.extend_from_slice(&kind.to_be_bytes());
            bytes.extend_from_slice(&[0, 1, 0, 0, 0, 9, 0, data.len().try_into().unwrap()]);
            bytes.extend_from_slice(data);
        }
        bytes
    }

    #[test]
    fn an_address_is_found_behind_an_alias() {
        let question = question([1, 2], NAME, A).unwrap();
        let alias: (u16, &[u8]) = (5, &[1, b'b', 0]);
        for (bytes, expected) in [
            (answer(0, &[alias, (A, &[192, 0, 2, 1])]), Some(Reply::Address("192.0.2.1".into()))),
            (answer(0, &[alias]), Some(Reply::None("it has none"))),
            (answer(3, &[]), Some(Reply::None("there is no such name"))),
            (answer(2, &[]), Some(Reply::None("it has failed"))),
            (question.clone(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(reply(&bytes, &question, A), expected);
        }
        let mut foreign = answer(0, &[(A, &[192, 0, 2, 1])]);
        foreign[0] = 9;
        assert_eq!(reply(&foreign, &question, A), None);
    }

    #[test]
    fn what_is_no_name_is_not_asked_for() {
        for name in ["", "a..b", &"x".repeat(64), &["x"; 200].join(".")] {
            assert_eq!(question([0, 0], name, A), None, "{name}");
        }
        assert!(question([0, 0], "a.example.", A).is_some());
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_passed_over(mut bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let question = question([1, 2], NAME, A).unwrap();
            for (at, byte) in [(0, 1), (1, 2), (2, 0x81), (3, 0)] {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            let _ = reply(&bytes, &question, A);
        }
    }
}
