//! How others talk to the engine.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use allotment_core::{
    Allocation, Grant, Object, ObjectError, ObjectKey, Refusal, Release, Request, State, Timestamp,
};
use tokio::sync::{oneshot, watch};

use crate::draft::Draft;
use crate::metrics::Metrics;
use crate::task::{Ask, Item, Look, Subject};

/// Asks the engine; cheap to clone. The engine stops when the last one is dropped.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    /// Nothing once the engine was told to stop: it ends when the queue is empty and nobody can fill it any more.
    queue: RwLock<Option<SyncSender<Item>>>,
    metrics: Arc<Metrics>,
    end: watch::Receiver<Option<End>>,
}

/// How the engine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to, or nobody could ask it any more.
    Stopped,
    /// By a bug: the panic's message. What was answered is in the ledger.
    Panicked(String),
}

/// Why the engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The queue is full; try again later.
    #[error("as many requests as may wait are waiting already ({waiting})")]
    Busy { waiting: usize },
    /// The deadline passed before the request was planned: nothing was changed.
    #[error("the deadline passed before the request's turn came")]
    Deadline,
    /// The ledger cannot be written or read now. Nothing was granted; ask again, and what reached the disk all the same is
    /// found and returned.
    #[error("the ledger failed: {0}")]
    Ledger(String),
    #[error("the engine has stopped")]
    Stopped,
}

impl Handle {
    pub(crate) fn new(
        queue: SyncSender<Item>,
        metrics: Arc<Metrics>,
        end: watch::Receiver<Option<End>>,
    ) -> Handle {
        Handle { shared: Arc::new(Shared { queue: RwLock::new(Some(queue)), metrics, end }) }
    }

    /// Allocates, durably. Dropping the future before its turn comes withdraws the request.
    pub async fn allocate(&self, request: Request, deadline: Instant) -> Result<Grant, EngineError> {
        self.ask(Some(deadline), request, |draft, request| Ok(draft.allocate(request)?)).await
    }

    /// Releases, durably; returns what the released addresses were before.
    pub async fn release(&self, release: Release, deadline: Instant) -> Result<Vec<Allocation>, EngineError> {
        self.ask(Some(deadline), release, |draft, release| Ok(draft.release(release))).await
    }

    /// Puts an object; the same content again changes nothing.
    pub async fn put(&self, object: Object) -> Result<(), EngineError> {
        self.put_all(vec![object]).await?.pop().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Puts objects that come into force together, in one commit: they need only agree in the end, see
    /// [`State::put_all`]. Returns why some were left as they were; those are tried again by asking again.
    pub async fn put_all(&self, objects: Vec<Object>) -> Result<Vec<ObjectError>, EngineError> {
        self.ask(None, objects, |draft, objects| Ok(draft.put_all(objects))).await
    }

    /// Removes an object; `false` when there was none.
    pub async fn remove(&self, key: ObjectKey) -> Result<bool, EngineError> {
        self.ask(None, key, |draft, key| Ok(draft.remove(key)?)).await
    }

    /// Takes over allocations that another ledger made, durably, one after the other; the first one that is refused ends
    /// it, and those before it stay. Returns how many were not here yet.
    pub async fn adopt(&self, allocations: Vec<Allocation>) -> Result<usize, EngineError> {
        self.ask(None, allocations, |draft, allocations| Ok(draft.adopt(allocations)?)).await
    }

    /// Runs `read` between two batches, on what is committed. Keep it short: allocations wait for it.
    pub async fn read<T, F>(&self, read: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&State, Timestamp) -> T + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.send(Item::Read(Box::new(Look { look: read, answer })))?;
        answered.await.unwrap_or(Err(EngineError::Stopped))
    }

    /// Takes over what somebody else has written to the ledger, between two batches. After an error the state is as it was;
    /// ask again later.
    pub async fn refresh(&self) -> Result<(), EngineError> {
        let (answer, answered) = oneshot::channel();
        self.send(Item::Refresh(answer))?;
        answered.await.unwrap_or(Err(EngineError::Stopped))
    }

    /// Finishes what is queued, then stops. Later calls answer `Stopped`.
    pub async fn stop(&self) {
        drop(self.shared.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        self.ended().await;
    }

    /// Returns when the engine has ended, and how.
    pub async fn ended(&self) -> End {
        let mut end = self.shared.end.clone();
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| end.clone()).unwrap_or(End::Stopped)
    }

    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    async fn ask<S, T, F>(&self, deadline: Option<Instant>, subject: S, decide: F) -> Result<T, EngineError>
    where
        S: Subject + Send + 'static,
        T: Send + 'static,
        F: FnMut(&mut Draft<'_>, &S) -> Result<T, EngineError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.send(Item::Change(Box::new(Ask { subject, decide, deadline, answer, decided: None })))?;
        answered.await.unwrap_or(Err(EngineError::Stopped))
    }

    fn send(&self, item: Item) -> Result<(), EngineError> {
        let queue = self.shared.queue.read().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or(EngineError::Stopped)?;
        let metrics = &self.shared.metrics;
        // Counted before it is sent, so that whoever takes it out finds it counted.
        let waiting = metrics.queued.fetch_add(1, Ordering::Relaxed);
        queue.try_send(item).map_err(|error| {
            metrics.queued.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => {
                    metrics.busy.add(1);
                    EngineError::Busy { waiting }
                }
                TrySendError::Disconnected(_) => EngineError::Stopped,
            }
        })
    }
}
