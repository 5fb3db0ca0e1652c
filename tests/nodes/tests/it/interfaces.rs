//! Every interface of a pod has what the ledger says, whatever plugin made it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use allotment_lab::run;
use allotment_nodes::STATIC_PODS;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::world::{Test, World, annotation, network, pod, subnet};

pub(crate) const TESTS: &[Test] = &[
    ("interfaces::three_on_each_of_two_nodes", three),
    ("interfaces::every_main_plugin", plugins),
    ("interfaces::the_first_one_by_another_plugin", primary),
    ("interfaces::of_a_static_pod", static_pod),
];

/// The cluster's own network has one subnet for all nodes; the others share a wire.
fn three(world: &World) -> Result<()> {
    let space = "three";
    world.namespace(space)?;
    let wire = json!({"type": "macvlan", "master": "wire"});
    let mut yaml = subnet("three-a", "cidrs: [10.72.0.0/24], gateways: []");
    yaml += &subnet("three-b", "cidrs: [10.71.0.0/24, \"fd00:71::/64\"], gateways: []");
    yaml += &network(space, "a", wire.clone(), "three-a");
    yaml += &network(space, "b", wire, "three-b");
    for (name, node) in [("one", "node-1"), ("two", "node-2")] {
        yaml += &pod(space, name, &json!({"k8s.v1.cni.cncf.io/networks": "a, b"}), &on(node));
    }
    world.apply(&yaml)?;
    world.wait_ready(space, 2)?;
    for name in ["one", "two"] {
        let interfaces = same_everywhere(world, space, name)?;
        ensure!(interfaces == ["eth0", "net1", "net2"], "{name} has {interfaces:?}");
    }
    for address in world.active(space)?.into_values().filter(|row| row.owner.ends_with("/two")) {
        world.ping(space, "one", &address.address)?;
    }
    world.audit()?;
    world.leave(space)?;
    world.ask("delete subnet three-a three-b").map(drop)
}

/// As further interfaces of one pod. ipvlan and vlan need what not every kernel has.
fn plugins(world: &World) -> Result<()> {
    let space = "plugins";
    world.namespace(space)?;
    let init = world.with(|cluster| cluster.nodes()[0].init())?;
    let device = "link add spare type veth peer name far";
    run(Command::new("nsenter")
        .args(["--net", "--target", &init.to_string(), "ip"])
        .args(device.split(' ')))?;
    let configs = [
        ("bridge", json!({"type": "bridge", "bridge": "second0", "isGateway": true})),
        ("ptp", json!({"type": "ptp"})),
        ("macvlan", json!({"type": "macvlan", "master": "wire"})),
        ("tap", json!({"type": "tap"})),
        ("host-device", json!({"type": "host-device", "device": "spare"})),
    ];
    let mut yaml = String::new();
    for (number, (name, config)) in (72..).zip(&configs) {
        // One subnet on two interfaces of a pod is one route too many for `ptp`.
        yaml += &subnet(name, &format!("cidrs: [10.{number}.0.0/24, \"fd00:{number}::/64\"]"));
        yaml += &network(space, name, config.clone(), name);
    }
    let names = configs.map(|(name, _)| name);
    yaml += &pod(space, "all", &json!({"k8s.v1.cni.cncf.io/networks": names.join(",")}), &on("node-1"));
    world.apply(&yaml)?;
    world.wait_ready(space, 1)?;
    let interfaces = same_everywhere(world, space, "all")?;
    ensure!(interfaces == ["eth0", "net1", "net2", "net3", "net4", "net5"], "{interfaces:?}");
    world.audit()?;
    world.leave(space)?;
    world.ask(&format!("delete subnet {}", names.join(" "))).map(drop)
}

