//! `GET /v1/who-has`: what each VRF knows of an address.

use std::net::IpAddr;

use allotment_core::{Allocation, DEFAULT_VRF, Located, Object, ObjectKey, ObjectKind, State, Timestamp};
use allotment_engine::Handle;
use allotment_wire::WhoHasRow;

use super::atlas::Atlas;
use super::reply::Trouble;
use super::rows;

/// What a VRF knows of the address.
struct Known {
    vrf: String,
    record: Option<Allocation>,
    located: Option<Located>,
    /// What the reservation around it says.
    reserved: Option<String>,
}

/// One row for each VRF that has a record of the address or a subnet around it; one that says `outside` where none has.
pub(crate) async fn who_has(
    handle: &Handle,
    address: IpAddr,
    only: Option<String>,
) -> Result<Vec<WhoHasRow>, Trouble> {
    // Some programs show IPv4 in its IPv4-mapped form, `::ffff:10.0.0.2`.
    let address = address.to_canonical();
    let atlas = Atlas::read(handle).await?;
    let wanted = only.clone();
    let (mut known, now) =
        handle.read(move |state, now| (known(state, address, wanted.as_deref()), now)).await?;
    if known.is_empty() {
        let vrf = only.unwrap_or_else(|| DEFAULT_VRF.to_owned());
        known.push(Known { vrf, record: None, located: None, reserved: None });
    }
    Ok(known.iter().map(|known| row(&atlas, address, known, now)).collect())
}

fn known(state: &State, address: IpAddr, only: Option<&str>) -> Vec<Known> {
    let vrfs = state.vrfs().filter(|&vrf| only.is_none_or(|only| only == vrf));
    let known = vrfs.map(|vrf| {
        let located = state.locate(vrf, address);
        let reservation = located.as_ref().and_then(|located| located.reservation.clone());
        let key = reservation.map(|name| ObjectKey { kind: ObjectKind::Reservation, name });
        let reserved = key.and_then(|key| state.object(&key)).and_then(|object| match object {
            Object::Reservation(spec) => Some(match spec.owner {
                Some(owner) => format!("reservation `{}` keeps it for {owner}", spec.name),
                None => format!("reservation `{}` sets it aside: {}", spec.name, spec.reason_line()),
            }),
            _ => None,
        });
        Known { vrf: vrf.to_owned(), record: state.allocation(vrf, address), located, reserved }
    });
    known.filter(|known| known.record.is_some() || known.located.is_some()).collect()
}

fn row(atlas: &Atlas, address: IpAddr, known: &Known, now: Timestamp) -> WhoHasRow {
    let Known { vrf, record, located, .. } = known;
    let record = record.as_ref().map(|record| (record, rows::ip_row(record, atlas, now)));
    let place = match located {
        Some(located) => format!("in subnet `{}`, VRF `{vrf}`", located.subnet),
        None => format!("in no subnet of VRF `{vrf}`"),
    };
    let (state, text, allocation) = match record {
        Some((record, row)) if row.state != "free" => {
            (row.state.clone(), held(record, &row.state), Some(row))
        }
        record => {
            let (state, text) = ground(known);
            let had = record.map(|(record, _)| {
                format!("; {} gave it back at {}", record.owner, rows::time(record.since))
            });
            (state.to_owned(), text + &had.unwrap_or_default(), None)
        }
    };
    WhoHasRow {
        address: address.to_string(),
        vrf: vrf.clone(),
        subnet: located.as_ref().map(|located| located.subnet.clone()),
        pool: located.as_ref().and_then(|located| located.pool.clone()),
        state,
        allocation,
        text: format!("{address} {place}: {text}"),
    }
}

/// Who has it, keeps it or had it until just now.
fn held(record: &Allocation, state: &str) -> String {
    let Allocation { owner, since, .. } = record;
    let since = rows::time(*since);
    let on =
        record.attachments.first().map_or_else(String::new, |held| rows::on(&held.interface, &held.network));
    match state {
        "active" => format!("{owner} has it{on} since {since}"),
        "reserved" => format!("it is kept for {owner} since {since}"),
        _ => format!("nobody has it; it is cooling since {since}, when {owner} gave it back"),
    }
}

/// What it is while nobody has it.
fn ground(known: &Known) -> (&'static str, String) {
    let Some(located) = &known.located else {
        return ("outside", "nobody has it, and nobody gets it".to_owned());
    };
    if let Some(nobodys) = located.nobodys {
        let state = if nobodys == "the gateway" { "gateway" } else { "edge" };
        return (state, format!("it is {nobodys}, which nobody gets"));
    }
    if let Some(reserved) = &known.reserved {
        return ("reserved", format!("nobody uses it; {reserved}"));
    }
    if located.excluded {
        return (
            "excluded",
            "nobody has it; it is excluded, so only who asks for it by name gets it".to_owned(),
        );
    }
    ("free", "nobody has it; it is free".to_owned())
}
