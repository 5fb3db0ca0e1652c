//! A copy of the engine's state to try changes on.

use allotment_core::{BlockId, Object, Place, State, Timestamp};
use allotment_engine::{Handle, Pages};

use super::reply::Trouble;

/// A copy of all objects and of the records in the blocks that `keep` wants, with the engine's time. Read a page at a
/// time, so that nobody waits for it.
pub(crate) async fn copy(
    handle: &Handle,
    keep: impl Fn(&State, BlockId) -> bool + Send + Sync + 'static,
) -> Result<(State, Timestamp), Trouble> {
    let (objects, now) = handle.read(|state, now| (state.objects().collect::<Vec<Object>>(), now)).await?;
    let mut copy = State::new();
    copy.begin_loading();
    for object in objects {
        copy.put(object).map_err(|error| broken(&error))?;
    }
    let record = |state: &State, place: Place| {
        let mut bytes = Vec::new();
        let vrf = state.vrf_name(place.block()).to_owned();
        state.write_record(place, &mut bytes).then_some((vrf, place.address(), bytes))
    };
    let mut pages = Pages::new(handle, keep, record);
    while let Some(page) = pages.next().await? {
        for (vrf, address, bytes) in page.items {
            copy.load(&vrf, address, &bytes).map_err(|error| broken(&error))?;
        }
    }
    copy.settle();
    Ok((copy, now))
}

fn broken(error: &dyn std::error::Error) -> Trouble {
    Trouble::unable(format!("what is in force cannot be copied: {error}"), "report this, with `allot export`")
}
