//! Putting and removing objects: what they may not do to each other and to holders.

use std::net::IpAddr;

use super::State;
use super::block::{combine, offsets};
use super::objects::{Objects, Pool, Reservation, Subnet, family_index, keys};
use super::ranges::{Range, intersect, normalized, subtract};
use super::record::NONE;
use super::region::Region;
use crate::address::{address_of, key_of};
use crate::{
    Cidr, Family, IpRange, Object, ObjectError, ObjectKey, ObjectKind, PoolSpec, ReservationSpec, SubnetSpec,
};

/// How many holders a message names before it only counts.
const NAMED_MAX: usize = 5;

fn error(key: &ObjectKey, field: &str, text: String, hint: &str) -> ObjectError {
    ObjectError { object: key.clone(), field: field.to_owned(), text, hint: hint.to_owned() }
}

fn cidr_ranges(cidrs: &[Cidr]) -> Vec<Range> {
    normalized(cidrs.iter().flat_map(Cidr::key_ranges).collect())
}

impl State {
    /// Checks an object against itself, the others and the holders. Changes nothing.
    pub fn check(&self, object: &Object) -> Result<(), ObjectError> {
        object.validate()?;
        let key = object.key();
        match object {
            Object::Subnet(spec) => self.check_subnet(&key, spec),
            Object::IPPool(spec) => self.check_pool(&key, spec),
            Object::Reservation(spec) => self.check_reservation(&key, spec),
        }
    }

