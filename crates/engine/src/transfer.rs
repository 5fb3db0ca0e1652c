//! Reading everything in pages.

use allotment_core::{Allocation, BlockId, State};

/// Blocks in one page: reading them holds the engine up for about a millisecond when they are full.
const PAGE: usize = 8;

/// A part of all allocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub allocations: Vec<Allocation>,
    /// Where the next page begins; nothing after the last one.
    pub next: Option<BlockId>,
}

impl Page {
    /// The allocations of the blocks behind `after`.
    pub(crate) fn read(state: &State, after: Option<BlockId>) -> Page {
        let mut blocks = state.blocks_after(after);
        let page: Vec<BlockId> = blocks.by_ref().take(PAGE).collect();
        let next = page.last().copied().filter(|_| blocks.next().is_some());
        let places = page.into_iter().flat_map(|block| state.places(block));
        Page { allocations: places.filter_map(|place| state.at(place)).collect(), next }
    }
}
