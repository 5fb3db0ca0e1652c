//! Multus as a daemon, and interfaces that it plugs into pods that run and takes out again.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use allotment_lab::{run, wait_until};
use allotment_nodes::multus;
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::interfaces::{on, same_everywhere};
use crate::world::{LIMIT, Test, World, annotation, network, pod, subnet};

pub(crate) const TESTS: &[Test] = &[
    ("thick::three_interfaces_by_a_daemon", three),
    ("thick::plugged_into_a_running_pod_and_taken_out", plugged),
];

const NODE: usize = 1;
const NODE_NAME: &str = "node-2";
const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

fn three(world: &World) -> Result<()> {
    let space = "thick";
    with_daemon(world, || {
        world.namespace(space)?;
        let wire = json!({"type": "macvlan", "master": "wire"});
        let mut yaml = subnet("thick-a", "cidrs: [10.73.0.0/24], gateways: []");
        yaml += &subnet("thick-b", "cidrs: [10.74.0.0/24, \"fd00:74::/64\"], gateways: []");
        yaml += &network(space, "a", wire.clone(), "thick-a");
        yaml += &network(space, "b", wire, "thick-b");
        yaml += &pod(space, "one", &json!({NETWORKS: "a, b"}), &on(NODE_NAME));
        world.apply(&yaml)?;
        world.wait_ready(space, 1)?;
        let interfaces = same_everywhere(world, space, "one")?;
        ensure!(interfaces == ["eth0", "net1", "net2"], "{interfaces:?}");
        world.audit()?;
        leave(world, space)
    })?;
    world.ask("delete subnet thick-a thick-b").map(drop)
}

/// As the controller for dynamic networks does it: the annotation changes, and Multus' daemon is told to call the plugin.
fn plugged(world: &World) -> Result<()> {
    let space = "plugged";
    with_daemon(world, || {
        world.namespace(space)?;
        let wire = json!({"type": "macvlan", "master": "wire", "name": "late"});
        let mut yaml =
            subnet("plugged", "cidrs: [10.75.0.0/24, \"fd00:75::/64\"], gateways: [], cooling: 1s");
        yaml += &network(space, "late", wire, "plugged");
        yaml += &pod(space, "one", &json!({}), &on(NODE_NAME));
        world.apply(&yaml)?;
        world.wait_ready(space, 1)?;
        let before = world.active(space)?;

        let plug = Plug::new(world, space, "one", "late", "hot0")?;
        plug.announce(&json!([{"name": "late", "namespace": space, "interface": "hot0"}]))?;
        let result = plug.call("ADD")?;
        let held = plug.held()?;
        ensure!(held.len() == 2, "an address of each family: {held:?}");
        for address in &held {
            ensure!(result.to_string().contains(&format!("\"{address}/")), "{address}: {result}");
            let said = world.ask(&format!("exec -n {space} one -- ip -o addr show dev hot0"))?;
            ensure!(said.contains(&format!(" {address}/")), "hot0 lacks {address}: {said}");
        }
        let granted = || plug.granted().ok()?.contains(&"hot0".to_owned()).then_some(());
        wait_until("the grant has the new interface", LIMIT, granted)?;
        world.audit()?;

        plug.announce(&json!([]))?;
        plug.call("DEL")?;
        let freed = || plug.held().ok()?.is_empty().then_some(());
        wait_until("what the interface had is free", LIMIT, freed)?;
        ensure!(!plug.granted()?.contains(&"hot0".to_owned()), "the grant names what was taken out");
        ensure!(world.active(space)? == before, "the pod's own address is what it was");
        world.audit()?;
        leave(world, space)
    })?;
    world.ask("delete subnet plugged").map(drop)
}

/// Runs Multus' daemon on one node for as long as `test` does.
fn with_daemon(world: &World, test: impl FnOnce() -> Result<()>) -> Result<()> {
    let folder = world.with(|cluster| {
        let node = &cluster.nodes()[NODE];
        let image = world.layout().folder().join("multus.tar");
        multus::write_image(&image)?;
        run(node.ctr()?.args(["images", "import"]).arg(&image))?;
        fs::remove_file(&image)?;
        files(&node.file("/opt/cni/bin")?)?;
        node.file("/etc/cni/net.d")
    })?;
    let (file, plain) = (folder.join("00-multus.conf"), folder.join("10-pods.conf"));
    let before = fs::read(&file).with_context(|| file.display().to_string())?;
    let own: Value = serde_json::from_slice(&before)?;
    // Its daemon makes its configuration of the one that it finds.
    fs::write(&plain, own["delegates"][0].to_string())?;
    let began = || {
        world.apply(include_str!("thick.yaml"))?;
        world.ask("rollout status -n kube-system daemonset/multus --timeout=2m")?;
        let is_thick = || fs::read_to_string(&file).ok()?.contains("multus-shim").then_some(());
        wait_until("Multus' daemon has written its configuration", LIMIT, is_thick)
    };
    let result = began().and_then(|()| test());
    let state = result.as_ref().err().map(|_| world.ask("logs -n kube-system daemonset/multus --tail=40"));
    world.ask("delete -n kube-system daemonset/multus --cascade=foreground --timeout=2m")?;
    fs::write(&file, before)?;
    fs::remove_file(&plain)?;
    result.with_context(|| state.into_iter().flatten().collect::<String>())
}