    /// Puts an object, new or changed, after checking it.
    pub fn put(&mut self, object: Object) -> Result<(), ObjectError> {
        self.check(&object)?;
        match object {
            Object::Subnet(spec) => self.put_subnet(spec),
            Object::IPPool(spec) => self.put_pool(spec),
            Object::Reservation(spec) => self.put_reservation(spec),
        }
        Ok(())
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

    fn put_subnet(&mut self, spec: SubnetSpec) {
        let number = if let Some(number) = self.objects.subnets.find(&spec.name) {
            self.drop_regions(number);
            self.objects.unindex_subnet(number);
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
        self.lay_out(number);
    }

    fn put_pool(&mut self, spec: PoolSpec) {
        let subnet = self.objects.subnets.find(&spec.subnet).expect("checked before");
        self.drop_regions(subnet);
        let number = if let Some(number) = self.objects.pools.find(&spec.name) {
            self.objects.unindex_pool(number);
            self.objects.pools.get_mut(number).spec = spec;
            number
        } else {
            let name = spec.name.clone();
            self.objects.pools.insert(&name, Pool { spec, subnet, regions: [None; 2] })
        };
        self.objects.index_pool(number);
        self.lay_out(subnet);
    }

    fn put_reservation(&mut self, spec: ReservationSpec) {
        let subnet = self.objects.subnets.find(&spec.subnet).expect("checked before");
        self.drop_regions(subnet);
        let number = if let Some(number) = self.objects.reservations.find(&spec.name) {
            self.objects.unindex_reservation(number);
            self.objects.reservations.get_mut(number).spec = spec;
            number
        } else {
            let name = spec.name.clone();
            self.objects.reservations.insert(&name, Reservation { spec, subnet })
        };
        self.objects.index_reservation(number);
        self.lay_out(subnet);
    }

    fn remove_subnet(&mut self, key: &ObjectKey) -> Result<bool, ObjectError> {
        let Some(number) = self.objects.subnets.find(&key.name) else { return Ok(false) };
        let subnet = self.objects.subnets.get(number);
        if let Some(&pool) = subnet.pools.first() {
            let text =
                format!("{} pools are part of it, among them `{}`", subnet.pools.len(), self.pool_name(pool));
            return Err(error(key, "metadata.name", text, "remove its pools first"));
        }
        if let Some(&reservation) = subnet.reservations.first() {
            let name = &self.objects.reservations.get(reservation).spec.name;
            let text =
                format!("{} reservations are made in it, among them `{name}`", subnet.reservations.len());
            return Err(error(key, "metadata.name", text, "remove its reservations first"));
        }
        let ranges = cidr_ranges(&subnet.spec.cidrs);
        if let Some(holders) = self.name_holders(subnet.vrf, &ranges, |_| true) {
            let hint = "it stays in force until they are released; end their owners first";
            return Err(error(key, "metadata.name", format!("{holders} are still held in it"), hint));
        }
        self.drop_regions(number);
        self.objects.unindex_subnet(number);
        self.objects.subnets.remove(&key.name);
        Ok(true)
    }

    fn pool_name(&self, pool: u32) -> &str {
        &self.objects.pools.get(pool).spec.name
    }

    fn check_subnet(&self, key: &ObjectKey, spec: &SubnetSpec) -> Result<(), ObjectError> {
        let old = self.objects.subnets.find(&spec.name);
        let vrf = self.store.vrfs.find(&spec.vrf, self.store.seed);
        if let (Some(vrf), fields) = (vrf, spec.cidrs.iter().enumerate()) {
            for (at, cidr) in fields {
                let ranges = &self.objects.subnet_ranges;
                let mut others = cidr.key_ranges().flat_map(|range| ranges.overlapping(vrf, range));
                if let Some(other) = others.find(|&other| Some(other) != old) {
                    let other = &self.objects.subnets.get(other).spec;
                    let theirs = other.cidrs.iter().find(|theirs| theirs.overlaps(cidr)).unwrap_or(cidr);
                    let text = format!(
                        "{cidr} of `{}` overlaps {theirs} of subnet `{}` in VRF `{}`",
                        spec.name, other.name, spec.vrf
                    );
                    let hint = "choose another CIDR, or another VRF if both networks really are apart";
                    return Err(error(key, &format!("spec.cidrs[{at}]"), text, hint));
                }
            }
        }
        let Some(old) = old else { return Ok(()) };
        let old = self.objects.subnets.get(old);
        if old.spec.vrf != spec.vrf {
            let text = format!("the VRF is immutable; it is `{}`", old.spec.vrf);
            return Err(error(key, "spec.vrf", text, "make a new subnet in the other VRF"));
        }
        self.check_change(key, old, spec)
    }

    /// What a changed subnet may not do to its holders, pools and reservations.
    fn check_change(&self, key: &ObjectKey, old: &Subnet, spec: &SubnetSpec) -> Result<(), ObjectError> {
        let lost = subtract(&cidr_ranges(&old.spec.cidrs), &cidr_ranges(&spec.cidrs));
        if let Some(holders) = self.name_holders(old.vrf, &lost, |_| true) {
            let hint = "release them first, or keep a CIDR that has them; the subnet in force stays as it is";
            return Err(error(key, "spec.cidrs", format!("{holders} are held outside the new CIDRs"), hint));
        }
        let nobodys = |address: IpAddr| Objects::nobodys(spec, address).is_some();
        let edges: Vec<Range> = Family::BOTH
            .iter()
            .filter_map(|&family| spec.cidr(family).map(|cidr| (family, cidr)))
            .flat_map(|(family, cidr)| [spec.gateway(family), Some(cidr.first()), Some(cidr.last())])
            .flatten()
            .map(|address| (key_of(address), key_of(address)))
            .collect();
        if let Some(holders) = self.name_holders(old.vrf, &normalized(edges), nobodys) {
            let text = format!("{holders} are held where the gateway, network or broadcast address would be");
            return Err(error(
                key,
                "spec.gateways",
                text,
                "choose another gateway or CIDR, or release them first",
            ));
        }
        for &pool in &old.pools {
            let pool = &self.objects.pools.get(pool).spec;
            self.check_inside(key, "spec.cidrs", &pool.ranges, spec, &format!("pool `{}`", pool.name))?;
        }
        for &reservation in &old.reservations {
            let reservation = &self.objects.reservations.get(reservation).spec;
            let what = format!("reservation `{}`", reservation.name);
            self.check_inside(key, "spec.cidrs", &reservation.addresses, spec, &what)?;
        }
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "reads as the other checks do")]
    fn check_inside(
        &self,
        key: &ObjectKey,
        field: &str,
        ranges: &[IpRange],
        subnet: &SubnetSpec,
        what: &str,
    ) -> Result<(), ObjectError> {
        let inside = |range: &IpRange| {
            subnet.cidrs.iter().any(|cidr| cidr.contains(range.first()) && cidr.contains(range.last()))
        };
        let Some((at, range)) = ranges.iter().enumerate().find(|(_, range)| !inside(range)) else {
            return Ok(());
        };
        let field =
            if field.ends_with("[]") { field.replace("[]", &format!("[{at}]")) } else { field.to_owned() };
        let cidrs: Vec<String> = subnet.cidrs.iter().map(Cidr::to_string).collect();
        let text = format!("{range} of {what} lies outside subnet `{}` ({})", subnet.name, cidrs.join(", "));
        Err(error(key, &field, text, "ranges must lie inside the CIDRs of their subnet"))
    }

    fn subnet_of(&self, key: &ObjectKey, name: &str) -> Result<(u32, &Subnet), ObjectError> {
        let found = self.objects.subnets.find(name).map(|number| (number, self.objects.subnets.get(number)));
        found.ok_or_else(|| {
            let names: Vec<&str> =
                self.objects.subnets.all().map(|(_, s)| s.spec.name.as_str()).take(10).collect();
            let text = format!("there is no subnet `{name}`; there are {}", list(&names));
            error(key, "spec.subnet", text, "make the subnet first, or name another one")
        })
    }

    fn check_pool(&self, key: &ObjectKey, spec: &PoolSpec) -> Result<(), ObjectError> {
        let (number, subnet) = self.subnet_of(key, &spec.subnet)?;
        let old = self.objects.pools.find(&spec.name);
        if let Some(old) = old
            && self.objects.pools.get(old).subnet != number
        {
            let text =
                format!("a pool stays in its subnet, which is `{}`", self.objects.pools.get(old).spec.subnet);
            return Err(error(key, "spec.subnet", text, "remove the pool and make a new one"));
        }
        self.check_inside(key, "spec.ranges[]", &spec.ranges, &subnet.spec, "the pool")?;
        for (at, range) in spec.ranges.iter().enumerate() {
            let mut others = self.objects.pool_ranges.overlapping(subnet.vrf, range.keys());
            if let Some(other) = others.find(|&other| Some(other) != old) {
                let text = format!("{range} overlaps pool `{}`", self.pool_name(other));
                return Err(error(
                    key,
                    &format!("spec.ranges[{at}]"),
                    text,
                    "pools never overlap; move one of them",
                ));
            }
        }
        Ok(())
    }

    fn check_reservation(&self, key: &ObjectKey, spec: &ReservationSpec) -> Result<(), ObjectError> {
        let (number, subnet) = self.subnet_of(key, &spec.subnet)?;
        let old = self.objects.reservations.find(&spec.name);
        if let Some(old) = old
            && self.objects.reservations.get(old).subnet != number
        {
            let text = "a reservation stays in its subnet".to_owned();
            return Err(error(key, "spec.subnet", text, "remove the reservation and make a new one"));
        }
        self.check_inside(key, "spec.addresses[]", &spec.addresses, &subnet.spec, "the reservation")?;
        for (at, range) in spec.addresses.iter().enumerate() {
            let field = format!("spec.addresses[{at}]");
            let mut others = self.objects.reserved_ranges.overlapping(subnet.vrf, range.keys());
            if let Some(other) = others.find(|&other| Some(other) != old) {
                let text = format!(
                    "{range} overlaps reservation `{}`",
                    self.objects.reservations.get(other).spec.name
                );
                return Err(error(key, &field, text, "an address is reserved once; move one of them"));
            }
            let theirs = |address: IpAddr| !self.is_reserved_for(spec, subnet.vrf, address);
            if let Some(holders) = self.name_holders(subnet.vrf, &[range.keys()], theirs) {
                let text = format!("{holders} are held by others than the reservation is for");
                return Err(error(key, &field, text, "release them first, or reserve other addresses"));
            }
        }
        Ok(())
    }

    fn is_reserved_for(&self, spec: &ReservationSpec, vrf: u32, address: IpAddr) -> bool {
        let record = self.store.record_at(super::Place { vrf, key: key_of(address) });
        let (Some(owner), Some(record)) = (&spec.owner, record) else { return false };
        owner.covers(&self.store.owner(record))
    }

    /// Names and counts the held addresses in some ranges for which `which` holds; `None` where there are none.
    fn name_holders(&self, vrf: u32, ranges: &[Range], which: impl Fn(IpAddr) -> bool) -> Option<String> {
        let mut named = Vec::new();
        let mut count = 0_usize;
        for &(first, last) in ranges {
            for number in self.store.blocks.within(vrf, first, last) {
                let block = self.store.blocks.get(number);
                let keys = offsets(block.held).map(|offset| block.base | u128::from(offset));
                for key in keys.filter(|key| (first..=last).contains(key) && which(address_of(*key))) {
                    count += 1;
                    if named.len() < NAMED_MAX
                        && let Some(record) = self.store.record_at(super::Place { vrf, key })
                    {
                        named.push(format!("{} ({})", address_of(key), self.store.owner(record)));
                    }
                }
            }
        }
        let more =
            if count > named.len() { format!(" and {} more", count - named.len()) } else { String::new() };
        (count > 0).then(|| format!("{count} addresses, {}{more},", named.join(", ")))
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

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
    }
}
