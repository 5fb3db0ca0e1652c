//! One HTTP/1.1 request and its answer, as far as we and the daemon need it (RFC 9112).

use std::io::{self, Read};

/// Longest head of an answer: status line and header fields.
const MAX_HEAD: usize = 16 << 10;

/// Longest body of an answer. A result is some hundred bytes.
const MAX_BODY: usize = 4 << 20;

/// A whole `POST /v1/cni`, head and body in one piece, so that one write sends it.
pub(crate) fn request(body: &str) -> Vec<u8> {
    let mut out = String::with_capacity(160 + body.len());
    out.push_str(
        "POST /v1/cni HTTP/1.1\r\nHost: allotment\r\nContent-Type: application/json\r\nContent-Length: ",
    );
    out.push_str(&body.len().to_string());
    out.push_str("\r\nConnection: close\r\n\r\n");
    out.push_str(body);
    out.into_bytes()
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer that can be relied on.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    /// The other side speaks no HTTP, or less of it than agreed.
    Garbled(&'static str),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

/// Reads one answer, whatever pieces it comes in.
///
/// It must say how long it is: a body that ends where the connection ends could have lost its tail with the daemon.
pub(crate) fn read_answer(from: &mut impl Read) -> Result<Answer, Fault> {
    let mut bytes = Vec::with_capacity(4096);
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > MAX_HEAD {
            return Err(Fault::Garbled("the head of the answer does not end"));
        }
        if read_some(from, &mut bytes)? == 0 {
            return Err(Fault::Garbled("the connection was closed before the answer"));
        }
    };
    let (head, _) = bytes.split_at(head_end);
    let (status, length) = parse_head(head)?;
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if read_some(from, &mut body)? == 0 {
            return Err(Fault::Garbled("the connection was closed within the answer"));
        }
    }
    if body.len() > length {
        return Err(Fault::Garbled("the answer is longer than it says"));
    }
    Ok(Answer { status, body })
}

fn read_some(from: &mut impl Read, to: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = [0; 4096];
    loop {
        match from.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(count) => {
                to.extend_from_slice(piece.get(..count).unwrap_or_default());
                return Ok(count);
            }
        }
    }
}

/// Status and length of the body.
fn parse_head(head: &[u8]) -> Result<(u16, usize), Fault> {
    let head = std::str::from_utf8(head).map_err(|_| Fault::Garbled("the head of the answer is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(parse_status).ok_or(Fault::Garbled("the answer is not HTTP/1.1"))?;
    let mut length = None;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Fault::Garbled("a header field has no colon"))?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Fault::Garbled("a header field has no proper name"));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Fault::Garbled("the answer comes in a transfer coding"));
        }
        if name.eq_ignore_ascii_case("content-length") {
            let value = parse_length(value.trim_matches([' ', '\t']))
                .ok_or(Fault::Garbled("the answer's Content-Length is not a number we take"))?;
            if length.is_some_and(|earlier| earlier != value) {
                return Err(Fault::Garbled("the answer has two Content-Lengths"));
            }
            length = Some(value);
        }
    }
    Ok((status, length.ok_or(Fault::Garbled("the answer has no Content-Length"))?))
}

fn parse_status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.1 ")?;
    let (digits, reason) = rest.split_at_checked(3)?;
    let status = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?;
    status.filter(|status| (200..600).contains(status) && (reason.is_empty() || reason.starts_with(' ')))
}

fn parse_length(text: &str) -> Option<usize> {
    let length = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
    length.filter(|&length| length <= MAX_BODY)
}

#[cfg(test)]
mod tests;
