//! `GET /v1/why`: by which rule an owner has what it has, or what stands in its way.

use std::sync::Arc;

use allotment_core::Allocation;
use allotment_engine::Handle;
use allotment_wire::{CountRow, IpRow, WhyRow};

use super::atlas::{Atlas, Region};
use super::ips::{Filter, Walk};
use super::owners::OwnerPattern;
use super::refusals::{Refusals, Refused};
use super::reply::Trouble;
use super::rows;

pub(crate) async fn why(
    handle: &Handle,
    refusals: &Refusals,
    owner: OwnerPattern,
) -> Result<Vec<WhyRow>, Trouble> {
    let refused = refusals.select(|refused| owner.matches_owner(&refused.owner, &[]));
    let mut answer = addresses(handle, owner).await?;
    answer.extend(refused.into_iter().map(was_refused));
    Ok(answer)
}

/// What the ledger says of an owner's addresses.
pub(crate) async fn addresses(handle: &Handle, owner: OwnerPattern) -> Result<Vec<WhyRow>, Trouble> {
    let atlas = Arc::new(Atlas::read(handle).await?);
    let mut walk = Walk::new(handle, Arc::clone(&atlas), Filter::of_owner(owner));
    let mut answer = Vec::new();
    while let Some(found) = walk.next().await? {
        for (allocation, row) in found {
            let region = atlas.locate(&allocation.vrf, allocation.address);
            answer.push(has(&allocation, row, region));
        }
    }
    Ok(answer)
}

/// An address it has or had.
fn has(allocation: &Allocation, row: IpRow, region: Option<&Region>) -> WhyRow {
    // A held address keeps its subnet, but pools move, and of one that is released the subnet may, too: the record does not say
    // which it came from.
    let place = match (&row.pool, &row.subnet) {
        (Some(pool), Some(subnet)) => format!("subnet `{subnet}` (in its pool `{pool}` now)"),
        (None, Some(subnet)) => format!("subnet `{subnet}`"),
        (_, None) => "no subnet that is in force".to_owned(),
    };
    let on = row
        .attachment
        .as_ref()
        .map_or_else(String::new, |attachment| rows::on(&attachment.interface, &attachment.network));
    let since = rows::time(allocation.since);
    let address = &row.address;
    let state = match row.state.as_str() {
        "active" => format!("has {address}{on} since {since}"),
        "reserved" => format!("keeps {address}, which nobody uses since {since}"),
        _ => {
            let cooling = region.map_or(0, |region| region.subnet.cooling_ms / 1000);
            format!("had {address}{on} until {since}; nobody else gets it for {cooling} s from then")
        }
    };
    let from = if allocation.state.is_held() { "from" } else { "now in" };
    let choice = rows::choice(allocation.rule.choice);
    let pick = rows::pick(allocation.rule.pick);
    WhyRow {
        owner: rows::owner_row(&allocation.owner),
        why: format!("{state}; {from} {place}, because {choice}; this address, because {pick}"),
        since: row.since.clone(),
        address: Some(row),
        code: None,
        counts: Vec::new(),
        hint: None,
    }
}

/// What it did not get.
fn was_refused(refused: Refused) -> WhyRow {
    let Refused { owner, network, refusal, at } = refused;
    let count = |count: allotment_core::Count| CountRow { what: count.what, value: count.value };
    WhyRow {
        owner: rows::owner_row(&owner),
        address: None,
        why: format!(
            "was refused on network `{network}` at {}: {refusal} ({})",
            rows::time(at),
            refusal.code.as_str()
        ),
        code: Some(refusal.code.as_str().to_owned()),
        counts: refusal.counts.into_iter().map(count).collect(),
        hint: Some(refusal.hint).filter(|hint| !hint.is_empty()),
        since: Some(rows::time(at)),
    }
}
