//! Fleets: a real etcd and kube-apiserver on this machine, and as many agents and controllers as a test wants.
//!
//! ```text
//!   programs       etcd and kube-apiserver: built from tests/cluster once, kept outside the tree
//!     ControlPlane   both of them, on ports of their own, in a folder that goes with them
//!       Proxy          before the API server: slow, cut, lying as a test tells it to
//!       objects        YAML, applied
//!       Server         one program: started, stopped, killed, measured
//! ```
//!
//! There is no scheduler, no controller manager and no kubelet: tests bind pods themselves, and play the kubelet.

mod accounts;
mod control_plane;
mod kubeconfig;
pub mod objects;
mod pki;
mod ports;
pub mod programs;
pub mod proxy;
mod server;

pub use control_plane::{ControlPlane, Durability, Settings};
pub use proxy::Proxy;
pub use server::{Life, Server, Usage};
