//! The declared objects and what leads to them: names, networks, namespaces, addresses, owners.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::hash::Seed;
use super::ranges::{Range, RangeMap};
use crate::address::key_of;
use crate::{Family, IpRange, Owner, OwnerKey, PoolSpec, ReservationSpec, SubnetSpec};

/// A subnet in force.
pub(super) struct Subnet {
    pub(super) spec: SubnetSpec,
    pub(super) vrf: u32,
    /// Pools by number, in the order of their names.
    pub(super) pools: Vec<u32>,
    pub(super) reservations: Vec<u32>,
    /// What the pools leave, by family.
    pub(super) regions: [Option<u32>; 2],
    /// Held addresses that no region has: asked for by name among the excluded and reserved.
    pub(super) outside: u64,
}

/// A pool in force.
pub(super) struct Pool {
    pub(super) spec: PoolSpec,
    pub(super) subnet: u32,
    pub(super) regions: [Option<u32>; 2],
}

/// A reservation in force.
pub(super) struct Reservation {
    pub(super) spec: ReservationSpec,
    pub(super) subnet: u32,
}

pub(super) fn family_index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

/// Numbered things with unique names.
pub(super) struct Registry<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
    names: BTreeMap<String, u32>,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Registry { items: Vec::new(), free: Vec::new(), names: BTreeMap::new() }
    }
}

impl<T> Registry<T> {
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    pub(super) fn get(&self, number: u32) -> &T {
        self.items[number as usize].as_ref().expect("numbers are kept only of what is registered")
    }

    pub(super) fn get_mut(&mut self, number: u32) -> &mut T {
        self.items[number as usize].as_mut().expect("numbers are kept only of what is registered")
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&T> {
        self.find(name).map(|number| self.get(number))
    }

    /// By name.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &T)> {
        self.names.values().map(|&number| (number, self.get(number)))
    }

    pub(super) fn insert(&mut self, name: &str, item: T) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.items.push(None);
            u32::try_from(self.items.len() - 1).expect("fewer objects than addresses")
        });
        self.items[number as usize] = Some(item);
        self.names.insert(name.to_owned(), number);
        number
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<T> {
        let number = self.names.remove(name)?;
        self.free.push(number);
        self.items[number as usize].take()
    }
}

/// Something to the numbers of objects.
type Words<K> = HashMap<K, Vec<u32>, foldhash::fast::FixedState>;

/// All objects.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) subnets: Registry<Subnet>,
    pub(super) pools: Registry<Pool>,
    pub(super) reservations: Registry<Reservation>,
    /// CIDRs to subnets, pool ranges to pools, reserved ranges to reservations.
    pub(super) subnet_ranges: RangeMap,
    pub(super) pool_ranges: RangeMap,
    pub(super) reserved_ranges: RangeMap,
    by_network: Words<String>,
    by_namespace: Words<String>,
    /// Subnets that select namespaces by label.
    selecting: Vec<u32>,
    /// Default subnets.
    defaults: Vec<u32>,
    /// By a hash of the owner's kind, namespace and name.
    by_owner: Words<u32>,
}

pub(super) fn keys(ranges: &[IpRange]) -> Vec<Range> {
    super::ranges::normalized(ranges.iter().map(IpRange::keys).collect())
}

impl Objects {
    /// Subnets that take a network without being named, in the order of their names.
    pub(super) fn of_network(&self, network: &str) -> &[u32] {
        self.by_network.get(network).map_or(&[], Vec::as_slice)
    }

    /// Subnets bound to a namespace by name.
    pub(super) fn of_namespace(&self, namespace: &str) -> &[u32] {
        self.by_namespace.get(namespace).map_or(&[], Vec::as_slice)
    }

    pub(super) fn selecting(&self) -> &[u32] {
        &self.selecting
    }

    pub(super) fn defaults(&self) -> &[u32] {
        &self.defaults
    }

    /// The reservations made for an owner, in the order of their names.
    pub(super) fn reserved_for<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = &'a Reservation> + 'a {
        let numbers = if self.by_owner.is_empty() { None } else { self.by_owner.get(&owner_hash(owner)) };
        numbers.into_iter().flatten().map(|&number| self.reservations.get(number)).filter(|reservation| {
            reservation.spec.owner.as_ref().is_some_and(|reserved| reserved.covers(owner))
        })
    }

    /// Makes a subnet be found by its networks, namespaces and addresses.
    pub(super) fn index_subnet(&mut self, number: u32) {
        let subnet = self.subnets.get(number);
        let by_name = |numbers: &mut Vec<u32>| {
            numbers.push(number);
            numbers.sort_by(|&a, &b| self.subnets.get(a).spec.name.cmp(&self.subnets.get(b).spec.name));
        };
        for network in &subnet.spec.networks {
            by_name(self.by_network.entry_ref(network.as_str()).or_default());
        }
        for namespace in &subnet.spec.namespaces {
            by_name(self.by_namespace.entry_ref(namespace.as_str()).or_default());
        }
        if subnet.spec.namespace_selector.is_some() {
            by_name(&mut self.selecting);
        }
        if subnet.spec.default {
            by_name(&mut self.defaults);
        }
        for cidr in &subnet.spec.cidrs {
            for range in cidr.key_ranges() {
                self.subnet_ranges.insert(subnet.vrf, range, number);
            }
        }
    }

