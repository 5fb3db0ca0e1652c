//! `GET /v1/audit`: compares the ledger with itself and with what is live (O9).

pub(crate) mod code;
pub(crate) mod examine;
pub(crate) mod live;

use std::time::Duration;

use allotment_core::{Allocation, State, Timestamp};
use allotment_engine::{Handle, Pages};
use allotment_wire::Finding;

use self::live::Live;
use super::atlas::Atlas;
use super::clock;
use super::reply::Trouble;

/// An ADD or a DEL under way looks like a fault for as long as it lasts. So what is found has to be there still after
/// this time: longer than a call takes.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Everything that one look sees.
pub(crate) struct Seen {
    pub(crate) atlas: Atlas,
    pub(crate) allocations: Vec<Allocation>,
    pub(crate) live: Live,
    /// By the machine's clock, not the ledger's, which never goes back (C8).
    pub(crate) clock: Timestamp,
}

pub(crate) async fn audit(handle: &Handle) -> Result<Vec<Finding>, Trouble> {
    let mut found = examine::examine(&look(handle).await?);
    if !found.is_empty() {
        tokio::time::sleep(SECOND_LOOK).await;
        let again = examine::examine(&look(handle).await?);
        found.retain(|finding| again.iter().any(|other| other.about() == finding.about()));
    }
    Ok(found.into_iter().map(|found| found.finding).collect())
}

async fn look(handle: &Handle) -> Result<Seen, Trouble> {
    let atlas = Atlas::read(handle).await?;
    let allocations = Pages::new(handle, |_, _| true, State::at).collect().await?;
    let live = Live::look(&allocations).await.map_err(|error| {
        Trouble::unable(
            format!("the network namespaces of this machine cannot be looked through: {error}"),
            "the daemon has to run as root, in the host's own namespaces",
        )
    })?;
    Ok(Seen { atlas, allocations, live, clock: clock() })
}
