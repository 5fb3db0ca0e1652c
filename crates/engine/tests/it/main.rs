//! The engine and the embedded ledger, from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod conforms;
mod costs;
mod engine;
mod failing;
mod faults;
mod gate;
mod history;
mod opening;
mod shared;
mod sim_disk;
mod transfer;
