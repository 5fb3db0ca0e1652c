//! Which address comes next in a region (C1), by looking at all of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use allotment_core::{Allocation, Family, IpRange, Order, Pick, Timestamp};

use super::naive::{Naive, Place};
use crate::check::{addresses_outside, is_nobodys};

/// A family of a pool, or of what the pools leave of a subnet.
pub(super) type Region = (String, Option<String>, Family);

/// What an order goes by beside the records; it begins anew when an object of the subnet changes.
#[derive(Clone, Default)]
pub(super) struct Orders {
    /// The block being drained, and how many more of its addresses before the next one.
    draining: BTreeMap<Region, (Block, usize)>,
    last: BTreeMap<Region, IpAddr>,
}

/// The 256 addresses that an address is one of.
type Block = (bool, u128);

fn block(address: IpAddr) -> Block {
    match address {
        IpAddr::V4(v4) => (true, u128::from(v4.to_bits() >> 8)),
        IpAddr::V6(v6) => (false, v6.to_bits() >> 8),
    }
}

/// The addresses that may come next, and by which rule.
pub(super) struct Allowed {
    pub(super) pick: Pick,
    addresses: Vec<IpAddr>,
}

impl Allowed {
    /// One of them: that which was given, if one of them was.
    pub(super) fn choose(&self, given: Option<&[IpAddr]>) -> Option<IpAddr> {
        let given = given.unwrap_or_default().iter().copied().find(|ip| self.addresses.contains(ip));
        given.or(self.addresses.first().copied())
    }
}

impl Naive {
    fn ranges(&self, (subnet, pool, family): &Region) -> Vec<IpRange> {
        let mut ranges = match pool {
            Some(pool) => self.pools[pool].ranges.clone(),
            None => self.subnets[subnet].cidrs.iter().map(|&cidr| cidr.into()).collect(),
        };
        ranges.retain(|range| range.family() == *family);
        ranges.sort();
        ranges
    }

    /// The region that an address is drawn from.
    fn region(&self, place: &Place) -> Option<Region> {
        let spec = self.subnet_of(place)?;
        let excluded = spec.exclude.iter().any(|range| range.contains(place.1));
        let nobodys = is_nobodys(spec, place.1);
        if excluded || nobodys || self.reservation_of(place).is_some() {
            return None;
        }
        let pool = self.pool_of(place).map(|pool| pool.name.clone());
        Some((spec.name.clone(), pool, Family::of(place.1)))
    }

    /// All addresses of a region, ascending.
    fn walk(&self, region: &Region) -> impl Iterator<Item = IpAddr> {
        let ranges = self.ranges(region);
        let vrf = self.subnets[&region.0].vrf.clone();
        let exclude = self.subnets[&region.0].exclude.clone();
        let all = ranges.into_iter().flat_map(move |range| addresses_outside(&range, &exclude));
        all.filter(move |&ip| self.region(&(vrf.clone(), ip)).as_ref() == Some(region))
    }

    /// What may come next.
    pub(super) fn next(&self, region: &Region, now: Timestamp, taken: &[Place]) -> Allowed {
        let spec = &self.subnets[&region.0];
        let place = |ip: IpAddr| (spec.vrf.clone(), ip);
        let free = |ip: &IpAddr| {
            let record = self.records.get(&place(*ip));
            record.is_none_or(|record| !record.state.is_held() && self.has_cooled(record, now))
                && !taken.contains(&place(*ip))
        };
        let only = |pick, ip: Option<IpAddr>| Allowed { pick, addresses: ip.into_iter().collect() };
        match spec.order {
            Order::Oldest => self.next_oldest(region, now, taken),
            Order::Sequential => only(Pick::Lowest, self.walk(region).find(free)),
            Order::NextAfterLast => {
                let last = self.orders.last.get(region).copied();
                let behind = self.walk(region).filter(|&ip| last.is_none_or(|last| ip > last)).find(free);
                only(Pick::Next, behind.or_else(|| self.walk(region).find(free)))
            }
            Order::Random => {
                Allowed { pick: Pick::Hashed, addresses: self.walk(region).filter(free).collect() }
            }
        }
    }

