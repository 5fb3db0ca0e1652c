//! The journal's bytes: text, one line an entry, each with its checksum.
//!
//! ```text
//!   1c2b0f3a {"journal":"allotment-agent","format":1}
//!   9d0e77c1 {"records":[{"started":{…}}]}
//!   └ CRC-32 of what follows the blank, in hexadecimal
//! ```
//!
//! Zeros behind them are room for more.

use allotment_api::annotation::GrantedAttachment;
use allotment_proof::Record;
use serde::{Deserialize, Serialize};

/// The newest format that can be read.
const FORMAT: u32 = 1;

/// Bytes before the content: the checksum and a blank.
const PREFIX: usize = 9;

/// What an ADD was answered with, to answer it again and for CHECK and GC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) sandbox: String,
    /// The interface as the runtime calls it; what was granted may have another name.
    pub(crate) interface: String,
    /// UID, as CNI has it.
    pub(crate) pod: String,
    /// The network's name in its CNI configuration.
    pub(crate) network: String,
    pub(crate) entry: GrantedAttachment,
}

/// What is written at once: all of it is there after a crash, or none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) records: Vec<Record>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given: Option<Given>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    journal: String,
    format: u32,
}

/// What the bytes of a journal come to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Text {
    pub(crate) lines: Vec<Line>,
    /// Bytes behind the last whole line: an entry that was being written, and so never relied upon.
    pub(crate) torn: usize,
    /// Whole lines that are not what was written.
    pub(crate) damaged: usize,
}

/// It was written by a newer version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("format {0} is newer than {FORMAT}, the newest that this version reads")]
pub(crate) struct TooNew(u32);

impl Line {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        encode(self, out);
    }
}

/// The first line.
pub(crate) fn header(out: &mut Vec<u8>) {
    encode(&Header { journal: "allotment-agent".to_owned(), format: FORMAT }, out);
}

fn encode(content: &impl Serialize, out: &mut Vec<u8>) {
    let json = serde_json::to_vec(content).expect("every key is a string");
    out.extend_from_slice(format!("{:08x} ", crc32fast::hash(&json)).as_bytes());
    out.extend_from_slice(&json);
    out.push(b'\n');
}

/// Reads all that can be read.
pub(crate) fn decode(bytes: &[u8]) -> Result<Text, TooNew> {
    let mut text = Text::default();
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut pieces = bytes[..end].split_inclusive(|byte| *byte == b'\n');
    for (number, piece) in pieces.by_ref().enumerate() {
        let Some(line) = piece.strip_suffix(b"\n") else {
            text.torn = piece.len();
            break;
        };
        let Some(json) = content(line) else {
            text.damaged += 1;
            continue;
        };
        if number == 0 {
            match serde_json::from_slice::<Header>(json) {
                Ok(header) if header.format > FORMAT => return Err(TooNew(header.format)),
                Ok(_) => {}
                Err(_) => text.damaged += 1,
            }
            continue;
        }
        match serde_json::from_slice(json) {
            Ok(line) => text.lines.push(line),
            Err(_) => text.damaged += 1,
        }
    }
    Ok(text)
}

/// What a line has behind its checksum, if that is right.
fn content(line: &[u8]) -> Option<&[u8]> {
    let (prefix, json) = line.split_at_checked(PREFIX)?;
    let crc = std::str::from_utf8(prefix).ok()?.strip_suffix(' ')?;
    (u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(json)).then_some(json)
}

#[cfg(test)]
mod tests {
    use allotment_proof::Version;

    use super::*;

    fn lines() -> Vec<Line> {
        let fenced = |version| Record::Fenced { as_of: Version(version), finished: ["u".to_owned()].into() };
        let given = Given {
            sandbox: "c1".to_owned(),
            interface: "net1".to_owned(),
            pod: "u".to_owned(),
            network: "lan".to_owned(),
            entry: GrantedAttachment { interface: "net1".to_owned(), ..GrantedAttachment::default() },
        };
        vec![
            Line { records: vec![fenced(7), Record::Rebuilt], given: None },
            Line { records: vec![fenced(8)], given: Some(given) },
        ]
    }

    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        header(&mut bytes);
        for line in lines() {
            line.encode(&mut bytes);
        }
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(decode(&bytes()), Ok(Text { lines: lines(), torn: 0, damaged: 0 }));
        assert_eq!(decode(b""), Ok(Text::default()));
        assert_eq!(decode(&[bytes(), vec![0; 5000]].concat()), decode(&bytes()));
        assert_eq!(decode(&[0; 5000]), Ok(Text::default()));
    }

    #[test]
    fn torn_at_any_byte_it_has_every_whole_line() {
        let whole = bytes();
        for length in 0..whole.len() {
            let text = decode(&whole[..length]).unwrap();
            let pieces: Vec<&[u8]> = whole[..length].split(|byte| *byte == b'\n').collect();
            let (behind, before) = pieces.split_last().unwrap();
            assert_eq!(text.lines, lines()[..before.len().saturating_sub(1)], "{length}");
            assert_eq!((text.torn, text.damaged), (behind.len(), 0), "{length}");
            let with_room = [&whole[..length], &[0; 100]].concat();
            assert_eq!(decode(&with_room), Ok(text), "{length}");
        }
    }

    #[test]
    fn of_a_write_whose_pages_came_out_of_order_what_is_whole_is_read() {
        let whole = bytes();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for begin in first..whole.len() {
            for end in begin + 1..=whole.len() {
                let mut bytes = whole.clone();
                bytes[begin..end].fill(0);
                let text = decode(&bytes).unwrap();
                assert!(text.lines.iter().all(|line| lines().contains(line)), "{begin}..{end}");
                let is_last = end == whole.len() && whole[begin - 1] == b'\n';
                assert!(text.damaged + text.torn > 0 || is_last, "{begin}..{end}");
            }
        }
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let whole = bytes();
        for at in 0..whole.len() {
            for change in [1, 0x20, 0x80] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                let text = decode(&bytes).unwrap();
                // A checksum in capitals is the same number.
                let is_noticed = text.damaged > 0 || text.torn > 0 || text.lines == lines();
                assert!(is_noticed, "byte {at} ^ {change}");
                assert!(text.lines.iter().all(|line| lines().contains(line)), "byte {at} ^ {change}");
            }
        }
    }

    #[test]
    fn a_newer_format_is_not_guessed_at() {
        let mut bytes = Vec::new();
        encode(&Header { journal: "allotment-agent".to_owned(), format: 2 }, &mut bytes);
        assert_eq!(decode(&bytes), Err(TooNew(2)));
    }
}
