//! What people declare: subnets, pools, reservations. How they are checked is in `validate`.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Cidr, Family, IpRange, Owner, Selector};

/// The VRF of a subnet that names none.
pub const DEFAULT_VRF: &str = "default";

/// How long a released address is kept from others, where the subnet does not say.
pub const DEFAULT_COOLING_MS: u64 = 30_000;

/// One or two CIDRs in a VRF, and what an interface in them is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubnetSpec {
    pub name: String,
    /// Uniqueness domain; immutable.
    pub vrf: String,
    /// One, or one per family.
    pub cidrs: Vec<Cidr>,
    /// Nothing: the first usable address of each family. An empty list: no gateway. A list: these, and the first usable
    /// one of a family that it leaves out.
    pub gateways: Option<Vec<IpAddr>>,
    /// Never handed out unless asked for by name.
    pub exclude: Vec<IpRange>,
    /// Where not empty: nothing outside is handed out, asked for or not. Only subnets implied by a `host-local`
    /// configuration have it (O5).
    #[serde(default)]
    pub within: Vec<IpRange>,
    pub routes: Vec<Route>,
    pub dns: Dns,
    /// Bytes.
    pub mtu: Option<u32>,
    pub cooling_ms: u64,
    pub order: Order,
    /// Who may: namespaces by name or by label; none given: all.
    pub namespaces: Vec<String>,
    pub namespace_selector: Option<Selector>,
    /// Networks that take this subnet without naming it.
    pub networks: Vec<String>,
    /// Whether requests that nothing else decides come here.
    pub default: bool,
    /// It is to go once nobody holds an address of it: nobody gets another one, asked for by name or not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
}

impl SubnetSpec {
    /// A subnet with every field but these at its default.
    pub fn new(name: &str, cidrs: Vec<Cidr>) -> SubnetSpec {
        SubnetSpec {
            name: name.to_owned(),
            vrf: DEFAULT_VRF.to_owned(),
            cidrs,
            gateways: None,
            exclude: Vec::new(),
            within: Vec::new(),
            routes: Vec::new(),
            dns: Dns::default(),
            mtu: None,
            cooling_ms: DEFAULT_COOLING_MS,
            order: Order::Oldest,
            namespaces: Vec::new(),
            namespace_selector: None,
            networks: Vec::new(),
            default: false,
            draining: false,
        }
    }

    pub fn cidr(&self, family: Family) -> Option<&Cidr> {
        self.cidrs.iter().find(|cidr| cidr.family() == family)
    }

    /// The gateway of a family: the one given, else the first usable address; none where the list is empty, and no
    /// default in /31, /32, /127 and /128 (C4).
    pub fn gateway(&self, family: Family) -> Option<IpAddr> {
        let cidr = self.cidr(family)?;
        let default = cidr.has_edges().then(|| cidr.first_usable());
        match &self.gateways {
            None => default,
            Some(list) if list.is_empty() => None,
            Some(list) => list.iter().copied().find(|&gateway| Family::of(gateway) == family).or(default),
        }
    }
}

/// The order in which free addresses are handed out (C1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Never used ones first, ascending; then those free for longest, block by block.
    #[default]
    Oldest,
    /// The lowest free one.
    Sequential,
    /// From a hash of the attachment.
    Random,
    /// The next free one after the last handed out, round and round, as `host-local` does (O5).
    NextAfterLast,
}

/// A route for the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub to: Cidr,
    /// Nothing: the subnet's gateway.
    pub via: Option<IpAddr>,
}

/// DNS settings for the interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    #[serde(default)]
    pub nameservers: Vec<IpAddr>,
    #[serde(default)]
    pub domain: Option<String>,
    #[serde(default)]
    pub search: Vec<String>,
    #[serde(default)]
    pub options: Vec<String>,
}

/// A named part of a subnet. Nobody outside its selectors gets an address of it; one without selectors must be named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolSpec {
    pub name: String,
    pub subnet: String,
    pub ranges: Vec<IpRange>,
    pub namespaces: Vec<String>,
    pub pod_selector: Option<Selector>,
    pub namespace_selector: Option<Selector>,
    pub node_selector: Option<Selector>,
}

/// Addresses set aside: for nobody, or for an owner that need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservationSpec {
    pub name: String,
    pub subnet: String,
    pub addresses: Vec<IpRange>,
    pub owner: Option<Owner>,
    pub reason: String,
}

impl ReservationSpec {
    /// The reason on one line, as messages and tables show it; YAML's block scalars bring line breaks.
    pub fn reason_line(&self) -> String {
        self.reason.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Any of the objects that people declare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "spec")]
pub enum Object {
    Subnet(SubnetSpec),
    IPPool(PoolSpec),
    Reservation(ReservationSpec),
}

/// The kinds of [`Object`], in the order in which they can be put: a pool needs its subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectKind {
    Subnet,
    IPPool,
    Reservation,
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    pub kind: ObjectKind,
    pub name: String,
}

impl Object {
    pub fn key(&self) -> ObjectKey {
        let (kind, name) = match self {
            Object::Subnet(spec) => (ObjectKind::Subnet, &spec.name),
            Object::IPPool(spec) => (ObjectKind::IPPool, &spec.name),
            Object::Reservation(spec) => (ObjectKind::Reservation, &spec.name),
        };
        ObjectKey { kind, name: name.clone() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} `{}`", self.kind, self.name)
    }
}

/// Why an object is not accepted. The one in force stays in force (O6).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {field}: {text}")]
pub struct ObjectError {
    pub object: ObjectKey,
    /// Path of the field in the object, such as `spec.cidrs[0]`.
    pub field: String,
    /// What is wrong, with the names and counts of what stands in the way.
    pub text: String,
    /// What to do next.
    pub hint: String,
    /// What stands in its way.
    pub obstacle: Obstacle,
}

/// What keeps an object from being in force, as far as programs tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is wrong by itself.
    Itself,
    /// Another object has some of its addresses.
    Overlap,
    /// Addresses are held that it would lose, or give to others.
    Held,
    /// The subnet that it names does not exist.
    NoSubnet,
    /// It does not fit the others, or may not change so.
    Others,
}
