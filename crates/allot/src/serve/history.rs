//! `GET /v1/history`: what happened to an address or an owner, as the ledger remembers it (O10).

use std::net::IpAddr;

use allotment_core::{Allocation, AllocationState};
use allotment_engine::{Change, Handle};
use allotment_wire::{HistoryRow, IpRow};

use super::atlas::Atlas;
use super::owners::OwnerPattern;
use super::reply::Trouble;
use super::rows;

/// Whose changes are wanted.
enum Of {
    Address(IpAddr),
    Owner(OwnerPattern),
}

pub(crate) async fn history(
    handle: &Handle,
    of: &str,
    vrf: Option<String>,
) -> Result<Vec<HistoryRow>, Trouble> {
    let of = match of.parse::<IpAddr>() {
        Ok(address) => Of::Address(address.to_canonical()),
        Err(_) => Of::Owner(Trouble::owner(of)?),
    };
    let only = match of {
        Of::Address(address) => Some(address),
        Of::Owner(_) => None,
    };
    let is_wanted = |change: &Change, allocation: &Allocation| {
        let by_owner = match &of {
            Of::Address(_) => true,
            Of::Owner(owner) => owner.matches(allocation),
        };
        by_owner && vrf.as_ref().is_none_or(|vrf| *vrf == change.vrf)
    };
    let (mut answer, mut from) = (Vec::new(), Some(0));
    while let Some(place) = from {
        let page = handle.history(place, only).await?;
        for change in page.changes {
            if let Some(allocation) = change.allocation()
                && is_wanted(&change, &allocation)
            {
                answer.push(row(&change, &allocation));
            }
        }
        from = page.next;
    }
    // A sandbox or MAC may be recorded anew without any change that this shows.
    answer.dedup_by(|later, earlier| HistoryRow { at: earlier.at.clone(), ..later.clone() } == *earlier);
    Ok(answer)
}

fn row(change: &Change, allocation: &Allocation) -> HistoryRow {
    let row = rows::ip_row(allocation, &Atlas::default(), change.at);
    let IpRow { address, vrf, mac, owner, attachment, node, rule, .. } = row;
    let state = match allocation.state {
        AllocationState::Reserved => "reserved",
        AllocationState::Active => "active",
        AllocationState::Cooling => "cooling",
    };
    let state = state.to_owned();
    HistoryRow { at: rows::time(change.at), address, vrf, state, owner, attachment, mac, node, rule }
}
