//! The packed string of an object (L2): what it holds as one string, since the API server takes a list of 256 entries
//! twenty times as long to check.
//!
//! ```text
//!   base64 ( format 1 byte | CRC-32 4 bytes | deflate ( content ) )
//! ```
//!
//! The sum is over the object's name, a zero and the content, so that content under another name is noticed too. A newer
//! format may have anything after its first byte.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};

/// The format this program writes, and the newest it reads.
pub(super) const FORMAT: u8 = 1;

/// Content is longer than this only if it is damaged, or meant to fill the memory: a block of 256 records with the longest
/// strings that core takes has 13 MB.
const LONGEST: u64 = 1 << 24;

/// Why a string cannot be unpacked. Such an object is read-only, and so are its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is in format {0}; this program knows formats up to {FORMAT}")]
    Newer(u8),
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

pub(super) fn pack(name: &str, content: &[u8]) -> String {
    let mut packed = vec![FORMAT];
    packed.extend_from_slice(&sum(name, content).to_le_bytes());
    DeflateEncoder::new(content, Compression::default())
        .read_to_end(&mut packed)
        .expect("memory can be read and written");
    STANDARD.encode(packed)
}

pub(super) fn unpack(name: &str, data: &str) -> Result<Vec<u8>, Unreadable> {
    let packed = STANDARD.decode(data).map_err(|_| Unreadable::Damaged("it is no base64"))?;
    let (&format, rest) = packed.split_first().ok_or(Unreadable::Damaged("it is empty"))?;
    if format > FORMAT {
        return Err(Unreadable::Newer(format));
    }
    let (stored, deflated) = rest.split_first_chunk().ok_or(Unreadable::Damaged("it ends too early"))?;
    let mut content = Vec::new();
    DeflateDecoder::new(deflated)
        .take(LONGEST)
        .read_to_end(&mut content)
        .map_err(|_| Unreadable::Damaged("it cannot be decompressed"))?;
    if format != FORMAT || sum(name, &content) != u32::from_le_bytes(*stored) {
        return Err(Unreadable::Damaged("its checksum does not match"));
    }
    Ok(content)
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
        assert_eq!(unpack("a.10-0-0-0", stored), Ok(b"not content".to_vec()));
    }

    #[test]
    fn l2_the_string_has_format_sum_and_deflated_content() {
        let content = b"content content content";
        let packed = STANDARD.decode(pack(NAME, content)).unwrap();
        assert_eq!(packed[0], FORMAT);
        let sum = crc32fast::hash(&[NAME.as_bytes(), b"\0", content].concat());
        assert_eq!(packed[1..5], sum.to_le_bytes());
        let mut inflated = Vec::new();
        DeflateDecoder::new(&packed[5..]).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated, content);
    }

    #[test]
    fn l2_a_newer_format_is_told_from_a_damaged_one() {
        for newer in [&[FORMAT + 1][..], &[FORMAT + 1, 7, 7], &[255; 40]] {
            assert_eq!(unpack(NAME, &STANDARD.encode(newer)), Err(Unreadable::Newer(newer[0])));
        }
        for damaged in ["", "!", "AA==", "AQ==", "AQAAAAA="] {
            assert!(matches!(unpack(NAME, damaged), Err(Unreadable::Damaged(_))), "{damaged}");
        }
    }

    #[test]
    fn l2_any_changed_bit_is_noticed() {
        let content: Vec<u8> = (0..100).collect();
        let packed = STANDARD.decode(pack(NAME, &content)).unwrap();
        assert_eq!(unpack(NAME, &STANDARD.encode(&packed)).as_ref(), Ok(&content));
        assert!(unpack("default.10-40-4-0", &STANDARD.encode(&packed)).is_err(), "under another name");
        for bit in 0..packed.len() * 8 {
            let mut bad = packed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // Some bits of a deflated stream mean nothing.
            assert!(
                unpack(NAME, &STANDARD.encode(&bad)).is_ok_and(|read| read == content) || {
                    unpack(NAME, &STANDARD.encode(&bad)).is_err()
                }
            );
        }
    }
}
