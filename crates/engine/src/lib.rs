//! Drives the rules: drains the queue of requests, plans them all in memory, commits the touched blocks together, answers.
//!
//! ```text
//!   callers ──▶ bounded queue ──▶ plan + apply (core::State) ──▶ Ledger::commit ──▶ answers
//!                                        ▲                              │ conflict, failure
//!                                        └── the touched blocks anew ◀──┘
//! ```
//!
//! * [`Engine`], [`Handle`]: the thread that owns state and ledger, and how others talk to it. `task` is what waits in
//!   the queue, `draft` a batch in the making, `linger` how long it waits for more; [`Pages`] reads long
//!   lists without keeping anybody waiting, [`Metrics`] counts.
//! * [`Ledger`]: what remembers; [`embedded`] is the one in a file, and [`conformance`] what every one must do.
//!
//! No grant leaves the engine before its commit. What is absent and must stay so: rules about addresses (core has
//! them), and a second way to change the state.

pub mod bytes;
pub mod conformance;
mod draft;
pub mod embedded;
mod engine;
mod handle;
mod history;
mod ledger;
mod linger;
mod metrics;
mod pages;
mod panics;
mod task;

pub use embedded::{EmbeddedLedger, check_room};
pub use engine::{Engine, Options};
pub use handle::{End, EngineError, Handle};
pub use history::{Change, History};
pub use ledger::{Batch, CommitError, Ledger, LedgerError, Stale};
pub use linger::Pace;
pub use metrics::{BATCH_BUCKETS, Counter, Histogram, MICROS_BUCKETS, Metrics};
pub use pages::{Page, Pages};
