//! One question over HTTP without TLS, which our clients of Kubernetes do not speak.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// For whoever is to answer from memory.
const LIMIT: Duration = Duration::from_secs(10);

/// What `ADDR:PORT` answers with a success.
pub fn get(server: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("{server} speaks no HTTP"))?;
    ensure!(head.split(' ').nth(1) == Some("200"), "{server}{path}: {}", body.trim());
    Ok(body.to_owned())
}
