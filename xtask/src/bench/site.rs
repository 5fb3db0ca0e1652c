//! Whoever hands out addresses here, with some held already: our daemon and plugin, or host-local and its files.

use std::fs;
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use allotment_lab::{Call, Lab, Netns, Programs, Verb, find, run};
use anyhow::Result;
use serde_json::{Value, json};

/// Has room for the most that is held, and for what cools while we measure.
const OBJECTS: &str = "\
apiVersion: allotment.dev/v1alpha1
kind: Subnet
metadata: {name: bench}
spec: {cidrs: [10.0.0.0/15]}
";

/// The first address that is held; the one before is the gateway.
const FIRST: u32 = u32::from_be_bytes([10, 0, 0, 2]);

/// Interface of every container.
pub(crate) const INTERFACE: &str = "eth0";

/// Containers so far, for their names.
static CONTAINERS: AtomicU64 = AtomicU64::new(0);

/// A plugin and its configuration.
#[derive(Clone)]
pub(crate) struct Caller {
    plugin: PathBuf,
    config: Value,
}

/// How long the two halves of a pair took.
pub(crate) struct Pair {
    pub(crate) add: Duration,
    pub(crate) del: Duration,
}

impl Caller {
    pub(crate) fn new(plugin: &Path, ipam: &Value) -> Caller {
        let config = json!({"cniVersion": "1.0.0", "name": "bench", "type": "bridge", "ipam": ipam});
        Caller { plugin: plugin.to_owned(), config }
    }

    /// A container comes and goes.
    pub(crate) fn pair(&self, netns: &Path) -> Result<Pair> {
        let add = self.next(netns);
        let del = Call { verb: Verb::Del, ..add.clone() };
        Ok(Pair { add: self.timed(&add)?, del: self.timed(&del)? })
    }

    /// A new container, as containerd tells of it.
    pub(crate) fn next(&self, netns: &Path) -> Call {
        let number = CONTAINERS.fetch_add(1, Ordering::Relaxed);
        let args = format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;K8S_POD_NAME=pod-{number};\
             K8S_POD_INFRA_CONTAINER_ID={number:064x};K8S_POD_UID={number:032x}"
        );
        Call::new(Verb::Add, &self.config).interface(&format!("{number:064x}"), netns, INTERFACE).args(&args)
    }

    /// From the start of the process until its end is known.
    pub(crate) fn timed(&self, call: &Call) -> Result<Duration> {
        let start = Instant::now();
        let answer = call.exec(&self.plugin, "/")?;
        let took = start.elapsed();
        answer.ok()?;
        Ok(took)
    }
}

/// Our daemon on a ledger of its own.
pub(crate) struct Ours {
    /// The daemon ends with it.
    _lab: Lab,
    pub(crate) caller: Caller,
    /// The daemon's process.
    pub(crate) process: u32,
}

impl Ours {
    /// A daemon that was started with so many addresses held.
    pub(crate) fn new(programs: &Programs, folder: &Path, held: u32) -> Result<Ours> {
        let socket = format!("/run/bench-{held}.sock");
        let mut lab = Lab::new(programs, folder, OBJECTS)?.on_socket(&socket);
        lab.start()?;
        if held > 0 {
            let file = lab.dir().join("import");
            write_export(&file, held)?;
            run(lab.tool(&["import"]).arg(&file))?;
            lab.daemon()?.stop()?;
            lab.start()?;
        }
        let process = lab.daemon()?.id();
        let ipam = json!({"type": "allotment", "subnets": ["bench"], "socket": socket});
        let plugin = find("allotment", &programs.cni_path)?;
        Ok(Ours { _lab: lab, caller: Caller::new(&plugin, &ipam), process })
    }
}

/// host-local with so many addresses held.
pub(crate) fn host_local(programs: &Programs, folder: &Path, held: u32) -> Result<Caller> {
    let data = folder.join(format!("host-local-{held}"));
    let files = data.join("bench");
    fs::create_dir_all(&files)?;
    for number in 0..held {
        fs::write(files.join(address(number).to_string()), format!("{}\r\n{INTERFACE}", name(number)))?;
    }
    if let Some(last) = held.checked_sub(1) {
        fs::write(files.join("last_reserved_ip.0"), address(last).to_string())?;
    }
    let ranges = json!([[{"subnet": "10.0.0.0/15"}]]);
    let ipam = json!({"type": "host-local", "ranges": ranges, "dataDir": data});
    Ok(Caller::new(&find("host-local", &programs.cni_path)?, &ipam))
}

/// What `allot export` would write, had each of these containers asked.
fn write_export(file: &Path, held: u32) -> Result<()> {
    let mut out = BufWriter::new(fs::File::create(file)?);
    writeln!(out, "{}", json!({"format": "allotment.dev/export", "version": 1}))?;
    for number in 0..held {
        let name = name(number);
        let [_, _, high, low] = number.to_be_bytes();
        let allocation = json!({
            "vrf": "default",
            "address": address(number),
            "state": "active",
            "owner": {"kind": "Pod", "namespace": "bench", "name": format!("held-{number}"), "uid": name},
            // Without a namespace: the daemon would rightly find that it is gone, and release the address.
            "attachments": [{"holder": name, "containerId": name, "network": "bench", "interface": INTERFACE}],
            "mac": format!("02:00:00:00:{high:02x}:{low:02x}"),
            "rule": {"choice": "network", "pick": "fresh"},
            "since": 1,
        });
        writeln!(out, "{}", json!({"allocation": allocation}))?;
    }
    Ok(out.into_inner()?.sync_all()?)
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(FIRST + number)
}

/// The id of a container that holds an address; none that we start has it.
fn name(number: u32) -> String {
    format!("held{number:060x}")
}

/// A container's network namespace with its interface, as the main plugin has it ready when it asks for an address.
pub(crate) fn container(name: &str) -> Result<Netns> {
    let netns = Netns::create(name)?;
    netns.ip(&format!("link add {INTERFACE} type veth peer name peer"))?;
    Ok(netns)
}
