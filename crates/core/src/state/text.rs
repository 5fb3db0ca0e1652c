//! Strings inside a record: one byte that says how, then the bytes.
//!
//! | first byte | meaning |
//! |---|---|
//! | 0–247 | that many bytes of UTF-8 follow |
//! | 248 | a length of two bytes (little endian), then that many bytes |
//! | 252 | a UUID in its canonical lower-case form: 16 bytes |
//! | 253 | 64 lower-case hexadecimal digits, as runtimes name containers: 32 bytes |
//! | 254 | the same as the record's first string, the owner's uid |

use smallvec::SmallVec;

const LONG: u8 = 248;
const UUID: u8 = 252;
const HEX: u8 = 253;
const SAME: u8 = 254;

/// Longest string that a record takes, in bytes; longer ones are refused before they get here.
pub(crate) const STRING_MAX: usize = 4096;

pub(super) type Buffer = SmallVec<[u8; 120]>;

/// Appends a string.
pub(super) fn push(out: &mut Buffer, text: &str) {
    let bytes = text.as_bytes();
    if bytes.len() == 36 && push_uuid(out, bytes) || bytes.len() == 64 && push_hex(out, bytes) {
        return;
    }
    match u8::try_from(bytes.len()) {
        Ok(short) if short < LONG => out.push(short),
        _ => {
            out.push(LONG);
            out.extend_from_slice(&u16::try_from(bytes.len()).expect("STRING_MAX fits").to_le_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

/// Appends a string that is often the owner's uid.
pub(super) fn push_or_same(out: &mut Buffer, text: &str, uid: &str) {
    if text == uid && !uid.is_empty() { out.push(SAME) } else { push(out, text) }
}

/// The value of a lower-case hexadecimal digit; anything else has its high bits set.
const NIBBLES: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    table
};

/// Packs pairs of digits into bytes; `false` where one of them is no lower-case hexadecimal digit.
fn pack(digits: &[u8], out: &mut [u8]) -> bool {
    let mut seen = 0;
    for (pair, byte) in digits.chunks_exact(2).zip(out) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    seen < 16
}

fn push_uuid(out: &mut Buffer, bytes: &[u8]) -> bool {
    let mut packed = [UUID; 17];
    let is_uuid = [bytes[8], bytes[13], bytes[18], bytes[23]] == *b"----"
        && pack(&bytes[..8], &mut packed[1..5])
        && pack(&bytes[9..13], &mut packed[5..7])
        && pack(&bytes[14..18], &mut packed[7..9])
        && pack(&bytes[19..23], &mut packed[9..11])
        && pack(&bytes[24..], &mut packed[11..]);
    if is_uuid {
        out.extend_from_slice(&packed);
    }
    is_uuid
}

fn push_hex(out: &mut Buffer, bytes: &[u8]) -> bool {
    let mut packed = [HEX; 33];
    let is_hex = pack(bytes, &mut packed[1..]);
    if is_hex {
        out.extend_from_slice(&packed);
    }
    is_hex
}

/// Reads strings one after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    uid: &'a [u8],
}

/// One string as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes, uid: &[] }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    /// The next string, mark included; `SAME` is resolved.
    pub(super) fn string(&mut self) -> Option<Packed<'a>> {
        let length = match *self.rest.first()? {
            UUID => 17,
            HEX => 33,
            SAME => {
                self.rest = &self.rest[1..];
                return (!self.uid.is_empty()).then_some(Packed(self.uid));
            }
            LONG => 3 + usize::from(u16::from_le_bytes(self.rest.get(1..3)?.try_into().ok()?)),
            short if short < LONG => 1 + usize::from(short),
            _ => return None,
        };
        self.bytes(length).map(Packed)
    }

    /// The owner's uid, to which later strings may refer.
    pub(super) fn uid(&mut self) -> Option<Packed<'a>> {
        let uid = self.string()?;
        self.uid = uid.0;
        Some(uid)
    }
}

impl Packed<'_> {
    /// Whether this is the stored form of a string, `packed` by [`push`].
    pub(super) fn is(self, packed: &[u8]) -> bool {
        self.0 == packed
    }

    pub(super) fn to_text(self) -> Option<String> {
        let (&mark, bytes) = self.0.split_first()?;
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .flat_map(|b| [b >> 4, b & 15])
                .map(|n| char::from(b"0123456789abcdef"[usize::from(n)]))
                .collect()
        };
        match mark {
            UUID => {
                let mut text: String = hex(bytes);
                for at in [8, 13, 18, 23] {
                    text.insert(at, '-');
                }
                Some(text)
            }
            HEX => Some(hex(bytes)),
            LONG => String::from_utf8(bytes.get(2..)?.to_vec()).ok(),
            _ => String::from_utf8(bytes.to_vec()).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_comes_back() {
        let long = "x".repeat(STRING_MAX);
        let uuid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        let container = "0123456789abcdef".repeat(4);
        for (text, length) in [
            ("", 1),
            ("web-0", 6),
            (uuid, 17),
            (&uuid.to_uppercase(), 37),
            ("0a1b2c3d_4e5f-6071-8293-a4b5c6d7e8f9", 37),
            (&container, 33),
            (&"g".repeat(64), 65),
            (&long, STRING_MAX + 3),
            (&"é".repeat(18), 37),
        ] {
            let mut out = Buffer::new();
            push(&mut out, text);
            assert_eq!(out.len(), length, "{text}");
            let packed = Reader::new(&out).string().unwrap();
            assert!(packed.is(&out));
            assert_eq!(packed.to_text().unwrap(), text);
        }
    }

    #[test]
    fn the_uid_is_stored_once() {
        let mut out = Buffer::new();
        push(&mut out, "u");
        push_or_same(&mut out, "u", "u");
        let mut reader = Reader::new(&out);
        assert!(reader.uid().unwrap() == reader.string().unwrap());
        assert_eq!(out.len(), 3);
        assert!(Reader::new(&[SAME]).string().is_none(), "nothing to be the same as");
    }
}
