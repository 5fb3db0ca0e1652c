//! Plugins that are killed in the middle of an ADD: nobody comes back for what they were given, and nothing is lost.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use allotment_fleet::{ControlPlane, Namespace, Networks, Pod, Template};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::ApiResource;
use kube::{Api, ResourceExt};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::world::{PATIENCE, World};

/// Every pod gets an address without a word about it: its node has to ask (K1).
const OBJECTS: &str = "\
{apiVersion: allotment.dev/v1alpha1, kind: Subnet, metadata: {name: any}, spec: {cidrs: [10.76.0.0/26], cooling: 0s, default: true}}
";

impl World {
    /// Waits until a node asks for so many interfaces.
    async fn wait_asking(&self, node: &str, count: usize) {
        let kind = GroupVersionKind::gvk("allotment.dev", "v1alpha1", "NodeAttachments");
        let resource = ApiResource::from_gvk_with_plural(&kind, "nodeattachments");
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let object = api.get(node).await.unwrap();
            let asks = object.data["status"]["asks"].as_array().map_or(0, Vec::len);
            if asks == count {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{} asks for {asks} interfaces, not {count}",
                object.name_any()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn pod(&self, name: &str) -> Pod {
        let node = &self.nodes[0].agent.node;
        self.pods.create(&Template::new("default", name).on(node)).await.unwrap()
    }
}

#[tokio::test]
async fn what_a_killed_plugin_waited_for_or_was_given_comes_back() {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    let plane = PLANE.get_or_init(|| ControlPlane::start().unwrap());
    let world = World::new(plane, "killed", 1, OBJECTS, Networks::default()).await;
    let (kubelet, node) = (&world.nodes[0].kubelet, world.nodes[0].agent.node.clone());
    // Killed while it waits, for nobody answers: its ask is taken back.
    for (controller, _) in &world.controllers {
        controller.server.kill().unwrap();
    }
    let first = world.pod("waiting").await;
    tokio::select! {
        sandbox = kubelet.attempt(&first, world.namespace.path()) => panic!("nobody could answer: {sandbox:?}"),
        () = world.wait_asking(&node, 1) => {}
    }
    world.wait_asking(&node, 0).await;
    for (controller, _) in &world.controllers {
        controller.start().unwrap();
    }
    let started = kubelet.start(&first, world.namespace.path(), PATIENCE).await.unwrap();
    // Killed at any moment, before and after its answer, and no DEL for it ever comes.
    let mut running = vec![(started.sandbox, None)];
    for number in 0..24 {
        let pod = world.pod(&format!("killed-{number}")).await;
        let namespace = Namespace::new(world.folder.path()).unwrap();
        tokio::select! {
            _ = kubelet.attempt(&pod, namespace.path()) => {}
            () = sleep(Duration::from_millis(number * 5)) => {}
        }
        let started = kubelet.start(&pod, namespace.path(), PATIENCE).await.unwrap();
        running.push((started.sandbox, Some(namespace)));
    }
    let addresses = running.iter().flat_map(|(sandbox, _)| sandbox.addresses().unwrap());
    assert_eq!(addresses.collect::<BTreeSet<_>>().len(), 25);
    assert_eq!(world.usage("any").await["total"], Value::from("61"));
    for (sandbox, namespace) in running {
        kubelet.stop(&sandbox).await.unwrap();
        world.pods.remove(&sandbox.pod).await.unwrap();
        if let Some(namespace) = namespace {
            namespace.end().unwrap();
        }
    }
    world.wait_released(&["any"]).await;
}
