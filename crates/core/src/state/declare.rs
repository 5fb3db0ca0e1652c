//! Putting and removing objects. What they may not do to each other and to holders is in `check`.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::State;
use super::block::{combine, offsets};
use super::objects::{Objects, Pool, Reservation, Subnet, family_index, keys};
use super::ranges::{Range, intersect, subtract};
use super::record::NONE;
use super::region::Region;
use crate::{
    Family, IpRange, Object, ObjectError, ObjectKey, ObjectKind, PoolSpec, ReservationSpec, SubnetSpec,
};

impl State {
    /// Puts an object, new or changed, after checking it.
    pub fn put(&mut self, object: Object) -> Result<(), ObjectError> {
        self.put_all(vec![object]).pop().map_or(Ok(()), Err)
    }

    /// Puts objects that come into force together: what counts is whether they agree once all of them are, not whether there
    /// is an order in which they could come one by one. Two subnets may swap their CIDRs; a subnet and its pool may move.
    ///
    /// Those that cannot be in force beside the others are left as they were, and told why. Of several with one key the last
    /// counts.
    pub fn put_all(&mut self, objects: Vec<Object>) -> Vec<ObjectError> {
        // What is in force as it is wanted gives way to nobody.
        let is_new = |(key, object): &(ObjectKey, Object)| self.object(key).as_ref() != Some(object);
        let mut left: BTreeMap<ObjectKey, Object> =
            objects.into_iter().map(|object| (object.key(), object)).filter(is_new).collect();
        loop {
            let mut set = mem::take(&mut left);
            let mut refused = Vec::new();
            loop {
                let errors = self.check_all(set.values());
                if errors.is_empty() {
                    break;
                }
                for error in errors {
                    left.extend(set.remove_entry(&error.object));
                    refused.push(error);
                }
            }
            if set.is_empty() {
                return refused;
            }
            // What was refused because of one that was refused itself has another chance.
            self.bring_into_force(set);
        }
    }

    /// Puts objects that agree with everything that will be in force.
    fn bring_into_force(&mut self, objects: BTreeMap<ObjectKey, Object>) {
        let subnets = objects.values().map(|object| match object {
            Object::Subnet(spec) => &spec.name,
            Object::IPPool(spec) => &spec.subnet,
            Object::Reservation(spec) => &spec.subnet,
        });
        let mut touched: BTreeSet<u32> = subnets.filter_map(|name| self.objects.subnets.find(name)).collect();
        for &subnet in &touched {
            self.drop_regions(subnet);
        }
        for key in objects.keys() {
            self.unindex(key);
        }
        for object in objects.into_values() {
            touched.insert(match object {
                Object::Subnet(spec) => self.enter_subnet(spec),
                Object::IPPool(spec) => self.enter_pool(spec),
                Object::Reservation(spec) => self.enter_reservation(spec),
            });
        }
        for subnet in touched {
            self.lay_out(subnet);
        }
    }

    fn unindex(&mut self, key: &ObjectKey) {
        let objects = &mut self.objects;
        let number = match key.kind {
            ObjectKind::Subnet => objects.subnets.find(&key.name),
            ObjectKind::IPPool => objects.pools.find(&key.name),
            ObjectKind::Reservation => objects.reservations.find(&key.name),
        };
        let Some(number) = number else { return };
        match key.kind {
            ObjectKind::Subnet => objects.unindex_subnet(number),
            ObjectKind::IPPool => objects.unindex_pool(number),
            ObjectKind::Reservation => objects.unindex_reservation(number),
        }
    }

    /// Makes a subnet known that is not indexed; returns its number.
    fn enter_subnet(&mut self, spec: SubnetSpec) -> u32 {
        let number = if let Some(number) = self.objects.subnets.find(&spec.name) {
            self.objects.subnets.get_mut(number).spec = spec;
            number
        } else {
            let vrf = self.store.vrfs.intern(&spec.vrf, self.store.seed);
            let name = spec.name.clone();
            let subnet = Subnet {
                spec,
                vrf,
                pools: Vec::new(),
                reservations: Vec::new(),
                regions: [None; 2],
                outside: 0,
            };
            self.objects.subnets.insert(&name, subnet)
        };
        self.objects.index_subnet(number);
        number
    }

    /// Makes a pool known that is not indexed; returns its subnet's number.
    fn enter_pool(&mut self, spec: PoolSpec) -> u32 {
        let subnet = self.objects.subnets.find(&spec.subnet).expect("checked before");
        let number = if let Some(number) = self.objects.pools.find(&spec.name) {
            self.objects.pools.get_mut(number).spec = spec;
            number
        } else {
            let name = spec.name.clone();
            self.objects.pools.insert(&name, Pool { spec, subnet, regions: [None; 2] })
        };
        self.objects.index_pool(number);
        subnet
    }

    /// Makes a reservation known that is not indexed; returns its subnet's number.
    fn enter_reservation(&mut self, spec: ReservationSpec) -> u32 {
        let subnet = self.objects.subnets.find(&spec.subnet).expect("checked before");
        let number = if let Some(number) = self.objects.reservations.find(&spec.name) {
            self.objects.reservations.get_mut(number).spec = spec;
            number
        } else {
            let name = spec.name.clone();
            self.objects.reservations.insert(&name, Reservation { spec, subnet })
        };
        self.objects.index_reservation(number);
        subnet
    }

