//! One node: started, cut off, crashed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use allotment_fleet::{Life, Server};
use allotment_lab::{isolate, wait_until};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::config::CONTAINERD_SOCKET;
use crate::ground::{Ground, wait_apart};
use crate::layout::{Layout, Number, node_name};
use crate::process::{self, Process};

const LIMIT: Duration = Duration::from_mins(1);

/// A machine of the cluster: namespaces of its own, and a folder that outlives its crashes.
pub struct Node {
    pub name: String,
    number: Number,
    /// It holds the namespaces: with its end everything ends that runs in them.
    outside: Server,
    file: PathBuf,
}

impl Node {
    pub(crate) fn new(layout: &Layout, number: Number, life: Life) -> Result<Node> {
        let name = node_name(number);
        let outside = Server::new(&name, "unshare", layout.folder(), life)
            .args([
                "--net",
                "--mount",
                "--uts",
                "--ipc",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "--",
            ])
            .args([program()?])
            .args([layout.folder()])
            .args([number.to_string()]);
        Ok(Node { name, number, outside, file: layout.node(number).join("pid") })
    }

    /// Starts it; it need not be ready yet. Files of an earlier run are what its disk has.
    pub(crate) fn start(&self, ground: &Ground) -> Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        self.outside.start()?;
        let id = self.outside.id().with_context(|| self.outside.words())?;
        fs::write(&self.file, id.to_string())?;
        wait_apart(id).with_context(|| self.outside.words())?;
        ground.connect(self.number, id)
    }

    /// Empties its disk.
    pub(crate) fn wipe(&self) -> Result<()> {
        let folder = self.file.parent().context("a node has a folder")?;
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())
    }

    /// The power fails: nothing on it runs any more, and its disk stays.
    pub(crate) fn crash(&self, ground: &Ground) -> Result<()> {
        let id = self.id()?;
        kill(Pid::from_raw(id), Signal::SIGKILL).with_context(|| format!("{} cannot be ended", self.name))?;
        let gone = || ground.is_connected(self.number).is_ok_and(|there| !there).then_some(());
        wait_until(&format!("the network of {} is gone", self.name), LIMIT, gone)
    }

    pub(crate) fn set_management(&self, ground: &Ground, up: bool) -> Result<()> {
        ground.set_management(self.number, up)
    }

    /// The first process of the node, as the machine numbers it: whoever enters its namespaces enters the node.
    pub fn init(&self) -> Result<i32> {
        let id = self.id()?;
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))
            .with_context(|| format!("{} does not run", self.name))?;
        let first = children.split_whitespace().next().and_then(|child| child.parse().ok());
        first.with_context(|| format!("{} does not run", self.name))
    }

    /// Where the node's files are for this process, such as `/etc`.
    pub fn file(&self, path: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/{}/root{path}", self.init()?)))
    }

    /// A command that runs on the node.
    pub fn command(&self, program: &str) -> Result<Command> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init()?.to_string(), "--all", "--", program]);
        Ok(command)
    }

    /// `ctr` on the node, for what kubelet's containerd has.
    pub fn ctr(&self) -> Result<Command> {
        let mut command = self.command("ctr")?;
        command.args(["--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]);
        Ok(command)
    }

    /// Every process on it, those in containers too; none if it does not run.
    pub fn processes(&self) -> Vec<Process> {
        self.init().map(process::below).unwrap_or_default()
    }

    /// What it said at last, for an error.
    pub(crate) fn words(&self) -> String {
        self.outside.words()
    }

    fn id(&self) -> Result<i32> {
        let text =
            fs::read_to_string(&self.file).with_context(|| format!("{} was never started", self.name))?;
        Ok(text.trim().parse()?)
    }
}

/// The program that a node starts with, beside this one: tests run with it too.
fn program() -> Result<PathBuf> {
    let this = isolate::this_program()?;
    let folders = this.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join("node-init")).find(|path| path.is_file());
    let found = found.with_context(|| format!("no `node-init` beside {}", this.display()))?;
    ensure!(found.is_absolute(), "the path of a program is absolute");
    Ok(found)
}
