//! What is asked of the engine besides addresses for pods.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use allotment_cluster::Backoff;
use allotment_core::{
    Allocation, AllocationState, Object, ObjectKey, Release, ReleaseMode, State, Timestamp, Usage,
};
use allotment_engine::{EngineError, Handle, Pages};
use futures_util::future::join_all;
use kube::Client;
use tokio::time::{sleep, timeout};

use super::DECIDE;
use crate::audit;
use crate::ledger;
use crate::owners::{Kept, Look};

/// Between two looks whether the engine has heard of a new epoch.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Raises the ledger's epoch; once this returns the engine knows it.
pub(super) async fn raise_epoch(client: Client, handle: &Handle) -> Result<(), String> {
    let epoch = ledger::raise(client).await.map_err(|error| error.to_string())?;
    tracing::warn!(
        epoch,
        "pods show addresses and the ledger does not have them: they were lost, and a new epoch begins"
    );
    // The engine looks at what the watch has told it of, which may be a moment later.
    let has_begun = async {
        loop {
            handle.refresh().await?;
            let open = handle.read(|state, _| state.recovering()).await?;
            if open.is_some_and(|open| open >= epoch) {
                return Ok::<_, EngineError>(());
            }
            sleep(LOOK_AGAIN).await;
        }
    };
    let begun = timeout(DECIDE, has_begun).await.map_err(|_| "the engine has not heard of it".to_owned())?;
    begun.map_err(|error| error.to_string())
}

/// How full subnets and pools are.
pub(super) fn usage(state: &State, now: Timestamp) -> BTreeMap<ObjectKey, Vec<Usage>> {
    let used = |object: Object| match &object {
        Object::Subnet(spec) => Some((object.key(), state.subnet_usage(&spec.name, now))),
        Object::IPPool(spec) => Some((object.key(), state.pool_usage(&spec.name, now))),
        Object::Reservation(_) => None,
    };
    state.objects().filter_map(used).collect()
}

/// What is kept for owners and in use by nobody.
pub(super) async fn find_kept(handle: &Handle, look: Look) -> Result<Vec<Kept>, EngineError> {
    match look {
        Look::All => Pages::new(handle, |_, _| true, |state, place| kept(state.at(place)?)).collect().await,
        Look::Of(owners) => {
            let all = move |state: &State, _| {
                owners.iter().flat_map(|owner| state.owned_by(owner)).filter_map(kept).collect()
            };
            handle.read(all).await
        }
    }
}

/// An address that is reserved for its owner and in use by nobody.
fn kept(allocation: Allocation) -> Option<Kept> {
    let Allocation { vrf, address, state, owner, attachments, since, outlives_owner, .. } = allocation;
    let attachment = attachments.into_iter().next();
    let kept = Kept { vrf, address, owner, attachment, since, outlives_owner };
    (state == AllocationState::Reserved).then_some(kept)
}

/// Frees kept addresses. Whether all of them are.
pub(super) async fn free(handle: &Handle, kept: Vec<Kept>) -> bool {
    let releases = kept.into_iter().map(|Kept { vrf, address, attachment, since, .. }| {
        let holder = attachment.map(|attachment| attachment.holder).unwrap_or_default();
        let release = Release::Address { vrf, address, holder, mode: ReleaseMode::Cool, since: Some(since) };
        perform(handle, release, "its owner is gone, or no longer needs it")
    });
    join_all(releases).await.into_iter().all(|freed| freed)
}

/// Gives back addresses of a pod that nobody has seen, as soon as the ledger can be written.
pub(super) async fn give_back(handle: &Handle, pod: &str, unseen: Vec<(String, IpAddr)>) {
    for (vrf, address) in unseen {
        let mut backoff = Backoff::default();
        let release =
            Release::Address { vrf, address, holder: pod.to_owned(), mode: ReleaseMode::Cool, since: None };
        while !perform(handle, release.clone(), "the pod shows another grant").await {
            backoff.wait().await;
        }
    }
}

pub(super) async fn perform(handle: &Handle, release: Release, why: &str) -> bool {
    match handle.release(release, Instant::now() + DECIDE).await {
        Ok(before) => {
            audit::released(&before, "cooling", why);
            true
        }
        Err(error) => {
            tracing::warn!(%error, why, "an address was not released");
            false
        }
    }
}
