//! The first process of a node: makes its file system and its network, starts containerd and kubelet, and starts them again
//! when they end, as a machine's service manager would.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use allotment_lab::{run, wait_until};
use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Pid, sethostname};

use crate::config::{CNI_CONFIGS, CNI_PROGRAMS, CONTAINERD_SOCKET, MULTUS_KUBECONFIG, STATIC_PODS};
use crate::ground::{SWITCHES, prefix_length};
use crate::layout::{Layout, Number, ROUTER, node_address, node_name};
use crate::{cgroups, config, programs};

const LIMIT: Duration = Duration::from_mins(1);

/// Of the node's own, and kept when it crashes; what is at these places on the machine is not seen.
const KEPT: [&str; 3] = ["/opt", "/var/lib", "/var/log"];

/// Runs as the first process of a node, in namespaces of its own, for as long as the node runs.
pub fn run_node(layout: &Layout, number: Number) -> Result<()> {
    if std::process::id() != 1 {
        bail!("not the first process of a node: `cluster up` starts this");
    }
    let folder = layout.node(number);
    mounts(&folder)?;
    sethostname(node_name(number))?;
    links(number)?;
    files(layout, number)?;
    let mut daemons = [containerd(&folder), kubelet(layout, number)?];
    daemons[0].start()?;
    let socket = Path::new(CONTAINERD_SOCKET);
    let serves = || std::os::unix::net::UnixStream::connect(socket).ok().map(drop);
    wait_until("containerd serves", LIMIT, serves)?;
    images(&layout.images())?;
    daemons[1].start()?;
    supervise(&mut daemons)
}

/// A file system that is the machine's, but for what a node writes.
fn mounts(folder: &Path) -> Result<()> {
    for place in KEPT {
        let own = folder.join(place.trim_start_matches('/').replace('/', "-"));
        fs::create_dir_all(&own)?;
        bind(&own, Path::new(place))?;
    }
    // Empty after every start, as on any machine.
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).context("/run")?;
    let [upper, work] = ["etc", "etc-work"].map(|name| folder.join(name));
    for folder in [&upper, &work] {
        fs::create_dir_all(folder)?;
    }
    let options = format!("lowerdir=/etc,upperdir={},workdir={}", upper.display(), work.display());
    mount(Some("overlay"), "/etc", Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .context("/etc")?;
    // What containers mount is seen by the node and by other containers where they ask for that.
    let shared = MsFlags::MS_SHARED | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, shared, None::<&str>).context("sharing of mounts")
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    let none = None::<&str>;
    mount(Some(from), to, none, MsFlags::MS_BIND, none).with_context(|| to.display().to_string())
}

fn links(number: Number) -> Result<()> {
    let here = |name: &&str| run(Command::new("ip").args(["link", "show", name])).is_ok();
    let all = || SWITCHES.iter().all(here).then_some(());
    wait_until("the node's cables are laid", LIMIT, all)?;
    let address = format!("{}/{}", node_address(number), prefix_length());
    for line in [
        "link set lo up",
        &format!("addr add {address} dev mgmt"),
        "link set mgmt up",
        &format!("route add default via {ROUTER}"),
        "link set wire up",
        // The bridge of the cluster's own network, in front of every pod of this node.
        "link add cni0 type bridge",
        "link set pods master cni0",
        "link set pods up",
        "link set cni0 up",
    ] {
        run(Command::new("ip").args(line.split(' ')))?;
    }
    Ok(())
}

fn files(layout: &Layout, number: Number) -> Result<()> {
    for folder in [CNI_CONFIGS, CNI_PROGRAMS, STATIC_PODS, "/etc/containerd", "/var/lib/kubelet"] {
        fs::create_dir_all(folder).with_context(|| folder.to_owned())?;
    }
    for program in programs::cni()? {
        let name = program.file_name().context("a program has a name")?;
        let link = Path::new(CNI_PROGRAMS).join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(&program, &link)?;
        }
    }
    let runc = programs::found("runc")?;
    fs::write("/etc/containerd/config.toml", config::containerd(&runc))?;
    let cgroup = format!("{}/{}", layout.cgroup(), node_name(number));
    // Nothing in there outlives a machine; kubelet would look at each for seconds.
    cgroups::remove(&cgroup)?;
    cgroups::make(&cgroup)?;
    let kubelet = config::kubelet(number, &cgroup);
    fs::write("/etc/kubernetes/kubelet.json", kubelet.to_string())?;
    fs::copy(layout.folder().join("multus.kubeconfig"), MULTUS_KUBECONFIG)?;
    fs::write(Path::new(CNI_CONFIGS).join("00-multus.conf"), config::multus().to_string())?;
    Ok(())
}

fn images(folder: &Path) -> Result<()> {
    for image in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let mut ctr = Command::new("ctr");
        ctr.args(["--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images", "import"]);
        run(ctr.arg(image?.path()))?;
    }
    Ok(())
}

fn containerd(folder: &Path) -> Daemon {
    let mut command = Command::new("containerd");
    command.args(["--config", "/etc/containerd/config.toml"]);
    Daemon { name: "containerd", command, log: folder.join("containerd.log"), process: None }
}

fn kubelet(layout: &Layout, number: Number) -> Result<Daemon> {
    let name = node_name(number);
    let mut command = Command::new(allotment_fleet::programs::path("kubelet")?);
    command
        .arg("--config=/etc/kubernetes/kubelet.json")
        .arg(format!("--kubeconfig={}", layout.folder().join(format!("{name}.kubeconfig")).display()))
        .arg(format!("--hostname-override={name}"))
        .arg(format!("--node-ip={}", node_address(number)))
        .arg("--v=1");
    Ok(Daemon { name: "kubelet", command, log: layout.node(number).join("kubelet.log"), process: None })
}

/// A program that is to run as long as the node does.
struct Daemon {
    name: &'static str,
    command: Command,
    log: std::path::PathBuf,
    process: Option<Pid>,
}

impl Daemon {
    fn start(&mut self) -> Result<()> {
        let log: File = OpenOptions::new().create(true).append(true).open(&self.log)?;
        self.command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = self.command.spawn().with_context(|| format!("{} cannot be started", self.name))?;
        self.process = Some(Pid::from_raw(i32::try_from(child.id())?));
        Ok(())
    }
}

/// Buries whatever ends here, orphans of containers among it, and starts the daemons again.
fn supervise(daemons: &mut [Daemon]) -> Result<()> {
    loop {
        let (WaitStatus::Exited(process, _) | WaitStatus::Signaled(process, ..)) = wait()? else { continue };
        if let Some(daemon) = daemons.iter_mut().find(|daemon| daemon.process == Some(process)) {
            eprintln!("{} has ended, and is started again", daemon.name);
            daemon.start()?;
        }
    }
}
