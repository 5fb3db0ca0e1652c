//! What must hold of a state at any time, counted and looked up the slow way.

use std::collections::BTreeSet;
use std::net::IpAddr;

use allotment_core::{
    Allocation, AllocationState, BlockId, Cidr, Family, IpRange, Object, PoolSpec, State, SubnetSpec,
    Timestamp, Usage,
};

/// Everything that a state has a record of, by VRF and address.
pub(crate) fn all(state: &State) -> Vec<Allocation> {
    let places = state.blocks().flat_map(|block| state.places(block));
    places.map(|place| state.at(place).expect("a place has a record")).collect()
}

/// A state that was told the same objects and records.
pub(crate) fn restarted(state: &State) -> State {
    let mut fresh = State::with_seed(7);
    fresh.begin_loading();
    for object in state.objects() {
        fresh.put(object).unwrap();
    }
    for block in state.blocks() {
        for place in state.places(block) {
            let mut record = Vec::new();
            assert!(state.write_record(place, &mut record));
            fresh.load(state.vrf_name(block), place.address(), &record).unwrap();
        }
    }
    fresh.settle();
    fresh
}

/// Records, indexes and counts agree with each other.
pub(crate) fn check(state: &State, now: Timestamp) {
    state.assert_consistent();
    let all = all(state);
    assert_eq!(state.len(), all.len());
    let places: BTreeSet<(&str, IpAddr)> = all.iter().map(|a| (a.vrf.as_str(), a.address)).collect();
    assert_eq!(places.len(), all.len(), "no address twice");
    for allocation in &all {
        check_indexes(state, allocation);
    }
    for object in state.objects() {
        match object {
            Object::Subnet(spec) => check_subnet(state, &spec, &all, now),
            Object::IPPool(spec) => check_pool(state, &spec, &all, now),
            Object::Reservation(_) => {}
        }
    }
}

fn check_indexes(state: &State, allocation: &Allocation) {
    let count = |found: &[Allocation]| found.iter().filter(|&other| other == allocation).count();
    let owned = state.owned_by(&allocation.owner);
    assert_eq!(count(&owned), 1, "{allocation:?}");
    assert!(owned.iter().all(|other| other.owner.key() == allocation.owner.key()));
    let in_use = usize::from(allocation.state == AllocationState::Active);
    for attachment in &allocation.attachments {
        if !attachment.container_id.is_empty() {
            assert_eq!(count(&state.in_sandbox(&attachment.container_id)), in_use, "{allocation:?}");
        }
    }
    if let Some(mac) = allocation.mac {
        let held = usize::from(allocation.state.is_held());
        assert_eq!(count(&state.with_mac(&allocation.vrf, mac)), held, "{allocation:?}");
    }
}

/// How many addresses are counted one by one.
const SMALL: u128 = 1024;

/// What of a range may be drawn, where that is a small set.
struct Drawable<'a> {
    subnet: &'a SubnetSpec,
    reserved: Vec<IpRange>,
    closed: Vec<BlockId>,
}

impl<'a> Drawable<'a> {
    fn of(state: &State, subnet: &'a SubnetSpec) -> Drawable<'a> {
        let reserved = state.objects().filter_map(|object| match object {
            Object::Reservation(spec) if spec.subnet == subnet.name => Some(spec.addresses),
            _ => None,
        });
        let closed = state.closed().filter(|(vrf, _)| *vrf == subnet.vrf);
        let closed = closed.filter_map(|(vrf, base)| state.block_of(vrf, base)).collect();
        Drawable { subnet, reserved: reserved.flatten().collect(), closed }
    }

    fn has(&self, address: IpAddr) -> bool {
        let inside = |ranges: &[IpRange]| ranges.iter().any(|range| range.contains(address));
        let subnet = self.subnet;
        subnet.cidrs.iter().any(|cidr| cidr.contains(address))
            && !is_nobodys(subnet, address)
            && !inside(&subnet.exclude)
            && !inside(&self.reserved)
            && !self.closed.iter().any(|block| is_in(*block, address))
            && (subnet.within.is_empty() || inside(&subnet.within))
    }

    fn count(&self, ranges: &[IpRange]) -> Option<u128> {
        let size: u128 = ranges.iter().map(IpRange::count).sum();
        (size <= SMALL).then(|| {
            let included = ranges.iter().flat_map(|range| addresses_outside(range, &self.subnet.exclude));
            let drawable = included.filter(|&address| self.has(address));
            drawable.count() as u128
        })
    }
}

fn is_in(block: BlockId, address: IpAddr) -> bool {
    let base = |address| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => v6.to_bits() >> 8,
    };
    block.base().is_ipv4() == address.is_ipv4() && base(block.base()) == base(address)
}

