//! What consumers ask for and what they are told.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Attachment, Choice, Dns, Family, Labels, Mac, Netns, Owner, Route, Rule, Timestamp};

/// One owner's wish for addresses on one or more interfaces: all of them are granted, or none is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub owner: Owner,
    /// The namespace whose bindings apply; most often the owner's.
    pub namespace: String,
    /// What the names begin with of those that come and go in this owner's place, such as the pods of one Deployment;
    /// empty: nobody does. An address of a list passes from one to the next without cooling (C2).
    pub siblings: String,
    /// What selectors look at.
    pub pod_labels: Labels,
    pub namespace_labels: Labels,
    pub node_labels: Labels,
    /// What an interface has already is its answer, whatever is named for it now: a grant is never derived again (K3). If not,
    /// naming something else is refused.
    pub firm: bool,
    pub wants: Vec<Want>,
}

/// What one interface of the owner wants. An interface that draws from several subnets at once has a want for each; all of
/// them name their targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    pub attachment: Attachment,
    /// Subnets and pools in the order in which they are tried. Empty: those bound to the network, else those bound to
    /// the namespace, else the default subnet.
    pub targets: Vec<Target>,
    /// Where `targets` come from; nothing where they are empty.
    pub source: Option<Choice>,
    pub ips: Asked,
    /// The prefix lengths that addresses of `ips` were asked for with. One that is not the subnet's is refused: whoever wrote
    /// it believes in another network than there is.
    pub prefixes: Vec<(IpAddr, u8)>,
    pub family: FamilyWant,
    pub mac: Option<MacWant>,
    /// Live migration: share the address with the owner's present holder instead of waiting for its end (R5).
    pub join: bool,
    /// What is given stays the owner's when the owner is gone, until a person takes it away (R6).
    pub outlives_owner: bool,
}

/// A subnet or a pool, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    Subnet(String),
    Pool(String),
}

/// Addresses asked for by name. A family of the subnet that none of them belongs to is filled as if nothing was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    #[default]
    Nothing,
    /// All of them.
    Each(Vec<IpAddr>),
    /// In each family, one that the owner had (C2), else the first that can be had.
    OneOf(Vec<IpAddr>),
}

/// Which families are wanted (C5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FamilyWant {
    /// One address of each family the subnet has.
    #[default]
    All,
    /// This one only; refused when it is full.
    Require(Family),
    /// This one; the other when it is full or not there.
    Prefer(Family),
}

/// Where the MAC comes from. Each kind is recorded and unique in the VRF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MacWant {
    /// Asked for: by annotation, `runtimeConfig`, `args` or `CNI_ARGS`.
    Asked(Mac),
    /// The one that the interface has, else the first that nobody else has.
    OneOf(Vec<Mac>),
    /// What the interface has.
    Seen(Mac),
}

impl MacWant {
    /// Those that will do, in the order in which they are tried.
    pub fn macs(&self) -> &[Mac] {
        match self {
            MacWant::Asked(mac) | MacWant::Seen(mac) => std::slice::from_ref(mac),
            MacWant::OneOf(macs) => macs,
        }
    }
}

/// What was given: one entry per want, in the request's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    pub entries: Vec<GrantEntry>,
}

/// What one interface was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantEntry {
    pub attachment: Attachment,
    /// IPv4 before IPv6.
    pub ips: Vec<GrantedIp>,
    pub mac: Option<Mac>,
    pub routes: Vec<Route>,
    pub dns: Dns,
    /// Bytes.
    pub mtu: Option<u32>,
}

/// One address of a [`GrantEntry`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantedIp {
    pub address: IpAddr,
    /// The subnet's prefix length.
    pub prefix: u8,
    pub gateway: Option<IpAddr>,
    pub vrf: String,
    pub subnet: String,
    pub pool: Option<String>,
    pub rule: Rule,
}

/// What is given back. Releasing what is not held is no error: nothing happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// CNI DEL: one interface of one sandbox. A newer sandbox of the same pod keeps what it has. Without a network
    /// (stripped configuration) the interface alone decides.
    Interface { container_id: String, interface: String, network: Option<String> },
    /// What a sandbox has in this network namespace, which is gone for good. What it was given in another namespace
    /// since then it keeps.
    Sandbox { container_id: String, netns: Netns },
    /// One address, as long as this holder has it: proof of its end is there.
    Address {
        vrf: String,
        address: IpAddr,
        holder: String,
        mode: ReleaseMode,
        /// Only the life that began then ([`Allocation::since`](crate::Allocation::since)): a holder that may come back, such
        /// as a static pod, keeps what it was given after the proof.
        since: Option<Timestamp>,
    },
}

/// What becomes of a released address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReleaseMode {
    /// It cools, then it is free.
    #[default]
    Cool,
    /// It stays reserved for its owner.
    Keep,
}
