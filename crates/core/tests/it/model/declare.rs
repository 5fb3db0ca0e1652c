//! What objects may not do to each other and to holders, by asking everybody.

use allotment_core::{Allocation, IpRange, Object, ObjectKey, PoolSpec, ReservationSpec, SubnetSpec};

use super::naive::Naive;
use crate::check::is_nobodys;

impl Naive {
    /// Puts an object, or says that it is refused.
    pub(super) fn put(&mut self, object: &Object) -> bool {
        let subnet = match object {
            Object::Subnet(spec) if self.takes_subnet(spec) => {
                self.subnets.insert(spec.name.clone(), spec.clone());
                &spec.name
            }
            Object::IPPool(spec) if self.takes_pool(spec) => {
                self.pools.insert(spec.name.clone(), spec.clone());
                &spec.subnet
            }
            Object::Reservation(spec) if self.takes_reservation(spec) => {
                self.reservations.insert(spec.name.clone(), spec.clone());
                &spec.subnet
            }
            _ => return false,
        };
        self.lay_out(subnet);
        true
    }

    fn held(&self) -> impl Iterator<Item = &Allocation> {
        self.records.values().filter(|record| record.state.is_held())
    }

    fn takes_subnet(&self, spec: &SubnetSpec) -> bool {
        let meets = |other: &SubnetSpec| {
            let pairs = other.cidrs.iter().flat_map(|a| spec.cidrs.iter().map(move |b| (a, b)));
            other.name != spec.name && other.vrf == spec.vrf && pairs.into_iter().any(|(a, b)| a.overlaps(b))
        };
        let fits = |old: &SubnetSpec| {
            let had =
                |a: &&Allocation| a.vrf == old.vrf && old.cidrs.iter().any(|cidr| cidr.contains(a.address));
            let stays = |a: &Allocation| {
                spec.cidrs.iter().any(|cidr| cidr.contains(a.address)) && !is_nobodys(spec, a.address)
            };
            let mut pools = self.pools.values().filter(|pool| pool.subnet == spec.name);
            let mut kept = self.reservations.values().filter(|kept| kept.subnet == spec.name);
            old.vrf == spec.vrf
                && self.held().filter(had).all(stays)
                && pools.all(|pool| is_inside(&pool.ranges, spec))
                && kept.all(|kept| is_inside(&kept.addresses, spec))
        };
        !self.subnets.values().any(meets) && self.subnets.get(&spec.name).is_none_or(fits)
    }

    fn takes_pool(&self, spec: &PoolSpec) -> bool {
        let Some(subnet) = self.subnets.get(&spec.subnet) else { return false };
        let moves = self.pools.get(&spec.name).is_some_and(|old| old.subnet != spec.subnet);
        let mut others = self.pools.values().filter(|p| p.name != spec.name && p.subnet == spec.subnet);
        !moves && is_inside(&spec.ranges, subnet) && !others.any(|other| meet(&other.ranges, &spec.ranges))
    }

    fn takes_reservation(&self, spec: &ReservationSpec) -> bool {
        let Some(subnet) = self.subnets.get(&spec.subnet) else { return false };
        let theirs = |a: &Allocation| {
            a.vrf == subnet.vrf
                && spec.addresses.iter().any(|range| range.contains(a.address))
                && !spec.owner.as_ref().is_some_and(|owner| owner.covers(&a.owner))
        };
        let moves = self.reservations.get(&spec.name).is_some_and(|old| old.subnet != spec.subnet);
        let mut others =
            self.reservations.values().filter(|kept| kept.name != spec.name && kept.subnet == spec.subnet);
        !moves
            && is_inside(&spec.addresses, subnet)
            && !others.any(|other| meet(&other.addresses, &spec.addresses))
            && !self.held().any(theirs)
    }

    /// Removes a pool or a reservation.
    pub(super) fn remove(&mut self, key: &ObjectKey) {
        let pool = self.pools.remove(&key.name).map(|pool| pool.subnet);
        let kept = self.reservations.remove(&key.name).map(|kept| kept.subnet);
        if let Some(subnet) = pool.or(kept) {
            self.lay_out(&subnet);
        }
    }
}

fn is_inside(ranges: &[IpRange], subnet: &SubnetSpec) -> bool {
    let fits =
        |r: &IpRange| subnet.cidrs.iter().any(|cidr| cidr.contains(r.first()) && cidr.contains(r.last()));
    ranges.iter().all(fits)
}

fn meet(left: &[IpRange], right: &[IpRange]) -> bool {
    let meets =
        |a: &IpRange, b: &IpRange| a.family() == b.family() && a.first() <= b.last() && b.first() <= a.last();
    left.iter().any(|a| right.iter().any(|b| meets(a, b)))
}
