//! What every test starts from.

use std::path::Path;

use allotment_lab::{Answer, Call, Lab, Netns, Programs, Verb, isolate};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// A test of a module's list: its name and what it does.
pub(crate) type Test = (&'static str, fn(&World) -> Result<()>);

/// What runs, and where files go.
pub(crate) struct World {
    pub(crate) programs: Programs,
    folder: std::path::PathBuf,
}

impl World {
    /// Lives as long as the process: the tests run on several threads.
    pub(crate) fn new(programs: Programs) -> Result<&'static World> {
        let folder = isolate::folder().context("not inside")?;
        Ok(Box::leak(Box::new(World { programs, folder })))
    }

    /// A machine with a serving daemon.
    pub(crate) fn lab(&self, objects: &str) -> Result<Lab> {
        Lab::serving(&self.programs, &self.folder, objects)
    }

    /// A machine without a daemon yet.
    pub(crate) fn machine(&self, objects: &str) -> Result<Lab> {
        Lab::new(&self.programs, &self.folder, objects)
    }
}

/// A YAML object.
pub(crate) fn subnet(name: &str, spec: &str) -> String {
    object("Subnet", name, spec)
}

pub(crate) fn object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: allotment.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )
}

/// The usual one: room enough, and nothing cools longer than a test takes to look.
pub(crate) fn lan() -> String {
    subnet("lan", "cidrs: [10.9.0.0/24], cooling: 1h")
}

/// A configuration as the `allotment` plugin gets it from a main plugin that makes no interface.
pub(crate) fn config(lab: &Lab, ipam: Value) -> Value {
    let mut ipam = ipam;
    ipam["type"] = json!("allotment");
    ipam["socket"] = json!(lab.socket());
    json!({"cniVersion": "1.1.0", "name": "net", "type": "main", "ipam": ipam})
}

/// A serving machine with one container's namespace, and a configuration that takes addresses from `lan`.
pub(crate) fn site(world: &World, objects: &str) -> Result<(Lab, Netns, Value)> {
    let lab = world.lab(objects)?;
    let pod = lab.netns("pod")?;
    let config = config(&lab, json!({"subnets": ["lan"]}));
    Ok((lab, pod, config))
}

/// Calls `allotment` itself, as a main plugin would.
pub(crate) fn ipam(lab: &Lab, call: &Call) -> Result<Answer> {
    lab.call_plugin("allotment", call)
}

/// ADD of `eth0` straight at the `allotment` plugin.
pub(crate) fn add(lab: &Lab, config: &Value, container_id: &str, netns: &Netns) -> Result<Answer> {
    ipam(lab, &Call::new(Verb::Add, config).interface(container_id, &netns.path(), "eth0"))
}

/// DEL of `eth0` straight at the `allotment` plugin.
pub(crate) fn del(lab: &Lab, config: &Value, container_id: &str, netns: &Netns) -> Result<Answer> {
    ipam(lab, &Call::new(Verb::Del, config).interface(container_id, &netns.path(), "eth0"))
}

/// The rows of `allot ip` in a state.
pub(crate) fn rows(lab: &Lab, state: &str) -> Result<Vec<Value>> {
    let rows = lab.list(&["ip"])?;
    Ok(rows.into_iter().filter(|row| row["state"] == state).collect())
}

/// The only active row.
pub(crate) fn the_row(lab: &Lab) -> Result<Value> {
    let mut active = rows(lab, "active")?;
    ensure!(active.len() == 1, "one active address was expected: {active:?}");
    active.pop().context("one row")
}

/// Fails unless nobody has an address.
pub(crate) fn nobody(lab: &Lab) -> Result<()> {
    let active = rows(lab, "active")?;
    ensure!(active.is_empty(), "nothing should be active: {active:?}");
    Ok(())
}

/// An address without its prefix length.
pub(crate) fn bare(address: &str) -> &str {
    address.split('/').next().unwrap_or(address)
}

/// The path of a namespace that is not there.
pub(crate) fn nowhere() -> &'static Path {
    Path::new("/run/netns/gone")
}
