//! Every stock main plugin × everything that a runtime does with it.
//!
//! Some differ, and what our users meet there is written down in [`Main`]: these are the plugins' ways, not ours, and a
//! new version that mends one of them shows here.

use allotment_lab::{Call, Lab, Netns, Verb};
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::trial;
use crate::world::{World, add, bare, config, ipam, lan, nobody, nowhere, rows, subnet, the_row};

/// How one main plugin behaves.
#[expect(clippy::struct_excessive_bools, reason = "a table of facts, one column each")]
struct Main {
    name: &'static str,
    /// `ip link add` with this makes an interface of its kind; nothing where every kernel can.
    needs: Option<&'static str>,
    /// The interface is in the namespace, with its MAC, before IPAM is asked.
    link_first: bool,
    /// DEL without a namespace reaches IPAM.
    del_without_netns: bool,
    /// DEL with a namespace that is gone reaches IPAM (else the plugin fails before).
    del_after_netns: bool,
    /// The second DEL succeeds.
    second_del: bool,
}

const USUAL: Main = Main {
    name: "",
    needs: None,
    link_first: true,
    del_without_netns: true,
    del_after_netns: true,
    second_del: true,
};

const MAINS: [Main; 8] = [
    Main { name: "bridge", ..USUAL },
    Main { name: "macvlan", ..USUAL },
    Main { name: "ptp", link_first: false, ..USUAL },
    Main { name: "tap", ..USUAL },
    Main {
        name: "host-device",
        del_without_netns: false,
        del_after_netns: false,
        second_del: false,
        ..USUAL
    },
    Main { name: "ipvlan", needs: Some("link probe0 type ipvlan mode l2"), ..USUAL },
    Main { name: "vlan", needs: Some("link probe0 type vlan id 5"), ..USUAL },
    Main { name: "dummy", needs: Some("type dummy"), ..USUAL },
];

