//! Against a real API server.

mod cluster;
mod grants;
mod ledger;
mod objects;
mod plane;
mod releases;
