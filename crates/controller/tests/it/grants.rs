//! From a bound pod to its grant.

use std::collections::HashSet;

use allotment_api::annotation::{GRANT, REFUSAL, SUBNETS};
use allotment_fleet::proxy::{Fault, Rule, Which};
use allotment_fleet::{Proxy, Template};

use crate::cluster::{addresses, on_cluster};

#[test]
fn a_bound_pod_shows_its_grant() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-a", "10.40.0.0/24", "").await;
        cluster.network("fast", r#"{"type": "allotment", "subnets": ["rack-a"]}"#).await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        let pod = Template::new("default", "web-0").on("n1");
        let pod = pod.annotate("k8s.v1.cni.cncf.io/networks", "fast,fast");
        let made = cluster.pods().create(&pod).await.unwrap();
        let grant = cluster.grant("default", "web-0").await;
        assert_eq!(grant.pod, made.uid);
        assert_eq!(addresses(&grant), ["10.40.0.2", "10.40.0.3"]);
        let names: Vec<_> =
            grant.attachments.iter().map(|given| (&*given.interface, &*given.network)).collect();
        assert_eq!(names, [("net1", "default/fast"), ("net2", "default/fast")]);
        assert_eq!(cluster.ready("rack-a").await.0, "True");
        controller.stop().await;
    });
}

#[test]
fn c7_a_refused_pod_says_why_once_and_is_granted_when_there_is_room() {
    on_cluster(async |cluster| {
        cluster.subnet("small", "10.41.0.0/30", ", cooling: 0s").await;
        cluster.nodes(&["n1"]).await;
        let controller = cluster.controller();
        let pod = |name: &str| Template::new("default", name).on("n1").annotate(SUBNETS, "small");
        cluster.pods().create(&pod("first")).await.unwrap();
        assert_eq!(addresses(&cluster.grant("default", "first").await), ["10.41.0.2"]);
        cluster.pods().create(&pod("second")).await.unwrap();
        let refusal = cluster.refusal("default", "second").await;
        assert_eq!(refusal.code, "full");
        assert!(refusal.text.contains("subnet `small` has no free IPv4 address"), "{}", refusal.text);
        // A larger subnet is a change: the pod is asked again, and its refusal goes with the grant.
        cluster.subnet("small", "10.41.0.0/29", ", cooling: 0s").await;
        assert_eq!(addresses(&cluster.grant("default", "second").await), ["10.41.0.3"]);
        let annotations = cluster.annotations("default", "second").await;
        assert!(annotations.contains_key(GRANT) && !annotations.contains_key(REFUSAL), "{annotations:?}");
        controller.stop().await;
    });
}

#[test]
fn a_crowd_costs_a_patch_each_and_few_commits() {
    const PODS: u64 = 300;
    on_cluster(async |cluster| {
        cluster.subnet("wide", "10.42.0.0/16", "").await;
        cluster.nodes(&["n1", "n2"]).await;
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        let commits = controller.commits();
        let node = |n: u64| if n.is_multiple_of(2) { "n1" } else { "n2" };
        let pod = |n| Template::new("default", &format!("p{n}")).on(node(n)).annotate(SUBNETS, "wide");
        cluster.pods().create_all(&(0..PODS).map(pod).collect::<Vec<_>>()).await.unwrap();
        let mut given = HashSet::new();
        for n in 0..PODS {
            given.extend(addresses(&cluster.grant("default", &format!("p{n}")).await));
        }
        assert_eq!(given.len() as u64, PODS, "each has its own");
        cluster
            .wait_until("all patches are answered", async || {
                (controller.wrote("grant", "done") == PODS).then_some(())
            })
            .await;
        assert_eq!(controller.wrote("grant", "changed") + controller.wrote("grant", "failed"), 0);
        let commits = controller.commits() - commits;
        assert!(commits <= PODS / 5, "{commits} commits for {PODS} pods");
        // A new leader has nothing to do for them.
        controller.kill().await;
        let next = cluster.controller();
        cluster.leads(&next).await;
        let more = Template::new("default", "late").on("n1").annotate(SUBNETS, "wide");
        cluster.pods().create(&more).await.unwrap();
        let late = addresses(&cluster.grant("default", "late").await);
        assert!(given.is_disjoint(&late.into_iter().collect()));
        assert_eq!((next.wrote("grant", "done"), next.commits()), (1, 1));
        next.stop().await;
    });
}

