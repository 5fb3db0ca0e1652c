//! How others talk to the engine.

use std::time::Instant;

use allotment_core::{
    Allocation, Grant, Object, ObjectError, ObjectKey, Refusal, Release, Request, State, Timestamp,
};

/// Asks the engine; cheap to clone.
#[derive(Clone)]
pub struct Handle {}

/// Why the engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The queue is full; try again later.
    #[error("{waiting} requests are waiting already")]
    Busy { waiting: usize },
    /// The deadline passed before the request was planned: nothing was changed.
    #[error("the deadline passed before the request's turn came")]
    Deadline,
    /// The ledger cannot be written now: nothing was changed.
    #[error("the ledger cannot be written: {0}")]
    Ledger(String),
    #[error("the engine has stopped")]
    Stopped,
}

#[expect(unused_variables, clippy::unused_async)]
impl Handle {
    /// Allocates, durably. Dropping the future before its turn comes withdraws the request.
    pub async fn allocate(&self, request: Request, deadline: Instant) -> Result<Grant, EngineError> {
        todo!()
    }

    /// Releases, durably; returns what the released addresses were before.
    pub async fn release(&self, release: Release, deadline: Instant) -> Result<Vec<Allocation>, EngineError> {
        todo!()
    }

    /// Puts an object; the same content again changes nothing.
    pub async fn put(&self, object: Object) -> Result<(), EngineError> {
        todo!()
    }

    /// Removes an object; `false` when there was none.
    pub async fn remove(&self, key: ObjectKey) -> Result<bool, EngineError> {
        todo!()
    }

    /// Runs `read` between two batches, on what is committed. Keep it short: allocations wait for it.
    pub async fn read<T, F>(&self, read: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&State, Timestamp) -> T + Send + 'static,
    {
        todo!()
    }

    /// Finishes what is queued, then stops. Later calls answer `Stopped`.
    pub async fn stop(&self) {
        todo!()
    }
}
