//! CNI's error.

use serde::{Deserialize, Serialize};

/// CNI's error (SPEC 1.1.0, section 5, "Error").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{msg} (code {code})")]
pub struct Error {
    #[serde(default)]
    pub cni_version: String,
    /// One of [`super::code`]'s.
    pub code: u32,
    /// What was asked and what stood in the way.
    pub msg: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

impl Error {
    /// An error whose version is not known yet.
    pub fn new(code: u32, msg: impl Into<String>, details: impl Into<String>) -> Error {
        Error { cni_version: String::new(), code, msg: msg.into(), details: details.into() }
    }
}
