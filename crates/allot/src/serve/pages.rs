//! Walks over the ledger's allocations a page at a time, so that a long list keeps no allocation waiting.

use std::sync::Arc;

use allotment_core::{Allocation, BlockId, State, Timestamp};
use allotment_engine::{EngineError, Handle};

/// Records looked at in one page: well below a millisecond of the engine's time.
const PAGE: usize = 256;

/// A walk over the blocks that had records when it began. Every address is as it was when its page was read.
pub(crate) struct Pages {
    handle: Handle,
    blocks: Arc<[BlockId]>,
    next: usize,
}

/// One page.
pub(crate) struct Page {
    pub(crate) allocations: Vec<Allocation>,
    /// When it was read, as the engine counts time.
    pub(crate) now: Timestamp,
}

impl Pages {
    /// Begins a walk over the blocks that `keep` wants.
    pub(crate) async fn begin<F>(handle: &Handle, keep: F) -> Result<Pages, EngineError>
    where
        F: Fn(&State, BlockId) -> bool + Send + 'static,
    {
        let blocks = handle
            .read(move |state, _| state.blocks().filter(|&block| keep(state, block)).collect())
            .await?;
        Ok(Pages { handle: handle.clone(), blocks, next: 0 })
    }

    /// The next page; nothing after the last one. A page may be empty.
    pub(crate) async fn next(&mut self) -> Result<Option<Page>, EngineError> {
        if self.next == self.blocks.len() {
            return Ok(None);
        }
        let (blocks, first) = (Arc::clone(&self.blocks), self.next);
        let (page, next) = self.handle.read(move |state, now| read_page(state, now, &blocks, first)).await?;
        self.next = next;
        Ok(Some(page))
    }
}

/// Whole blocks from `first` on until the page is full, and where the next page begins.
fn read_page(state: &State, now: Timestamp, blocks: &[BlockId], first: usize) -> (Page, usize) {
    let mut page = Page { allocations: Vec::new(), now };
    let mut next = first;
    // An empty block costs a look, too.
    while next < blocks.len() && page.allocations.len() + (next - first) < PAGE {
        page.allocations.extend(state.places(blocks[next]).filter_map(|place| state.at(place)));
        next += 1;
    }
    (page, next)
}
