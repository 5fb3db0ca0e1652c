//! Each finding, planted alone into an installation that has none.

use std::collections::BTreeSet;

use allotment_api::v1alpha1::{IPPool, Reservation};
use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicy;
use serde_json::{Value, from_value, json};

use super::super::look::{Denied, Seen, Unseen};
use super::super::{Ailment, code};
use super::examine;

/// As it is read where nothing is wrong.
fn healthy() -> Seen {
    let part = |name: &str| -> Value {
        let all: Value = serde_json::from_str(include_str!("healthy.json")).unwrap();
        all[name].clone()
    };
    let documents: Vec<Value> = serde_saphyr::from_multiple(&allotment_api::policies_yaml(
        &allotment_api::CONTROLLER.parse().unwrap(),
        &allotment_api::AGENTS.parse().unwrap(),
    ))
    .unwrap();
    let of = |kind: &str| -> Vec<Value> {
        documents.iter().filter(|document| document["kind"] == kind).cloned().collect()
    };
    let bound = ["ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBinding"];
    let names = bound
        .into_iter()
        .flat_map(of)
        .map(|document| document["metadata"]["name"].as_str().unwrap().to_owned());
    Seen {
        namespace: "allotment-system".to_owned(),
        definitions: allotment_api::crds(),
        policies: from_value(of("ValidatingAdmissionPolicy").into()).unwrap(),
        mutating: from_value(of("MutatingAdmissionPolicy").into()).unwrap(),
        bindings: names.collect(),
        controllers: from_value(part("controllers")).unwrap(),
        agents: from_value(part("agents")).unwrap(),
        agent_pods: from_value(part("agentPods")).unwrap(),
        controller_pods: from_value(part("controllerPods")).unwrap(),
        webhooks: from_value(part("webhooks")).unwrap(),
        lease: from_value(part("lease")).unwrap(),
        denied: Vec::new(),
        nodes: from_value(part("nodes")).unwrap(),
        reports: from_value(part("reports")).unwrap(),
        subnets: from_value(part("subnets")).unwrap(),
        pools: Vec::new(),
        reservations: Vec::new(),
        networks: from_value(part("networks")).unwrap(),
        services: from_value(part("services")).unwrap(),
        now: "2026-01-01T00:00:02Z".parse().unwrap(),
        unseen: Vec::new(),
    }
}

/// What is found where this was done to it.
fn found(plant: impl Fn(&mut Seen)) -> Vec<Ailment> {
    let mut seen = healthy();
    plant(&mut seen);
    examine(&seen)
}

fn network(seen: &mut Seen, ipam: &Value) {
    let config = json!({"cniVersion": "1.0.0", "type": "macvlan", "ipam": ipam});
    seen.networks[0].spec.config = config.to_string();
}

fn cidr(seen: &mut Seen, cidr: &str) {
    seen.subnets[0].spec.cidrs = vec![cidr.parse().unwrap()];
}

const INSTALLED_OR_NOT: [Row; 5] = [
    (
        |seen| {
            seen.definitions.clear();
            (seen.controllers, seen.agents) = (None, None);
        },
        code::NOT_INSTALLED.name,
        "cluster",
        "in namespace `allotment-system` no controllers",
    ),
    (
        |seen| seen.webhooks.clear(),
        code::WEBHOOK_UNASKED.name,
        "ValidatingWebhookConfiguration allotment",
        "knows of no webhook",
    ),
    (
        |seen| {
            let webhooks = seen.webhooks[0].webhooks.as_mut().unwrap();
            webhooks[0].client_config.ca_bundle = None;
        },
        code::WEBHOOK_UNASKED.name,
        "ValidatingWebhookConfiguration allotment",
        "no `caBundle`",
    ),
    (
        |seen| drop(seen.controller_pods.remove(0)),
        code::WEBHOOK_UNASKED.name,
        "ValidatingWebhookConfiguration allotment",
        "to no controller",
    ),
    (
        |seen| seen.controller_pods[1].metadata.labels = seen.controller_pods[0].metadata.labels.clone(),
        code::WEBHOOK_UNASKED.name,
        "ValidatingWebhookConfiguration allotment",
        "to standbys, too",
    ),
];

