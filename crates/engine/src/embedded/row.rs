//! The bytes of every row: a version, a payload, and a checksum over key, version and payload. The drawing is in
//! `docs/internals/ledger-format.md`.

use std::net::{IpAddr, Ipv6Addr};

/// Bytes of the checksum at the end of every row.
const SUM: usize = 4;

/// Why a row cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowError {
    #[error("its checksum does not match")]
    Sum,
    #[error("it is in version {0}, which this program does not know")]
    Newer(u8),
    #[error("{0}")]
    Malformed(&'static str),
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
        Some((&found, payload)) if found == version => Ok(Reader(payload)),
        Some((&found, _)) => Err(RowError::Newer(found)),
        None => Err(RowError::Malformed("it is empty")),
    }
}

fn sum(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

/// Appends a number in as few bytes as it needs: seven bits a byte, lowest first.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Appends bytes after their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// An address as 16 bytes, IPv4 in its IPv4-mapped place.
pub(super) fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

pub(super) fn address_of(bytes: [u8; 16]) -> IpAddr {
    let v6 = Ipv6Addr::from(bytes);
    v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
}

/// Takes a payload apart from its front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RowError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Eight bytes, lowest first.
    pub(super) fn u64(&mut self) -> Result<u64, RowError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, RowError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn number(&mut self) -> Result<usize, RowError> {
        let mut number = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.u8()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return usize::try_from(number).map_err(|_| SHORT);
            }
        }
        Err(RowError::Malformed("a number in it is longer than 64 bits"))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], RowError> {
        let length = self.number()?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, RowError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| RowError::Malformed("a name in it is not UTF-8"))
    }
}

const SHORT: RowError = RowError::Malformed("it ends too early");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            let mut reader = Reader(&bytes);
            assert_eq!(reader.number(), Ok(usize::try_from(number).unwrap()));
            assert!(reader.is_empty());
        }
        assert!(Reader(&[0xff; 11]).number().is_err());
        assert_eq!(Reader(&[0x80]).number(), Err(SHORT));
    }

    #[test]
    fn addresses_come_back() {
        for text in ["0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "fd00::1"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(address_of(address_bytes(address)), address);
        }
    }

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
