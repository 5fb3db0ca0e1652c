//! Through libcni, the library that the runtimes use: its cache, its order of calls, its garbage collection.

use std::fs;
use std::process::Command;

use allotment_lab::{Lab, Netns};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::world::{Test, World, lan, nobody, the_row};

pub(crate) const TESTS: &[Test] = &[
    ("cnitool::add_check_status_del", add_check_status_del),
    ("cnitool::gc_of_everything", gc_of_everything),
];

struct Site {
    lab: Lab,
    pod: Netns,
}

fn site(world: &World, name: &str) -> Result<Site> {
    let lab = world.lab(&lan())?;
    let pod = lab.netns("pod")?;
    let plugin = json!({
        "type": "ptp",
        "ipam": {"type": "allotment", "subnets": ["lan"], "socket": lab.socket()},
    });
    // libcni keeps its cache by the network's name.
    let list = json!({"cniVersion": "1.1.0", "name": name, "plugins": [plugin]});
    fs::write(lab.dir().join("net.conflist"), list.to_string())?;
    Ok(Site { lab, pod })
}

impl Site {
    fn cnitool(&self, name: &str, verb: &str) -> Result<String> {
        let program = allotment_lab::find("cnitool", self.lab.cni_path())?;
        let mut command = Command::new(program);
        command.args([verb, name]).arg(self.pod.path());
        command.env("CNI_PATH", self.lab.cni_path()).env("NETCONFPATH", self.lab.dir());
        self.lab.host().enter(|| allotment_lab::run(&mut command))?
    }
}

fn add_check_status_del(world: &World) -> Result<()> {
    let site = site(world, "cnitool-add")?;
    site.cnitool("cnitool-add", "status")?;
    let text = site.cnitool("cnitool-add", "add")?;
    let result: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    ensure!(result["ips"][0]["address"] == "10.9.0.2/24", "{result}");
    let row = the_row(&site.lab)?;
    ensure!(row["attachment"]["network"] == "cnitool-add", "{row}");
    site.cnitool("cnitool-add", "check")?;
    site.cnitool("cnitool-add", "del")?;
    nobody(&site.lab)
}

/// libcni sends DEL for each attachment that it has in its cache and nobody calls valid.
fn gc_of_everything(world: &World) -> Result<()> {
    let site = site(world, "cnitool-gc")?;
    site.cnitool("cnitool-gc", "add")?;
    the_row(&site.lab)?;
    site.cnitool("cnitool-gc", "gc")?;
    nobody(&site.lab)
}
