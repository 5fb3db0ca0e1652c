//! The ledger on the API server.
//!
//! ```text
//!   commit ──▶ one conditional PUT or POST per block, all at once      load ──▶ one consistent list
//! ```
//!
//! * [`KubeLedger`]: the [`Ledger`](allotment_engine::Ledger).
//! * `name`: which object holds what (L1); `content`, `pack`: what is in it (L2).
//! * `write`: which objects a commit writes, and how; `api`: what is asked of the API server (L3).
//! * `copies`: the objects as they were read or written last.

mod api;
mod content;
mod copies;
mod kube_ledger;
mod name;
mod pack;
mod write;

pub use kube_ledger::KubeLedger;
