//! Reading what the ledger knows, a page at a time.

use allotment_core::Allocation;
use allotment_engine::{EngineError, Handle};

/// Records looked at in one go, at least; a block is not divided. Allocations wait meanwhile: at about a microsecond a
/// record nobody notices.
const PAGE: usize = 256;

/// Looks at every record and collects what `pick` makes of it. Records may change between two pages: each is as it was
/// when its turn came.
pub(crate) async fn collect<T, F>(engine: &Handle, pick: F) -> Result<Vec<T>, EngineError>
where
    T: Send + 'static,
    F: Fn(Allocation) -> Option<T> + Clone + Send + 'static,
{
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let pick = pick.clone();
        let (page, last) = engine
            .read(move |state, _| {
                let (mut page, mut looked_at, mut last) = (Vec::new(), 0, None);
                for block in state.blocks_after(after) {
                    last = Some(block);
                    for place in state.places(block) {
                        looked_at += 1;
                        page.extend(state.at(place).and_then(&pick));
                    }
                    if looked_at >= PAGE {
                        break;
                    }
                }
                (page, last)
            })
            .await?;
        found.extend(page);
        match last {
            None => return Ok(found),
            Some(_) => after = last,
        }
    }
}
