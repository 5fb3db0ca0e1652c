//! What people ask.

use std::net::IpAddr;

use super::block::offsets;
use super::objects::{Objects, family_index};
use super::record::NONE;
use super::{Place, State};
use crate::address::key_of;
use crate::{Allocation, AllocationState, Family, Mac, Owner, Timestamp};

/// How much of a subnet or pool is in use, in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub family: Family,
    /// Addresses that may be drawn: without edges, gateway, excluded and reserved ones.
    pub total: u128,
    /// Reserved or active addresses.
    pub held: u64,
    /// Those of them that are not in `total`: excluded ones asked for by name, reserved ones given to their owner.
    pub beside: u64,
    /// Released addresses that still cool.
    pub cooling: u64,
}

impl Usage {
    /// Addresses that anybody could be given now.
    pub fn free(&self) -> u128 {
        let taken = u128::from(self.held.saturating_sub(self.beside)) + u128::from(self.cooling);
        self.total.saturating_sub(taken)
    }
}

/// What an address is, whether it has a record or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    pub subnet: String,
    pub pool: Option<String>,
    pub reservation: Option<String>,
    pub excluded: bool,
    /// `the gateway`, `the network address`, `the broadcast address`: nobody gets it.
    pub nobodys: Option<&'static str>,
}

impl State {
    /// One address, if it has a record.
    pub fn allocation(&self, vrf: &str, address: IpAddr) -> Option<Allocation> {
        let vrf = self.store.vrfs.find(vrf, self.store.seed)?;
        self.at(Place { vrf, key: key_of(address) })
    }

    /// The record at a place, if there is one.
    pub fn at(&self, place: Place) -> Option<Allocation> {
        self.store.record_at(place).map(|index| self.store.allocation(index))
    }

    /// Whether an address is in use by a holder, as first or second.
    pub fn is_held_by(&self, vrf: &str, address: IpAddr, holder: &str) -> bool {
        let vrf = self.store.vrfs.find(vrf, self.store.seed);
        let record = vrf.and_then(|vrf| self.store.record_at(Place { vrf, key: key_of(address) }));
        record.is_some_and(|record| {
            self.store.records.get(record).state == AllocationState::Active
                && self.store.is_holder(record, holder)
        })
    }

    /// What an owner has, whatever its state.
    pub fn owned_by(&self, owner: &Owner) -> Vec<Allocation> {
        let probe = self.store.probe(owner);
        self.store.owned_by(probe).map(|index| self.store.allocation(index)).collect()
    }

    /// What a sandbox holds.
    pub fn in_sandbox(&self, container_id: &str) -> Vec<Allocation> {
        self.store.in_sandbox(container_id).into_iter().map(|index| self.store.allocation(index)).collect()
    }

    /// Who has a MAC in a VRF.
    pub fn with_mac(&self, vrf: &str, mac: Mac) -> Vec<Allocation> {
        let Some(vrf) = self.store.vrfs.find(vrf, self.store.seed) else { return Vec::new() };
        self.store.with_mac(vrf, mac).map(|index| self.store.allocation(index)).collect()
    }

    /// The VRFs that any object or record is in.
    pub fn vrfs(&self) -> impl Iterator<Item = &str> {
        self.store.vrf_names()
    }

    /// What an address is in its VRF; `None`: in no subnet.
    pub fn locate(&self, vrf: &str, address: IpAddr) -> Option<Located> {
        let vrf = self.store.vrfs.find(vrf, self.store.seed)?;
        let key = key_of(address);
        let objects = &self.objects;
        let subnet = &objects.subnets.get(objects.subnet_ranges.find(vrf, key)?).spec;
        // An IPv4-mapped IPv6 address is of no IPv4 subnet.
        subnet.cidr(Family::of(address))?;
        let pool = objects.pool_ranges.find(vrf, key).map(|pool| objects.pools.get(pool).spec.name.clone());
        let reservation = objects.reserved_ranges.find(vrf, key);
        Some(Located {
            subnet: subnet.name.clone(),
            pool,
            reservation: reservation.map(|number| objects.reservations.get(number).spec.name.clone()),
            excluded: subnet.exclude.iter().any(|range| range.contains(address)),
            nobodys: Objects::nobodys(subnet, address),
        })
    }

    /// The use of a subnet, pools included, per family.
    pub fn subnet_usage(&self, name: &str, now: Timestamp) -> Vec<Usage> {
        let Some(subnet) = self.objects.subnets.by_name(name) else { return Vec::new() };
        let mut out = Vec::new();
        for family in Family::BOTH.into_iter().filter(|&family| subnet.spec.cidr(family).is_some()) {
            let at = family_index(family);
            let pools = subnet.pools.iter().filter_map(|&pool| self.objects.pools.get(pool).regions[at]);
            let regions = subnet.regions[at].into_iter().chain(pools);
            let mut usage = self.usage(family, regions, now);
            usage.beside = self.outside(subnet, family);
            usage.held += usage.beside;
            out.push(usage);
        }
        out
    }

    /// The use of a pool, per family that it has ranges of.
    pub fn pool_usage(&self, name: &str, now: Timestamp) -> Vec<Usage> {
        let Some(pool) = self.objects.pools.by_name(name) else { return Vec::new() };
        let families =
            Family::BOTH.into_iter().filter_map(|family| Some((family, pool.regions[family_index(family)]?)));
        families.map(|(family, region)| self.usage(family, [region], now)).collect()
    }

    fn usage(&self, family: Family, regions: impl IntoIterator<Item = u32>, now: Timestamp) -> Usage {
        let mut usage = Usage { family, total: 0, held: 0, beside: 0, cooling: 0 };
        for number in regions {
            let region = self.layout.region(number);
            usage.total = usage.total.saturating_add(region.total);
            usage.held += region.tally.held;
            usage.cooling += self.layout.cooling(&self.store, number, now);
        }
        usage
    }

    /// Held addresses of a subnet that no region has.
    fn outside(&self, subnet: &super::objects::Subnet, family: Family) -> u64 {
        let Some(cidr) = subnet.spec.cidr(family).filter(|_| subnet.outside > 0) else { return 0 };
        let blocks = self.store.blocks.within(subnet.vrf, cidr.first_key(), cidr.last_key());
        let count = blocks.map(|number| {
            let block = self.store.blocks.get(number);
            let keys = offsets(block.held).filter(|&offset| {
                cidr.contains(crate::address::address_of(block.base | u128::from(offset)))
                    && self.layout.segment_at(&self.store, number, offset).is_none()
            });
            keys.count() as u64
        });
        count.sum()
    }

    /// How long an address cools in its subnet: milliseconds left, 0 when it is free.
    pub fn cooling_left(&self, allocation: &Allocation, now: Timestamp) -> u64 {
        if allocation.state != AllocationState::Cooling {
            return 0;
        }
        let vrf = self.store.vrfs.find(&allocation.vrf, self.store.seed).unwrap_or(NONE);
        let subnet = self.objects.subnet_ranges.find(vrf, key_of(allocation.address));
        let cooling_ms = subnet.map_or(0, |subnet| self.objects.subnets.get(subnet).spec.cooling_ms);
        cooling_ms.saturating_sub(now.since(allocation.since))
    }
}
