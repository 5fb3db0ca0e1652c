//! Labs: a machine and its containers, made of network namespaces, with the real CNI plugins and the real daemon.
//!
//! ```text
//!   isolate   this program again, in mount, network and process namespaces that vanish with it
//!     Lab     one machine: a namespace `host`, a folder, a socket
//!       Daemon   `allot standalone`, started, stopped, killed
//!       Netns    a container's network namespace
//!       Call     one call of a CNI plugin, as a container runtime makes it
//!   figures   what was measured, as a table
//!   go        programs of a Go module in the tree, built once
//!   helm      the renderer of charts, built once
//!   stock     the plugins of containernetworking: found, or built
//!   target    what our programs are built for
//! ```
//!
//! Nothing here knows how addresses are chosen: it sees what a container runtime sees.

mod cni;
mod daemon;
pub mod figures;
pub mod go;
pub mod helm;
pub mod isolate;
mod lab;
mod netns;
mod process;
mod scratch;
pub mod stock;
pub mod target;

pub use cni::{Answer, Call, Verb, find};
pub use daemon::Daemon;
pub use lab::{Lab, Programs};
pub use netns::Netns;
pub use process::{run, shown, wait_until};
pub use scratch::Scratch;
