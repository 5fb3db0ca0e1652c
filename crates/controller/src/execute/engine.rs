//! What is asked of the engine besides addresses for pods.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use allotment_core::{
    Allocation, AllocationState, Object, ObjectKey, Release, ReleaseMode, State, Timestamp, Usage,
};
use allotment_engine::Handle;
use futures_util::future::join_all;

use super::DECIDE;
use crate::audit;
use crate::owners::Kept;

/// How full subnets and pools are.
pub(super) fn usage(state: &State, now: Timestamp) -> BTreeMap<ObjectKey, Vec<Usage>> {
    let used = |object: Object| match &object {
        Object::Subnet(spec) => Some((object.key(), state.subnet_usage(&spec.name, now))),
        Object::IPPool(spec) => Some((object.key(), state.pool_usage(&spec.name, now))),
        Object::Reservation(_) => None,
    };
    state.objects().filter_map(used).collect()
}

/// An address that is reserved for its owner and in use by nobody.
pub(super) fn kept(allocation: Allocation) -> Option<Kept> {
    let Allocation { vrf, address, state, owner, attachments, .. } = allocation;
    let attachment = attachments.into_iter().next();
    (state == AllocationState::Reserved).then_some(Kept { vrf, address, owner, attachment })
}

/// Frees kept addresses. Whether all of them are.
pub(super) async fn free(handle: &Handle, kept: Vec<Kept>) -> bool {
    let releases = kept.into_iter().map(|Kept { vrf, address, attachment, .. }| {
        let holder = attachment.map(|attachment| attachment.holder).unwrap_or_default();
        release(handle, vrf, address, holder, "its owner is gone, or no longer needs it")
    });
    join_all(releases).await.into_iter().all(|freed| freed)
}

/// Gives back addresses of a pod that nobody has seen.
pub(super) async fn give_back(handle: &Handle, pod: &str, unseen: Vec<(String, IpAddr)>) {
    let releases = unseen
        .into_iter()
        .map(|(vrf, address)| release(handle, vrf, address, pod.to_owned(), "the pod shows another grant"));
    join_all(releases).await;
}

async fn release(handle: &Handle, vrf: String, address: IpAddr, holder: String, why: &str) -> bool {
    let release = Release::Address { vrf, address, holder, mode: ReleaseMode::Cool, since: None };
    match handle.release(release, Instant::now() + DECIDE).await {
        Ok(before) => {
            audit::released(&before, "cooling", why);
            true
        }
        Err(error) => {
            tracing::warn!(%address, %error, why, "an address was not released");
            false
        }
    }
}
