//! Against a real API server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod asks;
mod cluster;
mod faults;
mod grants;
mod leading;
mod ledger;
mod losses;
mod objects;
mod peers;
mod plane;
mod releases;
mod webhook;
