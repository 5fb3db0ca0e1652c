//! `allotment.dev/v1alpha1`: the fields of each object's `spec`, as they are written.
//!
//! Fields that are not known are refused by [`parse`](crate::parse), not here: what the API server sends has been
//! checked by it, and may be newer.

mod convert;

use std::collections::BTreeMap;

use allotment_core::{Cidr, DEFAULT_COOLING_MS, DEFAULT_VRF, IpRange};
use serde::{Deserialize, Serialize};

use crate::{Address, Duration};

/// One or two CIDRs in a VRF, and what an interface in them is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubnetSpec {
    /// The domain in which an address is unique; immutable. `default` unless given.
    #[serde(default = "default_vrf")]
    pub vrf: String,
    /// One, or one per family.
    pub cidrs: Vec<Cidr>,
    /// One per family; the first usable address of a family that is left out; an empty list for no gateway at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateways: Option<Vec<Address>>,
    /// Addresses, ranges and CIDRs that are handed out only to those who ask for them by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<IpRange>,
    /// Routes for the interface. There is no default route unless it is given here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// DNS settings for the interface.
    #[serde(default, skip_serializing_if = "Dns::is_empty")]
    pub dns: Dns,
    /// Bytes, 68 to 65535; at least 1280 with an IPv6 CIDR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// How long a released address is kept from others, such as `30s`; `0s` for not at all, 30 days at most. `30s`
    /// unless given.
    #[serde(default = "default_cooling")]
    pub cooling: Duration,
    /// The order in which free addresses are handed out. `oldest` unless given.
    #[serde(default)]
    pub order: Order,
    /// Namespaces that may use the subnet, beside those that `namespaceSelector` selects; all if neither is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Labels of namespaces that may use the subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<Selector>,
    /// Networks that take this subnet without naming it: a CNI network's name, or `namespace/name` of a
    /// `NetworkAttachmentDefinition`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// Whether requests that nothing else decides come here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
}

/// A named part of a subnet. Nobody outside its selectors gets an address of it; one without selectors must be named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IPPoolSpec {
    /// The Subnet it is a part of.
    pub subnet: String,
    /// Addresses, ranges and CIDRs, none overlapping another.
    pub ranges: Vec<IpRange>,
    /// Namespaces that may use the pool, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Labels of pods that may use the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<Selector>,
    /// Labels of namespaces that may use the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<Selector>,
    /// Labels of nodes whose pods may use the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<Selector>,
}

/// Addresses set aside: for an owner that need not exist yet, or for nobody, with a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservationSpec {
    /// The Subnet the addresses are in.
    pub subnet: String,
    /// Addresses, ranges and CIDRs, none overlapping another.
    pub addresses: Vec<IpRange>,
    /// For whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Why; needed where there is no owner.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A route for the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Where to: a CIDR, `0.0.0.0/0` or `::/0` for the default route.
    pub to: Cidr,
    /// The router; the subnet's gateway unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Address>,
}

/// DNS settings, as in `resolv.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dns {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// The order in which free addresses are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// Never used ones first, ascending; then those free for longest.
    #[default]
    Oldest,
    /// The lowest free one.
    Sequential,
    /// Scattered over the subnet, the same each time for the same interface.
    Random,
}

/// A Kubernetes label selector: every line has to hold; an empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// One line of `matchExpressions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a [`Requirement`] compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Who an address is reserved for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// `Pod`, `StatefulSet`, `VirtualMachine`, `Container`, …
    pub kind: String,
    /// Left out for what has no namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// For a `StatefulSet` the pod's name, such as `db-0`.
    pub name: String,
    /// Left out where any owner of this kind and name is meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

impl Dns {
    fn is_empty(&self) -> bool {
        *self == Dns::default()
    }
}

fn default_vrf() -> String {
    DEFAULT_VRF.to_owned()
}

fn default_cooling() -> Duration {
    Duration { milliseconds: DEFAULT_COOLING_MS }
}
