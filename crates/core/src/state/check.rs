//! What objects may not do to each other and to holders.
//!
//! Objects are checked as a set: each against what would be in force if all of them were. The forms that they replace no
//! longer count, and of two in the set that exclude each other the first one stays.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::block::offsets;
use super::objects::{Objects, Subnet};
use super::ranges::{Range, RangeMap, normalized, subtract};
use super::{Place, State};
use crate::address::{address_of, key_of};
use crate::{
    Cidr, Family, IpRange, Object, ObjectError, ObjectKey, ObjectKind, Obstacle, PoolSpec, ReservationSpec,
    SubnetSpec,
};

/// How many holders a message names before it only counts.
const NAMED_MAX: usize = 5;

fn error(key: &ObjectKey, obstacle: Obstacle, field: &str, text: String, hint: &str) -> ObjectError {
    ObjectError { object: key.clone(), field: field.to_owned(), text, hint: hint.to_owned(), obstacle }
}

fn cidr_ranges(cidrs: &[Cidr]) -> Vec<Range> {
    normalized(cidrs.iter().flat_map(Cidr::key_ranges).collect())
}

/// Objects that are to come into force together.
struct Set<'a> {
    /// Their forms in force are replaced.
    all: BTreeMap<(ObjectKind, &'a str), &'a Object>,
    /// Numbers of VRFs, for this set alone.
    vrfs: BTreeMap<&'a str, u32>,
    /// Those that have passed, and what is theirs.
    subnets: Passed<'a, SubnetSpec>,
    pools: Passed<'a, PoolSpec>,
    reservations: Passed<'a, ReservationSpec>,
}

/// Objects of one kind.
struct Passed<'a, T> {
    specs: Vec<&'a T>,
    ranges: RangeMap,
}

impl<'a, T> Passed<'a, T> {
    fn new() -> Passed<'a, T> {
        Passed { specs: Vec::new(), ranges: RangeMap::default() }
    }

    fn add(&mut self, vrf: u32, ranges: impl Iterator<Item = Range>, spec: &'a T) {
        let number = u32::try_from(self.specs.len()).expect("fewer objects than addresses");
        for range in ranges {
            self.ranges.insert(vrf, range, number);
        }
        self.specs.push(spec);
    }

    /// The first of them that has something of a range.
    fn over(&self, vrf: u32, range: Range) -> Option<&'a T> {
        self.ranges.overlapping(vrf, range).next().map(|number| self.specs[number as usize])
    }
}

impl<'a> Set<'a> {
    fn new(objects: impl Iterator<Item = &'a Object>) -> Set<'a> {
        let name = |object: &'a Object| match object {
            Object::Subnet(spec) => (ObjectKind::Subnet, spec.name.as_str()),
            Object::IPPool(spec) => (ObjectKind::IPPool, spec.name.as_str()),
            Object::Reservation(spec) => (ObjectKind::Reservation, spec.name.as_str()),
        };
        Set {
            all: objects.map(|object| (name(object), object)).collect(),
            vrfs: BTreeMap::new(),
            subnets: Passed::new(),
            pools: Passed::new(),
            reservations: Passed::new(),
        }
    }

    fn replaces(&self, kind: ObjectKind, name: &str) -> bool {
        self.all.contains_key(&(kind, name))
    }

    /// A subnet of the set, unless something is wrong with it.
    fn subnet(&self, name: &str) -> Option<&'a SubnetSpec> {
        let at = self.subnets.specs.binary_search_by(|spec| spec.name.as_str().cmp(name));
        at.ok().map(|at| self.subnets.specs[at])
    }

    /// The number of a VRF that something in the set has passed in.
    fn vrf(&self, name: &str) -> Option<u32> {
        self.vrfs.get(name).copied()
    }

    /// `object` is right beside all before it; `vrf` is its subnet's.
    fn pass(&mut self, object: &'a Object, vrf: &'a str) {
        let next = u32::try_from(self.vrfs.len()).expect("fewer VRFs than addresses");
        let vrf = *self.vrfs.entry(vrf).or_insert(next);
        match object {
            Object::Subnet(spec) => {
                self.subnets.add(vrf, spec.cidrs.iter().flat_map(Cidr::key_ranges), spec);
            }
            Object::IPPool(spec) => self.pools.add(vrf, spec.ranges.iter().map(IpRange::keys), spec),
            Object::Reservation(spec) => {
                self.reservations.add(vrf, spec.addresses.iter().map(IpRange::keys), spec);
            }
        }
    }
}

