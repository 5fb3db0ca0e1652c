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
