//! Against a real API server.

mod ledger;
mod plane;
