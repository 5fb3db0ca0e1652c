//! Parts of the cluster fail; no address is lost, and none moves before its holder is proved gone.

use allotment_lab::wait_until;
use allotment_nodes::{Node, Process};
use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::world::{LIMIT, Test, World, annotation, network, pod, subnet};

pub(crate) const TESTS: &[Test] = &[
    ("faults::kubelet_and_containerd_are_started_again", daemons),
    ("faults::the_agent_dies_while_pods_come_and_go", agents),
    ("faults::containers_vanish_without_a_del", vanished),
    ("faults::a_pod_is_deleted_by_force_while_its_node_is_cut_off", cut_off),
    ("faults::a_node_crashes_and_comes_back", crash),
    ("faults::a_node_is_given_up", given_up),
];

/// Pods that keep running keep their addresses, and new ones get theirs.
fn daemons(world: &World) -> Result<()> {
    let space = "daemons";
    world.namespace(space)?;
    world.apply(&workload(space, "Deployment", "calm", 2))?;
    world.wait_ready(space, 2)?;
    let before = world.active(space)?;
    for number in 0..2 {
        for program in ["containerd --config", "kubelet --config"] {
            world.with(|cluster| kill(&cluster.nodes()[number], program))?;
        }
    }
    world.ask(&format!("-n {space} scale deployment/calm --replicas=4"))?;
    world.wait_ready(space, 4)?;
    let after = world.active(space)?;
    ensure!(before.iter().all(|(address, row)| after.get(address) == Some(row)), "{before:?}\n{after:?}");
    world.audit()?;
    world.leave(space)
}

/// SIGKILL to both agents when the first of many pods has started, and again when the first has ended.
fn agents(world: &World) -> Result<()> {
    const PODS: usize = 8;
    let space = "agents";
    world.namespace(space)?;
    let wait_held = |what: &str, fits: &dyn Fn(usize) -> bool| {
        let held = || world.active(space).is_ok_and(|held| fits(held.len())).then_some(());
        wait_until(what, LIMIT, held)
    };
    world.apply(&workload(space, "Deployment", "busy", PODS))?;
    wait_held("the first address is held", &|held| held > 0)?;
    world.with(|cluster| cluster.nodes().iter().try_for_each(|node| kill(node, "allot agent")))?;
    world.wait_ready(space, PODS)?;
    world.audit()?;
    world.ask(&format!("-n {space} scale deployment/busy --replicas=0"))?;
    wait_held("the first address is free", &|held| held < PODS)?;
    world.with(|cluster| cluster.nodes().iter().try_for_each(|node| kill(node, "allot agent")))?;
    wait_held("all addresses are free", &|held| held == 0)?;
    world.audit()?;
    world.leave(space)
}

/// All that a pod has ends at once, its sandbox too, and the runtime is not told: kubelet makes it anew.
fn vanished(world: &World) -> Result<()> {
    let space = "vanished";
    world.namespace(space)?;
    world.apply(&workload(space, "StatefulSet", "keeper", 1))?;
    world.wait_ready(space, 1)?;
    let before = world.active(space)?;
    let restarts = || {
        world.ask(&format!(
            "get pod -n {space} keeper-0 -o jsonpath={{.status.containerStatuses[0].restartCount}}"
        ))
    };
    let pod = world.ask_json(&format!("get pod -n {space} keeper-0"))?;
    let uid = pod["metadata"]["uid"].as_str().context("a UID")?;
    world.with(|cluster| {
        for process in cluster.nodes().iter().flat_map(Node::processes).filter(|process| process.is_of(uid)) {
            process.kill()?;
        }
        Ok(())
    })?;
    wait_until("kubelet starts it again", LIMIT, || {
        restarts().is_ok_and(|count| count != "0").then_some(())
    })?;
    world.wait_ready(space, 1)?;
    let after = world.active(space)?;
    ensure!(before.keys().eq(after.keys()), "{before:?}\n{after:?}");
    world.audit()?;
    world.leave(space)
}

/// The pod object is gone, its container is not: its address moves only when the node is back and has said so.
fn cut_off(world: &World) -> Result<()> {
    let space = "cut-off";
    world.namespace(space)?;
    let mut yaml = subnet("cut-off", "cidrs: [10.75.0.0/24], gateways: [], cooling: 0s");
    yaml += &network(space, "wire", json!({"type": "macvlan", "master": "wire"}), "cut-off");
    let annotations = |ip: &str| {
        let request = format!("[{{interface: net1, ips: [{ip}]}}]");
        json!({"k8s.v1.cni.cncf.io/networks": "wire", "allotment.dev/request": request})
    };
    yaml += &pod(space, "watcher", &annotations("10.75.0.10"), "nodeName: node-1");
    yaml += &pod(space, "alive", &annotations("10.75.0.20"), "nodeName: node-2");
    world.apply(&yaml)?;
    world.wait_ready(space, 2)?;
    world.with(|cluster| cluster.set_management(&cluster.nodes()[1], false))?;
    world.ask(&format!("delete pod -n {space} alive --force --grace-period=0"))?;
    world.apply(&pod(space, "heir", &annotations("10.75.0.20"), "nodeName: node-1"))?;
    let refused = || {
        let heir = world.ask_json(&format!("get pod -n {space} heir")).ok()?;
        annotation(&heir, "allotment.dev/refusal").ok()
    };
    let refusal = wait_until("the heir is refused", LIMIT, refused)?;
    ensure!(refusal["code"] == "taken", "{refusal}");
    // It still answers, from the node that nobody can reach.
    world.ping(space, "watcher", "10.75.0.20")?;
    world.with(|cluster| cluster.set_management(&cluster.nodes()[1], true))?;
    world.wait_ready(space, 2)?;
    let held = world.active(space)?;
    ensure!(held.get("10.75.0.20").is_some_and(|row| row.owner == format!("{space}/heir")), "{held:?}");
    world.wait_nodes()?;
    world.audit()?;
    world.leave(space)?;
    world.ask("delete subnet cut-off").map(drop)
}

