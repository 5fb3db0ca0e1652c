use std::collections::BTreeMap;

use allotment_core::{Asked, Choice, Labels, MacWant, Target};
use serde_json::{Value, json};

use super::*;

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
const DEFAULT_NETWORK: &str = "v1.multus-cni.io/default-network";

/// A cluster in which pods are read.
struct Cluster {
    namespace: NamespaceView,
    node_labels: Labels,
    nads: Nads,
    settings: Settings,
}

fn cluster() -> Cluster {
    let nad = |name: &str, config: Value| {
        let bare = name.split_once('/').unwrap().1;
        (name.to_owned(), Nad::parse(bare, Some(&config.to_string())))
    };
    let ours = |more: Value| {
        let mut ipam = json!({"type": "allotment"});
        ipam.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ipam
    };
    let nads = [
        nad(
            "shop/a",
            json!({"name": "lan-a", "type": "macvlan", "ipam": ours(json!({"subnets": ["rack-a"]}))}),
        ),
        nad(
            "shop/b",
            json!({"plugins": [{"type": "macvlan", "ipam": ours(json!({"ips": ["10.0.0.8", "10.0.0.9"], "family": "IPv4"}))}]}),
        ),
        nad("shop/other", json!({"type": "macvlan", "ipam": {"type": "whereabouts"}})),
        nad("shop/broken", json!({"type": "macvlan", "ipam": ours(json!({"subnets": 7}))})),
        nad("kube-system/lan", json!({"type": "bridge", "ipam": ours(json!({"pools": ["p"]}))})),
    ];
    Cluster {
        namespace: NamespaceView::default(),
        node_labels: Labels::new(),
        nads: nads.into_iter().collect(),
        settings: Settings::default(),
    }
}

impl Cluster {
    fn world(&self) -> World<'_> {
        let Cluster { namespace, node_labels, nads, settings } = self;
        World { namespace, node_labels, nads, settings }
    }

    fn read(&self, pod: &PodView) -> Reading {
        read(pod, self.world())
    }

    fn wanted(&self, pod: &PodView) -> Wanted {
        match self.read(pod) {
            Reading::Wanted(wanted) => wanted,
            other => panic!("{other:?}"),
        }
    }

    /// Each want in a line.
    fn lines(&self, pod: &PodView) -> Vec<String> {
        let wanted = self.wanted(pod);
        assert_eq!(wanted.interfaces.len(), wanted.request.wants.len());
        wanted
            .interfaces
            .iter()
            .zip(&wanted.request.wants)
            .map(|(interface, want)| line(interface, want))
            .collect()
    }

    fn refusal(&self, pod: &PodView) -> String {
        match self.read(pod) {
            Reading::Refused(refusal) => format!("{}: {refusal}; {}", refusal.code.as_str(), refusal.hint),
            other => panic!("{other:?}"),
        }
    }
}

fn line(interface: &Interface, want: &allotment_core::Want) -> String {
    let at = &want.attachment;
    assert_eq!((&interface.interface, &interface.network), (&at.interface, &at.network));
    assert_eq!([&at.holder, &at.container_id, &at.node], ["u1", "", "node-1"]);
    let mut line = format!("{}@{}({})", at.interface, at.network, interface.config);
    for target in &want.targets {
        line += &match target {
            Target::Subnet(name) => format!(" {name}"),
            Target::Pool(name) => format!(" pool:{name}"),
        };
    }
    if let Some(source) = want.source {
        line += match source {
            Choice::Request => " by pod",
            Choice::Namespace => " by namespace",
            Choice::Network => " by network",
            other => panic!("{other:?}"),
        };
    }
    line += &match &want.ips {
        Asked::Nothing => String::new(),
        Asked::Each(ips) => format!(" each {ips:?}"),
        Asked::OneOf(ips) => format!(" one of {ips:?}"),
    };
    if want.family != allotment_core::FamilyWant::All {
        line += &format!(" {:?}", want.family);
    }
    match &want.mac {
        Some(MacWant::Asked(mac)) => line += &format!(" {mac}"),
        Some(mac) => line += &format!(" {mac:?}"),
        None => {}
    }
    if want.join { line + " join" } else { line }
}

