//! The ledger on the API server.
//!
//! ```text
//!   commit ──▶ write: one conditional PUT or POST per block, all at once
//!                 │ conflict                                load ──▶ one consistent list
//!                 ▼                                                     │
//!   Keeper ──▶ refresh: judge what is there against the copies ──▶ copies ──▶ State
//!    (watch)                 └─ what was lost is written again
//! ```
//!
//! * [`KubeLedger`]: the [`Ledger`](allotment_engine::Ledger); [`Keeper`] watches over its objects while an engine has it.
//! * `name`: which object holds what (L1). `pack`, `content`: what is in it (L2), drawn in
//!   `docs/internals/ledger-format.md`.
//! * `api`: what is asked of the API server, each write on a condition (L3). `write`: which objects a commit writes, and
//!   what becomes of it.
//! * `copies`: the objects as they were read or written last. `heard`: what the watch tells, `judge`: who is right,
//!   `refresh`: what is done about it (L6). [`raise`], [`settle`]: the epoch.
//! * [`doubled`](fn@doubled): what two leaders have given to one attachment (L4).
//!
//! What is absent and must stay so: rules about addresses, unconditional writes, and a cache that is believed where the
//! API server says otherwise.

mod api;
mod content;
mod copies;
mod counts;
mod doubled;
mod epoch;
mod errors;
mod heard;
mod judge;
mod keeper;
mod kube_ledger;
mod name;
mod pack;
mod refresh;
mod write;

pub use counts::{Count, Counts};
pub(crate) use doubled::doubled_among;
pub use doubled::{Showing, doubled};
pub(crate) use epoch::raise_above;
pub use epoch::{raise, settle};
pub use keeper::Keeper;
pub use kube_ledger::KubeLedger;
