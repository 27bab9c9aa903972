//! Whether somebody answers an echo request. Source: RFC 792, RFC 4443, `icmp(7)`.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use golden_host::{Host as _, LinuxHost, Route, default_routes};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, socket_with,
};

use super::{Answer, Whom, tcp};

/// Time between two requests: one may be lost.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest answer that is looked at, in bytes: the head of an IPv4 packet, of at most 60, and our request.
const MAX_BYTES: usize = 256;

pub(super) fn ping(whom: &Whom, time: Duration) -> Answer {
    let addresses = match whom {
        Whom::Host(host) => tcp::addresses(host, 0),
        Whom::Gateway => gateways(),
    };
    match addresses {
        Ok(addresses) => ask(&addresses, time),
        Err(why) => Answer::failed(why),
    }
}

/// The gateways of the default routes; at least one.
fn gateways() -> Result<Vec<SocketAddr>, String> {
    let host = LinuxHost::new(Path::new("/"));
    let routes = default_routes(&host).unwrap_or_default();
    let address = |route: &Route| {
        Some(match route.gateway? {
            IpAddr::V4(gateway) => SocketAddr::from((gateway, 0)),
            // One of a single link has to be told which.
            IpAddr::V6(gateway) => SocketAddrV6::new(gateway, 0, 0, index(&host, &route.interface)).into(),
        })
    };
    let gateways: Vec<SocketAddr> = routes.iter().filter_map(address).collect();
    match (routes.first(), gateways.is_empty()) {
        (None, _) => Err("there is no default route".to_owned()),
        (Some(route), true) => {
            Err(format!("the default route goes through {} and has no gateway", route.interface))
        }
        _ => Ok(gateways),
    }
}

fn index(host: &LinuxHost, interface: &str) -> u32 {
    let bytes = host.read(Path::new(&format!("/sys/class/net/{interface}/ifindex"))).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().parse().unwrap_or_default()
}

/// Ask all of them until one answers.
fn ask(addresses: &[SocketAddr], time: Duration) -> Answer {
    let deadline = Instant::now() + time;
    let names = addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ");
    let mut said = format!("no answer from {names}");
    let mut echoes: Vec<Echo> = Vec::new();
    for &address in addresses {
        match Echo::open(address) {
            Ok(echo) => echoes.push(echo),
            Err(error) => said = format!("cannot ask {}: {error}", address.ip()),
        }
    }
    let mut number = 0;
    while !echoes.is_empty() && Instant::now() < deadline {
        number += 1;
        for echo in &echoes {
            if let Err(error) = echo.send(number) {
                said = format!("cannot ask {}: {error}", echo.address.ip());
            }
        }
        let until = deadline.min(Instant::now() + PAUSE);
        if let Some(address) = listen(&echoes, until) {
            return Answer::passed(format!("{address} answers"));
        }
    }
    Answer::failed(said)
}

/// Who answers first.
fn listen(echoes: &[Echo], until: Instant) -> Option<IpAddr> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let mut handles: Vec<PollFd<'_>> =
            echoes.iter().map(|echo| PollFd::new(&echo.socket, PollFlags::IN)).collect();
        poll(&mut handles, Some(&left)).ok()?;
        let ready = echoes.iter().zip(&handles).filter(|(_, handle)| !handle.revents().is_empty());
        for (echo, _) in ready {
            if echo.hears() {
                return Some(echo.address.ip());
            }
        }
    }
}

/// Requests to one address.
struct Echo {
    socket: OwnedFd,
    address: SocketAddr,
    /// Whether the kernel leaves checksums and heads to us, as it does for IPv4.
    is_raw: bool,
    /// What is ours among what others ask: the kernel may choose the number that is meant for that.
    token: [u8; 16],
}

impl Echo {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let (family, protocol) = match address {
            SocketAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
            SocketAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let open = |kind| socket_with(family, kind, flags, Some(protocol));
        // Where sysctl net.ipv4.ping_group_range keeps root out, root may do more.
        let (socket, is_raw) = match open(SocketType::DGRAM) {
            Err(Errno::ACCESS | Errno::PERM | Errno::PROTONOSUPPORT) => (open(SocketType::RAW)?, true),
            opened => (opened?, false),
        };
        connect(&socket, &address)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let token = (now ^ u128::from(std::process::id()) << 96).to_be_bytes();
        Ok(Self { socket, address, is_raw, token })
    }

    fn send(&self, number: u16) -> io::Result<()> {
        let packet = request(self.address.is_ipv4(), number, &self.token);
        Ok(send(&self.socket, &packet, SendFlags::empty()).map(drop)?)
    }

    /// Whether what has come is an answer to us.
    fn hears(&self) -> bool {
        let mut buffer = [0; MAX_BYTES];
        // What could not be delivered is asked again.
        let Ok((_, length)) = recv(&self.socket, &mut buffer[..], RecvFlags::empty()) else { return false };
        let is_ipv4 = self.address.is_ipv4();
        is_reply(is_ipv4, self.is_raw && is_ipv4, &buffer[..length.min(MAX_BYTES)], &self.token)
    }
}

fn request(is_ipv4: bool, number: u16, token: &[u8; 16]) -> Vec<u8> {
    let [_, _, id @ ..] = std::process::id().to_be_bytes();
    let mut packet = vec![if is_ipv4 { 8 } else { 128 }, 0, 0, 0, id[0], id[1]];
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(token);
    if is_ipv4 {
        let sum = checksum(&packet).to_be_bytes();
        packet[2..4].copy_from_slice(&sum);
    }
    packet
}

fn is_reply(is_ipv4: bool, has_head: bool, packet: &[u8], token: &[u8; 16]) -> bool {
    let head = if has_head { usize::from(packet.first().copied().unwrap_or_default() & 0x0f) * 4 } else { 0 };
    let packet = packet.get(head..).unwrap_or_default();
    packet.first() == Some(if is_ipv4 { &0 } else { &129 }) && packet.get(8..) == Some(&token[..])
}

/// Source: RFC 1071.
fn checksum(packet: &[u8]) -> u16 {
    let words = packet
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or_default()));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: [u8; 16] = [7; 16];

    #[test]
    fn a_request_sums_up_to_nothing() {
        assert_eq!(checksum(&request(true, 3, &TOKEN)), 0);
    }

    #[test]
    fn only_an_answer_to_us_is_one() {
        let mut reply = request(true, 1, &TOKEN);
        assert!(!is_reply(true, false, &reply, &TOKEN), "our own request");
        reply[0] = 0;
        assert!(is_reply(true, false, &reply, &TOKEN));
        assert!(!is_reply(true, false, &reply, &[8; 16]), "somebody else's");
        let with_head = [&[0x46; 24][..], &reply].concat();
        assert!(is_reply(true, true, &with_head, &TOKEN));
        for broken in [&[][..], &[0x4f], &with_head[..30]] {
            assert!(!is_reply(true, true, broken, &TOKEN));
        }
    }
}
