//! A cluster, from its first process to its last.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use allotment_fleet::objects::NETWORKS;
use allotment_fleet::{ControlPlane, Life, Real, Server, Settings, User, standing};
use allotment_lab::wait_until;
use anyhow::{Context, Result, ensure};

use crate::cgroups;
use crate::ground::{self, Ground};
use crate::images;
use crate::install::install;
use crate::layout::{Layout, MOST_NODES, Number, ROUTER, SERVICE, node_name};
use crate::node::Node;
use crate::programs;

/// For all nodes to be ready, on a machine with all cores busy.
const READY_LIMIT: Duration = Duration::from_mins(5);

const END_LIMIT: Duration = Duration::from_mins(2);

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    pub folder: PathBuf,
    pub nodes: Number,
    /// Whether it ends with this process.
    pub life: Life,
    /// The folder with `allot` and `allotment`.
    pub bin: PathBuf,
}

/// A running cluster. Dropping it ends it, if its life is tied to this process.
pub struct Cluster {
    pub layout: Layout,
    // Dropped in this order: nodes ask the control plane, which runs on the ground.
    nodes: Vec<Node>,
    _managers: Vec<Server>,
    _plane: Option<ControlPlane>,
    ground: Ground,
}

impl Cluster {
    /// Starts one, and waits until every node is ready. If that fails half way, what was started ends again.
    pub fn up(plan: &Plan) -> Result<Cluster> {
        ensure!((1..=MOST_NODES).contains(&plan.nodes), "a cluster has 1 to {MOST_NODES} nodes");
        programs::prepare()?;
        let layout = Layout::new(std::path::absolute(&plan.folder)?);
        ensure!(
            !ground::has_link(&layout.link()) && standing::is_down(layout.folder()),
            "a cluster is up in {}, or was left half way; `cargo xtask cluster down` ends it",
            layout.folder().display()
        );
        Cluster::start(plan, &layout).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = down(layout.folder());
        })
    }

    fn start(plan: &Plan, layout: &Layout) -> Result<Cluster> {
        let folder = layout.folder();
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        tools(layout, &plan.bin)?;
        images::write_all(&layout.images(), &plan.bin)?;
        let ground = Ground::new(layout, plan.life);
        ground.start(layout)?;
        let plane = ControlPlane::start_with(settings(plan, layout, &ground)?)?;
        let managers = managers(layout, plan.life)?;
        kubeconfigs(layout, &plane, plan.nodes)?;
        let nodes = (1..=plan.nodes).map(|number| Node::new(layout, number, plan.life));
        let nodes = nodes.collect::<Result<Vec<_>>>()?;
        nodes.iter().try_for_each(|node| node.start(&ground))?;
        let cluster =
            Cluster { layout: layout.clone(), nodes, _managers: managers, _plane: Some(plane), ground };
        cluster.layout.apply(NETWORKS)?;
        cluster.layout.apply(include_str!("cluster.yaml"))?;
        cluster.wait_ready()?;
        install(&cluster.layout, cluster.nodes.len(), &[])?;
        Ok(cluster)
    }

    /// Waits until the cluster has its nodes, and pods may be made in it.
    pub fn wait_ready(&self) -> Result<()> {
        let ready = || {
            let nodes = self.layout.ask("get nodes --no-headers").ok()?;
            let ready = nodes.lines().filter(|line| line.split_whitespace().nth(1) == Some("Ready"));
            self.layout.ask("get serviceaccount default").ok()?;
            (ready.count() == self.nodes.len()).then_some(())
        };
        let words = || self.nodes.iter().map(Node::words).collect::<Vec<_>>().join("\n");
        wait_until("every node is ready", READY_LIMIT, ready).with_context(words)
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The power of a node fails; its disk stays.
    pub fn crash(&self, node: &Node) -> Result<()> {
        node.crash(&self.ground)
    }

    /// Starts a node that crashed.
    pub fn restart(&self, node: &Node) -> Result<()> {
        node.start(&self.ground)
    }

    /// Another machine takes the place of a node that crashed: same name, new disk.
    pub fn replace(&self, node: &Node) -> Result<()> {
        node.wipe()?;
        node.start(&self.ground)
    }

    /// Cuts a node from the API server, whatever its pods go on doing; or ends that.
    pub fn set_management(&self, node: &Node, up: bool) -> Result<()> {
        node.set_management(&self.ground, up)
    }
}

