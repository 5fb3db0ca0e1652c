//! The node against the real thing: a Unix socket, an engine with its ledger in a file, network namespaces.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper of a test is a failed test"
)]

mod asking;
mod failing;
mod namespaces;
mod pending;
mod stock;
mod sweep;
mod verbs;
mod world;
