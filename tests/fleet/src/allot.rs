//! Our own programs: controllers and agents, as processes.

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use allotment_lab::wait_until;
use anyhow::{Context, Result, bail};
use kube::Client;
use kube::api::ListParams;
use tokio::time::{Instant, sleep};

use crate::played::node_attachments;
use crate::programs::root;
use crate::{ControlPlane, Life, Plugin, Server, plain, ports};

const READY_LIMIT: Duration = Duration::from_mins(1);

/// What each agent of many may add to it: they share the processors.
const PUBLISH_LIMIT: Duration = Duration::from_millis(200);

/// How often the API server is asked what agents have published.
const POLL: Duration = Duration::from_millis(100);

/// The folder with `allot` and `allotment`: `ALLOTMENT_BIN`, else `dist/bin`.
pub fn bin() -> Result<PathBuf> {
    let folder = std::env::var_os("ALLOTMENT_BIN").map_or_else(|| root().join("dist/bin"), PathBuf::from);
    for program in ["allot", "allotment"] {
        if !folder.join(program).is_file() {
            bail!("no {program} in {}; `cargo xtask dist` builds it", folder.display());
        }
    }
    folder.canonicalize().context("the folder of our programs")
}

/// Starts controllers and agents on one control plane. Their files are below its folder.
#[derive(Clone)]
pub struct Allot {
    bin: PathBuf,
    folder: PathBuf,
    life: Life,
    args: Vec<String>,
}

/// A controller's process.
pub struct Controller {
    pub server: Server,
    /// `127.0.0.1:PORT`, with /metrics and /readyz.
    pub metrics: String,
}

/// An agent's process.
pub struct Agent {
    pub server: Server,
    pub node: String,
    pub socket: PathBuf,
    /// Where it remembers what it answered.
    pub state: PathBuf,
}

impl Allot {
    /// The programs in this folder, for this control plane.
    pub fn new(plane: &ControlPlane, bin: &Path) -> Result<Allot> {
        let folder = plane.folder().join("allot");
        fs::create_dir_all(&folder)?;
        Ok(Allot { bin: bin.to_owned(), folder, life: plane.life(), args: Vec::new() })
    }

    /// Further arguments for all that is started from now on.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Allot {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// `allot`.
    pub fn tool(&self) -> PathBuf {
        self.bin.join("allot")
    }

    /// A controller of this name, not started yet. It asks the server that the file names: the API server, or a proxy.
    pub fn controller(&self, name: &str, kubeconfig: &Path) -> Result<Controller> {
        let metrics = format!("127.0.0.1:{}", ports::free()?);
        let server = Server::new(name, self.tool(), &self.folder, self.life)
            .args(["controller", "--metrics", &metrics, "--kubeconfig"])
            .args([kubeconfig])
            .args(&self.args);
        Ok(Controller { server, metrics })
    }

    /// The agent of a node, not started yet.
    pub fn agent(&self, node: &str, kubeconfig: &Path) -> Result<Agent> {
        let state = self.folder.join(node);
        fs::create_dir_all(&state)?;
        let socket = state.join("allotment.sock");
        let server = Server::new(&format!("agent-{node}"), self.tool(), &self.folder, self.life)
            .args(["agent", "--node", node, "--socket"])
            .args([&socket])
            .args(["--state"])
            .args([&state])
            .args(["--kubeconfig"])
            .args([kubeconfig])
            .args(&self.args);
        Ok(Agent { server, node: node.to_owned(), socket, state })
    }

    /// The plugin as this agent's node has it.
    pub fn plugin(&self, agent: &Agent) -> Plugin {
        Plugin::new(self.bin.join("allotment")).env("ALLOTMENT_SOCKET", &agent.socket)
    }
}

impl Controller {
    /// What /readyz says: `ok, leading`, or why it is not ready.
    pub fn readiness(&self) -> Result<String> {
        plain::get(&self.metrics, "/readyz")
    }

    /// Starts it and waits until it answers on its metrics' address; it need not lead.
    pub fn start(&self) -> Result<()> {
        self.server.start()?;
        wait_for(&self.server, || TcpStream::connect(&self.metrics).is_ok())
    }
}

impl Agent {
    /// Starts it and waits until its socket takes calls.
    pub fn start(&self) -> Result<()> {
        self.server.start()?;
        self.wait_serving()
    }

    pub fn wait_serving(&self) -> Result<()> {
        wait_for(&self.server, || UnixStream::connect(&self.socket).is_ok())
    }
}

/// Waits until so many agents have published what their nodes have: before that no pod there gets a grant.
pub async fn wait_published(client: &Client, count: usize) -> Result<()> {
    let api = node_attachments(client);
    let deadline = Instant::now() + READY_LIMIT + PUBLISH_LIMIT * u32::try_from(count).unwrap_or(u32::MAX);
    loop {
        let published = api.list(&ListParams::default()).await?;
        let published = published.items.iter().filter(|object| object.data["status"].is_object()).count();
        if published >= count {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("only {published} of {count} agents have published in time");
        }
        sleep(POLL).await;
    }
}

/// Waits for a condition, and no longer than the program runs.
fn wait_for(server: &Server, mut condition: impl FnMut() -> bool) -> Result<()> {
    let what = format!("{} serves", server.name());
    let outcome = wait_until(&what, READY_LIMIT, || match server.id() {
        Some(_) => condition().then_some(Ok(())),
        None => Some(Err(server.words())),
    });
    match outcome.with_context(|| server.words())? {
        Ok(()) => Ok(()),
        Err(words) => bail!("{} ended before it served; {words}", server.name()),
    }
}
