//! What stands on a pod: the keys, and what the controller writes under them. Request and result never share a key.

use std::net::IpAddr;

use allotment_core::Mac;
use serde::{Deserialize, Serialize};

use crate::v1alpha1::{Dns, Route};

/// User, on pod or pod template: what interfaces or networks want, JSON or YAML.
pub const REQUEST: &str = "allotment.dev/request";
/// User, on pod or pod template: subnets in order for the primary interface; also on a namespace.
pub const SUBNETS: &str = "allotment.dev/subnets";
/// User, on pod or pod template: pools in order for the primary interface.
pub const POOLS: &str = "allotment.dev/pools";
/// User, on pod or pod template: addresses for the primary interface.
pub const IPS: &str = "allotment.dev/ips";
/// User, on pod or pod template: the MAC of the primary interface.
pub const MAC: &str = "allotment.dev/mac";
/// Controller: [`PodGrant`] as JSON.
pub const GRANT: &str = "allotment.dev/grant";
/// Controller: [`PodRefusal`] as JSON; removed when granted.
pub const REFUSAL: &str = "allotment.dev/refusal";

/// What a pod was given, on all of its interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PodGrant {
    /// The UID of the pod it is for: a copied annotation is worth nothing on another pod.
    pub pod: String,
    /// UID of the Node object that it was made for: another machine of the same name may not serve it, while the first one
    /// may still use it (R4). A grant without it is served nowhere.
    #[serde(rename = "nodeUID", default, skip_serializing_if = "String::is_empty")]
    pub node_uid: String,
    /// The addresses outlive the pod: the next holder waits for their end, so it is told at once (R5).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retained: bool,
    /// One for each interface that asked.
    pub attachments: Vec<GrantedAttachment>,
}

impl PodGrant {
    /// The addresses of all its interfaces.
    pub fn ips(&self) -> impl Iterator<Item = &GrantedAddress> {
        self.attachments.iter().flat_map(|attachment| &attachment.ips)
    }
}

/// What one interface was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GrantedAttachment {
    /// The interface's name inside the pod.
    pub interface: String,
    /// `namespace/name` of the `NetworkAttachmentDefinition`; empty for the cluster's default network.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// The `name` in the network's CNI configuration, which is all that a plugin is told of the network; empty where it is
    /// not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub config: String,
    /// IPv4 before IPv6.
    pub ips: Vec<GrantedAddress>,
    /// Where one was asked for, or had to be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(with = "Option<crate::schema::Mac>"))]
    pub mac: Option<Mac>,
    /// Routes of the subnets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// DNS settings of the subnets.
    #[serde(default, skip_serializing_if = "Dns::is_empty")]
    pub dns: Dns,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GrantedAddress {
    /// Without its prefix length.
    pub address: IpAddr,
    /// The subnet's prefix length.
    pub prefix: u8,
    /// The subnet's, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The subnet's.
    pub vrf: String,
    /// Where the address is from.
    pub subnet: String,
    /// The part of the subnet, if it is of a pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// Why a pod has no addresses. It changes only when its code changes (C7): kubelet starts a pod over at any change of its
/// annotations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PodRefusal {
    /// The UID of the pod it is for.
    pub pod: String,
    /// `full`, `taken`, … as in the list of codes.
    pub code: String,
    /// What was asked, and what stood in the way.
    pub text: String,
    /// The numbers behind it, in the order in which they are read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<RefusalCount>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// One number of a refusal, such as `held` 254.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RefusalCount {
    /// What is counted.
    pub what: String,
    /// Decimal: a /64 does not fit in an integer.
    pub value: String,
}
