//! What passes between a node and the controller.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A resourceVersion of pods; versions of one API server are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An address in its uniqueness domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// Empty where only the kernel was asked, which knows of none: it then stands for every VRF.
    pub vrf: String,
    pub address: IpAddr,
}

/// An address that an attachment of a pod has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Use {
    /// The pod's UID as CNI has it; empty where only the kernel was asked.
    pub pod: String,
    #[serde(flatten)]
    pub address: Address,
}

/// What a node publishes (R2). True of the node when it was made, and what it says of ended pods stays true for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Report {
    /// UID of the Node object that the agent serves for.
    pub node_uid: String,
    /// Earlier UIDs of the same machine, as its journal knows them: what it says holds for those too.
    pub earlier: BTreeSet<String>,
    pub boot_id: String,
    /// The epoch under which the inventory was last complete (L6).
    pub epoch: u64,
    /// What the agent's watch of pods has reached.
    pub as_of: Version,
    /// Addresses that an ADD was answered with, whose end is not proved, and whose pod is not there, has finished, or is
    /// granted them no more.
    pub still: BTreeSet<Use>,
    /// Whether `still` has the last of these, too: older agents did not list them.
    pub unplugs: bool,
    /// Every address that an ADD was answered with and whose end is not proved; only with a new epoch.
    pub inventory: BTreeSet<Use>,
    /// What is asked for (K1): id → UID of the pod as CNI has it.
    pub asks: BTreeMap<String, String>,
}
