//! One machine: a network namespace for the host, a folder, a socket, and the daemon.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cni::find;
use crate::{Answer, Call, Daemon, Netns};

/// Labs of this process, for their names.
static LABS: AtomicU32 = AtomicU32::new(0);

/// As the command line promises it; `/run` is a lab's own.
const DEFAULT_SOCKET: &str = "/run/allotment/allotment.sock";

/// What a lab runs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `allot`.
    pub allot: PathBuf,
    /// Where `allotment` and the stock plugins are.
    pub cni_path: String,
}

impl Programs {
    /// Our two programs in `bin`, the stock plugins in `stock`.
    pub fn new(bin: &Path, stock: &Path) -> Result<Programs> {
        for program in ["allot", "allotment"] {
            if !bin.join(program).is_file() {
                anyhow::bail!("no {program} in {}; `cargo xtask dist` builds it", bin.display());
            }
        }
        let cni_path = format!("{}:{}", bin.display(), stock.display());
        Ok(Programs { allot: bin.join("allot"), cni_path })
    }
}

/// One machine. Dropping it ends its daemon and deletes its namespaces and files.
pub struct Lab {
    // The daemon goes before the host that it runs in.
    daemon: Option<Daemon>,
    host: Netns,
    dir: PathBuf,
    programs: Programs,
    prefix: String,
    socket: PathBuf,
    netns_count: AtomicU32,
}

impl Lab {
    /// A machine with these objects, and no daemon yet. Its files are in a new folder in `parent`.
    pub fn new(programs: &Programs, parent: &Path, objects: &str) -> Result<Lab> {
        let prefix = format!("lab{}", LABS.fetch_add(1, Ordering::Relaxed));
        let dir = parent.join(&prefix);
        fs::create_dir_all(dir.join("objects"))?;
        fs::write(dir.join("objects/lab.yaml"), objects)?;
        let host = Netns::create(&format!("{prefix}-host"))?;
        let socket = dir.join("allotment.sock");
        Ok(Lab {
            daemon: None,
            host,
            dir,
            programs: programs.clone(),
            prefix,
            socket,
            netns_count: AtomicU32::new(0),
        })
    }

    /// A machine with these objects, its daemon serving.
    pub fn serving(programs: &Programs, parent: &Path, objects: &str) -> Result<Lab> {
        let mut lab = Lab::new(programs, parent, objects)?;
        lab.start()?;
        Ok(lab)
    }

    /// Lets the daemon listen where plugins look for it when nobody tells them. One lab at a time can have that.
    #[must_use]
    pub fn on_default_socket(self) -> Lab {
        self.on_socket(DEFAULT_SOCKET)
    }

    /// Lets the daemon listen there: the path of a socket has 107 bytes at most, and a folder may have more.
    #[must_use]
    pub fn on_socket(mut self, path: impl Into<PathBuf>) -> Lab {
        self.socket = path.into();
        self
    }

    /// The machine's own network namespace.
    pub fn host(&self) -> &Netns {
        &self.host
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub fn cni_path(&self) -> &str {
        &self.programs.cni_path
    }

    /// The file with the objects.
    pub fn objects(&self) -> PathBuf {
        self.dir.join("objects/lab.yaml")
    }

    /// A new network namespace, for a container or for another machine on the wire.
    pub fn netns(&self, name: &str) -> Result<Netns> {
        let count = self.netns_count.fetch_add(1, Ordering::Relaxed);
        Netns::create(&format!("{}-{count}-{name}", self.prefix))
    }

    /// The command that starts this machine's daemon with another socket, or on other data.
    pub fn standalone_on(&self, socket: &Path, data: &Path) -> Command {
        let mut command = Command::new(&self.programs.allot);
        command.arg("standalone").arg("--objects").arg(self.dir.join("objects"));
        command.arg("--data").arg(data).arg("--socket").arg(socket);
        command
    }

    /// The command that starts this machine's daemon.
    pub fn standalone(&self) -> Command {
        self.standalone_on(&self.socket, &self.dir.join("data"))
    }

    /// A new daemon in the host's namespace, serving. The caller sees to it that there is only one.
    pub fn daemon_serving(&self) -> Result<Daemon> {
        let log = self.dir.join("daemon.log");
        let mut daemon = self.host.enter(|| Daemon::start(&mut self.standalone(), &log))??;
        daemon.wait_ready(|| {
            let ready = self.tool(&["ready", "--timeout", "1s"]).output();
            ready.is_ok_and(|output| output.status.success())
        })?;
        Ok(daemon)
    }

    /// Starts the daemon and waits until it serves.
    pub fn start(&mut self) -> Result<()> {
        self.daemon = Some(self.daemon_serving()?);
        Ok(())
    }

    /// The daemon; there is one after `start`.
    pub fn daemon(&mut self) -> Result<&mut Daemon> {
        self.daemon.as_mut().context("no daemon was started")
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon()?.kill()
    }

    /// `allot` with these arguments, for this machine's daemon.
    pub fn tool(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.programs.allot);
        command.args(args).env("ALLOTMENT_SOCKET", &self.socket);
        command
    }

    /// What `allot … -o json` lists.
    pub fn list(&self, what: &[&str]) -> Result<Vec<Value>> {
        let mut command = self.tool(what);
        let text = crate::run(command.args(["-o", "json"]))?;
        serde_json::from_str(&text).with_context(|| format!("no JSON array: {text}"))
    }

    /// Calls the plugin that the configuration's `type` names, in the host's namespace.
    pub fn call(&self, call: &Call) -> Result<Answer> {
        let config: Value = serde_json::from_str(&call.stdin).context("the configuration is not JSON")?;
        self.call_plugin(config["type"].as_str().context("the configuration has no `type`")?, call)
    }

    /// Calls the plugin of this name, in the host's namespace.
    pub fn call_plugin(&self, plugin: &str, call: &Call) -> Result<Answer> {
        let cni_path = self.cni_path();
        let path = find(plugin, cni_path)?;
        self.host.enter(|| call.exec(&path, cni_path))?
    }

    /// What the daemon said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("daemon.log")).unwrap_or_default()
    }
}
