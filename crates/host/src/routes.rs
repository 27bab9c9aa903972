//! Where packages go that have no other way. Source: `proc_net(5)`; the kernel's `fib_trie.c` and `ipv6/route.c`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::Host;

/// The route is there, and does not refuse what it is asked to carry. Source: the kernel's `linux/route.h`.
const RTF_UP: u32 = 1;
const RTF_REJECT: u32 = 0x200;

/// A default route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Name of the interface it goes through.
    pub interface: String,
    /// To whom; `None` where the other end of a tunnel is meant.
    pub gateway: Option<IpAddr>,
}

/// Whether the machine has no default route, neither of IPv4 nor of IPv6. Where the kernel does not say, it is not down.
#[must_use]
pub fn network_is_down(host: &dyn Host) -> bool {
    default_routes(host).is_some_and(|routes| routes.is_empty())
}

/// The default routes, those of IPv4 first; `None` where the kernel does not say.
#[must_use]
pub fn default_routes(host: &dyn Host) -> Option<Vec<Route>> {
    let read =
        |path| host.read(Path::new(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let (four, six) = (read("/proc/net/route"), read("/proc/net/ipv6_route"));
    if four.is_none() && six.is_none() {
        return None;
    }
    let (four, six) = (four.unwrap_or_default(), six.unwrap_or_default());
    Some(four.lines().filter_map(of_ipv4).chain(six.lines().filter_map(of_ipv6)).collect())
}

fn is_usable(flags: u32) -> bool {
    flags & RTF_UP != 0 && flags & RTF_REJECT == 0
}

/// `eth0 00000000 010200C0 0003 …`: addresses are numbers as the machine holds them.
fn of_ipv4(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[interface, destination, gateway, flags, _, _, _, mask, ..] = &words[..] else { return None };
    let hexadecimal = |word| u32::from_str_radix(word, 16).ok();
    let is_default = hexadecimal(destination)? == 0 && hexadecimal(mask)? == 0;
    let gateway = Ipv4Addr::from(hexadecimal(gateway)?.to_ne_bytes());
    (is_default && is_usable(hexadecimal(flags)?)).then(|| Route {
        interface: interface.to_owned(),
        gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
    })
}

/// `DESTINATION 00 SOURCE 00 GATEWAY METRIC REFERENCES USE FLAGS eth0`: addresses are written byte by byte.
fn of_ipv6(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let &[destination, length, _, _, gateway, _, _, _, flags, interface] = &words[..] else { return None };
    let address = |word| u128::from_str_radix(word, 16).ok();
    let is_default = address(destination)? == 0 && length == "00";
    let gateway = Ipv6Addr::from(address(gateway)?);
    let flags = u32::from_str_radix(flags, 16).ok()?;
    (is_default && is_usable(flags)).then(|| Route {
        interface: interface.to_owned(),
        gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::LinuxHost;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
    const LOCAL: &str = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const DEFAULT: &str = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
    const TUNNEL: &str = "wg0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n";
    const HALF: &str = "wg0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n";
    const REFUSES: &str = "*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n";
    const ZERO: &str = "00000000000000000000000000000000";
    const LINK_LOCAL: &str = "fe800000000000000000000000000001";

    fn six(gateway: &str, flags: &str, interface: &str) -> String {
        format!("{ZERO} 00 {ZERO} 00 {gateway} 00000400 00000003 00000000 {flags} {interface:>8}\n")
    }

    fn routes(four: Option<&str>, six: Option<&str>) -> (bool, Option<Vec<String>>) {
        let root = TempDir::new().unwrap();
        std::fs::create_dir_all(root.path().join("proc/net")).unwrap();
        for (name, text) in [("route", four), ("ipv6_route", six)] {
            if let Some(text) = text {
                std::fs::write(root.path().join("proc/net").join(name), text).unwrap();
            }
        }
        let host = LinuxHost::new(root.path());
        let name = |route: Route| {
            format!(
                "{} {}",
                route.interface,
                route.gateway.map_or_else(|| "-".into(), |gateway| gateway.to_string())
            )
        };
        let routes = default_routes(&host);
        (network_is_down(&host), routes.map(|routes| routes.into_iter().map(name).collect()))
    }

    #[test]
    fn a_network_without_a_default_route_is_down() {
        let refused = six(ZERO, "00200200", "lo");
        let default = six(LINK_LOCAL, "00000003", "eth0");
        for (case, four, six, expected) in [
            (
                "both",
                format!("{HEAD}{DEFAULT}{LOCAL}"),
                default.clone(),
                &["eth0 192.0.2.1", "eth0 fe80::1"][..],
            ),
            ("IPv6 alone", HEAD.to_owned(), format!("{refused}{default}"), &["eth0 fe80::1"]),
            ("a tunnel", format!("{HEAD}{TUNNEL}"), refused.clone(), &["wg0 -"]),
            ("half of it", format!("{HEAD}{HALF}"), String::new(), &[]),
            ("none", format!("{HEAD}{LOCAL}{REFUSES}"), refused, &[]),
            ("nonsense", "eth0\t0\nx y z\n\u{fffd}".to_owned(), "a b c\n".to_owned(), &[]),
        ] {
            let found = routes(Some(&four), Some(&six));
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(found, (expected.is_empty(), Some(expected)), "{case}");
        }
    }

    #[test]
    fn a_kernel_that_does_not_say_excuses_nothing() {
        assert_eq!(routes(None, None), (false, None));
        assert_eq!(routes(Some(HEAD), None), (true, Some(Vec::new())));
    }
}
