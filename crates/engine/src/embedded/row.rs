//! The bytes of every row: a version, a payload, and a checksum over key, version and payload. The drawing is in
//! `docs/internals/ledger-format.md`.

use crate::bytes::{Malformed, Reader};

/// Bytes of the checksum at the end of every row.
const SUM: usize = 4;

/// Why a row cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowError {
    #[error("its checksum does not match")]
    Sum,
    #[error("it is in version {0}, which this program does not know")]
    Newer(u8),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Begins a row.
pub(super) fn begin(version: u8) -> Vec<u8> {
    vec![version]
}

/// Ends a row: the checksum also covers the key, so that a row under another key is noticed.
pub(super) fn seal(key: &[u8], mut row: Vec<u8>) -> Vec<u8> {
    let sum = sum(key, &row);
    row.extend_from_slice(&sum.to_le_bytes());
    row
}

/// Checks a row and returns a reader of its payload.
pub(super) fn open<'a>(key: &[u8], row: &'a [u8], version: u8) -> Result<Reader<'a>, RowError> {
    let (body, stored) = row.split_last_chunk::<SUM>().ok_or(RowError::Sum)?;
    if sum(key, body) != u32::from_le_bytes(*stored) {
        return Err(RowError::Sum);
    }
    match body.split_first() {
        Some((&found, payload)) if found == version => Ok(Reader::new(payload)),
        Some((&found, _)) => Err(RowError::Newer(found)),
        None => Err(Malformed("it is empty").into()),
    }
}

fn sum(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::put_bytes;

    #[test]
    fn any_changed_bit_is_noticed() {
        let mut row = begin(1);
        put_bytes(&mut row, b"cart-7");
        let row = seal(b"key", row);
        assert_eq!(open(b"key", &row, 1).unwrap().text(), Ok("cart-7"));
        assert_eq!(open(b"kez", &row, 1).unwrap_err(), RowError::Sum);
        assert_eq!(open(b"key", &row, 2).unwrap_err(), RowError::Newer(1));
        for bit in 0..row.len() * 8 {
            let mut bad = row.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(b"key", &bad, 1).unwrap_err(), RowError::Sum);
        }
        for length in 0..row.len() {
            assert!(open(b"key", &row[..length], 1).is_err());
        }
    }
}
