//! What every node has: the socket that the CNI plugin asks, the calls behind it, and the network namespaces.

pub mod netns;
mod serve;
mod socket;

pub use serve::{DRAIN_LIMIT, serve};
pub use socket::{BindError, Socket};
