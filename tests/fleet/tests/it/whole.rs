//! Everything together: pods, controllers, agents, the real plugin.

use std::collections::BTreeSet;

use allotment_fleet::{Networks, Started, Template};
use futures_util::future::join_all;
use serde_json::json;

use crate::plane;
use crate::world::{PATIENCE, World, config};

const OBJECTS: &str = "\
{apiVersion: allotment.dev/v1alpha1, kind: Subnet, metadata: {name: whole}, spec: {cidrs: [10.77.0.0/24], cooling: 0s}}
---
{apiVersion: allotment.dev/v1alpha1, kind: Subnet, metadata: {name: fast}, spec: {cidrs: [10.78.0.0/24], cooling: 0s}}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: fast, namespace: default}
spec: {config: '{\"cniVersion\": \"1.0.0\", \"type\": \"macvlan\", \"ipam\": {\"type\": \"allotment\", \"subnets\": [\"fast\"]}}'}
";

#[tokio::test]
async fn pods_on_three_nodes_get_what_was_granted_and_all_of_it_comes_back() {
    let fast = config("fast", &json!({"type": "allotment", "subnets": ["fast"]}));
    let networks = Networks::default().define("default/fast", fast);
    let world = World::new(plane(), "whole", 3, OBJECTS, networks).await;
    let template = |number: usize| {
        Template::new("default", &format!("whole-{number}"))
            .on(&world.nodes[number % 3].agent.node)
            .annotate("allotment.dev/subnets", "whole")
            .annotate("k8s.v1.cni.cncf.io/networks", "fast@data0,fast")
    };
    let made = world.pods.create_all(&(0..30).map(template).collect::<Vec<_>>()).await.unwrap();
    let starting = made.iter().map(|pod| {
        let kubelet = &world.node(&pod.node).kubelet;
        kubelet.start(pod, world.namespace.path(), PATIENCE)
    });
    let started: Vec<Started> = join_all(starting).await.into_iter().map(Result::unwrap).collect();
    assert!(started.iter().all(|started| started.failed.is_empty()), "each was up at its first ADD");
    let addresses: Vec<(String, String)> =
        started.iter().flat_map(|started| started.sandbox.addresses().unwrap()).collect();
    assert_eq!(addresses.iter().map(|(_, address)| address).collect::<BTreeSet<_>>().len(), 90);
    let of = |interface: &str, prefix: &str| {
        addresses.iter().filter(|(name, address)| name == interface && address.starts_with(prefix)).count()
    };
    assert_eq!((of("eth0", "10.77.0."), of("data0", "10.78.0."), of("net2", "10.78.0.")), (30, 30, 30));
    for started in &started {
        let pod = &started.sandbox.pod;
        world.pods.delete(pod).await.unwrap();
        world.node(&pod.node).kubelet.stop(&started.sandbox).await.unwrap();
        world.pods.remove(pod).await.unwrap();
    }
    world.wait_released(&["whole", "fast"]).await;
}
