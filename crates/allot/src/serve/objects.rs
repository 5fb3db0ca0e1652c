//! `GET /v1/subnets`, `/v1/pools` and `/v1/reservations`: the objects in force, and how full they are.

use std::collections::HashMap;

use allotment_core::{
    Allocation, AllocationState, BlockId, Family, IpRange, Object, ObjectKey, ObjectKind, Order, Place,
    PoolSpec, ReservationSpec, State, SubnetSpec, Timestamp, Usage,
};
use allotment_engine::{EngineError, Handle, Pages};
use allotment_wire::{PoolRow, ReservationRow, SubnetRow};

use super::Daemon;
use super::atlas::Atlas;
use super::ips::meets;
use super::rows;

/// One row a subnet and family.
pub(crate) async fn subnets(daemon: &Daemon) -> Result<Vec<SubnetRow>, EngineError> {
    let atlas = Atlas::read(&daemon.handle).await?;
    let kept = Kept::count(&daemon.handle, &atlas).await?;
    let used = daemon.handle.read(subnet_usage).await?;
    let rows = used.iter().flat_map(|(spec, usage)| {
        let (kept, region) = (&kept, atlas.region(&spec.name));
        usage.iter().map(move |usage| {
            let aside = region.map_or(0, |region| region.set_aside(usage.family, None));
            subnet_row(daemon, spec, usage, Beside { kept: kept.in_subnet(&spec.name, usage.family), aside })
        })
    });
    Ok(rows.collect())
}

/// The subnets, each with its use per family.
pub(crate) fn subnet_usage(state: &State, now: Timestamp) -> Vec<(SubnetSpec, Vec<Usage>)> {
    let subnets = state.objects().filter_map(|object| match object {
        Object::Subnet(spec) => Some(spec),
        _ => None,
    });
    let used = |spec: SubnetSpec| {
        let usage = state.subnet_usage(&spec.name, now);
        (spec, usage)
    };
    subnets.map(used).collect()
}

/// Numbers that core does not count apart.
struct Beside {
    /// In state `reserved`.
    kept: u64,
    /// Of Reservations.
    aside: u128,
}

fn subnet_row(daemon: &Daemon, spec: &SubnetSpec, usage: &Usage, beside: Beside) -> SubnetRow {
    let family = usage.family;
    let Beside { kept, aside } = beside;
    SubnetRow {
        name: spec.name.clone(),
        vrf: spec.vrf.clone(),
        family: family.to_string(),
        cidr: spec.cidr(family).map(ToString::to_string).unwrap_or_default(),
        gateway: spec.gateway(family).map(|gateway| gateway.to_string()),
        total: usage.total.to_string(),
        active: usage.held.saturating_sub(kept).to_string(),
        reserved: kept.to_string(),
        cooling: usage.cooling.to_string(),
        free: usage.free().to_string(),
        set_aside: aside.to_string(),
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
    let atlas = Atlas::read(&daemon.handle).await?;
    let kept = Kept::count(&daemon.handle, &atlas).await?;
    let used = daemon.handle.read(|state, now| {
        let pools = state.objects().filter_map(|object| match object {
            Object::IPPool(spec) => Some((state.pool_usage(&spec.name, now), spec)),
            _ => None,
        });
        pools.collect::<Vec<_>>()
    });
    let used = used.await?;
    let rows = used.iter().flat_map(|(usage, spec)| {
        let (kept, region) = (&kept, atlas.region(&spec.subnet));
        usage.iter().map(move |usage| {
            let aside = region.map_or(0, |region| region.set_aside(usage.family, Some(spec)));
            pool_row(daemon, spec, usage, Beside { kept: kept.in_pool(&spec.name, usage.family), aside })
        })
    });
    Ok(rows.collect())
}

fn pool_row(daemon: &Daemon, spec: &PoolSpec, usage: &Usage, beside: Beside) -> PoolRow {
    let Beside { kept, aside } = beside;
    PoolRow {
        name: spec.name.clone(),
        subnet: spec.subnet.clone(),
        family: usage.family.to_string(),
        ranges: texts(spec.ranges.iter().filter(|range| range.family() == usage.family)),
        total: usage.total.to_string(),
        active: usage.held.saturating_sub(kept).to_string(),
        reserved: kept.to_string(),
        cooling: usage.cooling.to_string(),
        free: usage.free().to_string(),
        set_aside: aside.to_string(),
        condition: condition(daemon, ObjectKind::IPPool, &spec.name),
    }
}

fn texts<'a>(ranges: impl Iterator<Item = &'a IpRange>) -> Vec<String> {
    ranges.map(ToString::to_string).collect()
}

