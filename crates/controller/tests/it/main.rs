//! Against a real API server.

mod asks;
mod cluster;
mod grants;
mod leading;
mod ledger;
mod objects;
mod plane;
mod releases;
mod webhook;
