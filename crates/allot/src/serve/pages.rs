//! Walks over the ledger's records a page at a time, so that a long list keeps no allocation waiting.

use std::sync::Arc;

use allotment_core::{BlockId, Place, State, Timestamp};
use allotment_engine::{EngineError, Handle};

/// Records looked at in one page: well below a millisecond of the engine's time.
const PAGE: usize = 256;

type Pick<T> = dyn Fn(&State, Place) -> Option<T> + Send + Sync;

/// A walk over the blocks that had records when it began. Every record is as it was when its page was read.
pub(crate) struct Pages<T> {
    handle: Handle,
    blocks: Arc<[BlockId]>,
    next: usize,
    pick: Arc<Pick<T>>,
}

/// One page.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// When it was read, as the engine counts time.
    pub(crate) now: Timestamp,
}

impl<T: Send + 'static> Pages<T> {
    /// Begins a walk over the blocks that `keep` wants, collecting what `pick` makes of each record.
    pub(crate) async fn begin(
        handle: &Handle,
        keep: impl Fn(&State, BlockId) -> bool + Send + 'static,
        pick: impl Fn(&State, Place) -> Option<T> + Send + Sync + 'static,
    ) -> Result<Pages<T>, EngineError> {
        let blocks =
            handle.read(move |state, _| state.blocks().filter(|&block| keep(state, block)).collect()).await?;
        Ok(Pages { handle: handle.clone(), blocks, next: 0, pick: Arc::new(pick) })
    }

    /// The next page; nothing after the last one. A page may be empty.
    pub(crate) async fn next(&mut self) -> Result<Option<Page<T>>, EngineError> {
        if self.next == self.blocks.len() {
            return Ok(None);
        }
        let (blocks, first, pick) = (Arc::clone(&self.blocks), self.next, Arc::clone(&self.pick));
        let (page, next) = self.handle.read(move |state, now| read(state, now, &blocks, first, &*pick)).await?;
        self.next = next;
        Ok(Some(page))
    }
}

/// Whole blocks from `first` on until the page is full, and where the next page begins.
fn read<T>(state: &State, now: Timestamp, blocks: &[BlockId], first: usize, pick: &Pick<T>) -> (Page<T>, usize) {
    let mut page = Page { items: Vec::new(), now };
    let (mut next, mut looked) = (first, 0);
    while next < blocks.len() && looked < PAGE {
        // A block without records costs a look, too.
        looked += 1;
        for place in state.places(blocks[next]) {
            looked += 1;
            page.items.extend(pick(state, place));
        }
        next += 1;
    }
    (page, next)
}
