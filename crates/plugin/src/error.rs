//! What the runtime is told when something cannot be done (CNI SPEC 1.1.0, section 5, "Error").

use crate::json;
use crate::version::NEWEST;

/// The codes that the plugin itself gives; the daemon has more.
pub(crate) mod code {
    pub(crate) const INCOMPATIBLE_VERSION: u32 = 1;
    pub(crate) const INVALID_ENVIRONMENT: u32 = 4;
    pub(crate) const IO: u32 = 5;
    pub(crate) const DECODE: u32 = 6;
    pub(crate) const INVALID_CONFIG: u32 = 7;
    pub(crate) const TRY_AGAIN_LATER: u32 = 11;
    pub(crate) const NOT_AVAILABLE: u32 = 50;
}

/// One error of the plugin's own. Those of the daemon pass through as they came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) code: u32,
    /// What was asked and what stood in the way.
    pub(crate) msg: String,
    /// What to do next.
    pub(crate) details: String,
}

impl Error {
    pub(crate) fn new(code: u32, msg: impl Into<String>, details: impl Into<String>) -> Error {
        Error { code, msg: msg.into(), details: details.into() }
    }

    /// As JSON. `version` is the configuration's, where it is one that we speak.
    pub(crate) fn to_json(&self, version: Option<&str>) -> Vec<u8> {
        let mut out = String::with_capacity(64 + self.msg.len() + self.details.len());
        out.push_str("{\"cniVersion\":");
        json::quote(version.unwrap_or(NEWEST), &mut out);
        out.push_str(",\"code\":");
        out.push_str(&self.code.to_string());
        out.push_str(",\"msg\":");
        json::quote(&self.msg, &mut out);
        if !self.details.is_empty() {
            out.push_str(",\"details\":");
            json::quote(&self.details, &mut out);
        }
        out.push_str("}\n");
        out.into_bytes()
    }
}
