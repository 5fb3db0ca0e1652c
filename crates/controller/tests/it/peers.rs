//! What users of other IPAMs do and their tests try, and what a user in bad faith would.

use allotment_api::annotation::{GRANT, IPS, POOLS, SUBNETS};
use allotment_fleet::Template;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::cluster::{Cluster, addresses, on_cluster};

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// A pod of namespace `default` on node `n1`.
fn pod(name: &str, annotations: &[(&str, &str)]) -> Template {
    let pod = Template::new("default", name).on("n1");
    annotations.iter().fold(pod, |pod, (key, value)| pod.annotate(key, value))
}

impl Cluster {
    /// Makes a pod and says what becomes of it: its addresses, or the code of its refusal.
    async fn outcome(&self, pod: &Template) -> String {
        let made = self.pods().create(pod).await.unwrap();
        self.outcome_of(&made.namespace, &made.name).await
    }

    async fn outcome_of(&self, namespace: &str, name: &str) -> String {
        self.wait_until(&format!("a grant or refusal of {namespace}/{name}"), async || {
            let annotations = self.annotations(namespace, name).await;
            if let Some(grant) = annotations.get(GRANT) {
                return Some(addresses(&serde_json::from_str(grant).unwrap()).join(" "));
            }
            let refusal = annotations.get(allotment_api::annotation::REFUSAL)?;
            let refusal: serde_json::Value = serde_json::from_str(refusal).unwrap();
            Some(refusal["code"].as_str().unwrap().to_owned())
        })
        .await
    }

    /// Puts labels on a namespace, which is made if need be; `null` takes one away.
    async fn label_namespace(&self, name: &str, labels: serde_json::Value) {
        self.pods().namespace(name).await.unwrap();
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        self.api::<Namespace>().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }
}

#[test]
fn c2_a_pod_made_anew_has_its_static_address_though_it_cools_for_others() {
    on_cluster(async |cluster| {
        cluster.subnet("static", "10.90.0.0/24", ", cooling: 10m").await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        let web = pod("web", &[(IPS, "10.90.0.9")]);
        let first = cluster.pods().create(&web).await.unwrap();
        assert_eq!(addresses(&cluster.grant("default", "web").await), ["10.90.0.9"]);
        cluster.pods().remove(&first).await.unwrap();
        // It asks while nothing proves yet that the first one has ended.
        cluster.pods().create(&web).await.unwrap();
        assert_eq!(cluster.refusal("default", "web").await.code, "taken");
        cluster.report(Vec::new()).await;
        assert_eq!(addresses(&cluster.grant("default", "web").await), ["10.90.0.9"]);
        controller.stop().await;
    });
}