    /// Undoes `index_subnet`.
    pub(super) fn unindex_subnet(&mut self, number: u32) {
        let spec = &self.subnets.get(number).spec;
        for network in &spec.networks {
            forget(&mut self.by_network, network.as_str(), number);
        }
        for namespace in &spec.namespaces {
            forget(&mut self.by_namespace, namespace.as_str(), number);
        }
        self.selecting.retain(|&other| other != number);
        self.defaults.retain(|&other| other != number);
        self.subnet_ranges.remove(number);
    }

    pub(super) fn index_pool(&mut self, number: u32) {
        let pool = self.pools.get(number);
        let vrf = self.subnets.get(pool.subnet).vrf;
        for range in keys(&pool.spec.ranges) {
            self.pool_ranges.insert(vrf, range, number);
        }
        let subnet = pool.subnet;
        let (pools, subnets) = (&self.pools, &mut self.subnets);
        let list = &mut subnets.get_mut(subnet).pools;
        list.push(number);
        list.sort_by(|&a, &b| pools.get(a).spec.name.cmp(&pools.get(b).spec.name));
    }

    pub(super) fn unindex_pool(&mut self, number: u32) {
        let subnet = self.pools.get(number).subnet;
        self.subnets.get_mut(subnet).pools.retain(|&other| other != number);
        self.pool_ranges.remove(number);
    }

    pub(super) fn index_reservation(&mut self, number: u32) {
        let reservation = self.reservations.get(number);
        let vrf = self.subnets.get(reservation.subnet).vrf;
        for range in keys(&reservation.spec.addresses) {
            self.reserved_ranges.insert(vrf, range, number);
        }
        if let Some(owner) = &reservation.spec.owner {
            let numbers = self.by_owner.entry(owner_hash(owner)).or_default();
            numbers.push(number);
            let name = |number: u32| &self.reservations.get(number).spec.name;
            numbers.sort_by(|&a, &b| name(a).cmp(name(b)));
        }
        let subnet = reservation.subnet;
        self.subnets.get_mut(subnet).reservations.push(number);
    }

    pub(super) fn unindex_reservation(&mut self, number: u32) {
        let reservation = self.reservations.get(number);
        if let Some(owner) = &reservation.spec.owner {
            forget(&mut self.by_owner, &owner_hash(owner), number);
        }
        let subnet = reservation.subnet;
        self.subnets.get_mut(subnet).reservations.retain(|&other| other != number);
        self.reserved_ranges.remove(number);
    }

    /// Whether an address of the subnet is nobody's: edge of its CIDR or gateway. Says which.
    pub(super) fn nobodys(subnet: &SubnetSpec, address: std::net::IpAddr) -> Option<&'static str> {
        let family = Family::of(address);
        let cidr = subnet.cidr(family)?;
        if subnet.gateway(family) == Some(address) {
            return Some("the gateway");
        }
        match (cidr.has_edges(), family) {
            (true, _) if address == cidr.first() => Some("the network address"),
            (true, Family::V4) if address == cidr.last() => Some("the broadcast address"),
            _ => None,
        }
    }

    /// The ranges of a CIDR that are nobody's, and what is excluded.
    pub(super) fn never_drawn(subnet: &SubnetSpec, family: Family) -> Vec<Range> {
        let mut out: Vec<Range> =
            subnet.exclude.iter().filter(|r| r.family() == family).map(IpRange::keys).collect();
        let Some(cidr) = subnet.cidr(family) else { return out };
        if cidr.has_edges() {
            out.push((cidr.first_key(), cidr.first_key()));
            if family == Family::V4 {
                out.push((cidr.last_key(), cidr.last_key()));
            }
        }
        if let Some(gateway) = subnet.gateway(family) {
            out.push((key_of(gateway), key_of(gateway)));
        }
        super::ranges::normalized(out)
    }
}

fn forget<K, Q>(index: &mut Words<K>, key: &Q, number: u32)
where
    K: std::hash::Hash + Eq,
    Q: std::hash::Hash + hashbrown::Equivalent<K> + ?Sized,
{
    if let Some(numbers) = index.get_mut(key) {
        numbers.retain(|&other| other != number);
        if numbers.is_empty() {
            index.remove(key);
        }
    }
}

fn owner_hash(owner: &Owner) -> u32 {
    let Owner { kind, namespace, name, .. } = owner;
    Seed::default().owner(OwnerKey::Name { kind, namespace, name })
}
