//! A fleet that stays up until it is taken down.
//!
//! Nothing says which processes are its own but their environment: a list in a file could miss the one that was being
//! started when the machine or the command died.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use allotment_lab::wait_until;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Agent, Allot, ControlPlane, Life, Pods, Settings, objects, wait_published};

/// Set in each of its processes: where the fleet's files are.
pub const MARK: &str = "ALLOTMENT_FLEET";

/// For a process to end after SIGTERM, and after SIGKILL.
const END_LIMIT: Duration = Duration::from_secs(10);

/// How many of what.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub nodes: usize,
    pub controllers: usize,
}

/// What is up.
pub struct Standing {
    pub kubeconfig: PathBuf,
    /// A node's name, and the socket of its agent.
    pub sockets: Vec<(String, PathBuf)>,
}

/// Starts a fleet in this folder, with the programs of another. If it fails half way, what was started ends again.
pub fn up(folder: &Path, bin: &Path, size: Size) -> Result<Standing> {
    let running = processes(folder);
    ensure!(running.is_empty(), "a fleet of {} processes is up in {}", running.len(), folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    start(&folder.canonicalize()?, bin, size).inspect_err(|_| {
        // The first error is the one to tell.
        let _ = down(folder);
    })
}

/// Whether no process runs that was started with a log in this folder, to stay.
pub fn is_down(folder: &Path) -> bool {
    processes(folder).is_empty()
}

/// Kills every process that was started with a log in this folder, and waits until they are gone. Says how many there were.
pub fn kill_all(folder: &Path) -> Result<usize> {
    let count = processes(folder).len();
    // Again and again: one of them may just have started another.
    let killed = || {
        let left = processes(folder);
        if left.is_empty() { Some(Ok(())) } else { end(&left, Signal::SIGKILL).err().map(Err) }
    };
    wait_until("every process is killed", END_LIMIT, killed)??;
    Ok(count)
}

/// Ends every process of the fleet in this folder, and removes the folder. Says how many there were.
pub fn down(folder: &Path) -> Result<usize> {
    let running = processes(folder);
    end(&running, Signal::SIGTERM)?;
    let gone = || processes(folder).is_empty().then_some(());
    if wait_until("every process ends", END_LIMIT, gone).is_err() {
        end(&processes(folder), Signal::SIGKILL)?;
        wait_until("every process is killed", END_LIMIT, gone)?;
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", folder.display()))
        }
        _ => Ok(running.len()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn start(folder: &Path, bin: &Path, size: Size) -> Result<Standing> {
    let settings = Settings { life: Life::Detached, folder: Some(folder.to_owned()), ..Settings::default() };
    let plane = ControlPlane::start_with(settings)?;
    let (client, kubeconfig) = (plane.client()?, plane.kubeconfig());
    let allot = Allot::new(&plane, bin)?;
    objects::install(&client, &allot.tool()).await?;
    let names: Vec<String> = (1..=size.nodes).map(|number| format!("node-{number}")).collect();
    Pods::new(client.clone()).nodes(&names).await?;
    let agents = names.iter().map(|node| allot.agent(node, &kubeconfig)).collect::<Result<Vec<_>>>()?;
    agents.iter().try_for_each(|agent| agent.server.start())?;
    for number in 1..=size.controllers {
        allot.controller(&format!("controller-{number}"), &kubeconfig)?.start()?;
    }
    agents.iter().try_for_each(Agent::wait_serving)?;
    wait_published(&client, agents.len()).await?;
    let sockets = agents.into_iter().map(|agent| (agent.node, agent.socket)).collect();
    Ok(Standing { kubeconfig, sockets })
}

/// The processes that belong to the fleet in this folder.
fn processes(folder: &Path) -> Vec<Pid> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.map(Pid::from_raw).filter(|&process| is_marked(process, &folder)).collect()
}

fn is_marked(process: Pid, folder: &Path) -> bool {
    // What has ended and is not yet waited for has no environment any more.
    let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    environment.split(|&byte| byte == 0).any(|variable| {
        let value = variable.strip_prefix(MARK.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        value.is_some_and(|value| Path::new(OsStr::from_bytes(value)).starts_with(folder))
    })
}

fn end(processes: &[Pid], signal: Signal) -> Result<()> {
    for &process in processes {
        match kill(process, signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(error) => bail!("process {process} cannot be ended: {error}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Server;

    #[test]
    fn down_ends_what_was_started_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let (ours, theirs) = (parent.path().join("fleet"), parent.path().join("fleet-2"));
        let start = |folder: &Path, life| {
            fs::create_dir_all(folder).unwrap();
            let server = Server::new("sleeper", "sleep", folder, life).args(["600"]);
            server.start().unwrap();
            server
        };
        let first = start(&ours, Life::Detached);
        let inner = start(&ours.join("allot"), Life::Detached);
        let other = start(&theirs, Life::Detached);
        // Waits for the children, as whoever inherits them would.
        let reaper = std::thread::spawn(move || {
            wait_until("both end", END_LIMIT, || (first.id().is_none() && inner.id().is_none()).then_some(()))
        });
        assert_eq!(down(&ours).unwrap(), 2);
        reaper.join().unwrap().unwrap();
        assert!(!ours.exists() && other.id().is_some());
        assert_eq!(down(&ours).unwrap(), 0);
        other.kill().unwrap();
    }
}