    fn next_oldest(&self, region: &Region, now: Timestamp, taken: &[Place]) -> Allowed {
        let vrf = &self.subnets[&region.0].vrf;
        let never_used = |ip: &IpAddr| {
            let place = (vrf.clone(), *ip);
            !self.records.contains_key(&place) && !taken.contains(&place)
        };
        let fresh = self.walk(region).find(never_used);
        let oldest = self.oldest(region, now, taken);
        let open =
            |ip: &IpAddr| self.records.keys().any(|place| place.0 == *vrf && block(place.1) == block(*ip));
        match fresh {
            Some(ip) if self.is_eager(region) || open(&ip) || oldest.is_empty() => {
                Allowed { pick: Pick::Fresh, addresses: vec![ip] }
            }
            _ => Allowed { pick: Pick::Oldest, addresses: oldest },
        }
    }

    fn is_eager(&self, region: &Region) -> bool {
        let total: u128 = self.ranges(region).iter().map(IpRange::count).sum();
        total <= 65_536
    }

    /// The released addresses of a region by block, oldest first.
    fn released(&self, region: &Region) -> BTreeMap<Block, Vec<&Allocation>> {
        let mut blocks: BTreeMap<Block, Vec<&Allocation>> = BTreeMap::new();
        for (place, record) in &self.records {
            if !record.state.is_held() && self.region(place).as_ref() == Some(region) {
                blocks.entry(block(place.1)).or_default().push(record);
            }
        }
        for records in blocks.values_mut() {
            records.sort_by_key(|record| record.since);
        }
        blocks
    }

    /// Those of the released addresses that may come next: of the block being drained, else of the block with the oldest.
    fn oldest(&self, region: &Region, now: Timestamp, taken: &[Place]) -> Vec<IpAddr> {
        let blocks = self.released(region);
        let of = |records: &[&Allocation]| -> Vec<IpAddr> {
            let cooled = records.iter().take_while(|record| self.has_cooled(record, now));
            let free: Vec<&&Allocation> =
                cooled.filter(|record| !taken.contains(&(record.vrf.clone(), record.address))).collect();
            let first = free.first().map(|record| record.since);
            free.iter().filter(|r| Some(r.since) == first).map(|record| record.address).collect()
        };
        let draining = self.orders.draining.get(region);
        let begun =
            draining.and_then(|(block, left)| Some(of(blocks.get(block)?.split_at_checked(*left)?.0)));
        if let Some(begun) = begun.filter(|begun| !begun.is_empty()) {
            return begun;
        }
        let mut waiting: BTreeMap<Timestamp, Vec<IpAddr>> = BTreeMap::new();
        for (block, records) in &blocks {
            if draining.is_none_or(|(draining, _)| draining != block) {
                waiting.entry(records[0].since).or_default().extend(of(records));
            }
        }
        let rest = draining.and_then(|(block, _)| blocks.get(block)).map(|records| of(records));
        waiting.into_values().find(|addresses| !addresses.is_empty()).or(rest).unwrap_or_default()
    }

    /// An address is about to be somebody's: what that means for the order of its region.
    pub(super) fn given_out(&mut self, place: &Place, pick: Pick) {
        let Some(region) = self.region(place) else { return };
        let record = self.records.get(place);
        if record.is_some_and(|record| record.state.is_held()) {
            return;
        }
        if record.is_some() {
            let count = self.released(&region).get(&block(place.1)).map_or(0, Vec::len);
            let begun = self.orders.draining.get(&region).is_some_and(|(at, _)| *at == block(place.1));
            if pick == Pick::Oldest && !begun {
                self.orders.draining.insert(region.clone(), (block(place.1), count));
            }
            if let Some((at, left)) = self.orders.draining.get_mut(&region)
                && *at == block(place.1)
            {
                *left -= 1;
                if *left == 0 || count == 1 {
                    self.orders.draining.remove(&region);
                }
            }
        }
        self.orders.last.insert(region, place.1);
    }

    /// The subnet or something in it changed, or it was read anew.
    pub(super) fn lay_out(&mut self, subnet: &str) {
        self.orders.draining.retain(|region, _| region.0 != subnet);
        self.orders.last.retain(|region, _| region.0 != subnet);
        let held = self.records.iter().filter(|(_, record)| record.state.is_held());
        let mut held: Vec<(Timestamp, Place)> = held.map(|(p, record)| (record.since, p.clone())).collect();
        held.sort();
        for (_, place) in held {
            if let Some(region) = self.region(&place).filter(|region| region.0 == subnet) {
                self.orders.last.insert(region, place.1);
            }
        }
    }
}
