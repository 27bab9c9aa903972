//! `[check.NAME]` in the settings.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use golden_core::Weight;
use golden_host::settings::{self, Problem};
use golden_host::whole::{Bytes, Whole};
use serde::Deserialize;
use ureq::http::Uri;

use crate::check::{Check, Timing, Work};
use crate::probe::{Probe, Whom};
use crate::settings::{Interval, Retries, Timeout, timing};

/// Where DNS servers listen.
const DNS_PORT: u16 = 53;

/// A check as it is written, with every key that any kind of check has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declared {
    kind: Kind,
    required: Option<bool>,
    timeout_secs: Option<Timeout>,
    retries: Option<Retries>,
    interval_secs: Option<Interval>,
    needs_network: Option<bool>,
    unit: Option<String>,
    except: Option<Vec<String>>,
    address: Option<String>,
    url: Option<String>,
    status: Option<Whole<100, 599>>,
    name: Option<String>,
    server: Option<String>,
    path: Option<PathBuf>,
    writable: Option<bool>,
    free_bytes: Option<Bytes>,
    free_percent: Option<Whole<1, 100>>,
    host: Option<String>,
    command: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Unit,
    NoFailedUnits,
    Tcp,
    Http,
    Dns,
    Mount,
    DiskSpace,
    Ping,
    Command,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::NoFailedUnits => "no-failed-units",
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Mount => "mount",
            Self::DiskSpace => "disk-space",
            Self::Ping => "ping",
            Self::Command => "command",
        }
    }

    fn needs_network(self) -> bool {
        matches!(self, Self::Tcp | Self::Http | Self::Dns | Self::Ping)
    }
}

impl Declared {
    /// The check that is meant.
    pub(crate) fn check(mut self, name: String) -> Result<Check, Problem> {
        let problem = |what: String| Problem::new(format!("check.{name}: {what}"));
        let work = self.work().map_err(problem)?;
        if let Some(key) = self.surplus() {
            let kind = self.kind.name();
            return Err(problem(format!("`{key}` means nothing for the kind {kind}")));
        }
        Ok(Check {
            weight: if self.required.unwrap_or(true) { Weight::Required } else { Weight::Wanted },
            timing: timing(Timing::default(), self.timeout_secs, self.retries, self.interval_secs),
            needs_network: self.needs_network.unwrap_or(self.kind.needs_network()),
            work,
            name,
        })
    }

    /// What is done; the keys that say it are taken.
    fn work(&mut self) -> Result<Work, String> {
        let kind = self.kind.name();
        let needs = |key: &str| format!("the kind {kind} needs `{key}`");
        let probe = match self.kind {
            Kind::Unit => Probe::Unit { unit: unit(self.unit.take().ok_or_else(|| needs("unit"))?)? },
            Kind::NoFailedUnits => {
                let except = self.except.take().unwrap_or_default();
                Probe::NoFailedUnits { except: except.into_iter().map(unit).collect::<Result<_, _>>()? }
            }
            Kind::Tcp => {
                let (host, port) = address(&self.address.take().ok_or_else(|| needs("address"))?)?;
                Probe::Tcp { host, port }
            }
            Kind::Http => Probe::Http {
                url: url(self.url.take().ok_or_else(|| needs("url"))?)?,
                status: self.status.take().and_then(|status| status.count().try_into().ok()),
            },
            Kind::Dns => Probe::Dns {
                name: word("name", self.name.take().ok_or_else(|| needs("name"))?)?,
                server: self.server.take().map(|text| server(&text)).transpose()?,
            },
            Kind::Mount => Probe::Mount {
                path: absolute(self.path.take().ok_or_else(|| needs("path"))?)?,
                writable: self.writable.take().unwrap_or(true),
            },
            Kind::DiskSpace => {
                let path = absolute(self.path.take().ok_or_else(|| needs("path"))?)?;
                let (bytes, percent) = (
                    self.free_bytes.take().map(|Bytes(bytes)| bytes),
                    self.free_percent.take().map(Whole::count),
                );
                if bytes.is_none() && percent.is_none() {
                    return Err(needs("free_bytes` or `free_percent"));
                }
                Probe::DiskSpace { path, bytes, percent }
            }
            Kind::Ping => Probe::Ping { whom: whom(self.host.take().ok_or_else(|| needs("host"))?)? },
            Kind::Command => {
                let command = self.command.take().ok_or_else(|| needs("command"))?;
                if command.first().is_none_or(String::is_empty)
                    || command.iter().any(|word| word.contains('\0'))
                {
                    return Err("`command` is a list: the program and its arguments".to_owned());
                }
                return Ok(Work::Command(command));
            }
        };
        Ok(Work::Probe(probe))
    }

    /// A key that nobody took.
    fn surplus(&self) -> Option<&'static str> {
        [
            ("unit", self.unit.is_some()),
            ("except", self.except.is_some()),
            ("address", self.address.is_some()),
            ("url", self.url.is_some()),
            ("status", self.status.is_some()),
            ("name", self.name.is_some()),
            ("server", self.server.is_some()),
            ("path", self.path.is_some()),
            ("writable", self.writable.is_some()),
            ("free_bytes", self.free_bytes.is_some()),
            ("free_percent", self.free_percent.is_some()),
            ("host", self.host.is_some()),
            ("command", self.command.is_some()),
        ]
        .into_iter()
        .find_map(|(key, is_there)| is_there.then_some(key))
    }
}

/// One word that no program takes for an option.
fn word(key: &str, text: String) -> Result<String, String> {
    let is_word = !text.is_empty()
        && !text.starts_with('-')
        && !text.contains(|c: char| c.is_whitespace() || c == '\0');
    if is_word { Ok(text) } else { Err(format!("`{key}` is {text:?}, and one word is meant")) }
}

/// A unit, as systemd completes its name.
fn unit(text: String) -> Result<String, String> {
    settings::unit_name(&word("unit", text)?)
}

fn address(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("`address` is {text:?}, and HOST:PORT is meant");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_clear = bare.is_some() || !host.contains(':');
    let port: u16 = port.parse().ok().filter(|&port| port > 0 && is_clear).ok_or_else(wrong)?;
    Ok((word("address", bare.unwrap_or(host).to_owned())?, port))
}

fn url(text: String) -> Result<String, String> {
    let uri: Option<Uri> = text.parse().ok();
    let is_web = |uri: &Uri| {
        // A port that is none would be the usual one of the scheme.
        let named =
            uri.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
        let has_port = uri.port_u16().is_some() || named == uri.host();
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && has_port
    };
    if uri.as_ref().is_some_and(is_web) {
        Ok(text)
    } else {
        // It may have a password in it.
        let shown = text.rsplit_once('@').map_or(text.clone(), |(_, host)| format!("…@{host}"));
        Err(format!("`url` is {shown:?}, and http://… or https://… is meant"))
    }
}

fn server(text: &str) -> Result<SocketAddr, String> {
    let plain = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
    let wrong = |_| format!("`server` is {text:?}, and an IP address is meant, with a port if it is not 53");
    plain.or_else(|_| text.parse()).map_err(wrong)
}

fn absolute(path: PathBuf) -> Result<PathBuf, String> {
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!("`path` is {}, and one that begins with / is meant", path.display()))
    }
}

fn whom(text: String) -> Result<Whom, String> {
    Ok(if text == "gateway" { Whom::Gateway } else { Whom::Host(word("host", text)?) })
}
