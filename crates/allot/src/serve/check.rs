//! `POST /v1/check`, and the check without a daemon: the files are tried on a copy of what is in force.

use std::collections::{BTreeMap, BTreeSet};

use allotment_core::{BlockId, IpRange, Object, ObjectKey, State};
use allotment_engine::Handle;
use allotment_wire::{CheckFile, CheckRow};

use super::ips::meets;
use super::pages::Pages;
use super::reply::Trouble;
use crate::objects::{Scratch, Wanted, row, settle, steps};

/// What would be wrong with the files beside what is in force.
pub(crate) async fn check(handle: &Handle, files: &[CheckFile]) -> Result<Vec<CheckRow>, Trouble> {
    let touched = Wanted::parse(files).objects.into_values().map(|declared| match declared.value {
        Object::Subnet(subnet) => subnet.name,
        Object::IPPool(pool) => pool.subnet,
        Object::Reservation(reservation) => reservation.subnet,
    });
    let copy = copy(handle, touched.collect()).await?;
    Ok(check_files(files, copy).await)
}

/// What would be wrong with the files beside what is in `state`.
pub(crate) async fn check_files(files: &[CheckFile], state: State) -> Vec<CheckRow> {
    let wanted = Wanted::parse(files);
    let in_force: BTreeMap<ObjectKey, Object> = state.objects().map(|object| (object.key(), object)).collect();
    let steps = steps(&in_force, &BTreeMap::new(), &wanted);
    let settled = settle(&mut Scratch(state), steps).await;
    wanted.problems.into_iter().chain(settled.blocked).map(|problem| row(&problem)).collect()
}

/// A copy of all objects and of the records in the named subnets, without keeping the engine for long.
async fn copy(handle: &Handle, subnets: BTreeSet<String>) -> Result<State, Trouble> {
    let objects: Vec<Object> = handle.read(|state, _| state.objects().collect()).await?;
    let mut ranges: Vec<(String, IpRange)> = Vec::new();
    let mut copy = State::new();
    for object in objects {
        if let Object::Subnet(subnet) = &object
            && subnets.contains(&subnet.name)
        {
            ranges.extend(subnet.cidrs.iter().map(|cidr| (subnet.vrf.clone(), IpRange::from(*cidr))));
        }
        copy.put(object).map_err(|error| broken(&error))?;
    }
    let wanted = move |state: &State, block: BlockId| {
        ranges.iter().any(|(vrf, range)| state.vrf_name(block) == vrf && meets(block, *range))
    };
    let record = |state: &State, place: allotment_core::Place| {
        let mut bytes = Vec::new();
        let vrf = state.vrf_name(place.block()).to_owned();
        state.write_record(place, &mut bytes).then_some((vrf, place.address(), bytes))
    };
    let mut pages = Pages::new(handle, wanted, record);
    while let Some(page) = pages.next().await? {
        for (vrf, address, bytes) in page.items {
            copy.load(&vrf, address, &bytes).map_err(|error| broken(&error))?;
        }
    }
    copy.settle();
    Ok(copy)
}

fn broken(error: &dyn std::error::Error) -> Trouble {
    Trouble::unable(format!("what is in force cannot be copied: {error}"), "report this, with `allot export`")
}
