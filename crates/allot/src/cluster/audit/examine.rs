//! What is wrong between ledger, pods and nodes in one look.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use allotment_api::annotation::{GRANT, PodGrant};
use allotment_api::v1alpha1::Still;
use allotment_cluster::Pod;
use allotment_core::{Allocation, AllocationState};
use allotment_wire::{Finding, OwnerRow};
use kube::core::ResourceExt;

use super::Look;
use crate::serve::atlas::{Atlas, Ground};
use crate::serve::audit::code::{self, FindingCode};
use crate::serve::audit::examine::{Found, about};

/// The kubelet's annotations with the UID that the runtime knows a static pod by (K6).
const STATIC: [&str; 2] = ["kubernetes.io/config.mirror", "kubernetes.io/config.hash"];

/// `said` is what was found without asking pods and agents.
pub(super) fn examine(look: &Look, said: &[Found]) -> Vec<Found> {
    let records: HashMap<(&str, IpAddr), &Allocation> =
        look.seen.allocations.iter().map(|record| ((record.vrf.as_str(), record.address), record)).collect();
    let mut found = Vec::new();
    shown(look, &records, &mut found);
    let bound: HashSet<&str> = look.pods.iter().filter(|pod| !pod.is_finished()).flat_map(uids).collect();
    for record in look.seen.allocations.iter().filter(|record| record.state == AllocationState::Active) {
        for holder in record.attachments.iter().filter(|holder| !bound.contains(holder.holder.as_str())) {
            let Some(keeps) = look.keeping.why(record, holder) else { continue };
            let text =
                format!("{} has it on node `{}`, and its pod has ended: {keeps}", record.owner, holder.node);
            found.push(about(record, &code::ENDING, text, code::ENDING.remedy));
        }
    }
    // What is live on this node was seen from near by.
    let seen_here: HashSet<&str> = said
        .iter()
        .filter(|other| other.finding.code == code::UNRECORDED.name)
        .filter_map(|other| other.finding.address.as_deref())
        .collect();
    for node in &look.nodes {
        let (name, Some(status)) = (node.name_any(), &node.status) else { continue };
        let is_said = |used: &Still| {
            look.here.as_ref() == Some(&name) && seen_here.contains(&*used.address.to_string())
        };
        for used in status.still.iter().chain(&status.inventory) {
            if is_ours(&look.seen.atlas, used) && !is_said(used) {
                found.extend(unrecorded(&name, used, &records));
            }
        }
    }
    found
}

/// Everything that a pod may be called by.
fn uids(pod: &Pod) -> impl Iterator<Item = &str> {
    let own = pod.metadata.uid.as_deref();
    own.into_iter().chain(STATIC.iter().filter_map(|key| pod.annotations().get(*key).map(String::as_str)))
}

/// What pods show and the ledger does not say, or says of somebody else.
fn shown(look: &Look, records: &HashMap<(&str, IpAddr), &Allocation>, found: &mut Vec<Found>) {
    let mut seen: BTreeMap<(String, IpAddr), &Pod> = BTreeMap::new();
    for pod in look.pods.iter().filter(|pod| !pod.is_finished()) {
        let grant: Option<PodGrant> =
            pod.annotations().get(GRANT).and_then(|text| serde_json::from_str(text).ok());
        // A copied grant counts for nobody (K2).
        let Some(grant) = grant.filter(|grant| pod.metadata.uid.as_ref() == Some(&grant.pod)) else {
            continue;
        };
        for ip in grant.ips() {
            let record = records.get(&(ip.vrf.as_str(), ip.address)).copied();
            let has = |record: &Allocation| record.attachments.iter().any(|held| held.holder == grant.pod);
            let is_held = |record: &&Allocation| record.state == AllocationState::Active && has(record);
            let finding = |code: &FindingCode, text: String| {
                let owner = OwnerRow {
                    kind: "Pod".to_owned(),
                    namespace: pod.namespace(),
                    name: pod.name_any(),
                    uid: Some(grant.pod.clone()),
                };
                found_at(code, &ip.vrf, ip.address, Some(owner), text)
            };
            if record.is_none_or(|record| !is_held(&record)) {
                found.push(match record.filter(|record| record.state.is_held()) {
                    Some(other) => finding(
                        &code::DOUBLED,
                        format!("pod {} shows it, and the ledger gives it to {}", name(pod), other.owner),
                    ),
                    None => finding(
                        &code::SHOWN,
                        format!("pod {} shows it, and the ledger gives it to nobody", name(pod)),
                    ),
                });
            }
            // Two holders of one owner are a live migration, and then the ledger has both.
            if let Some(other) = seen.insert((ip.vrf.clone(), ip.address), pod)
                && record.is_none_or(|record| !is_held(&record) || record.attachments.len() < 2)
            {
                found.push(finding(
                    &code::DOUBLED,
                    format!("pods {} and {} both show it", name(other), name(pod)),
                ));
            }
        }
    }
}

fn name(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}

/// Whether an address could have been given: an agent that has lost its journal names all that is live on its node, also what
/// others gave, and the gateways on bridges.
fn is_ours(atlas: &Atlas, used: &Still) -> bool {
    if !used.vrf.is_empty() {
        return true;
    }
    let grounds = atlas.vrfs().filter_map(|vrf| Some(atlas.locate(vrf, used.address)?.ground(used.address)));
    grounds.into_iter().any(|ground| ground != Ground::Gateway)
}

/// What an agent says is in use and the ledger gives to nobody.
fn unrecorded(node: &str, used: &Still, records: &HashMap<(&str, IpAddr), &Allocation>) -> Option<Found> {
    let is_held = |vrf: &str| records.get(&(vrf, used.address)).is_some_and(|record| record.state.is_held());
    let known = match used.vrf.as_str() {
        "" => records.keys().any(|(vrf, address)| *address == used.address && is_held(vrf)),
        vrf => is_held(vrf),
    };
    if known {
        return None;
    }
    let who =
        if used.pod.is_empty() { "something".to_owned() } else { format!("the pod with UID {}", used.pod) };
    let text =
        format!("the agent of node `{node}` says that {who} uses it, and the ledger gives it to nobody");
    Some(found_at(&code::UNRECORDED, &used.vrf, used.address, None, text))
}

fn found_at(code: &FindingCode, vrf: &str, address: IpAddr, owner: Option<OwnerRow>, text: String) -> Found {
    Found::new(Finding {
        severity: code.severity,
        code: code.name.to_owned(),
        address: Some(address.to_string()),
        vrf: Some(vrf.to_owned()).filter(|vrf| !vrf.is_empty()),
        owner,
        text,
        hint: code.remedy.to_owned(),
    })
}

#[cfg(test)]
mod tests;
