//! Allotment on a cluster, put there as its users put it.

use std::fs;
use std::time::Duration;

use allotment_fleet::programs::root;
use allotment_lab::wait_until;
use anyhow::{Context, Result};

use crate::layout::Layout;

/// For every program of ours to be ready, on a machine with all cores busy.
const LIMIT: Duration = Duration::from_mins(3);

const NAMESPACE: &str = "allotment-system";

/// The subnet of the cluster's own network.
const PODS: &str = include_str!("pods.yaml");

/// Applies the manifests and the subnet of the cluster's own network, and waits until pods get addresses on every node.
pub(crate) fn install(layout: &Layout, nodes: usize) -> Result<()> {
    let file = root().join("deploy/manifests/allotment.yaml");
    let manifests = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    layout.apply(&manifests)?;
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
