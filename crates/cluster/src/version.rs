//! Resource versions.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use kube::Resource;

/// How far the API server had come when it said something. Versions of one resource can be compared: Kubernetes promises it
/// from 1.35 on, and etcd's revisions behind it have always been numbers that grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceVersion(u64);

/// It is no number, so nothing can be said to be before or after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resourceVersion `{given}` is not a number")]
pub struct BadVersion {
    given: String,
    source: ParseIntError,
}

impl ResourceVersion {
    /// As a number: what is higher came later.
    pub fn number(self) -> u64 {
        self.0
    }

    /// That of an object as it was read.
    pub fn of(object: &impl Resource) -> Result<ResourceVersion, BadVersion> {
        object.meta().resource_version.as_deref().unwrap_or_default().parse()
    }
}

impl FromStr for ResourceVersion {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<ResourceVersion, BadVersion> {
        text.parse().map(ResourceVersion).map_err(|source| BadVersion { given: text.to_owned(), source })
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let version = |text: &str| text.parse::<ResourceVersion>();
        assert!(version("9").unwrap() < version("10").unwrap());
        assert_eq!(version("18446744073709551615").unwrap().to_string(), "18446744073709551615");
        for bad in ["", "x", "-1", "18446744073709551616", "1 "] {
            assert_eq!(
                version(bad).unwrap_err().to_string(),
                format!("resourceVersion `{bad}` is not a number")
            );
        }
    }
}
