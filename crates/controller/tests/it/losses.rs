//! Ways of losing or doubling an address that other systems have: `docs/internals/losses.md` lists them, and where the rest is
//! tested.

use std::collections::BTreeSet;

use allotment_api::annotation::{GRANT, IPS, SUBNETS};
use allotment_cluster::NetworkAttachmentDefinition;
use allotment_fleet::Template;
use kube::Api;
use kube::api::DeleteParams;

use crate::cluster::{addresses, on_cluster};

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

fn pod(name: &str, node: &str, subnet: &str) -> Template {
    Template::new("default", name).on(node).annotate(SUBNETS, subnet)
}

#[test]
fn a_pod_whose_network_is_gone_keeps_its_addresses_over_a_restart() {
    on_cluster(async |cluster| {
        cluster.subnet("one", "10.44.0.0/30", ", cooling: 0s").await;
        cluster.network("fast", r#"{"type": "allotment", "subnets": ["one"]}"#).await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        let first = Template::new("default", "first").on("n1").annotate(NETWORKS, "fast");
        cluster.pods().create(&first).await.unwrap();
        let grant = cluster.grant("default", "first").await;
        assert_eq!(addresses(&grant), ["10.44.0.2"]);
        controller.stop().await;
        let networks: Api<NetworkAttachmentDefinition> = Api::namespaced(cluster.client(), "default");
        networks.delete("fast", &DeleteParams::default()).await.unwrap();
        let controller = cluster.controller();
        cluster.pods().create(&pod("second", "n1", "one")).await.unwrap();
        assert_eq!(cluster.refusal("default", "second").await.code, "full");
        assert_eq!(cluster.grant("default", "first").await, grant);
        controller.stop().await;
    });
}

#[test]
fn a_static_address_is_one_pods_on_whichever_node() {
    on_cluster(async |cluster| {
        cluster.subnet("wide", "10.45.0.0/24", "").await;
        cluster.nodes(&["n1", "n2"]).await;
        let controller = cluster.controller();
        let wanted = |name: &str, node: &str, ip: &str| pod(name, node, "wide").annotate(IPS, ip);
        cluster.pods().create(&wanted("first", "n1", "10.45.0.2")).await.unwrap();
        assert_eq!(addresses(&cluster.grant("default", "first").await), ["10.45.0.2"]);
        cluster.pods().create(&wanted("second", "n2", "10.45.0.2")).await.unwrap();
        let refusal = cluster.refusal("default", "second").await;
        assert_eq!(refusal.code, "taken");
        assert!(refusal.text.contains("default/first"), "it names the holder: {}", refusal.text);
        cluster.pods().create(&pod("third", "n2", "wide")).await.unwrap();
        assert_eq!(addresses(&cluster.grant("default", "third").await), ["10.45.0.3"]);
        for (name, nobodys) in
            [("gateway", "10.45.0.1"), ("network", "10.45.0.0"), ("broadcast", "10.45.0.255")]
        {
            cluster.pods().create(&wanted(name, "n2", nobodys)).await.unwrap();
            assert_eq!(cluster.refusal("default", name).await.code, "not-allowed", "{nobodys}");
        }
        controller.stop().await;
    });
}

#[test]
fn two_interfaces_of_one_pod_never_share_an_address() {
    on_cluster(async |cluster| {
        cluster.subnet("wide", "10.46.0.0/24", "").await;
        cluster.network("fast", r#"{"type": "allotment", "subnets": ["wide"]}"#).await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        let both = r#"[{"name": "fast", "ips": ["10.46.0.7"]}, {"name": "fast", "ips": ["10.46.0.7"]}]"#;
        let same = Template::new("default", "same").on("n1").annotate(NETWORKS, both);
        cluster.pods().create(&same).await.unwrap();
        let refusal = cluster.refusal("default", "same").await;
        assert!(refusal.text.contains("10.46.0.7"), "{}", refusal.text);
        let drawn = Template::new("default", "drawn").on("n1").annotate(NETWORKS, "fast, fast");
        cluster.pods().create(&drawn).await.unwrap();
        assert_eq!(addresses(&cluster.grant("default", "drawn").await), ["10.46.0.2", "10.46.0.3"]);
        assert!(!cluster.annotations("default", "same").await.contains_key(GRANT));
        controller.stop().await;
    });
}

#[test]
fn one_node_may_have_all_of_a_subnet() {
    on_cluster(async |cluster| {
        cluster.subnet("small", "10.47.0.0/28", "").await;
        cluster.nodes(&["n1", "n2"]).await;
        let controller = cluster.controller();
        let names: Vec<String> = (0..13).map(|n| format!("p{n}")).collect();
        let pods: Vec<Template> = names.iter().map(|name| pod(name, "n1", "small")).collect();
        cluster.pods().create_all(&pods).await.unwrap();
        let mut given = BTreeSet::new();
        for name in &names {
            given.extend(addresses(&cluster.grant("default", name).await));
        }
        assert_eq!(given.len(), 13, "all but network, gateway and broadcast address: {given:?}");
        cluster.pods().create(&pod("other", "n2", "small")).await.unwrap();
        assert_eq!(cluster.refusal("default", "other").await.code, "full");
        controller.stop().await;
    });
}
