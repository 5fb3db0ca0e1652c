//! Processes of a node, found through `/proc` (proc(5)).

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process, as the machine numbers it.
#[derive(Clone, Debug)]
pub struct Process {
    id: i32,
    /// The program without its folder, and its arguments.
    line: String,
}

impl Process {
    /// Whether its command line begins like this: `kubelet --config`.
    pub fn runs(&self, command: &str) -> bool {
        self.line.starts_with(command)
    }

    /// Whether it belongs to the pod of this UID, as a container of it or as its sandbox.
    pub fn is_of(&self, uid: &str) -> bool {
        let cgroups = fs::read_to_string(format!("/proc/{}/cgroup", self.id)).unwrap_or_default();
        cgroups.contains(uid)
    }

    /// SIGKILL; it may have ended by itself.
    pub fn kill(&self) -> Result<()> {
        match kill(Pid::from_raw(self.id), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("`{}` cannot be killed", self.line)),
        }
    }
}

/// The descendants of a process.
pub(crate) fn below(ancestor: i32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let parents: BTreeMap<i32, i32> = ids.filter_map(|id| Some((id, parent(id)?))).collect();
    let is_below = |mut id: i32| {
        while let Some(&parent) = parents.get(&id) {
            if parent == ancestor {
                return true;
            }
            id = parent;
        }
        false
    };
    parents.keys().copied().filter(|&id| is_below(id)).map(|id| Process { id, line: line(id) }).collect()
}

/// The fourth field; the second may hold anything but a last parenthesis.
fn parent(id: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn line(id: i32) -> String {
    let bytes = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut words = text.trim_end_matches('\0').split('\0');
    let program = words.next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    [program].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn descendants_are_found_and_killed() {
        let mut shell = Command::new("sh").args(["-c", "/bin/sleep 600 & wait"]).spawn().unwrap();
        let ours = i32::try_from(std::process::id()).unwrap();
        let sleeper = allotment_lab::wait_until("the sleeper", std::time::Duration::from_secs(10), || {
            below(ours).into_iter().find(|process| process.runs("sleep 600"))
        });
        sleeper.unwrap().kill().unwrap();
        shell.wait().unwrap();
        assert!(!below(ours).iter().any(|process| process.runs("sleep 600")));
    }
}
