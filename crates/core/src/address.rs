//! Addresses, CIDRs and ranges. Inside core an address is one `u128`, IPv4 in its IPv4-mapped place.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// IPv4 addresses live at `::ffff:0:0/96` of the internal space.
const MAPPED: u128 = 0xffff_0000_0000;
const MAPPED_LAST: u128 = 0xffff_ffff_ffff;

/// An address as the state stores it; blocks are its 256-aligned runs.
pub(crate) type Key = u128;

pub(crate) fn key_of(address: IpAddr) -> Key {
    match address {
        IpAddr::V4(v4) => MAPPED | u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

pub(crate) fn address_of(key: Key) -> IpAddr {
    match u32::try_from(key ^ MAPPED) {
        Ok(low) => IpAddr::V4(Ipv4Addr::from_bits(low)),
        Err(_) => IpAddr::V6(Ipv6Addr::from_bits(key)),
    }
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    #[serde(rename = "IPv4")]
    V4,
    #[serde(rename = "IPv6")]
    V6,
}

impl Family {
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

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

    #[must_use]
    pub fn other(self) -> Family {
        match self {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// The text is no address, CIDR or range; the message says what it should have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseAddressError(String);

fn parse_address(text: &str) -> Result<IpAddr, ParseAddressError> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| ParseAddressError(format!("`{text}` is neither an IPv4 nor an IPv6 address")))?;
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(ParseAddressError(format!("`{text}` is an IPv4-mapped IPv6 address; write it as IPv4")))
        }
        _ => Ok(address),
    }
}

/// A network: base address and prefix length, with no host bits set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    base: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// The network of `prefix` bits that `address` lies in.
    ///
    /// # Panics
    /// When `prefix` is longer than the family's addresses.
    pub fn containing(address: IpAddr, prefix: u8) -> Cidr {
        assert!(prefix <= Family::of(address).bits(), "a prefix length fits its family");
        let base = match address {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(
                v4.to_bits() & u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0),
            )),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(
                v6.to_bits() & u128::MAX.checked_shl(u32::from(128 - prefix)).unwrap_or(0),
            )),
        };
        Cidr { base, prefix }
    }

    pub fn family(&self) -> Family {
        Family::of(self.base)
    }

    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    pub fn first(&self) -> IpAddr {
        self.base
    }

    pub fn last(&self) -> IpAddr {
        address_of(self.last_key())
    }

    pub(crate) fn first_key(&self) -> Key {
        key_of(self.base)
    }

    pub(crate) fn last_key(&self) -> Key {
        let host_bits = u32::from(self.family().bits() - self.prefix);
        key_of(self.base) | !u128::MAX.checked_shl(host_bits).unwrap_or(0)
    }

    /// Its addresses as the state stores them: IPv4's place is not among those of IPv6.
    pub(crate) fn key_ranges(&self) -> impl Iterator<Item = (Key, Key)> + use<> {
        let (first, last) = (self.first_key(), self.last_key());
        let around = self.has_mapped();
        let behind = (around && last > MAPPED_LAST).then_some((MAPPED_LAST + 1, last));
        std::iter::once((first, if around { MAPPED - 1 } else { last })).chain(behind)
    }

    /// Whether it is of IPv6 and reaches around IPv4's place.
    pub(crate) fn has_mapped(&self) -> bool {
        self.family() == Family::V6 && self.first_key() < MAPPED && self.last_key() >= MAPPED
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family()
            && (self.first_key()..=self.last_key()).contains(&key_of(address))
    }

    pub fn overlaps(&self, other: &Cidr) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }

    /// Whether the network and, in IPv4, the broadcast address are nobody's: everywhere but in /31, /32, /127, /128.
    pub fn has_edges(&self) -> bool {
        self.family().bits() - self.prefix > 1
    }

    /// The lowest address an interface can have.
    pub fn first_usable(&self) -> IpAddr {
        if self.has_edges() { address_of(self.first_key() + 1) } else { self.base }
    }
}

impl FromStr for Cidr {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let Some((address, prefix)) = text.split_once('/') else {
            return Err(ParseAddressError(format!(
                "`{text}` has no prefix length; write a network such as 10.0.0.0/16 or fd00::/64"
            )));
        };
        let address = parse_address(address)?;
        let bits = Family::of(address).bits();
        let length = prefix
            .parse::<u8>()
            .ok()
            .filter(|&length| length <= bits && length.to_string() == prefix)
            .ok_or_else(|| {
                ParseAddressError(format!(
                    "`{text}`: the prefix length `{prefix}` is not a number from 0 to {bits}"
                ))
            })?;
        let cidr = Cidr::containing(address, length);
        if cidr.base != address {
            return Err(ParseAddressError(format!("`{text}` has host bits set; did you mean `{cidr}`?")));
        }
        Ok(cidr)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Cidr {
    type Error = ParseAddressError;

    fn try_from(text: String) -> Result<Self, ParseAddressError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> String {
        cidr.to_string()
    }
}

/// Addresses of one family from `first` to `last`, both included. Written as an address, as `a-b` or as a CIDR.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpRange {
    first: IpAddr,
    last: IpAddr,
}

