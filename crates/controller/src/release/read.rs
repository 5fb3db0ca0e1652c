//! What the API server says, in the words of the release protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use allotment_api::v1alpha1::{NodeAttachmentsStatus, Still};
use allotment_cluster::{Node, Pod, ResourceVersion};
use allotment_core::Attachment;
use allotment_proof::{Address, Held, PodSeen, Report, Use, Version};
use kube::Resource;

/// Put on a node by whoever has made sure that it is switched off.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

pub(super) fn version(version: ResourceVersion) -> Version {
    Version(version.number())
}

/// The version of an object as it was read; the oldest where it is no number, which proves nothing.
pub(crate) fn version_of(object: &impl Resource) -> Version {
    ResourceVersion::of(object).map(version).unwrap_or_default()
}

/// A bound pod: UID, version, and whether it has finished. Nothing of what has no UID.
pub(super) fn pod(pod: &Pod) -> Option<(&str, Version, PodSeen)> {
    let version = version_of(pod);
    let seen = if pod.is_finished() { PodSeen::Finished(version) } else { PodSeen::Running };
    Some((pod.metadata.uid.as_deref()?, version, seen))
}

/// A node's UID, and whether it is out of service (R4).
pub(super) fn node(node: &Node) -> Option<(&str, bool)> {
    let is_out = node.spec.taints.iter().any(|taint| taint.key == OUT_OF_SERVICE);
    Some((node.metadata.uid.as_deref()?, is_out))
}

/// What an agent says. `None`: it is no version that it says it is as of.
pub(super) fn report(status: &NodeAttachmentsStatus) -> Option<Report> {
    let NodeAttachmentsStatus {
        node_uid,
        earlier_uids,
        boot_id,
        epoch,
        as_of,
        still,
        unplugs,
        inventory,
        asks,
    } = status;
    let asks: BTreeMap<String, String> =
        asks.iter().map(|ask| (ask.id.clone(), ask.pod_uid.clone())).collect();
    Some(Report {
        node_uid: node_uid.clone(),
        earlier: earlier_uids.iter().cloned().collect(),
        boot_id: boot_id.clone(),
        epoch: *epoch,
        as_of: version(as_of.parse().ok()?),
        still: uses(still),
        unplugs: *unplugs,
        inventory: uses(inventory),
        asks,
    })
}

fn uses(said: &[Still]) -> BTreeSet<Use> {
    let used = |Still { pod, vrf, address }: &Still| Use {
        pod: pod.clone(),
        address: Address { vrf: vrf.clone(), address: *address },
    };
    said.iter().map(used).collect()
}

/// An address of an attachment.
pub(crate) fn held(attachment: &Attachment, vrf: &str, address: IpAddr) -> Held {
    Held {
        holder: attachment.holder.clone(),
        node: attachment.node.clone(),
        address: Address { vrf: vrf.to_owned(), address },
    }
}