/// Makes files of links that lead out of a folder: the daemon sees nothing else of the node when it looks for a program.
fn files(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Ok(program) = fs::read_link(&path) {
            let new = path.with_extension("new");
            fs::copy(&program, &new)?;
            fs::rename(&new, &path)?;
        }
    }
    Ok(())
}

/// Pods need the daemon until they are gone.
fn leave(world: &World, space: &str) -> Result<()> {
    world.leave(space)?;
    world.ask(&format!("wait --for=delete namespace/{space} --timeout=2m")).map(drop)
}

/// One interface that is not among those that a pod began with.
struct Plug<'a> {
    world: &'a World,
    namespace: &'static str,
    pod: &'static str,
    interface: &'static str,
    config: String,
    uid: String,
    sandbox: String,
    netns: String,
}

impl<'a> Plug<'a> {
    fn new(
        world: &'a World,
        namespace: &'static str,
        pod: &'static str,
        network: &str,
        interface: &'static str,
    ) -> Result<Plug<'a>> {
        let object = world.ask_json(&format!("get pod -n {namespace} {pod}"))?;
        let uid = object["metadata"]["uid"].as_str().context("a pod has a UID")?.to_owned();
        let definition =
            world.ask_json(&format!("get network-attachment-definitions -n {namespace} {network}"))?;
        let config = definition["spec"]["config"].as_str().context("a configuration")?.to_owned();
        let (sandbox, netns) = world.with(|cluster| {
            let node = &cluster.nodes()[NODE];
            let filter =
                format!("labels.\"io.kubernetes.pod.uid\"=={uid},labels.\"io.cri-containerd.kind\"==sandbox");
            let sandbox =
                run(node.ctr()?.args(["containers", "list", "--quiet", &filter]))?.trim().to_owned();
            let info: Value =
                serde_json::from_str(&run(node.ctr()?.args(["containers", "info", &sandbox]))?)?;
            let namespaces = info["Spec"]["linux"]["namespaces"].as_array().context("namespaces")?;
            let netns = namespaces.iter().find(|entry| entry["type"] == "network").context("a network")?;
            Ok((sandbox, netns["path"].as_str().context("a path")?.to_owned()))
        })?;
        Ok(Plug { world, namespace, pod, interface, config, uid, sandbox, netns })
    }

    fn announce(&self, networks: &Value) -> Result<()> {
        let patch = json!({"metadata": {"annotations": {NETWORKS: networks.to_string()}}}).to_string();
        let args = ["patch", "pod", "-n", self.namespace, self.pod, "--type=merge", "--patch", &patch];
        run(&mut self.world.layout().kubectl(args)).map(drop)
    }

    /// Has the daemon call the plugin.
    fn call(&self, verb: &str) -> Result<Value> {
        let Plug { namespace, pod, uid, .. } = self;
        let request = json!({
            "env": {
                "CNI_COMMAND": verb,
                "CNI_CONTAINERID": self.sandbox,
                "CNI_NETNS": self.netns,
                "CNI_IFNAME": self.interface,
                "CNI_ARGS": format!("K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={pod};K8S_POD_UID={uid}"),
            },
            "config": STANDARD.encode(&self.config),
        });
        let socket = self.world.with(|cluster| cluster.nodes()[NODE].file("/run/multus/multus.sock"))?;
        let answer = post(&mut UnixStream::connect(socket)?, "/delegate", &request.to_string())?;
        let (head, body) = answer.split_once("\r\n\r\n").with_context(|| answer.clone())?;
        ensure!(head.starts_with("HTTP/1.0 200 "), "{verb}: {answer}");
        if body.trim().is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(body)?) }
    }

    /// What the ledger has for it.
    fn held(&self) -> Result<Vec<String>> {
        let rows = self.world.active(self.namespace)?.into_values();
        Ok(rows.filter(|row| row.interface == self.interface).map(|row| row.address).collect())
    }

    /// The interfaces in the pod's grant.
    fn granted(&self) -> Result<Vec<String>> {
        let object = self.world.ask_json(&format!("get pod -n {} {}", self.namespace, self.pod))?;
        let grant = annotation(&object, "allotment.dev/grant")?;
        let entries = grant["attachments"].as_array().context("attachments")?;
        Ok(entries.iter().filter_map(|entry| Some(entry["interface"].as_str()?.to_owned())).collect())
    }
}

/// HTTP/1.0, so that the answer ends with the connection.
fn post(stream: &mut UnixStream, path: &str, body: &str) -> Result<String> {
    write!(
        stream,
        "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