type Cell = fn(&World, &'static Main) -> Result<()>;

const CELLS: [(&str, Cell); 10] = [
    ("add", added),
    ("add_refused", add_refused),
    ("add_fails_later", add_fails_later),
    ("del_twice", del_twice),
    ("del_without_netns", del_without_netns),
    ("del_after_netns", del_after_netns),
    ("check", check),
    ("status", status),
    ("daemon_away", daemon_away),
    ("gc", gc),
];

/// On a kernel without ipvlan, vlan and dummy: all of theirs. More may never be skipped.
const SKIPPED_AT_MOST: usize = 3 * CELLS.len();

/// A test for every cell; those that this kernel cannot run are marked as skipped.
pub(crate) fn trials(world: Option<&'static World>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut skipped = 0;
    for main in &MAINS {
        let missing = world.is_some() && !main.is_supported();
        for (name, cell) in CELLS {
            let name = format!("matrix::{}::{name}", main.name);
            if missing {
                eprintln!("skipped: {name}: this kernel has no {} interfaces", main.name);
                skipped += 1;
            }
            trials.push(trial(world, name, move |world| cell(world, main)).with_ignored_flag(missing));
        }
    }
    let count = trial(world, "matrix::skips_no_more_than_pinned".to_owned(), move |_| {
        ensure!(skipped <= SKIPPED_AT_MOST, "{skipped} cells are skipped, {SKIPPED_AT_MOST} at most may be");
        Ok(())
    });
    trials.push(count);
    trials
}

impl Main {
    fn is_supported(&self) -> bool {
        let Some(words) = self.needs else { return true };
        let Ok(netns) = Netns::create("probe") else { return false };
        netns.ip("link add probe0 type veth peer name probe1").is_ok()
            && netns.ip(&format!("link add x {words}")).is_ok()
    }

    /// The network configuration; `subnet` is the one to take addresses from.
    fn config(&self, lab: &Lab, subnet: &str) -> Value {
        let mut config = config(lab, json!({"subnets": [subnet]}));
        config["type"] = json!(self.name);
        match self.name {
            "bridge" => config["bridge"] = json!("br0"),
            "macvlan" | "ipvlan" => config["master"] = json!("uplink"),
            "vlan" => {
                config["master"] = json!("uplink");
                config["vlanId"] = json!(5);
            }
            "host-device" => config["device"] = json!("nic0"),
            _ => {}
        }
        config
    }
}

/// A machine with an uplink and a spare interface, and one container on it.
struct Site {
    lab: Lab,
    pod: Netns,
    config: Value,
}

impl Site {
    fn new(world: &World, main: &'static Main) -> Result<Site> {
        let tiny = subnet("tiny", "cidrs: [10.8.0.0/30]");
        let astray = subnet("astray", "cidrs: [10.7.0.0/24], routes: [{to: 10.0.0.0/8, via: 192.0.2.1}]");
        let lab = world.lab(&[lan(), tiny, astray].concat())?;
        for (nic, far_end) in [("uplink", "far0"), ("nic0", "far1")] {
            lab.host().ip(&format!("link add {nic} type veth peer name {far_end}"))?;
            lab.host().ip(&format!("link set {far_end} up"))?;
            lab.host().ip(&format!("link set {nic} up"))?;
        }
        let pod = lab.netns("pod")?;
        let config = main.config(&lab, "lan");
        Ok(Site { lab, pod, config })
    }

    fn call(&self, verb: Verb) -> Call {
        Call::new(verb, &self.config).interface("c1", &self.pod.path(), "eth0")
    }

    fn add(&self) -> Result<Value> {
        self.lab.call(&self.call(Verb::Add))?.result()
    }

    /// The configuration of CHECK and DEL has the result of the ADD in it.
    fn with_result(&self, verb: Verb, result: &Value) -> Call {
        let mut config = self.config.clone();
        config["prevResult"] = result.clone();
        Call { stdin: config.to_string(), ..self.call(verb) }
    }
}

/// The address in the result is in the interface and in the ledger, with everything that the plugin could tell.
fn added(world: &World, main: &'static Main) -> Result<()> {
    let site = Site::new(world, main)?;
    let result = site.add()?;
    let address = result["ips"][0]["address"].as_str().context("an address")?;
    ensure!(address == "10.9.0.2/24", "the first usable address after the gateway: {address}");

    let links: Value = serde_json::from_str(&site.pod.ip("-j addr show dev eth0")?)?;
    let inside = links[0]["addr_info"].as_array().context("addr_info")?;
    ensure!(
        inside.iter().any(|info| info["local"] == bare(address)),
        "{address} is not on the interface: {links}"
    );

    let row = the_row(&site.lab)?;
    ensure!(row["address"] == bare(address) && row["subnet"] == "lan", "{row}");
    let attachment = json!({"containerId": "c1", "interface": "eth0", "network": "net"});
    ensure!(row["attachment"] == attachment, "{row}");
    let mac = if main.link_first { links[0]["address"].clone() } else { Value::Null };
    ensure!(row["mac"] == mac, "the interface has {mac}, the ledger {}", row["mac"]);
    Ok(())
}

/// A full subnet: the runtime sees our code and our words, and the ledger has nothing of this container.
fn add_refused(world: &World, main: &'static Main) -> Result<()> {
    let mut site = Site::new(world, main)?;
    let only = config(&site.lab, json!({"subnets": ["tiny"]}));
    add(&site.lab, &only, "first", &site.pod)?.ok()?;
    site.config = main.config(&site.lab, "tiny");
    let answer = site.lab.call(&site.call(Verb::Add))?;
    ensure!(answer.error_code()? == 100, "{answer}");
    let error = answer.error()?;
    ensure!(error["msg"].as_str().is_some_and(|words| words.contains("tiny")), "{error}");
    ensure!(
        error["details"].as_str().is_some_and(|hint| !hint.is_empty()),
        "a refusal says what to do: {error}"
    );
    let row = the_row(&site.lab)?;
    ensure!(row["attachment"]["containerId"] == "first", "{row}");
    Ok(())
}

/// A route that the kernel refuses: the main plugin fails after we answered, and gives the address back.
fn add_fails_later(world: &World, main: &'static Main) -> Result<()> {
    let mut site = Site::new(world, main)?;
    site.config = main.config(&site.lab, "astray");
    let answer = site.lab.call(&site.call(Verb::Add))?;
    ensure!(!answer.is_ok(), "{answer}");
    nobody(&site.lab)?;
    let cooling = rows(&site.lab, "cooling")?;
    ensure!(cooling.len() == 1, "the address was given and came back: {cooling:?}");
    Ok(())
}

/// containerd sends DEL when the sandbox stops and again when it is removed.
fn del_twice(world: &World, main: &'static Main) -> Result<()> {
    let site = Site::new(world, main)?;
    let result = site.add()?;
    site.lab.call(&site.with_result(Verb::Del, &result))?.ok()?;
    nobody(&site.lab)?;
    let cooling = rows(&site.lab, "cooling")?;
    ensure!(cooling.len() == 1, "{cooling:?}");
    let second = site.lab.call(&site.call(Verb::Del))?;
    ensure!(second.is_ok() == main.second_del, "{second}");
    let after = rows(&site.lab, "cooling")?;
    ensure!(after == cooling, "the second DEL changed something: {after:?}");
    Ok(())
}

fn del_without_netns(world: &World, main: &'static Main) -> Result<()> {
    let site = Site::new(world, main)?;
    let result = site.add()?;
    let mut call = site.with_result(Verb::Del, &result);
    call.netns = Some(String::new());
    site.lab.call(&call)?.ok()?;
    if main.del_without_netns { nobody(&site.lab) } else { released_by_gc(&site) }
}

fn del_after_netns(world: &World, main: &'static Main) -> Result<()> {
    let site = Site::new(world, main)?;
    let result = site.add()?;
    let mut call = site.with_result(Verb::Del, &result);
    call.netns = Some(nowhere().to_string_lossy().into_owned());
    let answer = site.lab.call(&call)?;
    ensure!(answer.is_ok() == main.del_after_netns, "{answer}");
    if main.del_after_netns { nobody(&site.lab) } else { released_by_gc(&site) }
}

/// The main plugin did not ask us: the address is held, and a garbage collection brings it back.
fn released_by_gc(site: &Site) -> Result<()> {
    ensure!(
        the_row(&site.lab)?["attachment"]["containerId"] == "c1",
        "the plugin was not expected to call IPAM"
    );
    let mut config = site.config.clone();
    config["cni.dev/valid-attachments"] = json!([]);
    ipam(&site.lab, &Call::new(Verb::Gc, &config))?.ok()?;
    nobody(&site.lab)
}

/// CHECK holds, and after the address was lost it says so.
fn check(world: &World, main: &'static Main) -> Result<()> {
    let site = Site::new(world, main)?;
    let result = site.add()?;
    let check = site.with_result(Verb::Check, &result);
    site.lab.call(&check)?.ok()?;
    ipam(&site.lab, &site.call(Verb::Del))?.ok()?;
    let answer = site.lab.call(&check)?;
    ensure!(answer.error_code()? == 103, "{answer}");
    Ok(())
}

/// A full subnet is no reason to call the whole node unable.
fn status(world: &World, main: &'static Main) -> Result<()> {
    let mut site = Site::new(world, main)?;
    let tiny = config(&site.lab, json!({"subnets": ["tiny"]}));
    add(&site.lab, &tiny, "first", &site.pod)?.ok()?;
    site.config = main.config(&site.lab, "tiny");
    site.lab.call(&Call::new(Verb::Status, &site.config))?.ok()?;
    Ok(())
}

/// Without the daemon: STATUS 50, ADD 11, and DEL succeeds and is made good later.
fn daemon_away(world: &World, main: &'static Main) -> Result<()> {
    let mut site = Site::new(world, main)?;
    let result = site.add()?;
    site.lab.kill()?;
    let status = site.lab.call(&Call::new(Verb::Status, &site.config))?;
    ensure!(status.error_code()? == 50, "{status}");
    let other = site.lab.netns("other")?;
    let mut config = site.config.clone();
    if main.name == "host-device" {
        config["device"] = json!("uplink");
    }
    let add = site.lab.call(&Call::new(Verb::Add, &config).interface("c2", &other.path(), "eth0"))?;
    ensure!(add.error_code()? == 11, "{add}");
    site.lab.call(&site.with_result(Verb::Del, &result))?.ok()?;
    site.lab.start()?;
    nobody(&site.lab)
}

/// No stock plugin passes GC on: nothing happens, and nothing may be lost. Asked itself, ours keeps what is valid.
fn gc(world: &World, main: &'static Main) -> Result<()> {
    let site = Site::new(world, main)?;
    site.add()?;
    let mut config = site.config.clone();
    config["cni.dev/valid-attachments"] = json!([]);
    site.lab.call(&Call::new(Verb::Gc, &config))?.ok()?;
    the_row(&site.lab)?;
    config["cni.dev/valid-attachments"] = json!([{"containerID": "c1", "ifname": "eth0"}]);
    ipam(&site.lab, &Call::new(Verb::Gc, &config))?.ok()?;
    the_row(&site.lab)?;
    released_by_gc(&site)
}
