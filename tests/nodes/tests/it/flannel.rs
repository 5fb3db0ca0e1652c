//! What `docs/guides/flannel.md` shows, with Flannel's own plugin; the daemon's part, a file and routes, is done here.
//!
//! It is a second network of pods: the cluster's own has the first one, its bridge and 10.244.0.0/16.

use std::fs;

use allotment_fleet::programs::root;
use allotment_lab::run;
use allotment_nodes::{Node, flannel};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::interfaces::{on, same_everywhere};
use crate::world::{Test, World, pod};

pub(crate) const TESTS: &[Test] = &[("flannel::each_node_draws_from_its_part", parts)];

const SPACE: &str = "flannel";

fn parts(world: &World) -> Result<()> {
    let page = fs::read_to_string(root().join("docs/guides/flannel.md"))?.replace("10.244.", "10.91.");
    let objects = block(&page, "yaml")?.replace("default: true", "networks: [flannel/flannel]");
    world.namespace(SPACE)?;
    world.apply(&objects)?;
    world.ask("wait --for=condition=Ready --timeout=30s ippool/node-1 ippool/node-2")?;
    world.with(|cluster| {
        let nodes = cluster.nodes();
        nodes.iter().enumerate().try_for_each(|(at, node)| daemon(world, node, at + 1, nodes))
    })?;

    let mut yaml = network(&block(&page, "json")?)?;
    for node in ["node-1", "node-2"] {
        yaml += &pod(SPACE, node, &json!({"k8s.v1.cni.cncf.io/networks": "flannel"}), &on(node));
    }
    world.apply(&yaml)?;
    world.wait_ready(SPACE, 2)?;
    for (number, name) in [(1, "node-1"), (2, "node-2")] {
        ensure!(same_everywhere(world, SPACE, name)? == ["eth0", "net1"]);
        let has = world.ask(&format!("exec -n {SPACE} {name} -- ip -4 addr show dev net1"))?;
        ensure!(has.contains(&format!("inet 10.91.{number}.2/24 ")), "{name}: {has}");
        let routes = world.ask(&format!("exec -n {SPACE} {name} -- ip route show dev net1"))?;
        ensure!(routes.contains(&format!("10.91.0.0/16 via 10.91.{number}.1")), "{name}: {routes}");
    }
    world.ping(SPACE, "node-1", "10.91.2.2")?;
    world.audit()?;

    // An address of another node's part, by name: nobody would route it here.
    let asks =
        json!({"k8s.v1.cni.cncf.io/networks": "[{\"name\": \"flannel\", \"ips\": [\"10.91.9.9/16\"]}]"});
    world.apply(&pod(SPACE, "astray", &asks, &on("node-1")))?;
    let told = || {
        let events =
            world.ask(&format!("get events -n {SPACE} --field-selector=involvedObject.name=astray")).ok()?;
        events.contains("node `node-1` has 10.91.1.1-10.91.1.254 alone").then_some(())
    };
    allotment_lab::wait_until("the pod is told why", crate::world::LIMIT, told)?;
    world.leave(SPACE)?;
    world.ask("delete ippool node-1 node-2")?;
    world.ask("delete subnet flannel").map(drop)
}

/// What the daemon leaves on a node: its file, and with the backend `host-gw` a route to every other node's part.
fn daemon(world: &World, node: &Node, number: usize, nodes: &[Node]) -> Result<()> {
    fs::copy(flannel::program()?, node.file("/opt/cni/bin/flannel")?)?;
    fs::create_dir_all(node.file("/run/flannel")?)?;
    let file = format!(
        "FLANNEL_NETWORK=10.91.0.0/16\nFLANNEL_SUBNET=10.91.{number}.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    );
    fs::write(node.file("/run/flannel/subnet.env")?, file)?;
    for (at, other) in nodes.iter().enumerate().filter(|(_, other)| other.name != node.name) {
        let address = world.ask(&format!(
            "get node {} -o jsonpath={{.status.addresses[?(@.type==\"InternalIP\")].address}}",
            other.name
        ))?;
        let part = format!("10.91.{}.0/24", at + 1);
        run(node.command("ip")?.args(["route", "replace", &part, "via", address.trim()]))?;
    }
    Ok(())
}

/// The guide's configuration as a further network, with a bridge of its own and without a second default route.
fn network(text: &str) -> Result<String> {
    let mut config: Value = serde_json::from_str(text)?;
    let plugins = config["plugins"].as_array_mut().context("a list of plugins")?;
    plugins.retain(|plugin| plugin["type"] == "flannel");
    let delegate = plugins[0]["delegate"].as_object_mut().context("a delegate")?;
    delegate.remove("isDefaultGateway");
    delegate.insert("bridge".to_owned(), json!("flannel0"));
    let spec = json!({"config": config.to_string()});
    let kind = "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition";
    Ok(format!("---\n{kind}\nmetadata: {{name: flannel, namespace: {SPACE}}}\nspec: {spec}\n"))
}

/// The first block of a language.
fn block(page: &str, language: &str) -> Result<String> {
    let (_, rest) = page.split_once(&format!("```{language}\n")).with_context(|| format!("no {language}"))?;
    let (text, _) = rest.split_once("```").context("a block has an end")?;
    Ok(text.to_owned())
}