/// Ends the cluster in this folder, whatever state it is in, and leaves nothing of it. Says how many processes it had.
pub fn down(folder: &Path) -> Result<usize> {
    let layout = Layout::new(std::path::absolute(folder)?);
    let ended = standing::kill_all(layout.folder())?;
    let gone = || (!ground::has_link(&layout.link())).then_some(());
    wait_until("the cluster's network is gone", END_LIMIT, gone)?;
    cgroups::remove(&layout.cgroup())?;
    match fs::remove_dir_all(layout.folder()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", layout.folder().display()))
        }
        _ => Ok(ended),
    }
}

/// What a user of the cluster has in PATH.
fn tools(layout: &Layout, bin: &Path) -> Result<()> {
    fs::create_dir_all(layout.bin())?;
    let allot = bin.join("allot");
    let tools = [
        ("kubectl", allotment_fleet::programs::path("kubectl")?),
        ("kubectl-allot", allot.clone()),
        ("allot", allot),
    ];
    for (name, program) in tools {
        symlink(std::path::absolute(program)?, layout.bin().join(name))?;
    }
    Ok(())
}

fn settings(plan: &Plan, layout: &Layout, ground: &Ground) -> Result<Settings> {
    let [_, server] = layout.link_addresses();
    let node = |number: Number| {
        let name = node_name(number);
        User {
            token: format!("token-of-{name}"),
            name: format!("system:node:{name}"),
            groups: vec!["system:nodes".to_owned()],
        }
    };
    let multus = User {
        token: "token-of-multus".to_owned(),
        name: "multus".to_owned(),
        groups: vec!["multus".to_owned()],
    };
    let real = Real {
        netns: ground.path()?,
        address: IpAddr::V4(server),
        port: 443,
        names: vec![SERVICE.to_string(), ROUTER.to_string(), "kubernetes.default.svc".to_owned()],
        users: (1..=plan.nodes).map(node).chain([multus]).collect(),
    };
    Ok(Settings {
        life: plan.life,
        folder: Some(layout.folder().to_owned()),
        real: Some(real),
        ..Settings::default()
    })
}

/// Files for those whom the control plane knows by a token.
fn kubeconfigs(layout: &Layout, plane: &ControlPlane, nodes: Number) -> Result<()> {
    for name in (1..=nodes).map(node_name).chain(["multus".to_owned()]) {
        let file = plane.kubeconfig_with(&format!("token-of-{name}"))?;
        fs::rename(file, layout.folder().join(format!("{name}.kubeconfig")))?;
    }
    Ok(())
}

/// What makes pods of workloads, and binds them.
fn managers(layout: &Layout, life: Life) -> Result<Vec<Server>> {
    let file = |name: &str| layout.folder().join(name).display().to_string();
    let common = [
        format!("--kubeconfig={}", file("kubeconfig")),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ];
    let manager = [
        format!("--service-account-private-key-file={}", file("accounts.key")),
        format!("--root-ca-file={}", file("ca.crt")),
        "--controllers=*,-node-ipam-controller".to_owned(),
        "--node-monitor-grace-period=20s".to_owned(),
    ];
    let server = |name: &str, args: &[String]| -> Result<Server> {
        let program = allotment_fleet::programs::path(name)?;
        let server = Server::new(name, program, layout.folder(), life).args(&common).args(args);
        server.start()?;
        Ok(server)
    };
    Ok(vec![server("kube-controller-manager", &manager)?, server("kube-scheduler", &[])?])
}
