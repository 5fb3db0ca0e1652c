use allotment_api::v1alpha1::{NodeAttachments, NodeAttachmentsSpec, NodeAttachmentsStatus};
use allotment_cluster::Node;
use allotment_controller::Keeping;
use allotment_core::{Attachment, Choice, Object, Owner, Pick, Rule, SubnetSpec, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::serve::audit::Seen;
use crate::serve::audit::examine::examine as examine_ledger;
use crate::serve::audit::live::{Live, LiveAddress};

fn record(last: u8, holders: &[(&str, &str)]) -> Allocation {
    let attachment = |&(uid, node): &(&str, &str)| Attachment {
        holder: uid.to_owned(),
        interface: "eth0".to_owned(),
        node: node.to_owned(),
        ..Attachment::default()
    };
    Allocation {
        vrf: "default".to_owned(),
        address: IpAddr::from([10, 0, 0, last]),
        state: AllocationState::Active,
        owner: Owner {
            kind: "Pod".to_owned(),
            namespace: "shop".to_owned(),
            name: format!("p{last}"),
            uid: holders[0].0.to_owned(),
        },
        attachments: holders.iter().map(attachment).collect(),
        mac: None,
        rule: Rule { choice: Choice::Request, pick: Pick::Fresh },
        since: Timestamp(0),
        outlives_owner: false,
    }
}

fn pod(uid: &str, shows: &[u8], more: &Value) -> Pod {
    let ips: Vec<Value> = shows
        .iter()
        .map(|last| json!({"address": format!("10.0.0.{last}"), "prefix": 24, "vrf": "default", "subnet": "a"}))
        .collect();
    let grant = json!({"pod": uid, "attachments": [{"interface": "eth0", "ips": ips}]}).to_string();
    let mut pod = json!({
        "metadata": {"namespace": "shop", "name": format!("pod-{uid}"), "uid": uid, "annotations": {"allotment.dev/grant": grant}},
        "status": {"phase": "Running"},
    });
    json_patch::merge(&mut pod, more);
    serde_json::from_value(pod).unwrap()
}

fn node(name: &str, uid: &str, still: &[(&str, u8)]) -> NodeAttachments {
    let spec = NodeAttachmentsSpec { node_uid: uid.to_owned(), ..NodeAttachmentsSpec::default() };
    let mut node = NodeAttachments::new(name, spec);
    node.metadata.resource_version = Some("95".to_owned());
    let still = still.iter().map(|&(pod, last)| Still {
        pod: pod.to_owned(),
        vrf: "default".to_owned(),
        address: IpAddr::from([10, 0, 0, last]),
    });
    node.status = Some(NodeAttachmentsStatus {
        node_uid: uid.to_owned(),
        as_of: "77".to_owned(),
        still: still.collect(),
        ..NodeAttachmentsStatus::default()
    });
    node
}

fn look(records: Vec<Allocation>, pods: Vec<Pod>, nodes: Vec<NodeAttachments>) -> Look {
    let object: Node = serde_json::from_value(json!({"metadata": {"name": "n1", "uid": "node-1"}})).unwrap();
    let version = "90".parse().unwrap();
    let keeping = Keeping::new(&pods, version, vec![object], nodes.clone(), &records);
    let subnet = SubnetSpec::new("a", vec!["10.0.0.0/24".parse().unwrap()]);
    let atlas = [Object::Subnet(subnet)].into_iter().collect();
    let seen = Seen { atlas, allocations: records, live: Live::default(), clock: Timestamp(0) };
    Look { seen, pods, nodes, here: None, keeping }
}

/// Code, last byte and the beginning of the text of each finding.
fn found(look: &Look) -> Vec<String> {
    let line = |found: &Found| {
        let address = found.finding.address.as_deref().unwrap_or_default();
        format!("{} {address}: {}", found.finding.code, found.finding.text)
    };
    examine(look, &examine_ledger(&look.seen)).iter().map(line).collect()
}

#[test]
fn what_is_right_is_not_found() {
    let mirror = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "hash", "allotment.dev/grant": null}}});
    let copied = json!({"metadata": {"uid": "u5"}});
    let pods = vec![
        pod("u1", &[2], &json!({})),
        pod("m", &[], &mirror),
        // A copied grant is worth nothing, a finished pod's shows the past.
        pod("u1", &[2], &copied),
        pod("u6", &[9], &json!({"status": {"phase": "Succeeded"}})),
        pod("u7", &[4], &json!({})),
        pod("u8", &[4], &json!({})),
    ];
    let records = vec![
        record(2, &[("u1", "n1")]),
        record(3, &[("hash", "n1")]),
        record(4, &[("u7", "n1"), ("u8", "n2")]),
    ];
    let mut kept = record(5, &[("old", "n1")]);
    kept.state = AllocationState::Reserved;
    let look = look([records, vec![kept]].concat(), pods, vec![node("n1", "node-1", &[])]);
    assert_eq!(found(&look), Vec::<String>::new());
}

