//! The versions of the protocol that we speak.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{Error, code};

/// A version of CNI's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

impl Version {
    /// Oldest first.
    pub const ALL: [Version; 5] =
        [Version::V0_3_0, Version::V0_3_1, Version::V0_4_0, Version::V1_0_0, Version::V1_1_0];

    pub fn as_str(self) -> &'static str {
        match self {
            Version::V0_3_0 => "0.3.0",
            Version::V0_3_1 => "0.3.1",
            Version::V0_4_0 => "0.4.0",
            Version::V1_0_0 => "1.0.0",
            Version::V1_1_0 => "1.1.0",
        }
    }

    /// Whether each address of a result says its family, as it did before 1.0.0.
    pub(super) fn tells_family(self) -> bool {
        self < Version::V1_0_0
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Version, Error> {
        Version::ALL.into_iter().find(|version| version.as_str() == text).ok_or_else(|| {
            let spoken = Version::ALL.map(Version::as_str).join(", ");
            // SPEC 0.2.0: a configuration without a version is of 0.1.0.
            let asked = if text.is_empty() { "missing, which means 0.1.0" } else { text };
            Error::new(
                code::INCOMPATIBLE_VERSION,
                format!("`cniVersion` is {asked}: not supported"),
                format!("set it to one of {spoken}"),
            )
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_as_they_are_written() {
        for version in Version::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        for text in ["", "0.1.0", "0.2.0", "1.1", "1.1.1", "v1.1.0", " 1.1.0"] {
            assert_eq!(text.parse::<Version>().unwrap_err().code, 1, "{text:?}");
        }
    }
}
