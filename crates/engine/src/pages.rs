//! Walks over the ledger's records a page at a time, so that a long list keeps no allocation waiting.

use std::sync::Arc;
use std::time::Duration;

use allotment_core::{BlockId, Place, State, Timestamp};
use tokio::time::{Instant, sleep};

use crate::{EngineError, Handle};

/// Records looked at in one page: well below a millisecond of the engine's time.
const RECORDS: usize = 256;

/// Blocks looked at in one page, wanted or not.
const BLOCKS: usize = 4096;

/// How long a page waits while the engine's queue is full, and how long between two tries.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

type Keep = dyn Fn(&State, BlockId) -> bool + Send + Sync;
type Pick<T> = dyn Fn(&State, Place) -> Option<T> + Send + Sync;

/// A walk over the records, by VRF and address. What changes between two pages is seen as it is when its page is read.
pub struct Pages<T> {
    handle: Handle,
    after: Option<BlockId>,
    ended: bool,
    keep: Arc<Keep>,
    pick: Arc<Pick<T>>,
}

/// One page.
pub struct Page<T> {
    pub items: Vec<T>,
    /// When it was read, as the engine counts time.
    pub now: Timestamp,
}

impl<T: Send + 'static> Pages<T> {
    /// A walk over the blocks that `keep` wants, collecting what `pick` makes of each record.
    pub fn new(
        handle: &Handle,
        keep: impl Fn(&State, BlockId) -> bool + Send + Sync + 'static,
        pick: impl Fn(&State, Place) -> Option<T> + Send + Sync + 'static,
    ) -> Pages<T> {
        Pages {
            handle: handle.clone(),
            after: None,
            ended: false,
            keep: Arc::new(keep),
            pick: Arc::new(pick),
        }
    }

    /// The next page; nothing after the last one. A page may be empty.
    pub async fn next(&mut self) -> Result<Option<Page<T>>, EngineError> {
        if self.ended {
            return Ok(None);
        }
        let (after, keep, pick) = (self.after, Arc::clone(&self.keep), Arc::clone(&self.pick));
        let read = move |state: &State, now| {
            let (items, last) = read(state, after, &*keep, &*pick);
            (Page { items, now }, last)
        };
        let (page, last) = patient(&self.handle, read).await?;
        self.ended = last.is_none();
        self.after = last;
        Ok(Some(page))
    }

    /// Everything from here on.
    pub async fn collect(mut self) -> Result<Vec<T>, EngineError> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page.items);
        }
        Ok(all)
    }
}

/// Reads, and tries again while the queue is full: allocations come first, but a list is not broken off half-way.
async fn patient<T: Send + 'static>(
    handle: &Handle,
    read: impl Fn(&State, Timestamp) -> T + Clone + Send + 'static,
) -> Result<T, EngineError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match handle.read(read.clone()).await {
            Err(EngineError::Busy { .. }) if Instant::now() < deadline => sleep(PAUSE).await,
            result => return result,
        }
    }
}

/// Whole blocks behind `after` until the page is full, and the last of them; nothing where there are no more.
fn read<T>(state: &State, after: Option<BlockId>, keep: &Keep, pick: &Pick<T>) -> (Vec<T>, Option<BlockId>) {
    let mut items = Vec::new();
    let mut looked = 0;
    for (seen, block) in state.blocks_after(after).enumerate() {
        if keep(state, block) {
            for place in state.places(block) {
                looked += 1;
                items.extend(pick(state, place));
            }
        }
        if looked >= RECORDS || seen == BLOCKS {
            return (items, Some(block));
        }
    }
    (items, None)
}
