//! A cluster of ours on a control plane: nodes with agents, controllers, and whoever calls the plugin.

use std::time::Duration;

use allotment_fleet::{
    Agent, Allot, ControlPlane, Controller, Kubelet, Namespace, Networks, Pods, Proxy, bin, objects,
    wait_published,
};
use kube::Client;
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::ApiResource;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Longer than anything takes that is going to happen at all, on a machine with all processors busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

const POLL: Duration = Duration::from_millis(50);

/// A node: its agent, the proxy that the agent sees the API server through, and its kubelet.
pub(crate) struct Node {
    pub(crate) agent: Agent,
    pub(crate) proxy: Proxy<'static>,
    pub(crate) kubelet: Kubelet,
}

pub(crate) struct World {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) client: Client,
    pub(crate) pods: Pods,
    pub(crate) allot: Allot,
    pub(crate) nodes: Vec<Node>,
    pub(crate) controllers: Vec<(Controller, Proxy<'static>)>,
    /// For pods that share one.
    pub(crate) namespace: Namespace,
    pub(crate) folder: TempDir,
}

/// What an installation applies.
const MANIFESTS: &str = include_str!("../../../../deploy/manifests/allotment.yaml");

/// What of it makes accounts and says what they may do; definitions come from the program, and we run the programs.
const RIGHTS: [&str; 10] = [
    "Namespace",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
];

/// Where the accounts are.
const SYSTEM: &str = "allotment-system";

fn rights() -> String {
    let kind = |document: &&str| {
        let kind = document.lines().find_map(|line| line.strip_prefix("kind: "));
        kind.is_some_and(|kind| RIGHTS.contains(&kind))
    };
    let documents: Vec<&str> = MANIFESTS.split("\n---\n").filter(kind).collect();
    assert!(documents.len() >= RIGHTS.len(), "the manifests have accounts, rights and policies");
    documents.join("\n---\n")
}

/// The configuration of a network, as a node or a definition has it.
pub(crate) fn config(name: &str, ipam: &Value) -> Value {
    json!({"cniVersion": "1.0.0", "name": name, "type": "macvlan", "ipam": ipam})
}

impl World {
    /// Objects applied, so many nodes of this name, two controllers, all of it ready; each with the token and the rights of
    /// its own account, and every policy in force. Every pod asks for an `eth0`; `networks` are there for those that name
    /// them.
    pub(crate) async fn new(
        plane: &'static ControlPlane,
        name: &str,
        nodes: usize,
        yaml: &str,
        networks: Networks,
    ) -> World {
        let client = plane.client().unwrap();
        let pods = Pods::new(client.clone());
        let allot = Allot::new(plane, &bin().unwrap()).unwrap();
        objects::install(&client, &allot.tool()).await.unwrap();
        objects::apply(&client, &rights()).await.unwrap();
        objects::apply(&client, yaml).await.unwrap();
        let names: Vec<String> = (1..=nodes).map(|number| format!("{name}-{number}")).collect();
        pods.nodes(&names).await.unwrap();
        let networks = Networks { default: Some(config("pods", &json!({"type": "allotment"}))), ..networks };
        let account = async |name: &str, node: Option<&str>| {
            let proxy = Proxy::start(plane).unwrap();
            let own = plane.kubeconfig_of(SYSTEM, name, node).await.unwrap();
            (proxy.through(&own).unwrap(), proxy)
        };
        let mut nodes: Vec<Node> = Vec::new();
        for name in &names {
            let (kubeconfig, proxy) = account("allotment-agent", Some(name)).await;
            let agent = allot.agent(name, &kubeconfig).unwrap();
            nodes.push(Node { kubelet: Kubelet::new(allot.plugin(&agent), networks.clone()), agent, proxy });
        }
        let mut controllers: Vec<(Controller, Proxy<'static>)> = Vec::new();
        for number in 1..=2 {
            let (kubeconfig, proxy) = account("allotment-controller", None).await;
            let name = format!("{name}-controller-{number}");
            controllers.push((allot.controller(&name, &kubeconfig).unwrap(), proxy));
        }
        for node in &nodes {
            node.agent.start().unwrap();
        }
        for (controller, _) in &controllers {
            controller.start().unwrap();
        }
        wait_published(&client, nodes.len()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let namespace = Namespace::new(folder.path()).unwrap();
        World { plane, client, pods, allot, nodes, controllers, namespace, folder }
    }

    /// The node of this name.
    pub(crate) fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.agent.node == name).unwrap()
    }

    /// What the status of a subnet says of its first family.
    pub(crate) async fn usage(&self, subnet: &str) -> Value {
        let kind = GroupVersionKind::gvk("allotment.dev", "v1alpha1", "Subnet");
        let resource = ApiResource::from_gvk_with_plural(&kind, "subnets");
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let object = api.get(subnet).await.unwrap();
        assert!(!object.name_any().is_empty());
        object.data["status"]["usage"][0].clone()
    }

    /// Waits until nothing of these subnets is held any more.
    pub(crate) async fn wait_released(&self, subnets: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        for subnet in subnets {
            while self.usage(subnet).await["held"] != "0" {
                let usage = self.usage(subnet).await;
                assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {subnet} {usage}");
                sleep(POLL).await;
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The control plane is another test's as well, and there may be only one pair of controllers.
        for (controller, _) in &self.controllers {
            let _ = controller.server.kill();
        }
    }
}