#[test]
fn pools_are_for_those_that_their_selectors_match() {
    on_cluster(async |cluster| {
        cluster.subnet("pooled", "10.91.0.0/24", ", cooling: 0s").await;
        cluster
            .apply(
                "
{apiVersion: allotment.dev/v1alpha1, kind: IPPool, metadata: {name: db}, spec: {subnet: pooled, ranges: [10.91.0.10], podSelector: {matchLabels: {app: db}}}}
---
{apiVersion: allotment.dev/v1alpha1, kind: IPPool, metadata: {name: rack}, spec: {subnet: pooled, ranges: [10.91.0.20-10.91.0.29], nodeSelector: {matchLabels: {rack: r2}}}}
---
{apiVersion: allotment.dev/v1alpha1, kind: IPPool, metadata: {name: named}, spec: {subnet: pooled, ranges: [10.91.0.30-10.91.0.31]}}
",
            )
            .await;
        cluster.nodes(&["n1", "n2"]).await;
        let rack = Patch::Merge(json!({"metadata": {"labels": {"rack": "r2"}}}));
        cluster.api::<Node>().patch("n2", &PatchParams::default(), &rack).await.unwrap();
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        let subnet = (SUBNETS, "pooled");
        let rows: [(Template, &str); 10] = [
            (pod("db-1", &[subnet]).label("app", "db"), "10.91.0.10"),
            (pod("db-2", &[subnet]).label("app", "db"), "full"),
            (pod("web-1", &[subnet]).label("app", "web"), "10.91.0.2"),
            (pod("far-1", &[subnet]).on("n2"), "10.91.0.20"),
            (pod("near-1", &[(POOLS, "rack")]), "not-allowed"),
            (pod("either-1", &[(POOLS, "rack,named")]), "10.91.0.30"),
            (pod("by-name-1", &[subnet, (IPS, "10.91.0.31")]), "not-allowed"),
            (pod("by-name-2", &[(POOLS, "named"), (IPS, "10.91.0.31")]), "10.91.0.31"),
            (pod("by-name-3", &[(POOLS, "named"), (IPS, "10.91.0.40")]), "not-allowed"),
            (pod("full-1", &[(POOLS, "named")]), "full"),
        ];
        for (number, (pod, expect)) in rows.iter().enumerate() {
            assert_eq!(cluster.outcome(pod).await, *expect, "row {number}");
        }
        // A label that changes under a running pod moves nobody.
        let label = Patch::Merge(json!({"metadata": {"labels": {"app": "db"}}}));
        cluster.pod_api("default").patch("web-1", &PatchParams::default(), &label).await.unwrap();
        cluster.outcome(&pod("web-2", &[subnet])).await;
        assert_eq!(cluster.outcome_of("default", "web-1").await, "10.91.0.2");
        controller.stop().await;
    });
}

#[test]
fn namespaces_come_to_a_subnet_and_leave_it_by_their_labels() {
    on_cluster(async |cluster| {
        cluster.subnet("gold", "10.92.0.0/24", ", namespaceSelector: {matchLabels: {tier: gold}}").await;
        cluster.nodes(&["n1"]).await;
        cluster.label_namespace("peers-ns", json!({"tier": null})).await;
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        let pod = |name: &str| Template::new("peers-ns", name).on("n1").annotate(SUBNETS, "gold");
        assert_eq!(cluster.outcome(&pod("early")).await, "not-allowed");
        cluster.label_namespace("peers-ns", json!({"tier": "gold"})).await;
        assert_eq!(addresses(&cluster.grant("peers-ns", "early").await), ["10.92.0.2"]);
        cluster.label_namespace("peers-ns", json!({"tier": "tin"})).await;
        let late = cluster
            .wait_until("a new pod is refused", async || {
                // The watch may be behind what was just written.
                let name = format!(
                    "late-{}",
                    cluster.pod_api("peers-ns").list(&ListParams::default()).await.unwrap().items.len()
                );
                (cluster.outcome(&pod(&name)).await == "not-allowed").then_some(name)
            })
            .await;
        assert!(!late.is_empty());
        assert_eq!(cluster.outcome_of("peers-ns", "early").await, "10.92.0.2", "who has one keeps it");
        controller.stop().await;
    });
}