#[test]
fn shown_and_not_recorded() {
    let pods = vec![pod("u1", &[2, 3, 4], &json!({}))];
    let mut cooling = record(4, &[("u1", "n1")]);
    cooling.state = AllocationState::Cooling;
    let look = look(vec![record(3, &[("u2", "n1")]), cooling], pods, vec![]);
    let found = found(&look);
    assert_eq!(found[0], "shown 10.0.0.2: pod shop/pod-u1 shows it, and the ledger gives it to nobody");
    assert_eq!(
        found[1],
        "doubled 10.0.0.3: pod shop/pod-u1 shows it, and the ledger gives it to Pod shop/p3"
    );
    assert_eq!(found[2], "shown 10.0.0.4: pod shop/pod-u1 shows it, and the ledger gives it to nobody");
}

#[test]
fn shown_twice() {
    let pods = vec![pod("u1", &[2], &json!({})), pod("u2", &[2], &json!({}))];
    let look = look(vec![record(2, &[("u1", "n1")])], pods, vec![]);
    assert_eq!(
        found(&look),
        [
            "doubled 10.0.0.2: pod shop/pod-u2 shows it, and the ledger gives it to Pod shop/p2",
            "doubled 10.0.0.2: pods shop/pod-u1 and shop/pod-u2 both show it",
        ]
    );
}

#[test]
fn what_keeps_the_address_of_a_pod_that_is_gone() {
    let says = |nodes: Vec<NodeAttachments>| {
        let found = found(&look(vec![record(2, &[("gone", "n1")])], vec![], nodes));
        assert_eq!(found.len(), 1, "{found:?}");
        let begin = "ending 10.0.0.2: Pod shop/p2 has it on node `n1`, and its pod has ended: ";
        found[0].strip_prefix(begin).unwrap_or_else(|| panic!("{found:?}")).to_owned()
    };
    assert_eq!(says(vec![]), "no agent has published for node `n1`");
    assert!(says(vec![node("n1", "node-0", &[])]).contains("(uid node-0), which is gone"));
    let later = |still| {
        let mut later = node("n1", "node-1", still);
        later.status.as_mut().unwrap().as_of = "90".to_owned();
        later
    };
    assert!(says(vec![later(&[("gone", 2)])]).contains("says it is still in use"));
    assert!(
        says(vec![node("n1", "node-1", &[])]).contains(
            "has published as of version 77 of the pods, and that this one has ended was seen at 90"
        )
    );
    assert_eq!(says(vec![later(&[])]), "its end is proved, and the controller releases it");
    let finished =
        vec![pod("u1", &[], &json!({"metadata": {"resourceVersion": "50"}, "status": {"phase": "Failed"}}))];
    assert_eq!(found(&look(vec![record(2, &[("u1", "n1")])], finished, vec![])).len(), 1);
}

#[test]
fn in_use_and_not_recorded() {
    let mut kernels = node("n1", "node-1", &[("u1", 9)]);
    // Somebody else's address, a gateway on a bridge, and one of ours.
    for address in [[192, 0, 2, 8], [10, 0, 0, 1], [10, 0, 0, 8]] {
        let used = Still { pod: String::new(), vrf: String::new(), address: address.into() };
        kernels.status.as_mut().unwrap().inventory.push(used);
    }
    let found = found(&look(vec![], vec![], vec![kernels]));
    assert_eq!(
        found,
        [
            "unrecorded 10.0.0.9: the agent of node `n1` says that the pod with UID u1 uses it, and the ledger gives it to nobody",
            "unrecorded 10.0.0.8: the agent of node `n1` says that something uses it, and the ledger gives it to nobody",
        ]
    );
}

#[test]
fn what_is_live_here_is_said_once() {
    let mut look = look(vec![], vec![], vec![node("n1", "node-1", &[("u1", 9)])]);
    let netns = super::super::elsewhere("n1");
    look.seen.live.addresses.push(LiveAddress {
        address: [10, 0, 0, 9].into(),
        interface: "eth0".to_owned(),
        netns,
    });
    assert_eq!(found(&look).len(), 1, "on another node it is another finding");
    look.here = Some("n1".to_owned());
    assert_eq!(found(&look), [""; 0], "the ledger's own findings have it");
    look.seen.live.addresses.clear();
    assert_eq!(found(&look).len(), 1);
}
