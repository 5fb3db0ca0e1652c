//! Cilium's plugin, as `tests/cilium` pins it, with addresses from here (`docs/guides/cilium.md`).
//!
//! It asks Cilium's agent how the node is set up, and tells it of the endpoint; this plays as much of the agent as it asks for.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use allotment_lab::go::{self, Module};
use allotment_lab::{Answer, Call, Lab, Netns, Verb};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::guides::blocks;
use crate::world::{Test, World, bare, nobody, rows, the_row};

pub(crate) const TESTS: &[Test] = &[
    ("cilium::add_and_del", add_and_del),
    ("cilium::what_fails_after_us_is_given_back", fails_later),
    ("cilium::pools_in_its_section_are_its_own", pools),
];

/// As runtimes make them: Cilium calls an interface by its beginning.
const CONTAINER: &str = "5908b3770ee51eb6e5cbe0e6baa1c791e447235d6095e59523f8bbfd7f28933a";

struct Site {
    lab: Lab,
    pod: Netns,
    config: Value,
    plugin: PathBuf,
    agent: Agent,
}

impl Site {
    fn new(world: &World) -> Result<Site> {
        let blocks = blocks("guides/cilium.md")?;
        let of = |language: &str| {
            // The settings of Cilium's chart are for nobody here.
            let is_ours = |text: &str| !text.contains("ipam: {mode");
            let block = blocks.iter().find(|block| block.language == language && is_ours(&block.text));
            block.map(|block| block.text.as_str()).with_context(|| format!("the guide shows no {language}"))
        };
        let lab = world.lab(of("yaml")?)?;
        let list: Value = serde_json::from_str(of("json")?)?;
        let mut config = list["plugins"][0].clone();
        config["cniVersion"] = list["cniVersion"].clone();
        config["name"] = list["name"].clone();
        config["ipam"]["socket"] = json!(lab.socket());
        config["log-file"] = json!(lab.dir().join("cilium.log"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let module = Module::new(root.join("tests/cilium"));
        let plugin = module.build(&go::tools(&module.manifest()?))?.join("cilium-cni");
        let pod = lab.netns("pod")?;
        Ok(Site { lab, pod, config, plugin, agent: Agent::start()? })
    }

    fn call(&self, verb: Verb) -> Result<Answer> {
        let call = Call::new(verb, &self.config)
            .interface(CONTAINER, &self.pod.path(), "eth0")
            .args("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=u1")
            .env("CILIUM_SOCK", &self.agent.socket.to_string_lossy());
        let cni_path = self.lab.cni_path();
        self.lab.host().enter(|| call.exec(&self.plugin, cni_path))?
    }
}

fn add_and_del(world: &World) -> Result<()> {
    let site = Site::new(world)?;
    let result = site.call(Verb::Add)?.result()?;
    let row = the_row(&site.lab)?;
    ensure!(row["subnet"] == "cilium" && row["attachment"]["interface"] == "eth0", "{row}");
    let address = row["address"].as_str().context("an address")?;
    let given = result["ips"].as_array().into_iter().flatten().filter_map(|ip| ip["address"].as_str());
    let given: Vec<&str> = given.map(bare).collect();
    ensure!(given == [address], "{result}");
    let inside = site.pod.ip("-4 -o addr show dev eth0")?;
    ensure!(inside.contains(&format!(" {address}/32 ")), "{inside}");
    site.call(Verb::Del)?.ok()?;
    nobody(&site.lab)
}

/// Cilium's agent does not take the endpoint: its plugin gives back what it got.
fn fails_later(world: &World) -> Result<()> {
    let site = Site::new(world)?;
    site.agent.refuses.store(true, Ordering::Relaxed);
    let answer = site.call(Verb::Add)?;
    ensure!(!answer.is_ok(), "{answer}");
    nobody(&site.lab)?;
    let cooling = rows(&site.lab, "cooling")?;
    ensure!(cooling.len() == 1, "an address was given and came back: {cooling:?}");
    Ok(())
}

/// Cilium reads the section as one of its own, where `pools` is something else.
fn pools(world: &World) -> Result<()> {
    let mut site = Site::new(world)?;
    site.config["ipam"]["pools"] = json!(["web"]);
    let answer = site.call(Verb::Add)?;
    ensure!(!answer.is_ok() && answer.to_string().contains("failed to load netconf"), "{answer}");
    nobody(&site.lab)
}

/// Cilium's agent, as far as its plugin asks it; it lives as long as the test.
struct Agent {
    socket: PathBuf,
    refuses: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

impl Agent {
    fn start() -> Result<Agent> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("cilium.sock");
        let listener = UnixListener::bind(&socket)?;
        let refuses = Arc::new(AtomicBool::new(false));
        let is_refusing = Arc::clone(&refuses);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let is_refusing = Arc::clone(&is_refusing);
                thread::spawn(move || serve(stream, &is_refusing));
            }
        });
        Ok(Agent { socket, refuses, _folder: folder })
    }
}

/// Answers one request; the next one comes on a connection of its own.
fn serve(mut stream: UnixStream, is_refusing: &AtomicBool) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    reader.read_exact(&mut vec![0; length.unwrap_or(0)])?;
    let (code, body) = match head.split(' ').next() {
        Some("GET") => ("200 OK", config()),
        Some("PUT") if is_refusing.load(Ordering::Relaxed) => ("500 Internal Server Error", json!("no")),
        Some("PUT") => ("201 Created", json!({"id": 1})),
        _ => ("200 OK", json!(0)),
    };
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {code}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// As an agent with `ipam.mode=delegated-plugin` and IPv4 alone has it.
fn config() -> Value {
    json!({"status": {
        "ipam-mode": "delegated-plugin",
        "addressing": {"ipv4": {"enabled": true, "ip": "169.254.23.0"}},
        "datapathMode": "veth",
        "deviceMTU": 1500,
        "routeMTU": 1500,
        "realized": {},
        "daemonConfigurationMap": {},
    }})
}
