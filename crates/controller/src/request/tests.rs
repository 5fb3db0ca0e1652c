use std::collections::BTreeMap;

use allotment_core::{Asked, Choice, Labels, MacWant, Target};
use serde_json::{Value, json};

use super::*;

mod asks;
mod hostile;
mod networks;
mod owners;

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
        nad("shop/bare", json!({"type": "macvlan", "ipam": ours(json!({}))})),
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
    let mut words = vec![format!("{}@{}({})", at.interface, at.network, interface.config)];
    words.extend(want.targets.iter().map(|target| match target {
        Target::Subnet(name) => name.clone(),
        Target::Pool(name) => format!("pool:{name}"),
    }));
    words.extend(want.source.map(|source| match source {
        Choice::Request => "by pod".to_owned(),
        Choice::Namespace => "by namespace".to_owned(),
        Choice::Network => "by network".to_owned(),
        other => panic!("{other:?}"),
    }));
    match &want.ips {
        Asked::Nothing => {}
        Asked::Each(ips) => words.push(format!("each {ips:?}")),
        Asked::OneOf(ips) => words.push(format!("one of {ips:?}")),
    }
    if want.family != allotment_core::FamilyWant::All {
        words.push(format!("{:?}", want.family));
    }
    match &want.mac {
        Some(MacWant::Asked(mac)) => words.push(mac.to_string()),
        Some(mac) => words.push(format!("{mac:?}")),
        None => {}
    }
    words.extend(want.join.then(|| "join".to_owned()));
    words.join(" ")
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

/// A pod of a controller.
fn pod_of(group: &str, kind: &str, name: &str, pod_name: &str, annotations: &[(&str, &str)]) -> PodView {
    let [group, kind, name] = [group, kind, name].map(str::to_owned);
    let controller = Some(Controller { group, kind, name, uid: "c1".to_owned() });
    PodView { name: pod_name.to_owned(), controller, ..pod(annotations) }
}
