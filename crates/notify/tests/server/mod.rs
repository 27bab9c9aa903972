//! A server on a port of this machine, as good or as bad as a test wants it.

#![allow(dead_code, reason = "each test uses a part")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }
}

pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers every request, one after the other.
    pub fn answering(mut answers: impl FnMut(&Request) -> Vec<u8> + Send + 'static) -> Self {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let known = requests.clone();
        let address = listen(move |mut stream| {
            let Some(request) = read(&stream) else { return };
            known.lock().unwrap().push(request.clone());
            let _ = stream.write_all(&answers(&request));
        });
        Self { address, requests }
    }

    /// Takes a connection and never says a word.
    pub fn silent() -> Self {
        Self::holding(|_| thread::sleep(Duration::from_secs(60)))
    }

    /// Says this, and then a letter now and then, for ever.
    pub fn dripping(head: &'static [u8]) -> Self {
        Self::holding(move |stream| {
            let _ = stream.write_all(head);
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        })
    }

    /// Says this, and then as much as it can, for ever.
    pub fn flooding(head: &'static [u8]) -> Self {
        Self::holding(move |stream| {
            let _ = stream.write_all(head);
            while stream.write_all(&[b'x'; 8192]).is_ok() {}
        })
    }

    fn holding(hold: impl Fn(&mut TcpStream) + Send + Clone + 'static) -> Self {
        let address = listen(move |mut stream| {
            let hold = hold.clone();
            thread::spawn(move || {
                read(&stream);
                hold(&mut stream);
            });
        });
        Self { address, requests: Arc::default() }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn listen(mut serve: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(&mut serve));
    address
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

pub fn answer(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

pub fn json_answer(status: u16, body: &Value) -> Vec<u8> {
    answer(status, &body.to_string())
}
