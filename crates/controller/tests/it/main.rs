//! Against a real API server.

mod asks;
mod cluster;
mod faults;
mod grants;
mod leading;
mod ledger;
mod objects;
mod plane;
