//! Everything together: pods, controllers, agents, the real plugin.

use std::collections::BTreeSet;
use std::time::Duration;

use allotment_fleet::{
    Agent, Allot, Controller, Kubelet, Namespace, Networks, Pods, Started, Template, bin, objects,
    wait_published,
};
use futures_util::future::join_all;
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::plane;

const PATIENCE: Duration = Duration::from_mins(1);

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

async fn held(client: &Client, subnet: &str) -> Value {
    let kind = GroupVersionKind::gvk("allotment.dev", "v1alpha1", "Subnet");
    let resource = ApiResource::from_gvk_with_plural(&kind, "subnets");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    api.get(subnet).await.unwrap().data["status"]["usage"][0]["held"].clone()
}

#[tokio::test]
async fn pods_on_three_nodes_get_what_was_granted_and_all_of_it_comes_back() {
    let client = plane().client().unwrap();
    let pods = Pods::new(client.clone());
    let allot = Allot::new(plane(), &bin().unwrap()).unwrap();
    objects::install(&client, &allot.tool()).await.unwrap();
    objects::apply(&client, OBJECTS).await.unwrap();
    let nodes = ["whole-1", "whole-2", "whole-3"];
    pods.nodes(&nodes).await.unwrap();
    let kubeconfig = plane().kubeconfig();
    let agents: Vec<Agent> = nodes.iter().map(|node| allot.agent(node, &kubeconfig).unwrap()).collect();
    agents.iter().for_each(|agent| agent.start().unwrap());
    let controllers: Vec<Controller> =
        ["one", "two"].iter().map(|name| allot.controller(name, &kubeconfig).unwrap()).collect();
    controllers.iter().for_each(|controller| controller.start().unwrap());
    wait_published(&client, nodes.len()).await.unwrap();
    let config = |name: &str, ipam: Value| json!({"cniVersion": "1.0.0", "name": name, "type": "macvlan", "ipam": ipam});
    let networks =
        Networks { default: Some(config("pods", json!({"type": "allotment"}))), ..Networks::default() }
            .define("default/fast", config("fast", json!({"type": "allotment", "subnets": ["fast"]})));
    let kubelets: Vec<Kubelet> =
        agents.iter().map(|agent| Kubelet::new(allot.plugin(agent), networks.clone())).collect();
    let folder = tempfile::tempdir().unwrap();
    let namespace = Namespace::new(folder.path()).unwrap();

    let templates: Vec<Template> = (0..30)
        .map(|number| {
            Template::new("default", &format!("whole-{number}"))
                .on(nodes[number % nodes.len()])
                .annotate("allotment.dev/subnets", "whole")
                .annotate("k8s.v1.cni.cncf.io/networks", "fast@data0,fast")
        })
        .collect();
    let made = pods.create_all(&templates).await.unwrap();
    let kubelet = |node: &str| &kubelets[nodes.iter().position(|name| *name == node).unwrap()];
    let started =
        join_all(made.iter().map(|pod| kubelet(&pod.node).start(pod, namespace.path(), PATIENCE))).await;
    let started: Vec<Started> = started.into_iter().map(Result::unwrap).collect();
    assert!(started.iter().all(|started| started.failed.is_empty()), "each was up at its first ADD");
    let addresses: Vec<(String, String)> =
        started.iter().flat_map(|started| started.sandbox.addresses().unwrap()).collect();
    assert_eq!(addresses.iter().map(|(_, address)| address).collect::<BTreeSet<_>>().len(), 90);
    let of = |interface: &str, prefix: &str| {
        addresses.iter().filter(|(name, address)| name == interface && address.starts_with(prefix)).count()
    };
    assert_eq!((of("eth0", "10.77.0."), of("data0", "10.78.0."), of("net2", "10.78.0.")), (30, 30, 30));

    for started in &started {
        pods.delete(&started.sandbox.pod).await.unwrap();
        kubelet(&started.sandbox.pod.node).stop(&started.sandbox).await.unwrap();
        pods.remove(&started.sandbox.pod).await.unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    for subnet in ["whole", "fast"] {
        while held(&client, subnet).await != "0" {
            assert!(Instant::now() < deadline, "{} of {subnet} are held", held(&client, subnet).await);
            sleep(Duration::from_millis(50)).await;
        }
    }
    for controller in &controllers {
        controller.server.stop().unwrap();
    }
}