fn pod(annotations: &[(&str, &str)]) -> PodView {
    PodView {
        namespace: "shop".to_owned(),
        name: "cart-7".to_owned(),
        uid: "u1".to_owned(),
        node: "node-1".to_owned(),
        annotations: annotations
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>(),
        ..PodView::default()
    }
}

#[test]
fn which_pods_want_something() {
    let cluster = cluster();
    for annotations in [
        &[][..],
        &[(NETWORKS, "other")],
        &[(NETWORKS, "[not json")],
        &[(NETWORKS, "")],
        &[("allotment.dev/subnets", " ")],
    ] {
        assert_eq!(cluster.read(&pod(annotations)), Reading::Nothing, "{annotations:?}");
    }
    let waits = |refusal: bool, annotations: &[(&str, &str)]| match cluster.read(&pod(annotations)) {
        Reading::Waits { networks, refusal: said } => {
            assert_eq!(networks, ["shop/new"]);
            assert_eq!(said.is_some(), refusal, "{said:?}");
        }
        other => panic!("{other:?}"),
    };
    waits(false, &[(NETWORKS, "other,new")]);
    waits(true, &[(NETWORKS, "a,new")]);
    waits(true, &[(NETWORKS, "new"), ("allotment.dev/pools", "p")]);
}

#[test]
fn interfaces_are_numbered_as_multus_does() {
    let cluster = cluster();
    let rows: [(&str, &[&str]); 5] = [
        ("a", &["net1@shop/a(lan-a) rack-a by network"]),
        (
            "other, b,a@fast",
            &[
                "net2@shop/b(b) one of [10.0.0.8, 10.0.0.9] Require(V4)",
                "fast@shop/a(lan-a) rack-a by network",
            ],
        ),
        (
            "a,a,a",
            &[
                "net1@shop/a(lan-a) rack-a by network",
                "net2@shop/a(lan-a) rack-a by network",
                "net3@shop/a(lan-a) rack-a by network",
            ],
        ),
        (
            r#"[{"name": "a", "interface": "x", "ips": ["10.0.0.5/24"], "mac": "02-00-00-00-00-0A", "default-route": ["10.0.0.1"]}, {"name": "lan", "namespace": "kube-system"}]"#,
            &[
                "x@shop/a(lan-a) rack-a by network each [10.0.0.5] 02:00:00:00:00:0a",
                "net2@kube-system/lan(lan) pool:p by network",
            ],
        ),
        (
            r#"[{"name": "a", "cni-args": {"subnets": ["z"], "ips": ["10.9.0.1"], "mac": "02:00:00:00:00:0b", "else": 1}}]"#,
            &["net1@shop/a(lan-a) z by pod each [10.9.0.1] 02:00:00:00:00:0b"],
        ),
    ];
    for (networks, lines) in rows {
        assert_eq!(cluster.lines(&pod(&[(NETWORKS, networks)])), lines, "{networks}");
    }
    assert_eq!(
        cluster.lines(&pod(&[(DEFAULT_NETWORK, "lan"), (NETWORKS, "b")])),
        [
            "eth0@kube-system/lan(lan) pool:p by network",
            "net1@shop/b(b) one of [10.0.0.8, 10.0.0.9] Require(V4)"
        ]
    );
}

#[test]
fn the_short_forms_are_about_the_primary_interface() {
    let cluster = cluster();
    let rows: [(&[(&str, &str)], &str); 4] = [
        (&[("allotment.dev/subnets", "x, y")], "eth0@() x y by pod"),
        (&[("allotment.dev/pools", r#"["p"]"#), ("allotment.dev/subnets", "x")], "eth0@() x pool:p by pod"),
        (&[("allotment.dev/ips", "10.0.0.5 fd00::5")], "eth0@() each [10.0.0.5, fd00::5]"),
        (&[("allotment.dev/mac", "02:00:00:00:00:01")], "eth0@() 02:00:00:00:00:01"),
    ];
    for (annotations, line) in rows {
        assert_eq!(cluster.lines(&pod(annotations)), [line]);
    }
}
