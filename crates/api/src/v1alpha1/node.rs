//! `NodeAttachments`: what a node's agent says about the ends of attachments, and what it asks for that no pod announces.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::annotation::{GrantedAttachment, PodRefusal};

/// What a node's agent is asked and answered; the controller's half.
#[cfg_attr(feature = "kube", derive(kube::CustomResource, schemars::JsonSchema))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "allotment.dev",
        version = "v1alpha1",
        kind = "NodeAttachments",
        plural = "nodeattachments",
        status = "NodeAttachmentsStatus",
        derive = "PartialEq"
    )
)]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeAttachmentsSpec {
    /// A resourceVersion of pods that the agent is asked to reach and publish (R3); empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reach: String,
    /// The epoch under which the agent is to publish its full inventory (L6).
    #[serde(default)]
    pub epoch: u64,
    /// The last epoch whose recovery is over: until then every report has the inventory, so that no one that is overwritten
    /// before it is read takes it along.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub recovered: u64,
    /// UID of the Node that grants for this name are made for; empty: none yet (R3).
    #[serde(rename = "nodeUID", default, skip_serializing_if = "String::is_empty")]
    pub node_uid: String,
    /// What earlier Nodes of this name were granted and are not proved to have given up (R4).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Former>,
    /// UIDs of Nodes of this name that a person says are gone for good (`allot node forget`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<String>,
    /// Answers to `asks` of the status, until the ask is gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// Blocks of the ledger that have addresses of this node, as of the last answers. No pod shows what was answered here, so
    /// a block that is lost while no controller runs is missed by this (L6). Empty after a new epoch has begun.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<LedgerBlock>,
}

/// A block of the ledger.
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerBlock {
    /// The VRF that it is in.
    pub vrf: String,
    /// Its first address.
    pub base: IpAddr,
}

impl LedgerBlock {
    /// The one that an address is in.
    pub fn with(vrf: &str, address: IpAddr) -> LedgerBlock {
        let base = match address {
            IpAddr::V4(address) => IpAddr::from((u32::from(address) & !0xff).to_be_bytes()),
            IpAddr::V6(address) => IpAddr::from((u128::from(address) & !0xff).to_be_bytes()),
        };
        LedgerBlock { vrf: vrf.to_owned(), base }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An address that an earlier Node of a name may still use.
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Former {
    /// The VRF that the address is in.
    pub vrf: String,
    /// Without prefix length.
    pub address: IpAddr,
    /// UID of that Node.
    #[serde(rename = "nodeUID")]
    pub node_uid: String,
}

/// What a node's agent says; its own half.
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeAttachmentsStatus {
    /// UID of the Node object that the agent serves for.
    #[serde(rename = "nodeUID")]
    pub node_uid: String,
    /// Earlier UIDs of the same machine, as its journal knows them: what is said here holds for those, too.
    #[serde(rename = "earlierUIDs", default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_uids: Vec<String>,
    /// The kernel's boot id: a new one ends everything older (R3).
    #[serde(rename = "bootID")]
    pub boot_id: String,
    /// The epoch of the last full inventory.
    pub epoch: u64,
    /// The resourceVersion that the agent's watch of pods has reached.
    pub as_of: String,
    /// Addresses that an ADD was answered with and whose end is not proved, of pods that by `asOf` were gone, had finished, or
    /// were granted them no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub still: Vec<Still>,
    /// Whether `still` has what running pods are granted no more, so that it can be freed before they end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unplugs: bool,
    /// As long as the ledger recovers under a new epoch: all addresses that live attachments have. Else empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inventory: Vec<Still>,
    /// What CNI asks for and no pod announces (K1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<Ask>,
}

/// An address in use.
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Still {
    /// UID of the pod, as CNI has it; empty where only the kernel could be asked.
    pub pod: String,
    /// Empty where only the kernel could be asked: then it stands for every VRF.
    pub vrf: String,
    /// An address.
    pub address: IpAddr,
}

/// One interface that wants addresses, as CNI described it.
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    /// Unique among the node's asks; the answer carries it.
    pub id: String,
    /// The pod's.
    pub namespace: String,
    /// The pod's.
    pub name: String,
    /// As CNI has it: of a static pod it is the hash of its configuration, not the mirror's UID (K6).
    #[serde(rename = "podUID")]
    pub pod_uid: String,
    /// The interface's name inside the pod.
    pub interface: String,
    /// The network's name in its CNI configuration.
    pub network: String,
    /// From the `ipam` section, runtimeConfig, args and `CNI_ARGS`, in the order in which they are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// Alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<String>,
    /// Alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<IpAddr>,
    /// `IPv4` or `IPv6`, as in the `ipam` section; empty: what the subnet has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub family: String,
    /// `require` or `prefer`, as in the `ipam` section; empty without `family`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub family_policy: String,
    /// What was asked for, or what the interface has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// What became of an ask: one of grant and refusal is there.
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The ask's.
    pub id: String,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantedAttachment>,
    /// Why it was given nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<PodRefusal>,
}