#[test]
fn r3_nothing_is_given_on_a_node_whose_agent_has_not_published() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-b", "10.43.0.0/24", "").await;
        cluster.pods().nodes(&["n1"]).await.unwrap();
        let controller = cluster.controller();
        cluster.leads(&controller).await;
        let pod = |name: &str| Template::new("default", name).on("n1").annotate(SUBNETS, "rack-b");
        cluster.pods().create(&pod("early")).await.unwrap();
        // A second node serves: what it is given comes after the first was looked at.
        cluster.nodes(&["n2"]).await;
        cluster
            .pods()
            .create(&Template::new("default", "other").on("n2").annotate(SUBNETS, "rack-b"))
            .await
            .unwrap();
        cluster.grant("default", "other").await;
        assert!(!cluster.annotations("default", "early").await.contains_key(GRANT));
        cluster.publish("n1").await;
        let grant = cluster.grant("default", "early").await;
        assert_eq!(addresses(&grant), ["10.43.0.3"]);
        assert!(!grant.node_uid.is_empty());
        controller.stop().await;
    });
}

#[test]
fn k3_a_grant_that_was_never_shown_is_shown_though_its_network_was_edited_meanwhile() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-b", "10.44.0.0/24", "").await;
        cluster.subnet("rack-c", "10.45.0.0/24", "").await;
        cluster.network("moved", r#"{"type": "allotment", "subnets": ["rack-b"]}"#).await;
        cluster.nodes(&["n1"]).await;
        let proxy = Proxy::start(cluster.plane).unwrap();
        let controller = cluster.controller_through(&proxy).await;
        cluster.leads(&controller).await;
        proxy.inject(Rule::new(Which::any().verb("patch").resource("pods"), Fault::Lose).times(1000));
        let pod =
            |name| Template::new("default", name).on("n1").annotate("k8s.v1.cni.cncf.io/networks", "moved");
        cluster.pods().create(&pod("early")).await.unwrap();
        cluster
            .wait_until("the grant is in the ledger", async || (controller.commits() > 0).then_some(()))
            .await;
        cluster
            .wait_until("its patch is lost", async || (controller.wrote("grant", "failed") > 0).then_some(()))
            .await;
        controller.kill().await;
        cluster.network("moved", r#"{"type": "allotment", "subnets": ["rack-c"]}"#).await;
        let next = cluster.controller();
        assert_eq!(addresses(&cluster.grant("default", "early").await), ["10.44.0.2"]);
        cluster.pods().create(&pod("late")).await.unwrap();
        assert_eq!(addresses(&cluster.grant("default", "late").await), ["10.45.0.2"]);
        next.stop().await;
    });
}

#[test]
fn k4_a_pod_that_surges_past_its_deployments_list_is_told_so() {
    on_cluster(async |cluster| {
        cluster.subnet("rack-s", "10.46.0.0/24", "").await;
        cluster.nodes(&["n1"]).await;
        cluster.apply(DEPLOYMENT).await;
        let controller = cluster.controller();
        let pod = |name: &str| {
            let pod = Template::new("default", name).on("n1").label("pod-template-hash", "5d9f");
            let pod = pod.annotate(SUBNETS, "rack-s").annotate("allotment.dev/ips", "10.46.0.7");
            pod.owned_by("apps/v1", "ReplicaSet", "cart-5d9f", "6b1d2b8c-0000-4000-8000-000000000000")
        };
        cluster.pods().create(&pod("cart-5d9f-1")).await.unwrap();
        assert_eq!(addresses(&cluster.grant("default", "cart-5d9f-1").await), ["10.46.0.7"]);
        let mut number = 1;
        // Nobody waits for the list of Deployments: the first refusal may come before it.
        cluster
            .wait_until("a refusal names the surge", async || {
                number += 1;
                let name = format!("cart-5d9f-{number}");
                cluster.pods().create(&pod(&name)).await.unwrap();
                let refusal = cluster.refusal("default", &name).await;
                refusal.hint.contains("set `maxSurge: 0`, or list 2 addresses").then_some(())
            })
            .await;
        controller.stop().await;
    });
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: default}
spec:
  replicas: 1
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: main, image: none}]}
";