/// Its pods come back on it, a `StatefulSet`'s with the address that they had.
fn crash(world: &World) -> Result<()> {
    let space = "crash";
    world.namespace(space)?;
    world
        .apply(&(workload(space, "StatefulSet", "ordinal", 2) + &workload(space, "DaemonSet", "each", 2)))?;
    world.wait_ready(space, 4)?;
    let before = world.active(space)?;
    world.with(|cluster| {
        cluster.crash(&cluster.nodes()[1])?;
        cluster.restart(&cluster.nodes()[1])
    })?;
    wait_restarted(world, space)?;
    world.wait_nodes()?;
    world.wait_ready(space, 4)?;
    let after = world.active(space)?;
    ensure!(before.keys().eq(after.keys()), "{before:?}\n{after:?}");
    world.audit()?;
    world.leave(space)
}

/// Waits until kubelet has found that its containers were gone.
fn wait_restarted(world: &World, space: &str) -> Result<()> {
    let counts = "jsonpath={.items[*].status.containerStatuses[0].restartCount}";
    let restarted = || {
        let said =
            world.ask(&format!("get pods -n {space} --field-selector=spec.nodeName=node-2 -o {counts}"));
        said.is_ok_and(|said| !said.is_empty() && said.split(' ').all(|count| count != "0")).then_some(())
    };
    wait_until("every pod of the node is started again", LIMIT, restarted)
}

/// Its Node is deleted and a person declares it gone: only then are its addresses free. Another machine takes its name.
fn given_up(world: &World) -> Result<()> {
    let space = "given-up";
    world.namespace(space)?;
    world.apply(&pod(space, "lost", &json!({}), "nodeName: node-2"))?;
    world.wait_ready(space, 1)?;
    let before = world.active(space)?;
    world.with(|cluster| cluster.crash(&cluster.nodes()[1]))?;
    world.ask("delete node node-2")?;
    world.ask(&format!("delete pod -n {space} --all --force --grace-period=0"))?;
    // A pod that is granted after that shows that the controller has seen it all.
    world.apply(&pod(space, "later", &json!({}), "nodeName: node-1"))?;
    world.wait_ready(space, 1)?;
    let held = world.active(space)?;
    ensure!(before.iter().all(|(address, row)| held.get(address) == Some(row)), "{before:?}\n{held:?}");
    world.ask("allot node forget node-2 --yes")?;
    let gone = || {
        let held = world.active(space).ok()?;
        before.keys().all(|address| !held.contains_key(address)).then_some(())
    };
    wait_until("the given up node's addresses are free", LIMIT, gone)?;
    // A kubelet that is slow to register waits two minutes until it tries its volumes again, unless its Node is there.
    world.apply("{apiVersion: v1, kind: Node, metadata: {name: node-2}}")?;
    world.with(|cluster| cluster.replace(&cluster.nodes()[1]))?;
    world.wait_nodes()?;
    world.apply(&pod(space, "newcomer", &json!({}), "nodeName: node-2"))?;
    world.wait_ready(space, 2)?;
    world.audit()?;
    world.leave(space)
}

/// Sends SIGKILL to the processes on a node whose command line begins like this.
fn kill(node: &Node, command: &str) -> Result<()> {
    let found: Vec<_> = node.processes().into_iter().filter(|process| process.runs(command)).collect();
    ensure!(!found.is_empty(), "{} has no process `{command}`", node.name);
    found.iter().try_for_each(Process::kill)
}

/// So many pods on the cluster's own network.
fn workload(namespace: &str, kind: &str, name: &str, replicas: usize) -> String {
    let replicas = if kind == "DaemonSet" { String::new() } else { format!("  replicas: {replicas}\n") };
    let spread = if kind == "StatefulSet" { "  podManagementPolicy: Parallel\n" } else { "" };
    format!(
        "---\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{replicas}{spread}  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
         terminationGracePeriodSeconds: 0\n      containers:\n      \
         - {{name: main, image: \"registry.local/busybox:1\", args: [sleep, infinity]}}\n"
    )
}
