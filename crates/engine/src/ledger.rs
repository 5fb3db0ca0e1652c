//! What remembers: the trait that every ledger implements, and whose conformance suite it passes.

use std::net::IpAddr;

use allotment_core::{BlockId, Object, ObjectKey, Place, State};

/// What one commit changes; the new content is in the state.
#[derive(Default)]
pub struct Batch {
    /// Addresses whose records changed, in the order of the changes; may repeat.
    pub places: Vec<Place>,
    /// Objects put or removed.
    pub objects: Vec<(ObjectKey, Option<Object>)>,
}

/// The ledger of record.
pub trait Ledger: Send {
    /// Reads everything: objects first, then records; the state is settled afterwards. Checks each block's and record's
    /// sum; a damaged ledger is an error and is not changed.
    fn load(&mut self, state: &mut State) -> Result<(), LedgerError>;

    /// Makes a batch durable, all of it or nothing. Records are read from `state`, which has the batch applied.
    fn commit(&mut self, state: &State, batch: &Batch) -> Result<(), CommitError>;

    /// Reads blocks again after a failed commit, into a state that has forgotten them.
    fn reload(&mut self, state: &mut State, blocks: &[(String, IpAddr)]) -> Result<(), LedgerError>;
}

/// Why a ledger could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{0}")]
    Other(String),
}

/// Why a commit did not happen. Nothing of the batch is in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else wrote these blocks.
    #[error("{} blocks were changed by somebody else", .0.len())]
    Conflict(Vec<BlockId>),
    #[error(transparent)]
    Failed(#[from] LedgerError),
}