/// A pod's `eth0` by `ptp` instead of the cluster's own network.
fn primary(world: &World) -> Result<()> {
    let space = "primary";
    world.namespace(space)?;
    let mut yaml = subnet("primary", "cidrs: [10.79.0.0/24], routes: [{to: 0.0.0.0/0}]");
    yaml += &network("kube-system", "routed", json!({"type": "ptp", "name": "routed"}), "primary");
    yaml += &pod(space, "one", &json!({"v1.multus-cni.io/default-network": "routed"}), "");
    world.apply(&yaml)?;
    world.wait_ready(space, 1)?;
    ensure!(same_everywhere(world, space, "one")? == ["eth0"]);
    let held = world.active(space)?;
    ensure!(held.len() == 1 && held.keys().all(|address| address.starts_with("10.79.0.")), "{held:?}");
    world.leave(space)?;
    world.ask("delete -n kube-system network-attachment-definition routed")?;
    world.ask("delete subnet primary").map(drop)
}

/// The runtime knows it under another UID than the API server (K6), and nobody binds it.
fn static_pod(world: &World) -> Result<()> {
    let space = "static";
    world.namespace(space)?;
    let file = world.with(|cluster| cluster.nodes()[0].file(&format!("{STATIC_PODS}/own.yaml")))?;
    std::fs::write(&file, pod(space, "own", &json!({}), ""))?;
    world.wait_ready(space, 1)?;
    // Its node asked for the address, so that no grant is on it.
    let interfaces = live(world, space, "own-node-1")?;
    ensure!(interfaces.keys().eq(["eth0"]), "{interfaces:?}");
    world.audit()?;
    std::fs::remove_file(&file)?;
    world.wait_free(space)?;
    world.leave(space)
}

pub(crate) fn on(node: &str) -> String {
    format!("nodeName: {node}")
}

/// The grant, Multus' status, the ledger, and what the kernel says in the pod: the same addresses on the same interfaces.
/// Names the interfaces.
pub(crate) fn same_everywhere(world: &World, namespace: &str, name: &str) -> Result<Vec<String>> {
    let pod = world.ask_json(&format!("get pod -n {namespace} {name}"))?;
    let grant = granted(&annotation(&pod, "allotment.dev/grant")?["attachments"])?;
    let live = live(world, namespace, name)?;
    ensure!(grant == live, "{name} was granted {grant:?}, and has {live:?}");
    Ok(grant.into_keys().collect())
}

/// The same but for the grant: what Multus, ledger and kernel say.
fn live(world: &World, namespace: &str, name: &str) -> Result<Interfaces> {
    let pod = world.ask_json(&format!("get pod -n {namespace} {name}"))?;
    let status = reported(&annotation(&pod, "k8s.v1.cni.cncf.io/network-status")?)?;
    let owner = format!("{namespace}/{name}");
    let mut ledger = Interfaces::new();
    for row in world.active(namespace)?.into_values().filter(|row| row.owner == owner) {
        ledger.entry(row.interface).or_default().insert(row.address);
    }
    ensure!(status == ledger, "Multus says {status:?} of {name}, and the ledger has {ledger:?}");
    for (interface, addresses) in &status {
        let said = world.ask(&format!("exec -n {namespace} {name} -- ip -o addr show dev {interface}"))?;
        for address in addresses {
            ensure!(said.contains(&format!(" {address}/")), "{interface} of {name} lacks {address}: {said}");
        }
    }
    Ok(status)
}

type Interfaces = BTreeMap<String, BTreeSet<String>>;

fn granted(attachments: &Value) -> Result<Interfaces> {
    let entry = |entry: &Value| {
        let addresses = entry["ips"].as_array()?.iter().map(|ip| ip["address"].as_str().map(str::to_owned));
        Some((entry["interface"].as_str()?.to_owned(), addresses.collect::<Option<_>>()?))
    };
    let list = attachments.as_array().context("a list of attachments")?;
    list.iter().map(entry).collect::<Option<_>>().with_context(|| format!("a grant: {attachments}"))
}

fn reported(status: &Value) -> Result<Interfaces> {
    let entry = |entry: &Value| {
        let addresses = entry["ips"].as_array()?.iter().map(|ip| ip.as_str().map(str::to_owned));
        Some((entry["interface"].as_str()?.to_owned(), addresses.collect::<Option<_>>()?))
    };
    let list = status.as_array().context("a list of networks")?;
    list.iter().map(entry).collect::<Option<_>>().with_context(|| format!("a status: {status}"))
}
