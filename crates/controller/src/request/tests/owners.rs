//! Whose addresses they are, and what of a list is whose.

use allotment_core::{Code, Count, Refusal};

use super::*;

const IPS: &str = "10.0.0.5 10.0.0.6 fd00::5";

fn kinds() -> Cluster {
    let kind = |group: &str, kind: &str, identity| OwnerKind {
        group: group.to_owned(),
        kind: kind.to_owned(),
        identity,
    };
    let mut cluster = cluster();
    cluster.settings.owners = vec![
        kind("apps.kruise.io", "StatefulSet", Identity::Ordinal),
        kind("batch.volcano.sh", "Job", Identity::Pod),
        kind("example.org", "Machine", Identity::Controller),
    ];
    cluster
}

#[test]
fn whose_addresses_they_are() {
    let cluster = kinds();
    let rows = [
        ("apps", "StatefulSet", "db", "db-1", "StatefulSet shop/db-1 c1", ""),
        ("apps", "ReplicaSet", "cart-5d4", "cart-5d4-x", "Pod shop/cart-5d4-x u1", "cart-"),
        ("apps", "DaemonSet", "cart", "cart-x", "Pod shop/cart-x u1", "cart-"),
        ("batch", "Job", "cart", "cart-x", "Pod shop/cart-x u1", "cart-"),
        (
            "kubevirt.io",
            "VirtualMachineInstance",
            "vm",
            "virt-launcher-vm-x",
            "VirtualMachine shop/vm c1",
            "",
        ),
        ("apps.kruise.io", "StatefulSet", "db", "db-0", "StatefulSet.apps.kruise.io shop/db-0 c1", ""),
        ("batch.volcano.sh", "Job", "train", "train-w-0", "Job.batch.volcano.sh shop/train-w-0 c1", "train-"),
        ("example.org", "Machine", "m", "m-x", "Machine.example.org shop/m c1", ""),
        ("", "Node", "n", "kube-proxy-n", "Pod shop/kube-proxy-n u1", ""),
        ("other.io", "StatefulSet", "db", "db-1", "Pod shop/db-1 u1", "db-"),
    ];
    for (group, kind, name, pod_name, expect, siblings) in rows {
        let mut pod = pod_of(group, kind, name, pod_name, &[(NETWORKS, "a")]);
        pod.labels.insert("pod-template-hash".to_owned(), "5d4".to_owned());
        let request = cluster.wanted(&pod).request;
        assert_eq!(format!("{} {}", request.owner, request.owner.uid), expect);
        assert_eq!(request.siblings, siblings, "{expect}");
        assert_eq!(request.wants[0].attachment.holder, "u1", "the holder is always the pod");
    }
}

#[test]
fn names_that_kubernetes_cut_off_still_show_their_siblings() {
    let long = "a".repeat(70);
    let pod = pod_of("apps", "DaemonSet", &long, &format!("{}xyz", "a".repeat(58)), &[(NETWORKS, "a")]);
    assert_eq!(cluster().wanted(&pod).request.siblings, "a".repeat(58));
}

