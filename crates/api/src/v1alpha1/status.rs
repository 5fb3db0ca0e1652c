//! `status` of a Subnet, an `IPPool` and a Reservation: the controller's.

use serde::{Deserialize, Serialize};

/// Whether the object is in force, and how full it is.
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatus {
    /// The generation of the object that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One of each type that applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Per family, IPv4 first; none for a Reservation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<UsageStatus>,
}

/// As Kubernetes has it: `Ready` says whether this generation is in force, and if not, why not.
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Ready`, or `InUse` while a deletion waits.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word, for programs.
    pub reason: String,
    /// For people: what stands in the way, and what to do next.
    pub message: String,
    /// The generation of the object that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` became what it is: RFC 3339, UTC.
    pub last_transition_time: String,
}

/// Addresses of one family. Decimal strings: a /64 does not fit in an integer.
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageStatus {
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// All that may be given out.
    pub total: String,
    /// Reserved or active.
    pub held: String,
    /// Released, and kept from others for a while.
    pub cooling: String,
    /// What can be given out now.
    pub free: String,
}
