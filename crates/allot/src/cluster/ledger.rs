//! The cluster's ledger, to be read.

use std::net::IpAddr;

use allotment_controller::ledger::KubeLedger;
use allotment_core::State;
use allotment_engine::{Batch, CommitError, Engine, Handle, Ledger, LedgerError};
use kube::Client;
use tokio::runtime;

use crate::failure::Failure;

/// The cluster's ledger as it is now. Writing is the controller's alone.
struct ReadOnly(KubeLedger);

impl Ledger for ReadOnly {
    fn load(&mut self, state: &mut State) -> Result<(), LedgerError> {
        self.0.load(state)
    }

    fn commit(&mut self, _: &State, _: &Batch) -> Result<(), CommitError> {
        let (place, why) =
            ("the ledger on the API server".to_owned(), "only the controller writes it".to_owned());
        Err(LedgerError::Write { place, why }.into())
    }

    fn reload(&mut self, state: &mut State, blocks: &[(String, IpAddr)]) -> Result<(), LedgerError> {
        self.0.reload(state, blocks)
    }
}

/// Reads the ledger whole.
pub(crate) async fn open(client: Client) -> Result<Handle, Failure> {
    let ledger = ReadOnly(KubeLedger::new(client, runtime::Handle::current()));
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
