//! From a bound pod to its grant.

use allotment_api::annotation::{GRANT, REFUSAL, SUBNETS};
use allotment_fleet::Template;

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
