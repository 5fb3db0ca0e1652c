//! Network namespaces, and the wires between them.

use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};

use crate::run;

/// A named network namespace; deleted when dropped.
pub struct Netns {
    name: String,
}

impl Netns {
    pub fn create(name: &str) -> Result<Netns> {
        run(Command::new("ip").args(["netns", "add", name]))?;
        let netns = Netns { name: name.to_owned() };
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a runtime gives as `CNI_NETNS`.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// Runs `ip` in here; the words of `line` are its arguments.
    pub fn ip(&self, line: &str) -> Result<String> {
        run(Command::new("ip").args(["-n", &self.name]).args(line.split_whitespace()))
    }

    /// Lays a cable to another namespace: a veth, both ends up.
    pub fn wire(&self, end: &str, other: &Netns, other_end: &str) -> Result<()> {
        self.ip(&format!("link add {end} type veth peer name {other_end} netns {}", other.name))?;
        self.ip(&format!("link set {end} up"))?;
        other.ip(&format!("link set {other_end} up")).map(drop)
    }

    /// Does something in here, on a thread of its own; processes that it starts are in here too.
    ///
    /// Unlike `ip netns exec` this changes nothing but the network: the mounts stay as they are.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T> {
        let path = self.path();
        let file =
            std::fs::File::open(&path).with_context(|| format!("no network namespace {}", path.display()))?;
        thread::scope(|scope| {
            let work = scope.spawn(move || {
                setns(&file, CloneFlags::CLONE_NEWNET)
                    .with_context(|| format!("{} cannot be entered", path.display()))?;
                Ok(action())
            });
            match work.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // A test may have deleted it already.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}
