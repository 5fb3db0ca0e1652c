//! Nodes: real kubelets, each with its own containerd, on this machine.
//!
//! ```text
//!   image    OCI images of our own making: there is no registry to fetch any from
//!   images   those that a cluster needs
//! ```
//!
//! xtask has to compile in seconds, so it is not built on this: it builds and runs the program `nodes`.

pub mod image;
pub mod images;
