//! An authority of our own, and servers that it vouches for, by `openssl`.

#![allow(dead_code, reason = "each test uses a part")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

/// Ends with the test.
pub struct Server {
    process: Child,
    pub port: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn openssl(directory: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(directory).args(arguments.split_whitespace()).stderr(Stdio::null());
    assert!(command.stdout(Stdio::null()).status().unwrap().success(), "{arguments}");
}

/// A certificate for `localhost` (`host.pem`) by an authority of our own (`ca.pem`), one that ran out (`old.pem`), and an empty
/// list of authorities (`nobody.pem`).
pub fn certificates(directory: &Path) {
    let key = "-nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
    openssl(directory, &format!("req -x509 {key} -days 2 -subj /CN=own-ca -keyout ca.key -out ca.pem"));
    openssl(directory, &format!("req {key} -subj /CN=test -keyout host.key -out host.csr"));
    fs::write(directory.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let sign = "x509 -req -in host.csr -CA ca.pem -CAkey ca.key -extfile names";
    openssl(directory, &format!("{sign} -set_serial 1 -days 2 -out host.pem"));
    openssl(directory, &format!("{sign} -set_serial 2 -days -1 -out old.pem"));
    fs::write(directory.join("nobody.pem"), "").unwrap();
}

/// A server on `localhost` that answers as `how` says, and its port.
pub fn server(directory: &Path, certificate: &str, how: &str) -> Server {
    let mut serve = Command::new("openssl");
    serve.current_dir(directory).args(["s_server", how, "-accept", "127.0.0.1:0", "-key", "host.key"]);
    serve.args(["-cert", certificate]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut serve = serve.spawn().unwrap();
    let mut lines = BufReader::new(serve.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port =
        lines.find_map(|line| Some(line.strip_prefix("ACCEPT ")?.rsplit_once(':')?.1.to_owned())).unwrap();
    // It goes on to speak, and is not to end because nobody listens.
    thread::spawn(move || lines.for_each(drop));
    Server { process: serve, port }
}

/// What `answer: ` a test of this program prints that trusts `authority` alone, with one more variable in its environment.
pub fn answer_of(name: &str, directory: &Path, authority: &str, variable: (&str, &str)) -> String {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args([name, "--exact", "--nocapture"]).env(variable.0, variable.1);
    process.env_remove("SSL_CERT_DIR").env_remove("NIX_SSL_CERT_FILE");
    process.env("SSL_CERT_FILE", directory.join(authority));
    let text = String::from_utf8(process.output().unwrap().stdout).unwrap();
    let answer = text.lines().find_map(|line| line.split_once("answer: ")).map(|(_, said)| said.to_owned());
    answer.expect(&text)
}
