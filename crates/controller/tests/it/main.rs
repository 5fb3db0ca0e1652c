//! Against a real API server.

mod cluster;
mod grants;
mod ledger;
mod plane;
mod releases;
