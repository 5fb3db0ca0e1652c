//! `allotment.dev/v1alpha1`: the fields of each object's `spec`, as they are written.
//!
//! What is documented at types and fields here is what users read: [`reference`](fn@crate::reference) makes a page of it.
//!
//! Fields that are not known are refused by [`parse`](crate::parse), not here: what the API server sends has been
//! checked by it, and may be newer.

mod block;
mod convert;
mod node;
mod status;

use std::collections::BTreeMap;

use allotment_core::{Cidr, DEFAULT_COOLING_MS, DEFAULT_VRF, IpRange};
use serde::{Deserialize, Serialize};

use crate::{Address, Duration};

#[cfg(feature = "kube")]
pub use block::AddressBlock;
pub use block::AddressBlockSpec;
#[cfg(feature = "kube")]
pub use node::NodeAttachments;
pub use node::{Answer, Ask, Former, LedgerBlock, NodeAttachmentsSpec, NodeAttachmentsStatus, Still};
pub use status::{CONDITIONS, Condition, ObjectStatus, UsageStatus, condition};

/// One or two CIDRs in a VRF, and what an interface in them is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource, schemars::JsonSchema))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "allotment.dev",
        version = "v1alpha1",
        kind = "Subnet",
        plural = "subnets",
        status = "ObjectStatus",
        derive = "PartialEq"
    )
)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "kube", schemars(transform = crate::schema::subnet))]
pub struct SubnetSpec {
    /// The domain in which an address is unique: equal CIDRs may exist in different VRFs. A name as objects have it.
    /// Immutable: another VRF is another Subnet.
    #[serde(default = "default_vrf")]
    pub vrf: String,
    /// One, or one per family, IPv4 and IPv6. No host bits set, no multicast addresses in it, and no other Subnet of the
    /// VRF may overlap it. It grows at once; it does not shrink below an address that somebody holds, a pool or a
    /// reservation.
    #[cfg_attr(feature = "kube", schemars(with = "Vec<crate::schema::Cidr>"))]
    pub cidrs: Vec<Cidr>,
    /// At most one per family, inside the CIDR. For a family that is left out it is the first usable address (none in /31,
    /// /32, /127 and /128); an empty list means no gateway at all. Nobody gets a gateway's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateways: Option<Vec<Address>>,
    /// What is handed out only to those who ask for it by address. It lies inside the CIDRs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "kube", schemars(with = "Vec<crate::schema::IpRange>"))]
    pub exclude: Vec<IpRange>,
    /// Routes for the interface, each to another network. There is no default route unless it is given here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// DNS settings for the interface.
    #[serde(default, skip_serializing_if = "Dns::is_empty")]
    pub dns: Dns,
    /// Bytes, 68 to 65535; at least 1280 with an IPv6 CIDR. It is recorded with the grant; CNI lets no IPAM plugin pass it
    /// on, so give the main plugin its own `mtu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// How long a released address is kept from others; `0s` for not at all, `720h` (30 days) at most. Its last owner gets
    /// it back at once.
    #[serde(default = "default_cooling")]
    pub cooling: Duration,
    /// The order in which free addresses are handed out.
    #[serde(default)]
    pub order: Order,
    /// Namespaces that may use the subnet, beside those that `namespaceSelector` selects; all if neither is given. They also
    /// come here when nothing names a subnet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Labels of namespaces that may use the subnet. On one machine nothing has labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<Selector>,
    /// Networks that take this subnet without naming it: a CNI network's name, or `namespace/name` of a
    /// `NetworkAttachmentDefinition`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// Whether requests that nothing else decides come here. Of several default subnets the first by name that has a free
    /// address serves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
}

/// A named part of a subnet. Nobody outside its selectors gets an address of it, and all of them have to match; a pool
/// without selectors must be named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource, schemars::JsonSchema))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "allotment.dev",
        version = "v1alpha1",
        kind = "IPPool",
        plural = "ippools",
        status = "ObjectStatus",
        derive = "PartialEq"
    )
)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "kube", schemars(transform = crate::schema::pool))]
pub struct IPPoolSpec {
    /// The Subnet it is a part of. Immutable.
    pub subnet: String,
    /// What the pool has, inside the subnet; none overlaps another, nor another pool's. Of a family that the pool does not
    /// have, its users get addresses from the rest of the subnet.
    #[cfg_attr(feature = "kube", schemars(with = "Vec<crate::schema::IpRange>"))]
    pub ranges: Vec<IpRange>,
    /// Namespaces that may use the pool, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Labels of pods that may use the pool. On one machine nothing has labels.
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
#[cfg_attr(feature = "kube", derive(kube::CustomResource, schemars::JsonSchema))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "allotment.dev",
        version = "v1alpha1",
        kind = "Reservation",
        plural = "reservations",
        status = "ObjectStatus",
        derive = "PartialEq"
    )
)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "kube", schemars(transform = crate::schema::reservation))]
pub struct ReservationSpec {
    /// The Subnet the addresses are in. Immutable.
    pub subnet: String,
    /// What is reserved, inside the subnet; none overlaps another, nor another reservation's, and nobody else may hold it.
    #[cfg_attr(feature = "kube", schemars(with = "Vec<crate::schema::IpRange>"))]
    pub addresses: Vec<IpRange>,
    /// For whom. It gets one of the addresses whenever it asks the subnet for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Why, in at most 1024 bytes; needed where there is no owner.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A route for the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "kube", schemars(transform = crate::schema::route))]
pub struct Route {
    /// Where to; `0.0.0.0/0` or `::/0` is the default route. The subnet has a CIDR of its family.
    #[cfg_attr(feature = "kube", schemars(with = "crate::schema::Cidr"))]
    pub to: Cidr,
    /// The router, of the same family, inside the subnet or not; the subnet's gateway unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Address>,
}

/// DNS settings, as in `resolv.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "kube", schemars(transform = crate::schema::dns))]
pub struct Dns {
    /// The servers to ask, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<Address>,
    /// The local domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Domains that short names are looked up in; `.` for none at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Options of the resolver, one an item, such as `ndots:2`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// The order in which free addresses are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "kube", schemars(transform = crate::schema::selector))]
pub struct Selector {
    /// Labels that have to be there with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// More lines, each of which has to hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// One line of `matchExpressions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "kube", schemars(transform = crate::schema::requirement))]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How it compares.
    pub operator: Operator,
    /// The values for `In` and `NotIn`, at least one; none for the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a line of `matchExpressions` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum Operator {
    /// The label is there with one of the values.
    In,
    /// The label is not there, or with another value.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
}

/// Who an address is reserved for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "kube", schemars(transform = crate::schema::owner))]
pub struct Owner {
    /// `Pod`, `StatefulSet`, `VirtualMachine`, `Container`, … A container that its runtime tells no pod UID of is a
    /// `Container`.
    pub kind: String,
    /// Left out for what has no namespace, such as a `Container`; a `Pod` and a `StatefulSet` have one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// For a `StatefulSet` the pod's name, such as `db-0`; for a `Container` the name that its runtime tells, else its id.
    pub name: String,
    /// Left out where any owner of this kind and name is meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

impl Dns {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Dns::default()
    }
}

fn default_vrf() -> String {
    DEFAULT_VRF.to_owned()
}

fn default_cooling() -> Duration {
    Duration { milliseconds: DEFAULT_COOLING_MS }
}
