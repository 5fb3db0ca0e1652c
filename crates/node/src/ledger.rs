//! Reading what the ledger knows, a page at a time.

use allotment_core::{Allocation, Place};
use allotment_engine::{EngineError, Handle};

/// Records looked at in one go. Allocations wait meanwhile: at about a microsecond each nobody notices.
const PAGE: usize = 256;

/// Looks at every record and collects what `pick` makes of it. Records may change between two pages: each is as it was
/// when its turn came.
pub(crate) async fn collect<T, F>(engine: &Handle, pick: F) -> Result<Vec<T>, EngineError>
where
    T: Send + 'static,
    F: Fn(Allocation) -> Option<T> + Clone + Send + 'static,
{
    let mut found = Vec::new();
    let mut after: Option<Place> = None;
    loop {
        let pick = pick.clone();
        let (page, last) = engine
            .read(move |state, _| {
                let mut page = Vec::new();
                let mut last = None;
                let places = state
                    .blocks()
                    .skip_while(|block| after.is_some_and(|after| *block < after.block()))
                    .flat_map(|block| state.places(block))
                    .skip_while(|place| after.is_some_and(|after| *place <= after))
                    .take(PAGE);
                for place in places {
                    last = Some(place);
                    page.extend(state.at(place).and_then(&pick));
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
