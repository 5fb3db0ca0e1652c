//! A daemon that answers each connection as its script says, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::{self, JoinHandle};

use allotment_wire::CniCall;

/// What one connection gets.
pub(crate) enum Reply {
    /// A proper answer.
    Http(u16, String),
    /// These bytes, then the end.
    Raw(&'static [u8]),
    /// The end, before the request was read.
    HangUp,
}

/// One request, as it came over the wire.
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn call(&self) -> CniCall {
        serde_json::from_str(&self.body).expect(&self.body)
    }
}

pub(crate) struct Fake(JoinHandle<Vec<Request>>);

impl Fake {
    /// Listens at `socket` for as many connections as `script` has replies, then no more.
    pub(crate) fn start(socket: &Path, script: Vec<Reply>) -> Fake {
        let listener = UnixListener::bind(socket).unwrap();
        Fake(thread::spawn(move || {
            let serve = |reply| serve(&listener.accept().unwrap().0, reply);
            script.into_iter().filter_map(serve).collect()
        }))
    }

    pub(crate) fn ok(socket: &Path, body: &str) -> Fake {
        Fake::start(socket, vec![Reply::Http(200, body.to_owned())])
    }

    /// Waits until the script is played out.
    pub(crate) fn requests(self) -> Vec<Request> {
        self.0.join().unwrap()
    }
}

fn serve(mut stream: &UnixStream, reply: Reply) -> Option<Request> {
    if let Reply::HangUp = reply {
        return None;
    }
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    let length =
        head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    match reply {
        Reply::Http(status, text) => {
            write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{text}", text.len()).unwrap();
        }
        Reply::Raw(bytes) => stream.write_all(bytes).unwrap(),
        Reply::HangUp => {}
    }
    Some(Request { head, body: String::from_utf8(body).unwrap() })
}
