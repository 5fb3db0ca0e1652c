//! Whoever gives the addresses: ours, Whereabouts, host-local, or nobody.

use std::collections::BTreeMap;
use std::path::Path;

use allotment_fleet::{
    Agent, Allot, ControlPlane, Controller, Kubelet, Networks, Plugin, Server, Whereabouts, objects,
    programs, wait_published,
};
use allotment_lab::stock;
use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};

use super::stage::Stage;

/// Nodes that can start pods, and the programs behind them.
pub(crate) struct System {
    pub(crate) name: &'static str,
    pub(crate) kubelets: BTreeMap<String, Kubelet>,
    pub(crate) agents: Vec<Agent>,
    pub(crate) controllers: Vec<Controller>,
}

impl System {
    /// Its programs that run all the time.
    pub(crate) fn servers(&self) -> Vec<&Server> {
        let agents = self.agents.iter().map(|agent| &agent.server);
        agents.chain(self.controllers.iter().map(|controller| &controller.server)).collect()
    }
}

/// One network's address range, and its name.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) network: String,
    pub(crate) cidr: String,
    /// Addresses of it that nobody gets; empty: none.
    pub(crate) exclude: String,
}

impl Range {
    pub(crate) fn new(network: &str, cidr: &str) -> Range {
        Range { network: network.to_owned(), cidr: cidr.to_owned(), exclude: String::new() }
    }
}

/// Every pod asks for one address, of a subnet that it names itself.
pub(crate) fn own_network() -> Networks {
    let range = Range::new("pods", "");
    Networks { default: Some(config(&range, &json!({"type": "allotment"}))), ..Networks::default() }
}

/// Every pod names the networks, and each of those its subnet.
pub(crate) fn rails(ranges: &[Range]) -> Networks {
    networks(ranges, |range| json!({"type": "allotment", "subnets": [range.network]}))
}

/// A configuration as a definition or a node's folder would have it.
fn config(range: &Range, ipam: &Value) -> Value {
    json!({"cniVersion": "1.0.0", "name": range.network, "type": "macvlan", "ipam": ipam})
}

/// The first range is the cluster's own network, unless there are several: those are named by the pods.
fn networks(ranges: &[Range], ipam: impl Fn(&Range) -> Value) -> Networks {
    match ranges {
        [range] => Networks { default: Some(config(range, &ipam(range))), ..Networks::default() },
        several => several.iter().fold(Networks::default(), |networks, range| {
            networks.define(&format!("default/{}", range.network), config(range, &ipam(range)))
        }),
    }
}

/// Files on each node, and nothing else.
pub(crate) fn host_local(folder: &Path, nodes: &[String], ranges: &[Range]) -> Result<System> {
    let program = stock::pinned(&programs::root())?.join("host-local");
    let kubelet = |node: &String| {
        let data = folder.join("host-local").join(node);
        let ipam = |range: &Range| json!({"type": "host-local", "dataDir": data, "ranges": [[{"subnet": range.cidr}]]});
        (node.clone(), Kubelet::new(Plugin::new(&program), networks(ranges, ipam)))
    };
    let kubelets = nodes.iter().map(kubelet).collect();
    Ok(System { name: "host-local", kubelets, agents: Vec::new(), controllers: Vec::new() })
}

/// The plugin that asks the API server itself, with its definitions applied.
pub(crate) async fn whereabouts(
    plane: &ControlPlane,
    client: &Client,
    nodes: &[String],
    ranges: &[Range],
) -> Result<System> {
    let whereabouts = Whereabouts::install(plane, client).await?;
    let ipam = |range: &Range| whereabouts.ipam(&json!({"range": range.cidr}));
    let networks = networks(ranges, ipam);
    let kubelet = |node: &String| (node.clone(), Kubelet::new(whereabouts.plugin(node), networks.clone()));
    let kubelets = nodes.iter().map(kubelet).collect();
    Ok(System { name: "Whereabouts", kubelets, agents: Vec::new(), controllers: Vec::new() })
}

/// Two controllers, and an agent for each node.
pub(crate) async fn allotment(
    stage: &Stage<'_>,
    bin: &Path,
    ranges: &[Range],
    networks: Networks,
) -> Result<System> {
    let (plane, client) = (stage.plane, &stage.client);
    let allot = Allot::new(plane, bin)?;
    objects::install(client, &allot.tool()).await?;
    declare(client, ranges, &networks).await?;
    let kubeconfig = plane.kubeconfig();
    let agents = stage.nodes.iter().map(|node| allot.agent(node, &kubeconfig)).collect::<Result<Vec<_>>>()?;
    agents.iter().try_for_each(|agent| agent.server.start())?;
    let names = ["controller-1", "controller-2"];
    let controllers =
        names.iter().map(|name| allot.controller(name, &kubeconfig)).collect::<Result<Vec<_>>>()?;
    controllers.iter().try_for_each(Controller::start)?;
    agents.iter().try_for_each(Agent::wait_serving)?;
    wait_published(client, stage.nodes.len()).await?;
    let kubelet = |agent: &Agent| (agent.node.clone(), Kubelet::new(allot.plugin(agent), networks.clone()));
    let kubelets = agents.iter().map(kubelet).collect();
    Ok(System { name: "Allotment", kubelets, agents, controllers })
}

/// A subnet for each range, and the definitions of the networks.
async fn declare(client: &Client, ranges: &[Range], networks: &Networks) -> Result<()> {
    for range in ranges {
        let mut subnet = json!({"apiVersion": "allotment.dev/v1alpha1", "kind": "Subnet",
            "metadata": {"name": range.network}, "spec": {"cidrs": [range.cidr]}});
        if !range.exclude.is_empty() {
            subnet["spec"]["exclude"] = json!([range.exclude]);
        }
        objects::apply(client, &subnet.to_string()).await?;
    }
    for (name, config) in &networks.defined {
        let (namespace, name) = name.split_once('/').context("a definition has a namespace")?;
        let network = json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
            "metadata": {"namespace": namespace, "name": name}, "spec": {"config": config.to_string()}});
        objects::apply(client, &network.to_string()).await?;
    }
    Ok(())
}
