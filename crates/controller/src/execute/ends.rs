//! Reading from the ledger and releasing what is proved to be free.

use std::collections::BTreeSet;
use std::time::Instant;

use allotment_core::{Allocation, AllocationState, Release, ReleaseMode, State};
use allotment_engine::{EngineError, Handle, Pages};
use allotment_proof::{Freed, Held, Use, Version};
use futures_util::future::join_all;

use super::DECIDE;
use super::writer::{Failure, Writer};
use crate::audit;
use crate::release::{Found, Order, Outcome, Survey, held};

/// Walks through the ledger, then reads a version of pods (L5).
pub(super) async fn survey(handle: &Handle, writer: &Writer) -> Option<Survey> {
    let walk = Pages::new(handle, |_, _| true, |state, place| state.at(place).map(in_use)).collect().await;
    let held = match walk {
        Ok(held) => held.into_iter().flatten().collect(),
        Err(error) => {
            tracing::warn!(%error, "the ledger was not walked through; it is tried again");
            return None;
        }
    };
    match writer.pods_version().await {
        Ok(version) => Some(Survey { held, version }),
        Err(failure) => {
            tracing::warn!(%failure, "releases wait: the version of pods was not read; it is tried again");
            None
        }
    }
}

/// One address for each of its holders.
fn in_use(allocation: Allocation) -> Vec<Held> {
    let Allocation { vrf, address, state, attachments, .. } = allocation;
    if state != AllocationState::Active {
        return Vec::new();
    }
    attachments.iter().map(|attachment| held(attachment, &vrf, address)).collect()
}

/// What the ledger has about freed addresses now.
pub(super) async fn look_up(handle: &Handle, freed: Vec<Freed>) -> Outcome {
    let wanted = freed.clone();
    let look = move |state: &State, _| -> Vec<Option<Found>> {
        wanted.iter().map(|freed| find(state, freed)).collect()
    };
    match handle.read(look).await {
        Ok(found) => Outcome::LookedUp(freed.into_iter().zip(found).collect()),
        Err(_) => Outcome::Released(freed.into_iter().map(|freed| (freed, false)).collect()),
    }
}

fn find(state: &State, freed: &Freed) -> Option<Found> {
    let Allocation { state, owner, attachments, since, outlives_owner, .. } =
        state.allocation(&freed.address.vrf, freed.address.address)?;
    let attachment = attachments.into_iter().find(|attachment| attachment.holder == freed.holder)?;
    (state == AllocationState::Active).then_some(Found { owner, attachment, since, outlives_owner })
}

pub(super) async fn release(handle: &Handle, orders: Vec<Order>) -> Outcome {
    let deadline = Instant::now() + DECIDE;
    let releases = orders.into_iter().map(async |Order { freed, mode, since }| {
        let release = Release::Address {
            vrf: freed.address.vrf.clone(),
            address: freed.address.address,
            holder: freed.holder.clone(),
            mode,
            since: Some(since),
        };
        match handle.release(release, deadline).await {
            Ok(before) => {
                let change = if mode == ReleaseMode::Keep { "reserved" } else { "cooling" };
                audit::released(&before, change, "its pod has ended or lets it go, and its node says that it is not in use");
                (freed, true)
            }
            Err(error) => {
                tracing::warn!(address = %freed.address.address, %error, "an address was not released; it is judged anew");
                (freed, false)
            }
        }
    });
    Outcome::Released(join_all(releases).await)
}

/// The version that was written, if any.
pub(super) fn written(done: Result<Version, Failure>, node: &str) -> Option<Version> {
    done.inspect_err(
        |failure| tracing::debug!(node, %failure, "a node's spec was not written; it is tried again"),
    )
    .ok()
}

/// Takes over what a node uses and the ledger lacks (L6).
pub(super) async fn adopt(handle: &Handle, node: String, used: Vec<(Use, Allocation)>) -> Outcome {
    let (mut left, mut doubled) = (BTreeSet::new(), Vec::new());
    for (used, allocation) in used {
        match adopt_one(handle, &used, allocation).await {
            Ok(()) => {}
            Err(EngineError::Refused(refusal)) => doubled.push((used, refusal.to_string())),
            Err(error) => {
                tracing::warn!(node, %error, "what a node uses was not taken over; it is tried again");
                left.insert(used);
            }
        }
    }
    Outcome::Adopted { node, left, doubled }
}

async fn adopt_one(handle: &Handle, used: &Use, allocation: Allocation) -> Result<(), EngineError> {
    let Use { pod, address } = used.clone();
    let has = move |state: &State, _| {
        let known = state.allocation(&address.vrf, address.address);
        known.is_some_and(|known| known.attachments.iter().any(|attachment| attachment.holder == pod))
    };
    if handle.read(has).await? {
        return Ok(());
    }
    tracing::warn!(address = %allocation.address, pod = used.pod, "in use and not in the ledger: taken over");
    handle.adopt(vec![allocation]).await.map(drop)
}

pub(super) async fn raise(writer: &Writer, above: u64) -> bool {
    match crate::ledger::raise_above(writer.client(), above).await {
        Ok(epoch) => {
            tracing::warn!(epoch, "a new epoch of the ledger has begun");
            true
        }
        Err(error) => {
            tracing::warn!(%error, "a new epoch could not be begun; it is tried again");
            false
        }
    }
}

pub(super) async fn settle(writer: &Writer, epoch: u64) -> bool {
    crate::ledger::settle(writer.client(), epoch)
        .await
        .inspect_err(|error| tracing::warn!(%error, "the recovery could not be ended; it is tried again"))
        .unwrap_or(false)
}
