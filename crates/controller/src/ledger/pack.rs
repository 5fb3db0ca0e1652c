//! The packed string of an object (L2): what it holds as one string, since the API server takes a list of 256 entries
//! twenty times as long to check.
//!
//! ```text
//!   base64 ( format 1 byte | CRC-32 4 bytes | rest )
//!
//!   format 1   rest: deflate ( content )
//!   format 2   rest: part, part, …        part: length (number), deflate ( its content )
//! ```
//!
//! The sum is over the object's name, a zero and, in format 1, the content; in format 2, the rest as it is stored. So what
//! is found under another name is noticed too. A newer format may have anything after its first byte.
//!
//! Format 1 is what every program reads, and what is small is written in; a block is written in parts that compress better
//! each by itself. A program that knows only format 1 leaves such blocks alone.

use std::io::Read;

use allotment_engine::bytes::{Malformed, Reader, put_bytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};

const WHOLE: u8 = 1;
const PARTS: u8 = 2;

/// The newest format that this program reads.
pub(super) const NEWEST: u8 = PARTS;

/// Content is longer than this only if it is damaged, or meant to fill the memory: a block of 256 records with the longest
/// strings that core takes has 13 MB.
const LONGEST: u64 = 1 << 24;

/// Why a string cannot be unpacked. Such an object is read-only, and so are its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is in format {0}; this program knows formats up to {NEWEST}")]
    Newer(u8),
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// What was packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unpacked {
    Whole(Vec<u8>),
    Parts(Vec<Vec<u8>>),
}

/// Packs content in format 1.
pub(super) fn whole(name: &str, content: &[u8]) -> String {
    let mut rest = Vec::new();
    deflate(content, &mut rest);
    encode(WHOLE, sum(name, content), &rest)
}

/// Packs parts in format 2.
pub(super) fn parts(name: &str, parts: &[Vec<u8>]) -> String {
    let (mut rest, mut deflated) = (Vec::new(), Vec::new());
    for part in parts {
        deflated.clear();
        deflate(part, &mut deflated);
        put_bytes(&mut rest, &deflated);
    }
    encode(PARTS, sum(name, &rest), &rest)
}

pub(super) fn unpack(name: &str, data: &str) -> Result<Unpacked, Unreadable> {
    let packed = STANDARD.decode(data).map_err(|_| Unreadable::Damaged("it is no base64"))?;
    let (&format, rest) = packed.split_first().ok_or(Unreadable::Damaged("it is empty"))?;
    if format > NEWEST {
        return Err(Unreadable::Newer(format));
    }
    let (stored, rest) = rest.split_first_chunk().ok_or(Unreadable::Damaged("it ends too early"))?;
    let is_intact = |content: &[u8]| sum(name, content) == u32::from_le_bytes(*stored);
    match format {
        WHOLE => Some(inflate(rest)?).filter(|content| is_intact(content)).map(Unpacked::Whole),
        PARTS if is_intact(rest) => Some(inflate_parts(rest)?),
        _ => None,
    }
    .ok_or(Unreadable::Damaged("its checksum does not match"))
}

fn encode(format: u8, sum: u32, rest: &[u8]) -> String {
    STANDARD.encode([&[format][..], &sum.to_le_bytes(), rest].concat())
}

fn deflate(content: &[u8], out: &mut Vec<u8>) {
    DeflateEncoder::new(content, Compression::default())
        .read_to_end(out)
        .expect("memory can be read and written");
}

fn inflate(deflated: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut content = Vec::new();
    DeflateDecoder::new(deflated)
        .take(LONGEST)
        .read_to_end(&mut content)
        .map_err(|_| Unreadable::Damaged("it cannot be decompressed"))?;
    Ok(content)
}

fn inflate_parts(rest: &[u8]) -> Result<Unpacked, Unreadable> {
    let (mut reader, mut parts) = (Reader::new(rest), Vec::new());
    while !reader.is_empty() {
        let deflated = reader.bytes().map_err(|Malformed(why)| Unreadable::Damaged(why))?;
        parts.push(inflate(deflated)?);
    }
    Ok(Unpacked::Parts(parts))
}

fn sum(name: &str, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(name.as_bytes());
    hasher.update(&[0]);
    hasher.update(content);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "default.10-40-3-0";

    #[test]
    fn l2_what_was_packed_once_can_be_read_for_ever() {
        let stored = "AaScuD7Lyy9RSM7PK0nNKwEA";
        assert_eq!(unpack("a.10-0-0-0", stored), Ok(Unpacked::Whole(b"not content".to_vec())));
    }

    #[test]
    fn l2_the_string_has_format_sum_and_deflated_content() {
        let content = b"content content content";
        let packed = STANDARD.decode(whole(NAME, content)).unwrap();
        assert_eq!(packed[0], WHOLE);
        let sum = crc32fast::hash(&[NAME.as_bytes(), b"\0", content].concat());
        assert_eq!(packed[1..5], sum.to_le_bytes());
        let mut inflated = Vec::new();
        DeflateDecoder::new(&packed[5..]).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated, content);
    }

    #[test]
    fn l2_a_newer_format_is_told_from_a_damaged_one() {
        for newer in [&[NEWEST + 1][..], &[NEWEST + 1, 7, 7], &[255; 40]] {
            assert_eq!(unpack(NAME, &STANDARD.encode(newer)), Err(Unreadable::Newer(newer[0])));
        }
        for damaged in ["", "!", "AA==", "AQ==", "AQAAAAA=", "Ag==", "AgAAAAAA"] {
            assert!(matches!(unpack(NAME, damaged), Err(Unreadable::Damaged(_))), "{damaged}");
        }
    }

    #[test]
    fn l2_parts_have_a_sum_over_what_is_stored() {
        let three = [b"content content".to_vec(), Vec::new(), (0..=255).collect()];
        let packed = STANDARD.decode(parts(NAME, &three)).unwrap();
        assert_eq!(packed[0], PARTS);
        assert_eq!(
            packed[1..5],
            crc32fast::hash(&[NAME.as_bytes(), b"\0", &packed[5..]].concat()).to_le_bytes()
        );
        let mut reader = Reader::new(&packed[5..]);
        for part in &three {
            assert_eq!(inflate(reader.bytes().unwrap()).as_ref(), Ok(part));
        }
        assert!(reader.is_empty());
        assert_eq!(unpack(NAME, &STANDARD.encode(packed)), Ok(Unpacked::Parts(three.to_vec())));
    }

    #[test]
    fn l2_any_changed_bit_is_noticed() {
        let content: Vec<u8> = (0..100).collect();
        for data in [whole(NAME, &content), parts(NAME, &[content.clone(), content.clone()])] {
            let good = unpack(NAME, &data);
            assert!(good.is_ok());
            assert!(unpack("default.10-40-4-0", &data).is_err(), "under another name");
            let packed = STANDARD.decode(data).unwrap();
            for bit in 0..packed.len() * 8 {
                let mut bad = packed.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                // Some bits of a deflated stream mean nothing.
                let read = unpack(NAME, &STANDARD.encode(&bad));
                assert!(read.is_err() || read == good && packed[0] == WHOLE, "bit {bit}");
            }
        }
    }
}
