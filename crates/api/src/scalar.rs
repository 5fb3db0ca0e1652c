//! Values that are written as one word.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use allotment_core::IpRange;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// One IP address, without prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(pub IpAddr);

/// The text is no value of its kind; the message says what it should have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseScalarError(String);

impl FromStr for Address {
    type Err = ParseScalarError;

    fn from_str(text: &str) -> Result<Self, ParseScalarError> {
        if let Some((address, _)) = text.split_once('/')
            && let Ok(Address(address)) = address.parse()
        {
            return Err(ParseScalarError(format!(
                "`{text}` has a prefix length, and one address is expected; did you mean `{address}`?"
            )));
        }
        let range: IpRange = text
            .parse()
            .map_err(|error: allotment_core::ParseAddressError| ParseScalarError(error.to_string()))?;
        if range.first() == range.last() && !text.contains('-') {
            return Ok(Address(range.first()));
        }
        Err(ParseScalarError(format!("`{text}` is a range, and one address is expected")))
    }
}

impl TryFrom<String> for Address {
    type Error = ParseScalarError;

    fn try_from(text: String) -> Result<Self, ParseScalarError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.0.to_string()
    }
}

/// A length of time in whole milliseconds, written as `30s`, `5m`, `1h30m` or `0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration {
    pub milliseconds: u64,
}

/// Units and their milliseconds, in the order in which they may follow each other.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl FromStr for Duration {
    type Err = ParseScalarError;

    fn from_str(text: &str) -> Result<Self, ParseScalarError> {
        let fail = |why: &str| {
            ParseScalarError(format!(
                "`{text}` is no duration: {why}; write it as `30s`, `5m`, `1h30m` or `0s`"
            ))
        };
        let mut units = UNITS.iter();
        let mut milliseconds = 0_u64;
        let mut rest = text;
        if rest.is_empty() {
            return Err(fail("it is empty"));
        }
        while !rest.is_empty() {
            let (number, after) =
                rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
            let (unit, after) =
                after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
            if number.is_empty() {
                return Err(fail("a whole number has to stand before each unit"));
            }
            if unit.is_empty() {
                return Err(fail("a unit has to follow each whole number"));
            }
            let Some((_, each)) = units.find(|(name, _)| *name == unit) else {
                return Err(fail("its units are h, m, s and ms, each at most once, the longest first"));
            };
            milliseconds = number
                .parse::<u64>()
                .ok()
                .and_then(|number| number.checked_mul(*each)?.checked_add(milliseconds))
                .ok_or_else(|| fail("it is too long"))?;
            rest = after;
        }
        Ok(Duration { milliseconds })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.milliseconds == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.milliseconds;
        for (unit, each) in UNITS {
            if rest >= each {
                write!(f, "{}{unit}", rest / each)?;
            }
            rest %= each;
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        struct Word;

        impl Visitor<'_> for Word {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `30s`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Duration, E> {
                Err(E::custom(format_args!("`{number}` has no unit; did you mean `{number}s`?")))
            }
        }

        deserializer.deserialize_any(Word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_every_unit() {
        for (text, milliseconds, canonical) in [
            ("30s", 30_000, "30s"),
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90m", 5_400_000, "1h30m"),
            ("0s", 0, "0s"),
            ("0h", 0, "0s"),
            ("1s500ms", 1500, "1s500ms"),
            ("1h1ms", 3_600_001, "1h1ms"),
            ("720h", 2_592_000_000, "720h"),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(
                (duration.milliseconds, duration.to_string().as_str()),
                (milliseconds, canonical),
                "{text}"
            );
        }
        assert_eq!(
            Duration { milliseconds: u64::MAX }.to_string().parse(),
            Ok(Duration { milliseconds: u64::MAX })
        );
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, why) in [
            ("", "it is empty"),
            ("30", "a unit has to follow each whole number"),
            ("-5s", "a whole number has to stand before each unit"),
            ("1.5h", "a unit has to follow each whole number"),
            ("5s5m", "its units are h, m, s and ms, each at most once, the longest first"),
            ("1d", "its units are h, m, s and ms, each at most once, the longest first"),
            ("5m5m", "its units are h, m, s and ms, each at most once, the longest first"),
            ("5 m", "a unit has to follow each whole number"),
            ("99999999999999999999s", "it is too long"),
            ("18446744073709551615h", "it is too long"),
            ("é", "a whole number has to stand before each unit"),
        ] {
            let error = text.parse::<Duration>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is no duration: {why};")), "{error}");
        }
    }

    #[test]
    fn an_address_stands_alone() {
        assert_eq!("fd00::1".parse(), Ok(Address("fd00::1".parse().unwrap())));
        for (text, error) in [
            (
                "10.0.0.1/24",
                "`10.0.0.1/24` has a prefix length, and one address is expected; did you mean `10.0.0.1`?",
            ),
            ("10.0.0.1-10.0.0.1", "`10.0.0.1-10.0.0.1` is a range, and one address is expected"),
            ("10.0.0.1-10.0.0.2", "`10.0.0.1-10.0.0.2` is a range, and one address is expected"),
            ("router", "`router` is neither an IPv4 nor an IPv6 address"),
            ("::ffff:10.0.0.1", "`::ffff:10.0.0.1` is an IPv4-mapped IPv6 address; write it as IPv4"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err().to_string(), error);
        }
    }
}
