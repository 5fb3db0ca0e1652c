//! `GET /v1/who-has`: what each VRF knows of an address.

use std::collections::BTreeSet;
use std::net::IpAddr;

use allotment_core::{Allocation, Timestamp};
use allotment_engine::{EngineError, Handle};
use allotment_wire::WhoHasRow;

use super::atlas::{Atlas, Ground};
use super::rows;

/// One row for each VRF that has a record of the address or a subnet around it; one that says `outside` where none has.
pub(crate) async fn who_has(
    handle: &Handle,
    address: IpAddr,
    only: Option<String>,
) -> Result<Vec<WhoHasRow>, EngineError> {
    let atlas = Atlas::read(handle).await?;
    let wanted = only.clone();
    let (records, now) = handle
        .read(move |state, now| {
            // A record may outlive its subnet, so the VRFs are taken from the records, too.
            let of_records = state.blocks().map(|block| state.vrf_name(block).to_owned());
            let of_objects = state.objects().filter_map(|object| match object {
                allotment_core::Object::Subnet(subnet) => Some(subnet.vrf),
                _ => None,
            });
            let mut vrfs: BTreeSet<String> = of_records.chain(of_objects).collect();
            vrfs.retain(|vrf| wanted.as_ref().is_none_or(|wanted| wanted == vrf));
            let records = vrfs.into_iter().map(|vrf| (state.allocation(&vrf, address), vrf));
            (records.collect::<Vec<_>>(), now)
        })
        .await?;
    let known = records.iter().filter(|(record, vrf)| record.is_some() || atlas.locate(vrf, address).is_some());
    let mut rows: Vec<WhoHasRow> =
        known.map(|(record, vrf)| row(&atlas, vrf, address, record.as_ref(), now)).collect();
    if rows.is_empty() {
        let vrf = only.unwrap_or_else(|| allotment_core::DEFAULT_VRF.to_owned());
        rows.push(row(&atlas, &vrf, address, None, now));
    }
    Ok(rows)
}

fn row(atlas: &Atlas, vrf: &str, address: IpAddr, record: Option<&Allocation>, now: Timestamp) -> WhoHasRow {
    let region = atlas.locate(vrf, address);
    let ground = region.map_or(Ground::Outside, |region| region.ground(address));
    let had = record.map(|record| (record, rows::state(record, region, now)));
    let state = match (had, ground) {
        (Some((_, state)), Ground::Free) => state,
        (Some((record, state)), _) if record.state.is_held() || state == "cooling" => state,
        (_, Ground::Outside) => "outside",
        (_, Ground::Gateway) => "gateway",
        (_, Ground::Edge) => "edge",
        (_, Ground::Reserved(_)) => "reserved",
        (_, Ground::Excluded) => "excluded",
        (_, Ground::Free) => "free",
    };
    let held = had.filter(|(_, state)| matches!(*state, "active" | "reserved" | "cooling"));
    let place = match region {
        Some(region) => format!("in subnet `{}`, VRF `{vrf}`", region.subnet.name),
        None => format!("in no subnet of VRF `{vrf}`"),
    };
    let text = match held {
        Some((record, state)) => held_text(record, state, &place),
        None => format!("{address} {place}: {}", free_text(ground, had.map(|(record, _)| record))),
    };
    WhoHasRow {
        address: address.to_string(),
        vrf: vrf.to_owned(),
        subnet: region.map(|region| region.subnet.name.clone()),
        pool: region.and_then(|region| region.pool(address)).map(|pool| pool.name.clone()),
        state: state.to_owned(),
        allocation: held.map(|(record, _)| rows::ip_row(record, atlas, now)),
        text,
    }
}

fn held_text(record: &Allocation, state: &str, place: &str) -> String {
    let Allocation { address, owner, since, .. } = record;
    let since = rows::time(*since);
    let on = record.attachments.first().map_or_else(String::new, |held| {
        format!(" on {} of network `{}`", held.interface, held.network)
    });
    match state {
        "active" => format!("{address} {place}: {owner} has it{on} since {since}"),
        "reserved" => format!("{address} {place}: it is kept for {owner} since {since}"),
        _ => format!("{address} {place}: nobody has it; it is cooling since {since}, when {owner} gave it back"),
    }
}

fn free_text(ground: Ground<'_>, had: Option<&Allocation>) -> String {
    let what = match ground {
        Ground::Outside => "nobody has it, and nobody gets it".to_owned(),
        Ground::Gateway => "it is the gateway, which nobody gets".to_owned(),
        Ground::Edge => "it is the network or broadcast address, which nobody gets".to_owned(),
        Ground::Excluded => "nobody has it; it is excluded, so only who asks for it by name gets it".to_owned(),
        Ground::Free => "nobody has it; it is free".to_owned(),
        Ground::Reserved(reservation) => {
            let name = &reservation.name;
            match &reservation.owner {
                Some(owner) => format!("nobody uses it; reservation `{name}` keeps it for {owner}"),
                None => format!("reservation `{name}` sets it aside: {}", reservation.reason),
            }
        }
    };
    match had {
        Some(record) => format!("{what}; {} gave it back at {}", record.owner, rows::time(record.since)),
        None => what,
    }
}
