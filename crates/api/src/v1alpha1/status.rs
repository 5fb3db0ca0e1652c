//! `status` of a Subnet, an `IPPool` and a Reservation: the controller's.

use serde::{Deserialize, Serialize};

/// Types of conditions, and their reasons.
pub mod condition {
    /// This generation is in force.
    pub const READY: &str = "Ready";
    /// Addresses of it are held, and so it cannot go.
    pub const IN_USE: &str = "InUse";

    /// Addresses of it stay held for pods that ended on nodes that are gone.
    pub const ADDRESSES_LOST: &str = "AddressesLost";

    pub const ACCEPTED: &str = "Accepted";
    pub const INVALID: &str = "Invalid";
    pub const OVERLAP: &str = "Overlap";
    pub const ADDRESSES_HELD: &str = "AddressesHeld";
    pub const NO_SUBNET: &str = "NoSubnet";
    pub const CONFLICT: &str = "Conflict";
    pub const HELD: &str = "Held";
    pub const NODE_GONE: &str = "NodeGone";
}

/// Every condition, for the reference: its type, status and reason, what that means and what to do.
pub const CONDITIONS: [(&str, &str, &str, &str); 9] = [
    (condition::READY, "True", condition::ACCEPTED, "This generation is in force."),
    (
        condition::READY,
        "False",
        condition::INVALID,
        "The object contradicts itself in a way that the API server could not see. The last accepted form, if any, stays in \
         force; the message names the field.",
    ),
    (
        condition::READY,
        "False",
        condition::OVERLAP,
        "Another object, accepted before it, has some of its addresses. The last accepted form, if any, stays in force; it is \
         tried again whenever an object changes. Move one of them, or remove the other.",
    ),
    (
        condition::READY,
        "False",
        condition::ADDRESSES_HELD,
        "Addresses are held that it would lose, or keep for somebody else: the message counts and names holders. The last \
         accepted form, if any, stays in force; it is tried again whenever something is freed.",
    ),
    (
        condition::READY,
        "False",
        condition::NO_SUBNET,
        "There is no subnet of the name that it gives. It comes into force with the subnet.",
    ),
    (
        condition::READY,
        "False",
        condition::CONFLICT,
        "It does not fit its subnet, or changes what may not change. The last accepted form, if any, stays in force; it is \
         tried again whenever an object changes.",
    ),
    (
        condition::READY,
        "False",
        condition::HELD,
        "It is being deleted: nothing new is given out of it. It goes once nothing holds it any more.",
    ),
    (
        condition::IN_USE,
        "True",
        condition::HELD,
        "What keeps a deleted object: the message counts and names holders. End them, or wait for them.",
    ),
    (
        condition::ADDRESSES_LOST,
        "True",
        condition::NODE_GONE,
        "Addresses of ended pods stay held: their node is gone, and nobody can say that it uses them no more. Once it is \
         certain that the machine is off for good, `allot node forget NAME` frees them.",
    ),
];

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
    /// `Ready`, `InUse` while a deletion waits, or `AddressesLost` where a node took addresses along.
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
