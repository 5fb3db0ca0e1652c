//! Taking a cluster down.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use allotment_fleet::bin;
use allotment_lab::{run, wait_until};
use allotment_nodes::Layout;
use anyhow::{Result, ensure};

use crate::world::{LIMIT, Test, World};

pub(crate) const TESTS: &[Test] = &[("down::leaves_nothing_of_a_cluster_that_was_half_made", half_made)];

const NODES: &str = env!("CARGO_BIN_EXE_nodes");

/// `up` is killed while its node starts, beside the cluster of the other tests, which goes on.
fn half_made(world: &World) -> Result<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("half");
    run(Command::new(NODES).arg("down").arg(&folder))?;
    let mut up = Command::new(NODES);
    up.arg("up").arg(&folder).arg("1").env("ALLOTMENT_BIN", bin()?);
    let mut up = up.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let kubelet = folder.join("node-1/kubelet.log");
    let begun = wait_until("its kubelet starts", LIMIT, || kubelet.exists().then_some(()));
    up.kill()?;
    up.wait()?;
    let during = traces(&folder);
    run(Command::new(NODES).arg("down").arg(&folder))?;
    begun?;
    ensure!(during.len() > 3, "too little was made that could be left: {during:?}");
    let after = traces(&folder);
    ensure!(after.is_empty() && !folder.exists(), "{after:?}");
    world.wait_nodes()
}

/// What a cluster has outside its folder: a link of the machine, cgroups, and processes.
fn traces(folder: &Path) -> Vec<String> {
    let layout = Layout::new(folder);
    let below = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut places = vec![Path::new("/sys/class/net").join(layout.link())];
    places.extend(below("/sys/fs/cgroup").iter().map(|hierarchy| hierarchy.join(layout.cgroup())));
    places.push(Path::new("/sys/fs/cgroup").join(layout.cgroup()));
    places.retain(|place| place.exists());
    let name = folder.as_os_str().as_encoded_bytes();
    places.extend(below("/proc").into_iter().filter(|process| {
        let said = |file: &str| fs::read(process.join(file)).unwrap_or_default();
        [said("cmdline"), said("environ")].concat().windows(name.len()).any(|part| part == name)
    }));
    places.iter().map(|place| place.display().to_string()).collect()
}