    /// Removes an object; refused while others or holders need it. `Ok(false)`: there was none.
    pub fn remove(&mut self, key: &ObjectKey) -> Result<bool, ObjectError> {
        match key.kind {
            ObjectKind::Subnet => self.remove_subnet(key),
            ObjectKind::IPPool => {
                let Some(number) = self.objects.pools.find(&key.name) else { return Ok(false) };
                let subnet = self.objects.pools.get(number).subnet;
                self.drop_regions(subnet);
                self.objects.unindex_pool(number);
                self.objects.pools.remove(&key.name);
                self.lay_out(subnet);
                Ok(true)
            }
            ObjectKind::Reservation => {
                let Some(number) = self.objects.reservations.find(&key.name) else { return Ok(false) };
                let subnet = self.objects.reservations.get(number).subnet;
                self.drop_regions(subnet);
                self.objects.unindex_reservation(number);
                self.objects.reservations.remove(&key.name);
                self.lay_out(subnet);
                Ok(true)
            }
        }
    }

    /// An object in force.
    pub fn object(&self, key: &ObjectKey) -> Option<Object> {
        match key.kind {
            ObjectKind::Subnet => {
                self.objects.subnets.by_name(&key.name).map(|s| Object::Subnet(s.spec.clone()))
            }
            ObjectKind::IPPool => {
                self.objects.pools.by_name(&key.name).map(|p| Object::IPPool(p.spec.clone()))
            }
            ObjectKind::Reservation => {
                self.objects.reservations.by_name(&key.name).map(|r| Object::Reservation(r.spec.clone()))
            }
        }
    }

    /// All objects, by kind and name; in this order they can be put into an empty state.
    pub fn objects(&self) -> impl Iterator<Item = Object> + '_ {
        let subnets = self.objects.subnets.all().map(|(_, subnet)| Object::Subnet(subnet.spec.clone()));
        let pools = self.objects.pools.all().map(|(_, pool)| Object::IPPool(pool.spec.clone()));
        let reservations = self.objects.reservations.all().map(|(_, r)| Object::Reservation(r.spec.clone()));
        subnets.chain(pools).chain(reservations)
    }

    fn remove_subnet(&mut self, key: &ObjectKey) -> Result<bool, ObjectError> {
        let Some(number) = self.objects.subnets.find(&key.name) else { return Ok(false) };
        self.check_removal(key)?;
        self.drop_regions(number);
        self.objects.unindex_subnet(number);
        self.objects.subnets.remove(&key.name);
        Ok(true)
    }

    /// Removes the regions of a subnet, before something changes that they depend on.
    pub(super) fn drop_regions(&mut self, number: u32) {
        self.stale.remove(&number);
        let subnet = self.objects.subnets.get_mut(number);
        let mut regions: Vec<u32> = std::mem::take(&mut subnet.regions).into_iter().flatten().collect();
        for pool in subnet.pools.clone() {
            regions
                .extend(std::mem::take(&mut self.objects.pools.get_mut(pool).regions).into_iter().flatten());
        }
        for region in regions {
            self.layout.remove_region(&mut self.store, region);
        }
    }

    /// Makes the regions of a subnet and of its pools; there must be none. While loading, `settle` does it.
    pub(super) fn lay_out(&mut self, number: u32) {
        if self.loading {
            self.stale.insert(number);
            return;
        }
        let subnet = self.objects.subnets.get(number);
        let (vrf, order, cooling_ms) = (subnet.vrf, subnet.spec.order, subnet.spec.cooling_ms);
        let pools = subnet.pools.clone();
        let mut held = 0;
        for family in Family::BOTH {
            let subnet = self.objects.subnets.get(number);
            let Some(cidr) = subnet.spec.cidr(family) else { continue };
            let whole: Vec<Range> = cidr.key_ranges().collect();
            held += whole.iter().map(|&range| self.count_held(vrf, range)).sum::<u64>();
            let usable = self.usable(subnet, family, &whole);
            let mut left = usable.clone();
            for &pool in &pools {
                let ranges = keys(&self.objects.pools.get(pool).spec.ranges);
                let ranges: Vec<Range> = intersect(&ranges, &whole);
                left = subtract(&left, &ranges);
                let drawn = intersect(&usable, &ranges);
                if !ranges.is_empty() {
                    let region = Region::new(pool, vrf, drawn).ordered(order, cooling_ms);
                    let region = self.layout.add_region(&mut self.store, region);
                    held -= self.layout.region(region).tally.held;
                    self.objects.pools.get_mut(pool).regions[family_index(family)] = Some(region);
                }
            }
            let region = Region::new(NONE, vrf, left).ordered(order, cooling_ms);
            let region = self.layout.add_region(&mut self.store, region);
            held -= self.layout.region(region).tally.held;
            self.objects.subnets.get_mut(number).regions[family_index(family)] = Some(region);
        }
        self.objects.subnets.get_mut(number).outside = held;
    }

    /// What of a subnet may be drawn: not its edges and gateway, not what is excluded or reserved, no closed block.
    fn usable(&self, subnet: &Subnet, family: Family, whole: &[Range]) -> Vec<Range> {
        let mut usable = subtract(whole, &Objects::never_drawn(&subnet.spec, family));
        if !subnet.spec.within.is_empty() {
            usable = intersect(&usable, &keys(&subnet.spec.within));
        }
        let reserved: Vec<IpRange> = (subnet.reservations.iter())
            .flat_map(|&number| self.objects.reservations.get(number).spec.addresses.iter().copied())
            .collect();
        let usable = subtract(&usable, &keys(&reserved));
        whole
            .iter()
            .fold(usable, |usable, &range| subtract(&usable, &self.withheld.within(subnet.vrf, range)))
    }

    fn count_held(&self, vrf: u32, range: Range) -> u64 {
        let held = self.store.blocks.within(vrf, range.0, range.1).map(|number| {
            let block = self.store.blocks.get(number);
            let span = super::region::span_within(block.base, range);
            offsets(combine(&block.held, &span, |held, span| held & span)).count() as u64
        });
        held.sum()
    }
}
