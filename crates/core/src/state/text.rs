//! Strings inside a record: one byte that says how, then the bytes.
//!
//! | first byte | meaning |
//! |---|---|
//! | 0–247 | that many bytes of UTF-8 follow |
//! | 248 | a length of two bytes (little endian), then that many bytes |
//! | 252 | a UUID in its canonical lower-case form: 16 bytes |
//! | 253 | 64 lower-case hexadecimal digits, as runtimes name containers: 32 bytes |
//! | 254 | the same as the record's first string, the owner's uid |

pub(super) const LONG: u8 = 248;
pub(super) const UUID: u8 = 252;
pub(super) const HEX: u8 = 253;
pub(super) const SAME: u8 = 254;

/// Longest string that a record takes, in bytes; longer ones are refused before they get here.
pub(crate) const STRING_MAX: usize = 4096;

/// Appends a string.
pub(super) fn push(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if let Some(packed) = pack_uuid(text) {
        out.push(UUID);
        return out.extend_from_slice(packed.as_flattened());
    }
    if let Some(packed) = pack_hex(text) {
        out.push(HEX);
        return out.extend_from_slice(packed.as_flattened());
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
pub(super) fn push_or_same(out: &mut Vec<u8>, text: &str, uid: &str) {
    if text == uid && !uid.is_empty() { out.push(SAME) } else { push(out, text) }
}

/// The same byte eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Packs lower-case hexadecimal digits, eight a number; `None` where one of them is none.
fn pack<const N: usize>(digits: [u64; N]) -> Option<[[u8; 4]; N]> {
    let mut wrong = 0;
    let packed = digits.map(|text| {
        // A letter has bit 6 set and its value, less 9, in the low half.
        let bit_6 = text >> 6 & eight(1);
        let values = (text & eight(0x0f)) + (bit_6 << 3) + bit_6;
        let is_letter = (values + eight(6)) >> 4 & eight(1);
        let again = values + eight(b'0') + is_letter * u64::from(b'a' - b'0' - 10);
        wrong |= values & eight(0xf0) | again ^ text;
        let pairs = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff;
        let quads = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
        u32::try_from((quads | quads >> 16) & u64::from(u32::MAX)).expect("it was cut to 32 bits")
    });
    (wrong == 0).then(|| packed.map(u32::to_le_bytes))
}

/// The 16 bytes of a UUID in its canonical form.
fn pack_uuid(text: &str) -> Option<[[u8; 4]; 4]> {
    let text = <&[u8; 36]>::try_from(text.as_bytes()).ok()?;
    if [text[8], text[13], text[18], text[23]] != *b"----" {
        return None;
    }
    let four =
        |at: usize| u64::from(u32::from_le_bytes([text[at], text[at + 1], text[at + 2], text[at + 3]]));
    let eight = |first, second| four(first) | four(second) << 32;
    pack([eight(0, 4), eight(9, 14), eight(19, 24), eight(28, 32)])
}

/// The 32 bytes of a container's name.
fn pack_hex(text: &str) -> Option<[[u8; 4]; 8]> {
    let digits = <&[u8; 64]>::try_from(text.as_bytes()).ok()?;
    let (digits, _) = digits.as_chunks::<8>();
    pack(std::array::from_fn::<_, 8, _>(|at| u64::from_le_bytes(digits[at])))
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
            LONG => {
                let length = usize::from(u16::from_le_bytes(self.rest.get(1..3)?.try_into().ok()?));
                if length > STRING_MAX {
                    return None;
                }
                3 + length
            }
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
    /// Whether this is the stored form of `text`.
    pub(super) fn is(self, text: &str) -> bool {
        match self.0 {
            [UUID, stored @ ..] => pack_uuid(text).is_some_and(|packed| packed.as_flattened() == stored),
            [HEX, stored @ ..] => pack_hex(text).is_some_and(|packed| packed.as_flattened() == stored),
            [LONG, _, _, stored @ ..] | [_, stored @ ..] => stored == text.as_bytes(),
            [] => false,
        }
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
            let mut out = Vec::new();
            push(&mut out, text);
            assert_eq!(out.len(), length, "{text}");
            let packed = Reader::new(&out).string().unwrap();
            assert!(packed.is(text));
            assert_eq!(packed.to_text().unwrap(), text);
        }
    }

    #[test]
    fn only_lower_case_digits_are_packed() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut digits = *b"0123abef";
                digits[at] = byte;
                let is_digits = digits.iter().all(|digit| b"0123456789abcdef".contains(digit));
                let text = String::from_utf8_lossy(&digits).into_owned();
                let packed = is_digits.then(|| u32::from_str_radix(&text, 16).unwrap().to_be_bytes());
                assert_eq!(pack([u64::from_le_bytes(digits)]).map(|[packed]| packed), packed, "{text}");
            }
        }
    }

    #[test]
    fn the_uid_is_stored_once() {
        let mut out = Vec::new();
        push(&mut out, "u");
        push_or_same(&mut out, "u", "u");
        let mut reader = Reader::new(&out);
        assert!(reader.uid().unwrap() == reader.string().unwrap());
        assert_eq!(out.len(), 3);
        assert!(Reader::new(&[SAME]).string().is_none(), "nothing to be the same as");
    }
}
