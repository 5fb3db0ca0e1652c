//! Fleets: a real etcd and kube-apiserver on this machine, and as many agents and controllers as a test wants.
//!
//! ```text
//!   programs       etcd and kube-apiserver: built from tests/cluster once, kept outside the tree
//!     ControlPlane   both of them, on ports of their own, in a folder that goes with them
//!       Proxy          before the API server: slow, cut, lying as a test tells it to
//!       objects        YAML, applied
//!       Pods           nodes and pods: made, bound, finished, deleted
//!       Allot          our controllers and agents
//!         Kubelet        a node's kubelet, runtime and Multus, played with the real plugin
//!           Networks       what Multus makes of a pod's annotations
//!           Namespace      a pod's network namespace
//!   Whereabouts    the pinned one, to be compared with and to be moved from
//!   standing       a fleet that stays up until it is taken down
//!   Server         any of these programs: started, stopped, killed, measured
//! ```
//!
//! There is no scheduler, no controller manager and no kubelet: tests bind pods themselves, and play the kubelet.

mod accounts;
mod allot;
mod control_plane;
mod kubeconfig;
mod kubelet;
mod multus;
mod netns;
pub mod objects;
mod pki;
pub mod plain;
mod played;
mod plugin;
mod pods;
mod ports;
pub mod programs;
pub mod proxy;
mod server;
pub mod standing;
mod whereabouts;

pub use allot::{Agent, Allot, Controller, bin, wait_published};
pub use control_plane::{ControlPlane, Durability, Real, Settings, User};
pub use kubelet::{Added, Kubelet, Sandbox, Started};
pub use multus::{Attachment, Networks};
pub use netns::Namespace;
pub use played::publish;
pub use plugin::{Answered, Plugin};
pub use pods::{CONNECTIONS, Pod, Pods, Template};
pub use proxy::Proxy;
pub use server::{Life, Server, Usage};
pub use whereabouts::Whereabouts;
