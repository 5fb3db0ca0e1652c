//! One address in full, as it is listed, exported and stored.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Attachment, Mac, Owner, Timestamp};

/// What is recorded about one address. An address that was never used has no record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allocation {
    pub vrf: String,
    pub address: IpAddr,
    pub state: AllocationState,
    pub owner: Owner,
    /// Who uses it: one, or two during a live migration. Of a reserved or cooling address: who used it last.
    pub attachments: Vec<Attachment>,
    pub mac: Option<Mac>,
    /// Why this owner has this address.
    pub rule: Rule,
    /// The last change of state.
    pub since: Timestamp,
    /// It stays its owner's when the owner is gone (R6).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outlives_owner: bool,
}

/// The state of an address that has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AllocationState {
    /// Kept for its owner, in use by nobody.
    Reserved,
    /// In use.
    Active,
    /// Released. Nobody else gets it until the subnet's cooling time has passed since; then it is free, and the record
    /// says who had it last.
    Cooling,
}

impl AllocationState {
    /// Whether the address belongs to somebody: reserved or active.
    pub fn is_held(self) -> bool {
        self != AllocationState::Cooling
    }
}

/// Why an owner has an address: how its subnet or pool was chosen, and how the address was picked in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule {
    pub choice: Choice,
    pub pick: Pick,
}

/// How the subnet or pool was chosen, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// The address asked for lies in it.
    Address,
    /// Named by the pod or by whoever made the request.
    Request,
    /// Named by the namespace.
    Namespace,
    /// Named by the network: its definition, its `ipam` section or the subnet's `networks`.
    Network,
    /// The subnet's namespace binding or the pool's selectors match.
    Selector,
    /// The default subnet.
    Default,
}

/// How the address was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// Asked for by name.
    Asked,
    /// The first one to be had of a list.
    Listed,
    /// Reserved for this owner.
    Reservation,
    /// This owner had it and it was kept or still cooling.
    Returned,
    /// Never used before, the lowest such.
    Fresh,
    /// Free for longest, taken block by block.
    Oldest,
    /// The lowest free one.
    Lowest,
    /// From a hash of the attachment.
    Hashed,
    /// The next free one after the last handed out.
    Next,
}
