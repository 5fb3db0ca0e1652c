//! Subnets, pools and reservations, and the networks that take them.

use std::collections::BTreeSet;

use allotment_api::v1alpha1::{ObjectStatus, Subnet};
use allotment_cluster::NetworkAttachmentDefinition;
use allotment_controller::request::Nad;
use kube::core::ResourceExt;

use super::super::look::Seen;
use super::super::{Ailment, code};

/// What is not in force as it is declared.
pub(super) fn objects(seen: &Seen) -> Vec<Ailment> {
    let subnets =
        seen.subnets.iter().map(|it| ("Subnet", it.name_any(), it.metadata.generation, it.status.as_ref()));
    let pools =
        seen.pools.iter().map(|it| ("IPPool", it.name_any(), it.metadata.generation, it.status.as_ref()));
    let reservations = seen
        .reservations
        .iter()
        .map(|it| ("Reservation", it.name_any(), it.metadata.generation, it.status.as_ref()));
    let judge = |(kind, name, generation, status): (&str, String, Option<i64>, Option<&ObjectStatus>)| {
        let why = not_in_force(generation, status)?;
        Some(Ailment::new(&code::NOT_IN_FORCE, format!("{kind} {name}"), why))
    };
    subnets.chain(pools).chain(reservations).filter_map(judge).collect()
}

fn not_in_force(generation: Option<i64>, status: Option<&ObjectStatus>) -> Option<String> {
    let ready =
        status.into_iter().flat_map(|status| &status.conditions).find(|condition| condition.kind == "Ready");
    match ready {
        Some(ready) if ready.status == "True" && ready.observed_generation >= generation => None,
        Some(ready) if ready.status != "True" => Some(ready.message.clone()),
        _ => Some("no controller has looked at it as it is now".to_owned()),
    }
}

/// Networks that lead to no address.
pub(super) fn networks(seen: &Seen) -> Vec<Ailment> {
    seen.networks.iter().filter_map(|network| judge(seen, network)).collect()
}

fn judge(seen: &Seen, definition: &NetworkAttachmentDefinition) -> Option<Ailment> {
    let namespace = definition.namespace().unwrap_or_default();
    let name = format!("{namespace}/{}", definition.name_any());
    let object = format!("NetworkAttachmentDefinition {name}");
    let network = match Nad::parse(&name, Some(&definition.spec.config)) {
        Nad::Others(_) => return None,
        Nad::Broken(error) => return Some(Ailment::new(&code::NETWORK_BROKEN, object, error.msg)),
        Nad::Ours(network) => network,
    };
    let subnets: BTreeSet<String> = seen.subnets.iter().map(ResourceExt::name_any).collect();
    let pools: BTreeSet<String> = seen.pools.iter().map(ResourceExt::name_any).collect();
    let absent = |kind: &str, wanted: &[String], there: &BTreeSet<String>| {
        let absent: Vec<String> = wanted.iter().filter(|name| !there.contains(*name)).cloned().collect();
        (!absent.is_empty()).then(|| format!("there is no {kind} `{}`", absent.join("`, `")))
    };
    let unknown =
        [absent("Subnet", &network.wish.subnets, &subnets), absent("IPPool", &network.wish.pools, &pools)];
    let unknown: Vec<String> = unknown.into_iter().flatten().collect();
    if !unknown.is_empty() {
        return Some(Ailment::new(&code::NETWORK_UNKNOWN, object, unknown.join(", ")));
    }
    let is_said =
        !(network.wish.subnets.is_empty() && network.wish.pools.is_empty() && network.wish.ips.is_empty());
    if is_said || seen.subnets.iter().any(|subnet| takes(subnet, &name, &namespace)) {
        return None;
    }
    let text = "it names no subnet, no subnet names it or its namespace, and none is the default";
    Some(Ailment::new(&code::NETWORK_WITHOUT_SUBNET, object, text))
}

/// Whether pods of this network may come to this subnet without naming it.
fn takes(subnet: &Subnet, network: &str, namespace: &str) -> bool {
    let spec = &subnet.spec;
    spec.default
        || spec.networks.iter().any(|name| name == network)
        || spec.namespaces.iter().any(|name| name == namespace)
        || spec.namespace_selector.is_some()
}