#[test]
fn many_interfaces_are_granted_together_or_not_at_all() {
    on_cluster(async |cluster| {
        cluster.subnet("wide", "10.93.0.0/16", ", cooling: 0s").await;
        cluster.subnet("tiny", "10.94.0.0/29", ", cooling: 0s").await;
        cluster.subnet("red", "10.95.0.0/24", ", vrf: red").await;
        cluster.subnet("blue", "10.95.0.0/24", ", vrf: blue").await;
        for name in ["wide", "tiny", "red", "blue"] {
            cluster.network(name, &format!(r#"{{"type": "allotment", "subnets": ["{name}"]}}"#)).await;
        }
        cluster.network("either", r#"{"type": "allotment", "subnets": ["tiny", "wide"]}"#).await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        let times = |name: &str, count: usize| vec![name; count].join(",");
        assert_eq!(
            cluster.outcome(&pod("many", &[(NETWORKS, &times("wide", 32))])).await.split(' ').count(),
            32
        );
        assert_eq!(cluster.outcome(&pod("twins", &[(NETWORKS, "red,blue")])).await, "10.95.0.2 10.95.0.2");
        let greedy = pod("greedy", &[(NETWORKS, &format!("wide,{}", times("tiny", 6)))]);
        assert_eq!(cluster.outcome(&greedy).await, "full");
        // All five of `tiny` are left, and the sixth interface goes on to the next subnet.
        let through = cluster.outcome(&pod("through", &[(NETWORKS, &times("either", 6))])).await;
        assert_eq!(
            through.split(' ').filter(|address| address.starts_with("10.94.0.")).count(),
            5,
            "{through}"
        );
        assert!(through.ends_with(" 10.93.0.34"), "{through}");
        controller.stop().await;
    });
}

#[test]
fn nobody_holds_up_others_by_what_he_writes_on_his_pods() {
    on_cluster(async |cluster| {
        cluster.subnet("shared", "10.96.0.0/16", ", cooling: 0s").await;
        cluster.network("shared", r#"{"type": "allotment", "subnets": ["shared"]}"#).await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        let subnet = (SUBNETS, "shared");
        let request = "allotment.dev/request";
        let laughs = (1..20).fold("- &a0 [x]\n".to_owned(), |text, n| {
            format!("{text}- &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))
        });
        let bad = [
            (NETWORKS, vec!["shared"; 37_000].join(",")),
            (NETWORKS, vec!["missing"; 32_000].join(",")),
            (IPS, vec!["10.96.0.1"; 20_000].join(",")),
            (request, "[".repeat(200_000)),
            (request, format!("[{{subnets: [{}]}}]", vec!["x"; 100_000].join(","))),
            (request, laughs),
            (request, format!("[{{ips: [{}]}}]", vec!["10.96.0.1"; 1025].join(","))),
            ("allotment.dev/mac", "é".repeat(100_000)),
        ];
        for (number, (key, text)) in bad.iter().enumerate() {
            let name = format!("bad-{number}");
            cluster.pods().create(&pod(&name, &[subnet, (key, text)])).await.unwrap();
            assert_eq!(addresses(&cluster.grant_of(&format!("good-{number}"), subnet).await).len(), 1);
            assert_eq!(cluster.refusal("default", &name).await.code, "invalid", "{name}");
        }
        // Here it is the pod that has no room for a grant; an event says so.
        let filled = pod("filled", &[subnet, ("example.com/notes", &"x".repeat((256 << 10) - 80))]);
        let filled: allotment_fleet::Pod = cluster.pods().create(&filled).await.unwrap();
        cluster
            .wait_until("an event about it", async || {
                let events = cluster.api::<Event>().list(&ListParams::default()).await.unwrap();
                let about = |event: &Event| {
                    event.reason.as_deref() == Some("NotShown")
                        && event.regarding.as_ref().and_then(|pod| pod.uid.as_ref()) == Some(&filled.uid)
                        && event
                            .note
                            .as_ref()
                            .is_some_and(|note| note.contains("may not be more than 262144 bytes"))
                };
                events.into_iter().any(|event| about(&event)).then_some(())
            })
            .await;
        cluster.grant_of("good-at-last", subnet).await;
        // Once there is room it is shown.
        let room = Patch::Merge(json!({"metadata": {"annotations": {"example.com/notes": null}}}));
        let pods: kube::Api<Pod> = cluster.pod_api("default");
        pods.patch("filled", &PatchParams::default(), &room).await.unwrap();
        cluster.grant("default", "filled").await;
        controller.stop().await;
    });
}

impl Cluster {
    /// The grant of a new pod.
    async fn grant_of(&self, name: &str, annotation: (&str, &str)) -> allotment_api::annotation::PodGrant {
        self.pods().create(&pod(name, &[annotation])).await.unwrap();
        self.grant("default", name).await
    }
}
