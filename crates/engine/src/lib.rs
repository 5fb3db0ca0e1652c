//! Drives the rules: drains the queue of requests, plans them all in memory, commits the touched blocks together, answers.
//!
//! ```text
//!   callers ──▶ bounded queue ──▶ plan + apply (core::State) ──▶ Ledger::commit ──▶ answers
//!                                        ▲                              │ conflict, failure
//!                                        └── the touched blocks anew ◀──┘
//! ```
//!
//! * [`Ledger`]: what remembers; [`embedded`] is the one in a file.
//! * [`Engine`], [`Handle`]: the thread that owns state and ledger, and how others talk to it.
//!
//! No grant leaves the engine before its commit.

pub mod embedded;
mod handle;
mod ledger;

pub use embedded::EmbeddedLedger;
pub use handle::{EngineError, Handle};
pub use ledger::{Batch, CommitError, Ledger, LedgerError};
