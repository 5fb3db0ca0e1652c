//! The cluster's own network on our IPAM. That it is there at all is in every other test: nothing has an address before our
//! controller and agents run, and they are pods themselves (K5).

use anyhow::{Result, ensure};
use serde_json::json;

use crate::world::{Test, World, object, pod, subnet};

pub(crate) const TESTS: &[Test] =
    &[("own_network::one_subnet_for_all_nodes", together), ("own_network::a_pool_for_each_node", apart)];

/// No node has a block of its own: with pods on both nodes the lowest addresses are used, whichever node asks.
fn together(world: &World) -> Result<()> {
    let space = "together";
    world.namespace(space)?;
    let mut yaml = subnet("together", "cidrs: [10.81.0.0/16], gateways: []");
    let nodes = ["node-1", "node-2"].repeat(3);
    for (number, node) in (1..).zip(&nodes) {
        let annotations = json!({"allotment.dev/subnets": "together"});
        yaml += &pod(space, &format!("pod-{number}"), &annotations, &format!("nodeName: {node}"));
    }
    world.apply(&yaml)?;
    world.wait_ready(space, nodes.len())?;
    let held: Vec<String> = world.active(space)?.into_keys().collect();
    let lowest: Vec<String> = (1..=nodes.len()).map(|number| format!("10.81.0.{number}")).collect();
    ensure!(held == lowest, "{held:?}");
    world.leave(space)?;
    world.ask("delete subnet together").map(drop)
}

/// Node by node, where the network between nodes wants it so: each pool is for the pods of one node.
fn apart(world: &World) -> Result<()> {
    let space = "apart";
    world.namespace(space)?;
    let mut ground = subnet("apart", "cidrs: [10.80.0.0/16], gateways: []");
    let mut pods = String::new();
    for number in [1, 2] {
        let selector = format!("nodeSelector: {{matchLabels: {{kubernetes.io/hostname: node-{number}}}}}");
        let spec = format!("subnet: apart, ranges: [10.80.{number}.0/24], {selector}");
        ground += &object("IPPool", &format!("apart-{number}"), &spec);
        let annotations = json!({"allotment.dev/subnets": "apart"});
        pods += &pod(space, &format!("pod-{number}"), &annotations, &format!("nodeName: node-{number}"));
    }
    // A pod that is there before its pool draws from the rest of the subnet.
    world.apply(&ground)?;
    world.ask("wait --for=condition=Ready --timeout=30s ippool/apart-1 ippool/apart-2")?;
    world.apply(&pods)?;
    world.wait_ready(space, 2)?;
    for number in [1, 2] {
        let (owner, prefix) = (format!("{space}/pod-{number}"), format!("10.80.{number}."));
        let held = world.active(space)?;
        let fits = held.values().any(|row| row.owner == owner && row.address.starts_with(&prefix));
        ensure!(fits, "{owner} has no address in {prefix}0/24: {held:?}");
    }
    world.leave(space)?;
    world.ask("delete ippool apart-1 apart-2")?;
    world.ask("delete subnet apart").map(drop)
}