impl State {
    /// Checks an object against itself, the others and the holders. Changes nothing.
    pub fn check(&self, object: &Object) -> Result<(), ObjectError> {
        self.check_all([object]).pop().map_or(Ok(()), Err)
    }

    /// Checks objects as they would be if all of them were in force, each against itself, the others and the holders. Returns
    /// what is wrong, one error an object; if nothing is, they may come into force together. Changes nothing.
    pub fn check_all<'a>(&'a self, objects: impl IntoIterator<Item = &'a Object>) -> Vec<ObjectError> {
        let mut set = Set::new(objects.into_iter());
        let mut errors = Vec::new();
        for object in set.all.values().copied().collect::<Vec<_>>() {
            match self.check_beside(&set, object) {
                Ok(vrf) => set.pass(object, vrf),
                Err(error) => errors.push(error),
            }
        }
        errors
    }

    /// Checks an object beside those of its set that have passed. Returns its VRF.
    fn check_beside<'a>(&'a self, set: &Set<'a>, object: &'a Object) -> Result<&'a str, ObjectError> {
        // What is loaded was accepted once, perhaps by a version that took more: it never stops a start (O6).
        if !self.loading {
            object.validate()?;
        }
        let key = object.key();
        let subnet = match object {
            Object::Subnet(spec) => {
                self.check_subnet(set, &key, spec)?;
                spec
            }
            Object::IPPool(spec) => {
                let subnet = self.subnet_of(set, &key, &spec.subnet)?;
                self.check_pool(set, &key, spec, subnet)?;
                subnet
            }
            Object::Reservation(spec) => {
                let subnet = self.subnet_of(set, &key, &spec.subnet)?;
                self.check_reservation(set, &key, spec, subnet)?;
                subnet
            }
        };
        Ok(&subnet.vrf)
    }

    fn check_subnet(&self, set: &Set<'_>, key: &ObjectKey, spec: &SubnetSpec) -> Result<(), ObjectError> {
        let vrf = self.store.vrfs.find(&spec.vrf, self.store.seed);
        for (at, cidr) in spec.cidrs.iter().enumerate() {
            let in_force = |range| {
                let others =
                    vrf.into_iter().flat_map(move |vrf| self.objects.subnet_ranges.overlapping(vrf, range));
                let mut others = others.map(|other| &self.objects.subnets.get(other).spec);
                others.find(|other| !set.replaces(ObjectKind::Subnet, &other.name))
            };
            let in_set = |range| set.vrf(&spec.vrf).and_then(|vrf| set.subnets.over(vrf, range));
            if let Some(other) = cidr.key_ranges().find_map(|range| in_force(range).or_else(|| in_set(range)))
            {
                let theirs = other.cidrs.iter().find(|theirs| theirs.overlaps(cidr)).unwrap_or(cidr);
                let text = format!(
                    "{cidr} of `{}` overlaps {theirs} of subnet `{}` in VRF `{}`",
                    spec.name, other.name, spec.vrf
                );
                let hint = "choose another CIDR, or another VRF if both networks really are apart";
                return Err(error(key, Obstacle::Overlap, &format!("spec.cidrs[{at}]"), text, hint));
            }
        }
        let Some(old) = self.objects.subnets.by_name(&spec.name) else { return Ok(()) };
        if old.spec.vrf != spec.vrf {
            let text = format!("the VRF is immutable; it is `{}`", old.spec.vrf);
            return Err(error(key, Obstacle::Others, "spec.vrf", text, "make a new subnet in the other VRF"));
        }
        self.check_change(set, key, old, spec)
    }

    /// What a changed subnet may not do to its holders, and to those of its pools and reservations that stay as they are.
    fn check_change(
        &self,
        set: &Set<'_>,
        key: &ObjectKey,
        old: &Subnet,
        spec: &SubnetSpec,
    ) -> Result<(), ObjectError> {
        let lost = subtract(&cidr_ranges(&old.spec.cidrs), &cidr_ranges(&spec.cidrs));
        if let Some(holders) = self.name_holders(old.vrf, &lost, |_| true) {
            let hint = "release them first, or keep a CIDR that has them; the subnet in force stays as it is";
            return Err(error(
                key,
                Obstacle::Held,
                "spec.cidrs",
                format!("{holders} held outside the new CIDRs"),
                hint,
            ));
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
            let text = format!("{holders} held where the gateway, network or broadcast address would be");
            return Err(error(
                key,
                Obstacle::Held,
                "spec.gateways",
                text,
                "choose another gateway or CIDR, or release them first",
            ));
        }
        for &pool in &old.pools {
            let pool = &self.objects.pools.get(pool).spec;
            if !set.replaces(ObjectKind::IPPool, &pool.name) {
                check_inside(key, "spec.cidrs", &pool.ranges, spec, &format!("pool `{}`", pool.name))?;
            }
        }
        for &reservation in &old.reservations {
            let reservation = &self.objects.reservations.get(reservation).spec;
            if !set.replaces(ObjectKind::Reservation, &reservation.name) {
                let what = format!("reservation `{}`", reservation.name);
                check_inside(key, "spec.cidrs", &reservation.addresses, spec, &what)?;
            }
        }
        Ok(())
    }

    /// The subnet that something in it names, as it will be.
    fn subnet_of<'a>(
        &'a self,
        set: &Set<'a>,
        key: &ObjectKey,
        name: &str,
    ) -> Result<&'a SubnetSpec, ObjectError> {
        let in_force = || self.objects.subnets.by_name(name).map(|subnet| &subnet.spec);
        set.subnet(name).or_else(in_force).ok_or_else(|| {
            let names: Vec<&str> =
                self.objects.subnets.all().map(|(_, s)| s.spec.name.as_str()).take(10).collect();
            let text = format!("there is no subnet `{name}`; there are {}", list(&names));
            error(key, Obstacle::NoSubnet, "spec.subnet", text, "make the subnet first, or name another one")
        })
    }

    fn check_pool(
        &self,
        set: &Set<'_>,
        key: &ObjectKey,
        spec: &PoolSpec,
        subnet: &SubnetSpec,
    ) -> Result<(), ObjectError> {
        let old = self.objects.pools.by_name(&spec.name).map(|pool| &pool.spec);
        if let Some(old) = old.filter(|old| old.subnet != spec.subnet) {
            let text = format!("a pool stays in its subnet, which is `{}`", old.subnet);
            return Err(error(
                key,
                Obstacle::Others,
                "spec.subnet",
                text,
                "remove the pool and make a new one",
            ));
        }
        check_inside(key, "spec.ranges[]", &spec.ranges, subnet, "the pool")?;
        let vrf = self.store.vrfs.find(&subnet.vrf, self.store.seed);
        for (at, range) in spec.ranges.iter().map(IpRange::keys).enumerate() {
            let others = vrf.into_iter().flat_map(|vrf| self.objects.pool_ranges.overlapping(vrf, range));
            let mut others = others.map(|other| &self.objects.pools.get(other).spec);
            let in_force = others.find(|other| !set.replaces(ObjectKind::IPPool, &other.name));
            let in_set = || set.vrf(&subnet.vrf).and_then(|vrf| set.pools.over(vrf, range));
            if let Some(other) = in_force.or_else(in_set) {
                let text = format!("{} overlaps pool `{}`", spec.ranges[at], other.name);
                return Err(error(
                    key,
                    Obstacle::Overlap,
                    &format!("spec.ranges[{at}]"),
                    text,
                    "pools never overlap; move one of them",
                ));
            }
        }
        Ok(())
    }

    fn check_reservation(
        &self,
        set: &Set<'_>,
        key: &ObjectKey,
        spec: &ReservationSpec,
        subnet: &SubnetSpec,
    ) -> Result<(), ObjectError> {
        let old = self.objects.reservations.by_name(&spec.name).map(|reservation| &reservation.spec);
        if let Some(old) = old.filter(|old| old.subnet != spec.subnet) {
            let text = format!("a reservation stays in its subnet, which is `{}`", old.subnet);
            return Err(error(
                key,
                Obstacle::Others,
                "spec.subnet",
                text,
                "remove the reservation and make a new one",
            ));
        }
        check_inside(key, "spec.addresses[]", &spec.addresses, subnet, "the reservation")?;
        for (at, range) in spec.addresses.iter().enumerate().filter(|_| !self.loading) {
            // A range may go over them; alone they are a mistake.
            if let Some(what) = Objects::nobodys(subnet, range.first()).filter(|_| range.count() == 1) {
                let text = format!("{range} is {what} of subnet `{}`, which nobody gets anyway", subnet.name);
                return Err(error(
                    key,
                    Obstacle::Others,
                    &format!("spec.addresses[{at}]"),
                    text,
                    "reserve other addresses",
                ));
            }
        }
        let vrf = self.store.vrfs.find(&subnet.vrf, self.store.seed);
        for (at, range) in spec.addresses.iter().map(IpRange::keys).enumerate() {
            let field = format!("spec.addresses[{at}]");
            let others = vrf.into_iter().flat_map(|vrf| self.objects.reserved_ranges.overlapping(vrf, range));
            let mut others = others.map(|other| &self.objects.reservations.get(other).spec);
            let in_force = others.find(|other| !set.replaces(ObjectKind::Reservation, &other.name));
            let in_set = || set.vrf(&subnet.vrf).and_then(|vrf| set.reservations.over(vrf, range));
            if let Some(other) = in_force.or_else(in_set) {
                let text = format!("{} overlaps reservation `{}`", spec.addresses[at], other.name);
                return Err(error(
                    key,
                    Obstacle::Overlap,
                    &field,
                    text,
                    "an address is reserved once; move one of them",
                ));
            }
            let Some(vrf) = vrf else { continue };
            let theirs = |address: IpAddr| !self.is_reserved_for(spec, vrf, address);
            if let Some(holders) = self.name_holders(vrf, &[range], theirs) {
                let text = format!("{holders} held by others than the reservation is for");
                return Err(error(
                    key,
                    Obstacle::Held,
                    &field,
                    text,
                    "release them first, or reserve other addresses",
                ));
            }
        }
        Ok(())
    }

    /// What stands in the way of an object's removal: of a subnet's, its parts and holders; of others', nothing.
    pub fn check_removal(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        if key.kind != ObjectKind::Subnet {
            return Ok(());
        }
        let Some(subnet) = self.objects.subnets.by_name(&key.name) else { return Ok(()) };
        let parts =
            [("pool", "part of", subnet.pools.len()), ("reservation", "made in", subnet.reservations.len())];
        let first = [
            subnet.pools.first().map(|&pool| &self.objects.pools.get(pool).spec.name),
            subnet.reservations.first().map(|&number| &self.objects.reservations.get(number).spec.name),
        ];
        for ((what, how, count), name) in parts.into_iter().zip(first) {
            let Some(name) = name else { continue };
            let (verb, among) = if count == 1 { ("is", "") } else { ("are", "among them ") };
            let text = format!("{} {verb} {how} it, {among}`{name}`", counted(count, what));
            return Err(error(
                key,
                Obstacle::Held,
                "metadata.name",
                text,
                &format!("remove its {what}s first"),
            ));
        }
        let ranges = cidr_ranges(&subnet.spec.cidrs);
        if let Some(holders) = self.name_holders(subnet.vrf, &ranges, |_| true) {
            let hint = "it stays in force until they are released; end their owners first";
            return Err(error(
                key,
                Obstacle::Held,
                "metadata.name",
                format!("{holders} still held in it"),
                hint,
            ));
        }
        Ok(())
    }

    fn is_reserved_for(&self, spec: &ReservationSpec, vrf: u32, address: IpAddr) -> bool {
        let record = self.store.record_at(Place { vrf, key: key_of(address) });
        let (Some(owner), Some(record)) = (&spec.owner, record) else { return false };
        owner.covers(&self.store.owner(record))
    }

    /// Names and counts the held addresses in some ranges for which `which` holds, and ends in `is` or `are`; `None` where
    /// there are none.
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
                        && let Some(record) = self.store.record_at(Place { vrf, key })
                    {
                        named.push(format!("{} ({})", address_of(key), self.store.owner(record)));
                    }
                }
            }
        }
        let more =
            if count > named.len() { format!(" and {} more", count - named.len()) } else { String::new() };
        let verb = if count == 1 { "is" } else { "are" };
        (count > 0).then(|| format!("{}, {}{more}, {verb}", counted(count, "address"), named.join(", ")))
    }
}

fn check_inside(
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
    Err(error(key, Obstacle::Others, &field, text, "ranges must lie inside the CIDRs of their subnet"))
}

fn counted(count: usize, noun: &str) -> String {
    let plural = match noun {
        _ if count == 1 => "",
        "address" => "es",
        _ => "s",
    };
    format!("{count} {noun}{plural}")
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
    }
}
