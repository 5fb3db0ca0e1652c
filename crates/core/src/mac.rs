//! Hardware addresses, compared in canonical form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A 48-bit MAC address. `02:00:5e:00:00:01`, `02-00-5E-00-00-01` and `0200.5e00.0001` are the same value; it prints
/// as six lower-case pairs with colons.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

/// The text is no MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no MAC address: {why}; write six pairs of hexadecimal digits such as 02:00:5e:00:00:01")]
pub struct ParseMacError {
    text: String,
    why: &'static str,
}

impl Mac {
    /// Whether the address names one interface: neither multicast (lowest bit of the first byte) nor all zero.
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl FromStr for Mac {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let fail = |why| ParseMacError { text: text.to_owned(), why };
        let separator = text.chars().find(|c| !c.is_ascii_hexdigit());
        let (group, expected) = match separator {
            Some(':' | '-') => (2, 6),
            Some('.') => (4, 3),
            Some(_) => return Err(fail("it has a character that is neither a digit nor a separator")),
            None => return Err(fail("it has no separators")),
        };
        let groups: Vec<&str> = text.split(separator.unwrap_or(':')).collect();
        if groups.len() != expected {
            return Err(fail("it is not 48 bits long"));
        }
        let mut bytes = [0; 6];
        let mut at = 0;
        for part in groups {
            if part.len() != group || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(fail("a group has the wrong number of digits"));
            }
            for pair in part.as_bytes().chunks(2) {
                let pair = std::str::from_utf8(pair).map_err(|_| fail("it is not ASCII"))?;
                bytes[at] = u8::from_str_radix(pair, 16).map_err(|_| fail("it is not hexadecimal"))?;
                at += 1;
            }
        }
        let mac = Mac(bytes);
        if !mac.is_unicast() {
            return Err(fail("it is a multicast address or all zero, which no interface can have"));
        }
        Ok(mac)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if at == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Mac {
    type Error = ParseMacError;

    fn try_from(text: String) -> Result<Self, ParseMacError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_the_same_address() {
        for text in ["02:00:5e:00:0A:01", "02-00-5E-00-0a-01", "0200.5e00.0a01"] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), "02:00:5e:00:0a:01");
        }
    }

    #[test]
    fn what_no_interface_can_have_is_refused() {
        for text in [
            "",
            "02005e000001",
            "02:00:5e:00:01",
            "2:0:5e:0:0:1",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "é:é",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }
}