/// What was planted, the finding that is to follow, and words of it.
type Row = (fn(&mut Seen), &'static str, &'static str, &'static str);

const INSTALLED: [Row; 11] = [
    (
        |seen| drop(seen.definitions.pop()),
        code::DEFINITION_MISSING.name,
        "CustomResourceDefinition nodeattachments.allotment.dev",
        "not there",
    ),
    (
        |seen| seen.definitions[0].spec.versions[0].schema = None,
        code::DEFINITION_OTHER.name,
        "CustomResourceDefinition subnets.allotment.dev",
        "another one",
    ),
    (
        |seen| seen.policies.retain(|policy| policy.metadata.name.as_deref() != Some("allotment-keep")),
        code::POLICY_MISSING.name,
        "ValidatingAdmissionPolicy allotment-keep",
        "not there",
    ),
    (
        |seen| seen.bindings.retain(|name| name != "allotment-grants"),
        code::POLICY_MISSING.name,
        "ValidatingAdmissionPolicy allotment-grants",
        "no binding",
    ),
    (
        |seen| seen.policies[0].spec = None,
        code::POLICY_OTHER.name,
        "ValidatingAdmissionPolicy allotment-grants",
        "for these accounts",
    ),
    (
        |seen| seen.mutating = Vec::<MutatingAdmissionPolicy>::new(),
        code::COPIES_REFUSED.name,
        "MutatingAdmissionPolicy allotment-copies",
        "not in force",
    ),
    (
        |seen| seen.controllers = None,
        code::CONTROLLER_MISSING.name,
        "Deployment allotment-system/allotment-controller",
        "not there",
    ),
    (
        |seen| seen.controllers.as_mut().unwrap().status.as_mut().unwrap().ready_replicas = Some(1),
        code::CONTROLLER_UNREADY.name,
        "Deployment allotment-system/allotment-controller",
        "1 of 2 controllers",
    ),
    (
        |seen| seen.lease = None,
        code::NO_LEADER.name,
        "Lease allotment-system/allotment-controller",
        "ever led",
    ),
    (
        |seen| seen.lease.as_mut().unwrap().spec.as_mut().unwrap().holder_identity = Some(String::new()),
        code::NO_LEADER.name,
        "Lease allotment-system/allotment-controller",
        "nobody holds it",
    ),
    (
        |seen| seen.now = "2026-01-01T00:01:00Z".parse().unwrap(),
        code::NO_LEADER.name,
        "Lease allotment-system/allotment-controller",
        "one has not renewed it for 60 s",
    ),
];

const NODES: [Row; 7] = [
    (
        |seen| seen.agents = None,
        code::AGENTS_MISSING.name,
        "DaemonSet allotment-system/allotment-agent",
        "not there",
    ),
    (
        |seen| unready(seen, 1),
        code::AGENT_UNREADY.name,
        "Pod allotment-system/allotment-agent-x",
        "on node-1: container agent is not ready, CrashLoopBackOff, it ended with exit code 2",
    ),
    (
        |seen| unready(seen, 0),
        code::AGENT_UNREADY.name,
        "Pod allotment-system/allotment-agent-x",
        "container install-cni is not ready",
    ),
    (|seen| seen.reports.clear(), code::NODE_SILENT.name, "Node node-1", "no agent has ever run"),
    (|seen| seen.reports[0].status = None, code::NODE_SILENT.name, "Node node-1", "not said anything yet"),
    (
        |seen| seen.nodes[0].metadata.uid = Some("n2".to_owned()),
        code::NODE_SILENT.name,
        "Node node-1",
        "an earlier node",
    ),
    (|seen| seen.nodes.clear(), code::NODE_GONE.name, "NodeAttachments node-1", "no Node of this name"),
];

const NETWORKS: [Row; 9] = [
    (
        |seen| seen.subnets[0].metadata.generation = Some(3),
        code::NOT_IN_FORCE.name,
        "Subnet rack-a",
        "as it is now",
    ),
    (
        |seen| seen.pools = of_rack_a::<IPPool>(&json!({"subnet": "rack-a", "ranges": ["10.40.1.0/24"]})),
        code::NOT_IN_FORCE.name,
        "IPPool rack-a",
        "as it is now",
    ),
    (
        |seen| network(seen, &json!({"type": "allotment", "subnets": "rack-a"})),
        code::NETWORK_BROKEN.name,
        "NetworkAttachmentDefinition shop/fast",
        "",
    ),
    (
        |seen| network(seen, &json!({"type": "allotment", "subnets": ["rack-b", "rack-a"]})),
        code::NETWORK_UNKNOWN.name,
        "NetworkAttachmentDefinition shop/fast",
        "no Subnet `rack-b`",
    ),
    (
        |seen| network(seen, &json!({"type": "allotment", "pools": ["db"]})),
        code::NETWORK_UNKNOWN.name,
        "NetworkAttachmentDefinition shop/fast",
        "no IPPool `db`",
    ),
    (
        |seen| seen.subnets[0].spec.networks.clear(),
        code::NETWORK_WITHOUT_SUBNET.name,
        "NetworkAttachmentDefinition shop/fast",
        "names no subnet",
    ),
    (
        |seen| cidr(seen, "10.96.128.0/24"),
        code::OVERLAPS_SERVICES.name,
        "Subnet rack-a",
        "10.96.128.0/24 overlaps with 10.96.0.0/16",
    ),
    (
        |seen| cidr(seen, "192.168.0.0/24"),
        code::OVERLAPS_NODES.name,
        "Subnet rack-a",
        "192.168.0.7 is an address of node `node-1`",
    ),
    (
        |seen| cidr(seen, "10.244.0.0/16"),
        code::OVERLAPS_PODS.name,
        "Subnet rack-a",
        "10.244.0.0/24, the pods' CIDR of node `node-1`",
    ),
];

const OTHERS: [Row; 2] = [
    (
        |seen| seen.denied.push(denied()),
        code::RIGHT_MISSING.name,
        "User system:x",
        "may not `patch` subnets.allotment.dev",
    ),
    (|seen| unseen(seen), code::UNSEEN.name, "API server", "nodes cannot be listed"),
];

/// Nothing is said of nodes that nobody could list.
fn unseen(seen: &mut Seen) {
    seen.nodes.clear();
    seen.unseen.push(Unseen { plural: "nodes".to_owned(), why: "nodes cannot be listed".to_owned() });
}

fn denied() -> Denied {
    Denied {
        user: "system:x".to_owned(),
        verb: "patch",
        resource: "subnets.allotment.dev".to_owned(),
        name: "",
    }
}

/// The agent's pod with one of its containers restarting for ever.
fn unready(seen: &mut Seen, which: usize) {
    let status = seen.agent_pods[0].status.as_mut().unwrap();
    let lists = [&mut status.init_container_statuses, &mut status.container_statuses];
    let container = &mut lists.into_iter().nth(which).unwrap().as_mut().unwrap()[0];
    container.ready = false;
    container.state = from_value(json!({"waiting": {"reason": "CrashLoopBackOff"}})).unwrap();
    container.last_state = from_value(json!({"terminated": {"exitCode": 2}})).unwrap();
}

/// One object that no controller has looked at.
fn of_rack_a<K: serde::de::DeserializeOwned>(spec: &Value) -> Vec<K> {
    from_value(json!([{"metadata": {"name": "rack-a", "generation": 1}, "spec": spec}])).unwrap()
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(found(|_| ()), []);
}

#[test]
fn each_finding_is_found_alone_and_no_code_is_without_one() {
    let mut planted = BTreeSet::new();
    for (plant, code, object, says) in
        INSTALLED.into_iter().chain(INSTALLED_OR_NOT).chain(NODES).chain(NETWORKS).chain(OTHERS)
    {
        let found = found(plant);
        let [Ailment { code: found_code, object: found_object, text, .. }] = &found[..] else {
            panic!("{code}: {found:#?}");
        };
        assert_eq!((*found_code, &**found_object), (code, object), "{text}");
        assert!(text.contains(says), "{code}: {text}");
        planted.insert(code);
    }
    let all: BTreeSet<&str> = code::ALL.iter().map(|code| code.name).collect();
    assert_eq!(planted, all);
}

#[test]
fn what_is_set_aside_or_in_another_vrf_overlaps_with_nothing() {
    let plants: [fn(&mut Seen); 4] = [
        |seen| seen.subnets[0].spec.exclude = vec!["192.168.0.1-192.168.0.9".parse().unwrap()],
        |seen| seen.subnets[0].spec.gateways = from_value(json!(["192.168.0.7"])).unwrap(),
        |seen| seen.subnets[0].spec.vrf = "blue".to_owned(),
        |seen| {
            seen.reservations = of_rack_a::<Reservation>(
                &json!({"subnet": "rack-a", "addresses": ["192.168.0.7"], "reason": "a node"}),
            );
            let status = seen.subnets[0].status.clone();
            seen.reservations[0].status = status;
        },
    ];
    for plant in plants {
        let found = found(|seen| {
            cidr(seen, "192.168.0.0/24");
            plant(seen);
        });
        assert_eq!(found, []);
    }
}

#[test]
fn accounts_of_another_installation_have_policies_of_their_own() {
    let renamed = |seen: &mut Seen| {
        let pod = seen.controllers.as_mut().unwrap().spec.template.spec.as_mut().unwrap();
        pod.service_account_name = Some("other".to_owned());
    };
    let codes: BTreeSet<&str> = found(renamed).iter().map(|ailment| ailment.code).collect();
    assert_eq!(codes, BTreeSet::from([code::POLICY_OTHER.name]));
}