#[test]
fn what_of_a_list_is_whose() {
    let cluster = kinds();
    let macs = "[\"02:00:00:00:00:01\", \"02:00:00:00:00:02\"]";
    let rows = [
        ("apps", "StatefulSet", "db", "db-0", "each [10.0.0.5, fd00::5] 02:00:00:00:00:01"),
        ("apps.kruise.io", "StatefulSet", "db", "db-0", "each [10.0.0.5, fd00::5] 02:00:00:00:00:01"),
        (
            "apps",
            "ReplicaSet",
            "cart-1",
            "cart-1-x",
            "one of [10.0.0.5, 10.0.0.6, fd00::5] OneOf([02:00:00:00:00:01, 02:00:00:00:00:02])",
        ),
        (
            "batch.volcano.sh",
            "Job",
            "t",
            "t-w-0",
            "one of [10.0.0.5, 10.0.0.6, fd00::5] OneOf([02:00:00:00:00:01, 02:00:00:00:00:02])",
        ),
    ];
    for (group, kind, name, pod_name, expect) in rows {
        let pod =
            pod_of(group, kind, name, pod_name, &[("allotment.dev/ips", IPS), ("allotment.dev/mac", macs)]);
        assert_eq!(cluster.lines(&pod), [format!("eth0@() {expect}")], "{kind}");
    }
    let db = |ips: &str| {
        cluster.lines(&pod_of("apps", "StatefulSet", "db", "db-1", &[("allotment.dev/ips", ips)]))
    };
    assert_eq!(db("10.0.0.5 10.0.0.6"), ["eth0@() each [10.0.0.6]"]);
    assert_eq!(db("fd00::5 10.0.0.5 10.0.0.6 fd00::6"), ["eth0@() each [10.0.0.6, fd00::6]"]);
    let alone = pod(&[("allotment.dev/ips", IPS)]);
    assert_eq!(cluster.lines(&alone), ["eth0@() each [10.0.0.5, 10.0.0.6, fd00::5]"]);
    let vm = pod_of(
        "kubevirt.io",
        "VirtualMachineInstance",
        "vm",
        "x",
        &[("allotment.dev/ips", "10.0.0.5 fd00::5")],
    );
    assert_eq!(cluster.lines(&vm), ["eth0@() each [10.0.0.5, fd00::5]"]);
}

#[test]
fn a_list_that_is_shorter_than_the_ordinal_says_so() {
    let cluster = cluster();
    let db =
        |key: &str, list: &str| cluster.refusal(&pod_of("apps", "StatefulSet", "db", "db-5", &[(key, list)]));
    assert_eq!(
        db("allotment.dev/ips", IPS),
        "invalid: annotation `allotment.dev/ips`: it lists 2 IPv4 addresses, one for each ordinal from 0, and none is left for \
         StatefulSet shop/db-5: 2 listed, 6 needed; list 6 IPv4 addresses, or scale down to 2 replicas"
    );
    assert!(db("allotment.dev/mac", "02:00:00:00:00:01").contains("it lists 1 MACs"));
    let far = pod_of("apps", "StatefulSet", "db", "db-99999999999999999999", &[("allotment.dev/ips", IPS)]);
    assert_eq!(
        cluster.lines(&far),
        ["eth0@() one of [10.0.0.5, 10.0.0.6, fd00::5]"],
        "no ordinal that a list could have"
    );
    let vm = pod_of(
        "kubevirt.io",
        "VirtualMachineInstance",
        "vm",
        "x",
        &[("allotment.dev/mac", "02:00:00:00:00:01 02:00:00:00:00:02")],
    );
    assert!(
        cluster.refusal(&vm).contains("lists 2 MACs for VirtualMachine shop/vm, whose interface has one")
    );
}

#[test]
fn what_multus_asks_for_is_shared_by_pods_of_one_template() {
    let cluster = cluster();
    let networks = r#"[{"name": "a", "ips": ["10.0.0.5/24", "10.0.0.6/24"], "mac": "02:00:00:00:00:01"}]"#;
    for (group, kind, name, pod_name, ips) in [
        ("apps", "StatefulSet", "db", "db-1", "one of"),
        ("apps", "ReplicaSet", "cart-1", "cart-1-x", "one of"),
        ("kubevirt.io", "VirtualMachineInstance", "vm", "x", "each"),
    ] {
        let pod = pod_of(group, kind, name, pod_name, &[(NETWORKS, networks)]);
        let expect =
            format!("net1@shop/a(lan-a) rack-a by network {ips} [10.0.0.5, 10.0.0.6] 02:00:00:00:00:01");
        assert_eq!(cluster.lines(&pod), [expect], "{kind}");
    }
}

#[test]
fn a_migration_target_joins_its_virtual_machines_holder() {
    let cluster = cluster();
    let mut target =
        pod_of("kubevirt.io", "VirtualMachineInstance", "vm", "virt-launcher-vm-y", &[(NETWORKS, "a")]);
    assert!(!cluster.wanted(&target).request.wants[0].join);
    target.labels.insert("kubevirt.io/migrationJobUID".to_owned(), "m1".to_owned());
    assert!(cluster.wanted(&target).request.wants[0].join);
    target.controller.as_mut().unwrap().kind = "ReplicaSet".to_owned();
    assert!(!cluster.wanted(&target).request.wants[0].join, "a label alone makes nobody a virtual machine");
}

