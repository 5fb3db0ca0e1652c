//! The API server as controller and agent see it: getting there, the few fields we read, and watching.
//!
//! ```text
//!   kubeconfig | the pod's account ─▶ connect ─▶ kube::Client
//!                                                   │
//!        Pod, Node, Namespace, … ◀── watch ◀────────┘   Listed, Applied, Deleted, Reached
//! ```
//!
//! * [`connect`]: which API server, as whom, with which limits.
//! * [`objects`]: Kubernetes' own kinds, cut down to what we read.
//! * [`watch`]: every object of a kind, from one consistent list on, without an end.
//!
//! What is absent and must stay so: no cache (who watches keeps what it needs), and no writing.

mod backoff;
mod connect;
pub mod objects;
mod version;
mod watch;

pub use backoff::Backoff;
pub use connect::{ConnectError, connect};
pub use objects::{Deployment, Namespace, NetworkAttachmentDefinition, Node, Pod};
pub use version::{BadVersion, ResourceVersion};
pub use watch::{Event, ListError, Selectors, list, watch, watch_metadata};
