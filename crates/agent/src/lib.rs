//! One node's end: answers CNI from what stands on the node's own pods, and publishes what has ended.
//!
//! ```text
//!   plugin ─▶ allotment_node::CniService ─▶ verbs ─▶ ┌──────┐ ◀─ watch: the node's pods, with their grants
//!                                                    │ Desk │ ◀─ watch: the node's object (answers, reach, epoch)
//!   network namespaces ◀─ ends, rebuild ───────────▶ └──────┘ ─▶ publish: NodeAttachments.status
//!                                                     │    │
//!                                        proof::Book ─┘    └─▶ journal (durable before anything relies on it)
//! ```
//!
//! * [`Agent`]: the parts, and the tasks that run beside the socket.
//! * `desk`: all that is known, in one place, with nothing that waits; the rules of release are [`allotment_proof::Book`]'s.
//! * `verbs`: what CNI's verbs come to. An ADD waits for the watch, and asks nobody.
//! * `matching`: which of a pod's attachments an ADD is (K3).
//! * `journal`: the node's memory.
//! * `ends`, `rebuild`: what lives in the network namespaces.
//! * `publish`: the only writes to the API server.
//!
//! What is absent and must stay so: a decision about an address, a request to the API server on an ADD's way, a write
//! while nothing ends, a timer while nothing is awaited.

mod agent;
mod answer;
mod desk;
mod ends;
mod journal;
mod matching;
mod metrics;
mod pods;
mod publish;
mod rebuild;
mod shared;
mod verbs;

pub use agent::{Agent, Settings};
pub use journal::OpenError;
pub use metrics::AgentMetrics;
pub use verbs::AgentVerbs;
