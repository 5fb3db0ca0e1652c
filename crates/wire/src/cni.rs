//! CNI's own types: network configuration, results, errors.

use serde::{Deserialize, Serialize};

/// CNI's error (SPEC 1.1.0, section 5, "Error").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Error {
    #[serde(default)]
    pub cni_version: String,
    pub code: u32,
    pub msg: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}
