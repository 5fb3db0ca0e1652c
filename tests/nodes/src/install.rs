//! Allotment on a cluster, put there as its users put it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use allotment_fleet::programs::root;
use allotment_lab::{helm, run, wait_until};
use anyhow::{Context, Result};

use crate::config;
use crate::layout::Layout;

/// For every program of ours to be ready, on a machine with all cores busy.
const LIMIT: Duration = Duration::from_mins(3);

const NAMESPACE: &str = "allotment-system";

/// The subnet of the cluster's own network.
const PODS: &str = include_str!("pods.yaml");

/// Applies the chart, with more values than the cluster needs, and the subnet of the cluster's own network; waits until pods get
/// addresses on every node. Where it is installed already, that is an upgrade.
pub fn install(layout: &Layout, nodes: usize, values: &[&str]) -> Result<()> {
    layout.apply(&chart(layout, nodes, values)?)?;
    layout.ask("wait --for=condition=Established crd --all --timeout=1m")?;
    layout.apply(PODS)?;
    for workload in ["deployment/allotment-controller", "daemonset/allotment-agent"] {
        let limit = LIMIT.as_secs();
        layout.ask(&format!("-n {NAMESPACE} rollout status {workload} --timeout={limit}s"))?;
    }
    let published = || {
        let objects = layout.ask_json("get nodeattachments").ok()?;
        let objects = objects["items"].as_array()?;
        let published = objects.iter().filter(|object| object["status"].is_object());
        (published.count() >= nodes).then_some(())
    };
    wait_until("every agent has said what its node has", LIMIT, published)
}

/// The chart, told of the cluster's own network: every pod is given its address as soon as it is bound.
fn chart(layout: &Layout, nodes: usize, values: &[&str]) -> Result<String> {
    let network = layout.folder().join("pods.conf");
    fs::write(&network, config::pods().to_string())?;
    let root = root().canonicalize()?;
    let mut helm = Command::new(helm::program(&root)?);
    helm.args(["template", "allotment", "--namespace", NAMESPACE, "--set", "namespace.create=true"])
        // No two of them are on one node.
        .args(["--set", &format!("controller.replicas={}", nodes.min(2))])
        // Multus has it in its own configuration.
        .args(["--set", "defaultNetwork.install=false,defaultNetwork.fileName=pods.conf"])
        .arg(format!("--set-file=defaultNetwork.config={}", network.display()))
        .args(values.iter().flat_map(|value| ["--set", value]))
        .arg(root.join("deploy/chart"));
    run(&mut helm).context("the chart cannot be rendered")
}