impl IpRange {
    pub fn new(first: IpAddr, last: IpAddr) -> Result<IpRange, ParseAddressError> {
        if Family::of(first) != Family::of(last) {
            return Err(ParseAddressError(format!("`{first}-{last}` mixes IPv4 and IPv6")));
        }
        if first > last {
            return Err(ParseAddressError(format!(
                "`{first}-{last}` ends before it begins; did you mean `{last}-{first}`?"
            )));
        }
        Ok(IpRange { first, last })
    }

    pub fn first(&self) -> IpAddr {
        self.first
    }

    pub fn last(&self) -> IpAddr {
        self.last
    }

    pub fn family(&self) -> Family {
        Family::of(self.first)
    }

    pub(crate) fn keys(&self) -> (Key, Key) {
        (key_of(self.first), key_of(self.last))
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let (first, last) = self.keys();
        Family::of(address) == self.family() && (first..=last).contains(&key_of(address))
    }

    /// How many addresses; `u128::MAX` for the whole of IPv6.
    pub fn count(&self) -> u128 {
        let (first, last) = self.keys();
        (last - first).saturating_add(1)
    }
}

impl From<Cidr> for IpRange {
    fn from(cidr: Cidr) -> IpRange {
        IpRange { first: cidr.first(), last: cidr.last() }
    }
}

impl FromStr for IpRange {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        if text.contains('/') {
            return Ok(text.parse::<Cidr>()?.into());
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        IpRange::new(parse_address(first.trim())?, parse_address(last.trim())?)
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl fmt::Debug for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for IpRange {
    type Error = ParseAddressError;

    fn try_from(text: String) -> Result<Self, ParseAddressError> {
        text.parse()
    }
}

impl From<IpRange> for String {
    fn from(range: IpRange) -> String {
        range.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn host_bits_are_refused_with_the_right_network() {
        let error = "10.0.0.5/16".parse::<Cidr>().unwrap_err();
        assert_eq!(error.to_string(), "`10.0.0.5/16` has host bits set; did you mean `10.0.0.0/16`?");
        assert!("fd00::1/64".parse::<Cidr>().is_err());
    }

    #[test]
    fn prefix_lengths_at_the_ends() {
        assert_eq!(cidr("0.0.0.0/0").last().to_string(), "255.255.255.255");
        assert_eq!(cidr("::/0").last(), IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)));
        assert_eq!(cidr("10.0.0.1/32").first_usable().to_string(), "10.0.0.1");
        assert_eq!(cidr("10.0.0.0/31").first_usable().to_string(), "10.0.0.0");
        assert_eq!(cidr("10.0.0.0/30").first_usable().to_string(), "10.0.0.1");
        assert_eq!(cidr("fd00::/127").first_usable().to_string(), "fd00::");
        assert_eq!(cidr("fd00::/48").first_usable().to_string(), "fd00::1");
    }

    #[test]
    fn bad_texts() {
        for text in [
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "010.0.0.0/8",
            "::ffff:10.0.0.0/104",
            "/8",
            "a/b",
            "",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        for text in ["10.0.0.9-10.0.0.1", "10.0.0.1-fd00::1", "10.0.0.1-", "-", "10.0.0.1-2-3"] {
            assert!(text.parse::<IpRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_in_three_spellings() {
        for (text, count) in
            [("10.0.0.7", 1), ("10.0.0.1-10.0.0.9", 9), ("10.0.1.0/24", 256), ("fd00::-fd00::f", 16)]
        {
            assert_eq!(text.parse::<IpRange>().unwrap().count(), count, "{text}");
        }
        assert_eq!("::/0".parse::<IpRange>().unwrap().count(), u128::MAX);
    }

    #[test]
    fn families_do_not_mix() {
        assert!(!cidr("::/0").contains("10.0.0.1".parse().unwrap()));
        assert!(!cidr("0.0.0.0/0").overlaps(&cidr("::/0")));
        assert!(cidr("10.0.0.0/8").overlaps(&cidr("10.1.0.0/16")));
    }

    #[test]
    fn keys_round_trip() {
        for text in ["0.0.0.0", "255.255.255.255", "10.0.0.1", "::", "fd00::1", "ffff::"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(address_of(key_of(address)), address);
        }
    }
}
