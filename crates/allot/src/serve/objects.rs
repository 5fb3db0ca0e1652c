//! `GET /v1/subnets`, `/v1/pools` and `/v1/reservations`: the objects in force, and how full they are.

use allotment_core::{
    BlockId, IpRange, Object, ObjectKey, ObjectKind, Order, PoolSpec, ReservationSpec, State, SubnetSpec,
    Timestamp, Usage,
};
use allotment_engine::{EngineError, Handle};
use allotment_wire::{PoolRow, ReservationRow, SubnetRow};

use super::Daemon;
use super::ips::meets;
use super::pages::Pages;
use super::rows;

/// One row a subnet and family.
pub(crate) async fn subnets(daemon: &Daemon) -> Result<Vec<SubnetRow>, EngineError> {
    let used = daemon.handle.read(subnet_usage).await?;
    let rows =
        used.iter().flat_map(|(spec, usage)| usage.iter().map(|usage| subnet_row(daemon, spec, usage)));
    Ok(rows.collect())
}

/// The subnets, each with its use per family.
pub(crate) fn subnet_usage(state: &State, now: Timestamp) -> Vec<(SubnetSpec, Vec<Usage>)> {
    let subnets = state.objects().filter_map(|object| match object {
        Object::Subnet(spec) => Some(spec),
        _ => None,
    });
    subnets
        .map(|spec| (state.subnet_usage(&spec.name, now), spec))
        .map(|(usage, spec)| (spec, usage))
        .collect()
}

fn subnet_row(daemon: &Daemon, spec: &SubnetSpec, usage: &Usage) -> SubnetRow {
    let family = usage.family;
    SubnetRow {
        name: spec.name.clone(),
        vrf: spec.vrf.clone(),
        family: family.to_string(),
        cidr: spec.cidr(family).map(ToString::to_string).unwrap_or_default(),
        gateway: spec.gateway(family).map(|gateway| gateway.to_string()),
        total: usage.total.to_string(),
        held: usage.held.to_string(),
        cooling: usage.cooling.to_string(),
        free: usage.free().to_string(),
        order: order(spec.order).to_owned(),
        default: spec.default,
        namespaces: spec.namespaces.clone(),
        networks: spec.networks.clone(),
        condition: condition(daemon, ObjectKind::Subnet, &spec.name),
    }
}

fn order(order: Order) -> &'static str {
    match order {
        Order::Oldest => "oldest",
        Order::Sequential => "sequential",
        Order::Random => "random",
        Order::NextAfterLast => "next-after-last",
    }
}

/// One row a pool and family.
pub(crate) async fn pools(daemon: &Daemon) -> Result<Vec<PoolRow>, EngineError> {
    let used = daemon.handle.read(|state, now| {
        let pools = state.objects().filter_map(|object| match object {
            Object::IPPool(spec) => Some((state.pool_usage(&spec.name, now), spec)),
            _ => None,
        });
        pools.collect::<Vec<_>>()
    });
    let used = used.await?;
    let rows = used.iter().flat_map(|(usage, spec)| usage.iter().map(|usage| pool_row(daemon, spec, usage)));
    Ok(rows.collect())
}

fn pool_row(daemon: &Daemon, spec: &PoolSpec, usage: &Usage) -> PoolRow {
    PoolRow {
        name: spec.name.clone(),
        subnet: spec.subnet.clone(),
        family: usage.family.to_string(),
        ranges: texts(spec.ranges.iter().filter(|range| range.family() == usage.family)),
        total: usage.total.to_string(),
        held: usage.held.to_string(),
        cooling: usage.cooling.to_string(),
        free: usage.free().to_string(),
        condition: condition(daemon, ObjectKind::IPPool, &spec.name),
    }
}

fn texts<'a>(ranges: impl Iterator<Item = &'a IpRange>) -> Vec<String> {
    ranges.map(ToString::to_string).collect()
}

/// One row a reservation.
pub(crate) async fn reservations(daemon: &Daemon) -> Result<Vec<ReservationRow>, EngineError> {
    let declared = daemon.handle.read(|state, _| state.objects().collect::<Vec<_>>()).await?;
    let mut vrfs = std::collections::BTreeMap::new();
    let mut rows = Vec::new();
    for object in declared {
        match object {
            Object::Subnet(subnet) => drop(vrfs.insert(subnet.name, subnet.vrf)),
            Object::Reservation(spec) => {
                let vrf = vrfs.get(&spec.subnet).cloned().unwrap_or_default();
                let held = held(&daemon.handle, vrf, spec.addresses.clone()).await?;
                rows.push(reservation_row(daemon, &spec, held));
            }
            Object::IPPool(_) => {}
        }
    }
    Ok(rows)
}

fn reservation_row(daemon: &Daemon, spec: &ReservationSpec, held: usize) -> ReservationRow {
    ReservationRow {
        name: spec.name.clone(),
        subnet: spec.subnet.clone(),
        addresses: texts(spec.addresses.iter()),
        owner: spec.owner.as_ref().map(rows::owner_row),
        reason: spec.reason.clone(),
        held: held.to_string(),
        condition: condition(daemon, ObjectKind::Reservation, &spec.name),
    }
}

/// How many addresses of some ranges are held.
async fn held(handle: &Handle, vrf: String, ranges: Vec<IpRange>) -> Result<usize, EngineError> {
    let of_blocks = ranges.clone();
    let blocks = move |state: &State, block: BlockId| {
        state.vrf_name(block) == vrf && of_blocks.iter().any(|range| meets(block, *range))
    };
    let held = move |state: &State, place: allotment_core::Place| {
        let address = place.address();
        let reserved = ranges.iter().any(|range| range.contains(address));
        (reserved && state.at(place).is_some_and(|allocation| allocation.state.is_held())).then_some(())
    };
    let mut pages = Pages::new(handle, blocks, held);
    let mut count = 0;
    while let Some(page) = pages.next().await? {
        count += page.items.len();
    }
    Ok(count)
}

/// What keeps an object's declared form from being in force.
fn condition(daemon: &Daemon, kind: ObjectKind, name: &str) -> Option<String> {
    let key = ObjectKey { kind, name: name.to_owned() };
    let problems = daemon.problems.borrow();
    let problem = problems.iter().find(|problem| problem.object.as_ref() == Some(&key))?;
    Some(format!("the last accepted form is in force: {problem}"))
}
