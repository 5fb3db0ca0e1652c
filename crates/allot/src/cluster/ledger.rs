//! The cluster's ledger, to be read.

use allotment_controller::ledger::KubeLedger;
use allotment_engine::{Engine, Handle, LedgerError};
use kube::Client;
use tokio::runtime;

use crate::failure::Failure;

/// Reads the ledger whole.
pub(crate) async fn open(client: Client) -> Result<Handle, Failure> {
    let ledger = KubeLedger::read_only(client, runtime::Handle::current());
    let opened = tokio::task::spawn_blocking(move || Engine::open(ledger)).await;
    let opened =
        opened.map_err(|error| Failure::unable(format!("reading the ledger broke off: {error}"), ""))?;
    opened.map_err(|error| {
        let hint = match &error {
            LedgerError::Unavailable { .. } => {
                "see that the API server can be reached, that Allotment's definitions are there (`allot crds`), and that \
                 this account may list addressblocks.allotment.dev"
            }
            other => other.hint(),
        };
        Failure::unable(error.to_string(), hint)
    })
}