/// One row a reservation.
pub(crate) async fn reservations(daemon: &Daemon) -> Result<Vec<ReservationRow>, EngineError> {
    let atlas = Atlas::read(&daemon.handle).await?;
    let mut rows = Vec::new();
    for region in atlas.regions() {
        for spec in &region.reservations {
            let active = active(&daemon.handle, region.subnet.vrf.clone(), spec.addresses.clone()).await?;
            rows.push(reservation_row(daemon, spec, active));
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows)
}

fn reservation_row(daemon: &Daemon, spec: &ReservationSpec, active: usize) -> ReservationRow {
    ReservationRow {
        name: spec.name.clone(),
        subnet: spec.subnet.clone(),
        addresses: texts(spec.addresses.iter()),
        owner: spec.owner.as_ref().map(rows::owner_row),
        reason: spec.reason.clone(),
        active: active.to_string(),
        condition: condition(daemon, ObjectKind::Reservation, &spec.name),
    }
}

/// How many addresses of some ranges are in use.
async fn active(handle: &Handle, vrf: String, ranges: Vec<IpRange>) -> Result<usize, EngineError> {
    let of_blocks = ranges.clone();
    let blocks = move |state: &State, block: BlockId| {
        state.vrf_name(block) == vrf && of_blocks.iter().any(|range| meets(block, *range))
    };
    let active = move |state: &State, place: Place| {
        let address = place.address();
        let reserved = ranges.iter().any(|range| range.contains(address));
        (reserved && state.at(place)?.state == AllocationState::Active).then_some(())
    };
    Ok(Pages::new(handle, blocks, active).collect().await?.len())
}

/// How many addresses are kept for an owner but in use by nobody. Core counts them among the held.
#[derive(Default)]
struct Kept {
    subnets: HashMap<(String, Family), u64>,
    pools: HashMap<(String, Family), u64>,
}

impl Kept {
    async fn count(handle: &Handle, atlas: &Atlas) -> Result<Kept, EngineError> {
        let is_kept = |allocation: &Allocation| allocation.state == AllocationState::Reserved;
        let mut pages = Pages::new(handle, |_, _| true, move |state, place| state.at(place).filter(is_kept));
        let mut kept = Kept::default();
        while let Some(page) = pages.next().await? {
            for Allocation { vrf, address, .. } in page.items {
                let Some(region) = atlas.locate(&vrf, address) else { continue };
                let family = Family::of(address);
                *kept.subnets.entry((region.subnet.name.clone(), family)).or_default() += 1;
                if let Some(pool) = region.pool(address) {
                    *kept.pools.entry((pool.name.clone(), family)).or_default() += 1;
                }
            }
        }
        Ok(kept)
    }

    fn in_subnet(&self, name: &str, family: Family) -> u64 {
        self.subnets.get(&(name.to_owned(), family)).copied().unwrap_or(0)
    }

    fn in_pool(&self, name: &str, family: Family) -> u64 {
        self.pools.get(&(name.to_owned(), family)).copied().unwrap_or(0)
    }
}

/// What keeps an object's declared form from being in force.
fn condition(daemon: &Daemon, kind: ObjectKind, name: &str) -> Option<String> {
    let key = ObjectKey { kind, name: name.to_owned() };
    let problems = daemon.problems.borrow();
    let problem = problems.iter().find(|problem| problem.object.as_ref() == Some(&key))?;
    Some(format!("the last accepted form is in force: {problem}"))
}
