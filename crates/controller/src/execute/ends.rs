//! Reading from the ledger and releasing what is proved to be free.

use std::time::Instant;

use allotment_core::{Allocation, AllocationState, Release, ReleaseMode, State};
use allotment_engine::{Handle, Pages};
use allotment_proof::{Freed, Held, Version};
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
    let Allocation { state, owner, attachments, since, .. } =
        state.allocation(&freed.address.vrf, freed.address.address)?;
    let attachment = attachments.into_iter().find(|attachment| attachment.holder == freed.holder)?;
    (state == AllocationState::Active).then_some(Found { owner, attachment, since })
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
                audit::released(&before, change, "its pod has ended, and its node says that it is not in use");
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
