//! Nodes: real kubelets, each with its own containerd, on this machine.
//!
//! ```text
//!   programs  what is not ours: built from tests/cluster and tests/cni-plugins, or the distribution's
//!   image     OCI images of our own making: there is no registry to fetch any from
//!     images    those that a cluster needs
//!   Layout    where everything of a cluster is, and what it is called
//!     ground    the network namespace of the control plane, and the switches between nodes
//!     Node      a machine: namespaces, links, a disk that outlives its crashes
//!       init      its first process: mounts, containerd, kubelet
//!       config    what its programs are told
//!     Cluster   all of them, up and down
//!   install   our own programs on it
//!   multus    Multus as a daemon, for tests that want it
//!   flannel   Flannel's plugin, likewise
//!   tour      what our documents show of it, run
//! ```
//!
//! Nothing of a cluster is outside its folder, its processes and what these hold, but one link of the machine and cgroups of
//! a name of its own; no list is kept of what there is.
//!
//! xtask has to compile in seconds, so it is not built on this: it builds and runs the program `nodes`.

mod cgroups;
mod cluster;
mod config;
pub mod flannel;
mod ground;
pub mod image;
pub mod images;
pub mod init;
mod install;
mod kubectl;
mod layout;
pub mod multus;
mod node;
mod process;
mod programs;
pub mod tour;

pub use cluster::{Cluster, Plan, down};
pub use config::STATIC_PODS;
pub use install::install;
pub use layout::{Layout, MOST_NODES, Number, node_name};
pub use node::Node;
pub use process::Process;
pub use programs::prepare;