#[test]
fn a_static_pod_is_asked_for_by_its_node() {
    let mirror = PodView { is_mirror: true, ..pod(&[(NETWORKS, "a"), ("allotment.dev/subnets", "x")]) };
    assert_eq!(cluster().read(&mirror), Reading::Nothing);
}

#[test]
fn what_is_read_of_an_objects_metadata() {
    let meta = json!({
        "namespace": "shop", "name": "cart-7", "uid": "u1", "labels": {"app": "cart"},
        "annotations": {"allotment.dev/ips": "10.0.0.5", "kubectl.kubernetes.io/last-applied-configuration": "long",
                        "allotment.dev/grant": "{}", "k8s.v1.cni.cncf.io/networks": "a"},
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart", "uid": "c1", "controller": true},
        ],
    });
    let view = PodView::new(&serde_json::from_value(meta).unwrap(), "node-1");
    let expect =
        pod_of("apps", "ReplicaSet", "cart", "cart-7", &[("allotment.dev/ips", "10.0.0.5"), (NETWORKS, "a")]);
    assert_eq!(view, PodView { labels: [("app".to_owned(), "cart".to_owned())].into(), ..expect });
    let meta = json!({"annotations": {"kubernetes.io/config.mirror": "h"}});
    assert!(PodView::new(&serde_json::from_value(meta).unwrap(), "").is_mirror);
    let meta = json!({"labels": {"a": "b"}, "annotations": {"allotment.dev/subnets": "x", "other": "y"}});
    let namespace = NamespaceView::new(&serde_json::from_value(meta).unwrap());
    assert_eq!((namespace.labels.len(), namespace.subnets.as_deref()), (1, Some("x")));
}

#[test]
fn k4_a_list_without_room_for_a_surge_is_told_so() {
    let cluster = cluster();
    let wanted = |ips: &str| {
        cluster.wanted(&pod_of("apps", "ReplicaSet", "cart-1", "cart-1-x", &[("allotment.dev/ips", ips)]))
    };
    let refusal = |code| Refusal {
        counts: vec![Count { what: "tried".to_owned(), value: "2".to_owned() }],
        ..Refusal::new(code, "taken", "wait")
    };
    let hint = |ips: &str, code, replicas, max_surge| {
        let surge = Surge::of(&wanted(ips).request.wants, Rollout { replicas, max_surge });
        surge.map_or(refusal(code), |surge| surge.explain(refusal(code))).hint
    };
    assert_eq!(
        hint(IPS, Code::Taken, 1, 1),
        "the list has 1 addresses for 1 replicas, and `maxSurge` 1 starts new pods before old ones end: set `maxSurge: 0`, or \
         list 2 addresses; wait"
    );
    assert_eq!(hint("10.0.0.5 10.0.0.6", Code::Taken, 1, 1), "wait", "there is room");
    assert_eq!(hint(IPS, Code::Taken, 3, 0), "wait", "there is no surge");
    assert_eq!(hint(IPS, Code::Unknown, 1, 1), "wait", "it is something else");
}

#[test]
fn k4_a_pod_is_of_the_deployment_that_made_its_replica_set() {
    let hash = |pod: PodView, hash: &str| PodView {
        labels: [("pod-template-hash".to_owned(), hash.to_owned())].into(),
        ..pod
    };
    let of = |kind: &str| pod_of("apps", kind, "cart-5d9f", "cart-5d9f-x", &[]);
    assert_eq!(deployment(&hash(of("ReplicaSet"), "5d9f")), Some("cart"));
    assert_eq!(deployment(&of("ReplicaSet")), None, "a ReplicaSet by itself");
    assert_eq!(deployment(&hash(of("ReplicaSet"), "77")), None);
    assert_eq!(deployment(&hash(of("DaemonSet"), "5d9f")), None);
    assert_eq!(deployment(&pod(&[])), None);
}
