//! What the nodes stand on: one network namespace with the control plane and the switches between nodes.
//!
//! ```text
//!   machine ──── control plane ──┬── mgmt ── nodes        kubelets, the API server
//!                  (router)      ├── pods ── nodes        the cluster's own network
//!                                └── wire ── nodes        no address on it: what NADs name as `master`
//! ```
//!
//! A process that does nothing keeps it. When that ends, the kernel takes away every link in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use allotment_fleet::{Life, Server};
use allotment_lab::{run, wait_until};
use anyhow::{Context, Result};

use crate::layout::{GATEWAY, Layout, NODES, Number, ROUTER, SERVICE};

const LIMIT: Duration = Duration::from_secs(30);

/// The switches, each a bridge of this name; a node's end of its cable has the same name.
pub(crate) const SWITCHES: [&str; 3] = ["mgmt", "wire", "pods"];

/// The namespace of one cluster.
pub(crate) struct Ground {
    keeper: Server,
    file: PathBuf,
}

impl Ground {
    /// There may be one already.
    pub(crate) fn new(layout: &Layout, life: Life) -> Ground {
        let keeper = Server::new("ground", "unshare", layout.folder(), life);
        Ground {
            keeper: keeper.args(["--net", "sleep", "infinity"]),
            file: layout.folder().join("ground.pid"),
        }
    }

    /// Makes it, with all that is in it but the nodes' cables.
    pub(crate) fn start(&self, layout: &Layout) -> Result<()> {
        self.keeper.start()?;
        let id = self.keeper.id().with_context(|| self.keeper.words())?;
        wait_apart(id).with_context(|| self.keeper.words())?;
        fs::write(&self.file, id.to_string())?;
        // MACs of their own: else a bridge has the least of its ports', and nodes lose their router when another one crashes.
        self.batch(&format!(
            "link set lo up\n\
             addr add {SERVICE}/32 dev lo\n\
             link add mgmt address 02:00:00:00:00:01 type bridge\n\
             link add wire address 02:00:00:00:00:02 type bridge\n\
             link add pods address 02:00:00:00:00:03 type bridge\n\
             addr add {ROUTER}/24 dev mgmt\n\
             addr add {GATEWAY}/16 dev pods\n\
             link set mgmt up\n\
             link set wire up\n\
             link set pods up\n",
        ))?;
        run(self.inside("sh")?.args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]))?;
        let ([machine, server], link) = (layout.link_addresses(), layout.link());
        let taken = || format!("the machine's link into the cluster, {link} with {machine}, cannot be made");
        batch(
            Command::new("ip"),
            &format!(
                "link add {link} type veth peer name machine netns {id}\n\
                 addr add {machine}/30 dev {link}\n\
                 link set {link} up\n"
            ),
        )
        .with_context(taken)?;
        self.batch(&format!("addr add {server}/30 dev machine\nlink set machine up\n"))
    }

    /// Its file, as `nsenter --net` takes it.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let text = fs::read_to_string(&self.file)
            .with_context(|| format!("no cluster is up: {}", self.file.display()))?;
        Ok(PathBuf::from(format!("/proc/{}/ns/net", text.trim())))
    }

    /// A command that runs inside.
    pub(crate) fn inside(&self, program: &str) -> Result<Command> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path()?.display())).args(["--", program]);
        Ok(command)
    }

    /// Lays a cable from every switch to a node, whose network namespace is that of this process.
    pub(crate) fn connect(&self, number: Number, process: u32) -> Result<()> {
        let cables = SWITCHES.map(|switch| {
            let port = port(switch, number);
            format!(
                "link add {port} type veth peer name {switch} netns {process}\n\
                 link set {port} master {switch} up\n"
            )
        });
        self.batch(&cables.concat())
    }

    /// Whether a node's cables are still there: they go with its network namespace.
    pub(crate) fn is_connected(&self, number: Number) -> Result<bool> {
        let links = run(self.inside("ip")?.args(["-o", "link"]))?;
        let ports = SWITCHES.map(|switch| format!(" {}@", port(switch, number)));
        Ok(ports.iter().any(|port| links.contains(port)))
    }

    /// Cuts a node from the API server, or ends that; pods on it keep their network.
    pub(crate) fn set_management(&self, number: Number, up: bool) -> Result<()> {
        let state = if up { "up" } else { "down" };
        self.batch(&format!("link set {} {state}\n", port("mgmt", number)))
    }

    fn batch(&self, text: &str) -> Result<()> {
        batch(self.inside("ip")?, text)
    }
}

fn port(switch: &str, number: Number) -> String {
    format!("{switch}-{number}")
}

/// Several commands of `ip`, all or an error.
fn batch(mut ip: Command, text: &str) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(&file, text)?;
    run(ip.arg("-batch").arg(file.path())).map(drop).with_context(|| text.trim().to_owned())
}

/// Waits until a process has a network namespace that is not ours.
pub(crate) fn wait_apart(process: u32) -> Result<()> {
    let ours = fs::read_link("/proc/self/ns/net")?;
    let theirs = PathBuf::from(format!("/proc/{process}/ns/net"));
    wait_until("a new network namespace", LIMIT, || match fs::read_link(&theirs) {
        Ok(theirs) if theirs != ours => Some(()),
        _ => None,
    })
}

/// Whether the machine has a link of this name.
pub(crate) fn has_link(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// The addresses of the nodes' network, for whoever configures a node.
pub(crate) fn prefix_length() -> &'static str {
    NODES.split_once('/').expect("a network has a length").1
}
