//! `golden serve`: the status page.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use golden_host::Exit;
use golden_host::command::{Common, number, say};
use golden_serve::fleet::{Address, Sources};
use golden_serve::{Limits, Options, Server};

use crate::publish::{DIRECTORY, FILE};

/// Where the page listens unless systemd gives a socket.
const LISTEN: &str = "127.0.0.1:9843";

/// The data that is served, and its address.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Address to listen on, unless systemd gives a socket
    #[arg(long, value_name = "ADDRESS", default_value = LISTEN)]
    listen: Vec<SocketAddr>,
    /// Status pages of other hosts, such as `https://web1.example.org:9843`
    #[arg(long, value_name = "URL", num_args = 1..)]
    fleet: Vec<Address>,
    /// A directory of other hosts' status.json files, one each, named after the host (web1.json)
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// A name by which the page is asked for on loopback, as a proxy passes it on
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// The file that this host publishes
    #[arg(long, value_name = "FILE", default_value_os_t = PathBuf::from(DIRECTORY).join(FILE))]
    published: PathBuf,
    /// Exit after SECONDS without a client, if systemd starts it again for the next one
    #[arg(long, value_name = "SECONDS", default_value_t = 60, allow_negative_numbers = true, value_parser = number::<0, 86_400>)]
    idle: usize,
}

/// Serve until it is over.
pub(crate) fn run(common: &Common, arguments: &Arguments) -> ExitCode {
    let below = |path: &PathBuf| common.root.join(path.strip_prefix("/").unwrap_or(path));
    let options = Options {
        listen: arguments.listen.clone(),
        published: below(&arguments.published),
        sources: Sources {
            addresses: arguments.fleet.clone(),
            directory: arguments.directory.as_ref().map(below),
        },
        names: arguments.names.clone(),
        idle: Duration::from_secs(arguments.idle as u64),
        limits: Limits::default(),
    };
    match Server::new(&options) {
        Ok(server) => {
            server.run();
            ExitCode::SUCCESS
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map_or_else(String::new, |it| format!(": {it}"));
            say(&format!("{error}{cause}"));
            Exit::Io.into()
        }
    }
}
