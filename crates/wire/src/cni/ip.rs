//! Addresses as CNI writes them. Their meaning is core's business; here they are only read and written.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// Bits in an address: 32 or 128.
    pub fn bits(self) -> u8 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }
}

/// The text is not what it should be; the message says what that is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseIpError(String);

pub(super) fn parse_address(text: &str) -> Result<IpAddr, ParseIpError> {
    match text.parse() {
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => {
            Err(ParseIpError("an IPv4-mapped IPv6 address; write it as IPv4".to_owned()))
        }
        Ok(address) => Ok(address),
        Err(_) => Err(ParseIpError("neither an IPv4 nor an IPv6 address".to_owned())),
    }
}

/// An address with its network's prefix length; host bits are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Net {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Net {
    /// The network's first address: host bits cleared.
    pub fn base(&self) -> IpAddr {
        let mask = |bits: u8| u128::MAX.checked_shl(u32::from(bits.saturating_sub(self.prefix))).unwrap_or(0);
        match self.address {
            // The upper bits of the mask fall away.
            #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are the mask")]
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & mask(32) as u32).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & mask(128)).into()),
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == Family::of(self.address)
            && Net { address, prefix: self.prefix }.base() == self.base()
    }
}

impl FromStr for Net {
    type Err = ParseIpError;

    fn from_str(text: &str) -> Result<Net, ParseIpError> {
        let (address, prefix) = text.split_once('/').ok_or_else(|| {
            ParseIpError("has no prefix length; write it as 10.1.2.3/24 or fd00::1/64".to_owned())
        })?;
        let address = parse_address(address)?;
        let bits = Family::of(address).bits();
        let prefix = prefix
            .parse()
            .ok()
            .filter(|&length: &u8| length <= bits && length.to_string() == prefix)
            .ok_or_else(|| ParseIpError(format!("the prefix length is not a number from 0 to {bits}")))?;
        Ok(Net { address, prefix })
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Net {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An address that is asked for by name, with or without a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskedIp {
    pub address: IpAddr,
    /// What the asker believes the network's to be.
    pub prefix: Option<u8>,
}

impl FromStr for AskedIp {
    type Err = ParseIpError;

    fn from_str(text: &str) -> Result<AskedIp, ParseIpError> {
        if text.contains('/') {
            let net: Net = text.parse()?;
            return Ok(AskedIp { address: net.address, prefix: Some(net.prefix) });
        }
        Ok(AskedIp { address: parse_address(text)?, prefix: None })
    }
}

impl fmt::Display for AskedIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        self.prefix.map_or(Ok(()), |prefix| write!(f, "/{prefix}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_as_they_are_written() {
        for text in ["10.1.2.3/16", "0.0.0.0/0", "::/0", "fd00::1/64", "10.0.0.1/32"] {
            assert_eq!(text.parse::<Net>().unwrap().to_string(), text);
            assert_eq!(text.parse::<AskedIp>().unwrap().to_string(), text);
        }
        assert_eq!("fd00::1".parse::<AskedIp>().unwrap().to_string(), "fd00::1");
        for text in [
            "",
            "10.0.0.1",
            "10.0.0.1/",
            "10.0.0.1/33",
            "10.0.0.1/08",
            "10.0.0.1/+8",
            "/8",
            "::ffff:10.0.0.1/104",
        ] {
            assert!(text.parse::<Net>().is_err(), "{text}");
        }
        for text in
            ["", "10.0.0", "010.0.0.1", "::ffff:10.0.0.1", "10.0.0.1/33", "10.0.0.1-10.0.0.2", " 10.0.0.1"]
        {
            assert!(text.parse::<AskedIp>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_contain_their_own() {
        let net = |text: &str| text.parse::<Net>().unwrap();
        for (text, base) in [
            ("10.1.2.3/16", "10.1.0.0"),
            ("10.1.2.3/0", "0.0.0.0"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("fd00::ff/120", "fd00::"),
            ("fd00::1/0", "::"),
            ("fd00::1/128", "fd00::1"),
        ] {
            assert_eq!(net(text).base().to_string(), base, "{text}");
        }
        assert!(net("10.1.2.3/16").contains("10.1.255.255".parse().unwrap()));
        assert!(!net("10.1.2.3/16").contains("10.2.0.0".parse().unwrap()));
        assert!(!net("0.0.0.0/0").contains("::".parse().unwrap()));
    }
}
