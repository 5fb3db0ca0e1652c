//! What every node has: the socket that the CNI plugin asks, the calls behind it, and the network namespaces.
//!
//! ```text
//!   plugin ──▶ Socket, serve ──▶ http ──▶ CniService ──▶ Verbs: EngineVerbs ──▶ engine::Handle
//!                                             │                     ▲        (or an agent's)
//!   pending-del/ ──▶ pending ─────────────────┘                     │ evidence, MAC
//!                                                                   │
//!   /proc, /run/netns ──▶ netns ────────────────────────────────────┤
//!                           └──▶ Sweep: releases what vanished
//! ```
//!
//! * [`Socket`], [`serve`], [`cni_router`]: who may ask, and how a call comes in.
//! * [`CniService`]: what all daemons do alike when CNI calls; [`Verbs`]: what its verbs come to, here [`EngineVerbs`].
//! * [`Sweep`]: finds containers that vanished.
//! * [`netns`]: network namespaces, and what is live in them.
//! * [`NodeMetrics`]: what is counted.
//!
//! What is absent and must stay so: no decision about addresses (core's), and nothing that outlives the ledger but the
//! files in `pending-del/`.

mod add;
mod answer;
mod bound;
mod check;
mod fixed;
mod gc;
mod host_local;
mod http;
mod implied;
mod metrics;
pub mod netns;
mod pending;
mod request;
mod resolv;
mod serve;
mod service;
mod socket;
mod sweep;
mod together;
mod verbs;

pub use answer::cni_code;
pub use bound::Bound;
pub use check::compare;
pub use http::{MAX_BODY, cni_router};
pub use metrics::NodeMetrics;
pub use netns::{Interface, contents, gone};
pub use serve::{DRAIN_LIMIT, serve};
pub use service::{CALL_LIMIT, CniService, Verbs};
pub use socket::{BindError, Socket, lock_of};
pub use sweep::{LookError, SWEEP_EVERY, Sweep};
pub use verbs::{Decided, EngineVerbs, Writable};