pub(crate) fn is_nobodys(subnet: &SubnetSpec, address: IpAddr) -> bool {
    let Some(cidr) = subnet.cidr(Family::of(address)) else { return false };
    let edge = address == cidr.first() || address.is_ipv4() && address == cidr.last();
    cidr.has_edges() && edge || subnet.gateway(cidr.family()) == Some(address)
}

/// The addresses of a range, ascending.
pub(crate) fn addresses(range: &IpRange) -> impl Iterator<Item = IpAddr> + use<> {
    addresses_outside(range, &[])
}

/// The addresses of a range that are in none of others, ascending.
pub(crate) fn addresses_outside(range: &IpRange, others: &[IpRange]) -> impl Iterator<Item = IpAddr> + use<> {
    let (others, last) = (others.to_vec(), range.last());
    let mut next = Some(range.first());
    std::iter::from_fn(move || {
        let mut address = next.take()?;
        while let Some(other) = others.iter().find(|other| other.contains(address)) {
            if other.last() >= last {
                return None;
            }
            address = successor(other.last());
        }
        next = (address != last).then(|| successor(address));
        Some(address)
    })
}

pub(crate) fn successor(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() + 1).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() + 1).into()),
    }
}

fn check_subnet(state: &State, spec: &SubnetSpec, all: &[Allocation], now: Timestamp) {
    let drawable = Drawable::of(state, spec);
    let usage = state.subnet_usage(&spec.name, now);
    assert_eq!(usage.len(), spec.cidrs.len());
    for usage in usage {
        let cidr: Cidr = *spec.cidr(usage.family).unwrap();
        let here: Vec<&Allocation> =
            all.iter().filter(|a| a.vrf == spec.vrf && cidr.contains(a.address)).collect();
        check_usage(state, &usage, drawable.count(&[cidr.into()]), &here, &drawable, now);
        let held = here.iter().filter(|allocation| allocation.state.is_held()).count();
        assert_eq!(usage.held, held as u64, "held in {cidr} of {}", spec.name);
    }
}

fn check_pool(state: &State, spec: &PoolSpec, all: &[Allocation], now: Timestamp) {
    let Some(subnet) = state.objects().find_map(|object| match object {
        Object::Subnet(subnet) if subnet.name == spec.subnet => Some(subnet),
        _ => None,
    }) else {
        panic!("{} is in no subnet", spec.name)
    };
    let drawable = Drawable::of(state, &subnet);
    for usage in state.pool_usage(&spec.name, now) {
        let ranges: Vec<IpRange> =
            spec.ranges.iter().copied().filter(|range| range.family() == usage.family).collect();
        let here: Vec<&Allocation> = all
            .iter()
            .filter(|a| a.vrf == subnet.vrf && ranges.iter().any(|range| range.contains(a.address)))
            .collect();
        check_usage(state, &usage, drawable.count(&ranges), &here, &drawable, now);
        let held = here.iter().filter(|a| a.state.is_held() && drawable.has(a.address)).count();
        assert_eq!(usage.held, held as u64, "held in pool {}", spec.name);
    }
}

fn check_usage(
    state: &State,
    usage: &Usage,
    total: Option<u128>,
    here: &[&Allocation],
    drawable: &Drawable<'_>,
    now: Timestamp,
) {
    let drawn: Vec<&&Allocation> = here.iter().filter(|a| drawable.has(a.address)).collect();
    let cooling = drawn.iter().filter(|a| state.cooling_left(a, now) > 0).count();
    assert_eq!(usage.cooling, cooling as u64, "cooling in {}", drawable.subnet.name);
    let held = drawn.iter().filter(|a| a.state.is_held()).count();
    if let Some(total) = total {
        assert_eq!(usage.total, total, "drawn from {}", drawable.subnet.name);
        assert_eq!(usage.free(), total - (held + cooling) as u128, "free in {}", drawable.subnet.name);
    }
}
