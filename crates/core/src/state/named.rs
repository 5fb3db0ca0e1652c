//! Addresses that a request or reservation names, and those the owner had before.

use std::cmp::Reverse;
use std::net::IpAddr;

use smallvec::SmallVec;

use super::Place;
use super::objects::Objects;
use super::plan::{How, Picked, Picks, Planner};
use super::record::NONE;
use super::refuse;
use super::targets::Drawn;
use crate::address::key_of;
use crate::{AllocationState, Choice, Family, FamilyWant, IpRange, Pick, Refusal, Rule, SubnetSpec, Want};

/// How many addresses of a reservation are looked at before the owner draws like anybody else.
const RESERVED_SCAN_MAX: usize = 65_536;

impl Planner<'_> {
    /// All of the addresses asked for; then the families that none of them belongs to.
    pub(super) fn each(
        &mut self,
        want: &Want,
        targets: &[Drawn],
        ips: &[IpAddr],
        picks: &mut Picks,
    ) -> Result<(), Refusal> {
        for &ip in ips {
            if let FamilyWant::Require(family) = want.family
                && Family::of(ip) != family
            {
                return Err(refuse::other_family(self.request, ip, family));
            }
            let target = self.target_of(targets, ip)?;
            let same = |picked: &&Picked| {
                picked.subnet == target.subnet && Family::of(picked.place.address()) == Family::of(ip)
            };
            if let Some(other) = picks.iter().find(same) {
                return Err(refuse::two_of_a_family(self.request, ip, other.place.address()));
            }
            let picked = self.named(want, &target, ip, Pick::Asked)?;
            self.taken.push(picked.place);
            picks.push(picked);
        }
        if want.family == FamilyWant::All {
            self.complete(want, targets, picks)?;
        }
        picks.sort_by_key(|picked| !picked.place.address().is_ipv4());
        Ok(())
    }

    /// Draws the families that the addresses picked so far leave open, from the subnets they lie in.
    pub(super) fn complete(
        &mut self,
        want: &Want,
        targets: &[Drawn],
        picks: &mut Picks,
    ) -> Result<(), Refusal> {
        for family in Family::BOTH {
            let covered = |picked: &Picked| Family::of(picked.place.address()) == family;
            if picks.iter().any(covered) {
                continue;
            }
            let subnet = picks.iter().map(|picked| picked.subnet).find(|&subnet| {
                subnet != NONE && self.state.objects.subnets.get(subnet).spec.cidr(family).is_some()
            });
            let Some(subnet) = subnet else { continue };
            let implied = Drawn { subnet, pool: NONE, choice: Choice::Address };
            let target = targets.iter().find(|target| target.subnet == subnet).copied().unwrap_or(implied);
            let picked = self.pick(want, &target, family)?;
            self.taken.push(picked.place);
            picks.push(picked);
        }
        Ok(())
    }

    /// The target in which an address lies: its pool, else its subnet, else another pool of its subnet.
    fn target_of(&self, targets: &[Drawn], ip: IpAddr) -> Result<Drawn, Refusal> {
        let objects = &self.state.objects;
        let contains =
            |subnet: u32| objects.subnets.get(subnet).spec.cidrs.iter().any(|cidr| cidr.contains(ip));
        let found = targets.iter().filter(|target| contains(target.subnet)).min_by_key(|target| {
            let vrf = objects.subnets.get(target.subnet).vrf;
            let pool = objects.pool_ranges.find(vrf, key_of(ip)).unwrap_or(NONE);
            (target.pool != pool, target.pool != NONE)
        });
        found.copied().ok_or_else(|| refuse::outside(self.state, self.request, targets, ip))
    }

    /// The first address of a list that can be had, before others one that the owner had; `None` where the list has none of this subnet and family.
    pub(super) fn one_of(
        &mut self,
        want: &Want,
        target: &Drawn,
        family: Family,
        ips: &[IpAddr],
    ) -> Option<Result<Picked, Refusal>> {
        let subnet = self.state.objects.subnets.get(target.subnet);
        let cidr = subnet.spec.cidr(family)?;
        let had = |ip| {
            let place = Place { vrf: subnet.vrf, key: key_of(ip) };
            self.owned.iter().any(|&index| self.state.store.place_of(index) == place)
        };
        let mut listed: SmallVec<[IpAddr; 8]> = ips.iter().copied().filter(|&ip| cidr.contains(ip)).collect();
        listed.sort_by_key(|&ip| !had(ip));
        let mut refusals = Vec::new();
        for ip in listed {
            match self.named(want, target, ip, Pick::Listed) {
                Ok(picked) => return Some(Ok(picked)),
                Err(refusal) => refusals.push(refusal),
            }
        }
        (!refusals.is_empty()).then(|| Err(refuse::list(self.request, refusals)))
    }

    /// One address by name: whether this owner may have it (C2, C3, C4).
    fn named(&self, want: &Want, target: &Drawn, ip: IpAddr, pick: Pick) -> Result<Picked, Refusal> {
        let objects = &self.state.objects;
        let subnet = objects.subnets.get(target.subnet);
        let place = Place { vrf: subnet.vrf, key: key_of(ip) };
        if subnet.spec.draining && !self.holds(place) {
            return Err(refuse::draining(self.request, &subnet.spec));
        }
        if let Some(what) = Objects::nobodys(&subnet.spec, ip) {
            return Err(refuse::nobodys(self.request, &subnet.spec, ip, what));
        }
        self.check_prefix(want, &subnet.spec, ip)?;
        if !subnet.spec.within.is_empty() && !subnet.spec.within.iter().any(|range| range.contains(ip)) {
            return Err(refuse::not_within(self.request, &subnet.spec, ip));
        }
        let reservation = objects.reserved_ranges.find(place.vrf, place.key);
        let reservation = reservation.map(|number| &objects.reservations.get(number).spec);
        let mine =
            reservation.is_some_and(|r| r.owner.as_ref().is_some_and(|o| o.covers(&self.request.owner)));
        if let Some(reservation) = reservation.filter(|_| !mine) {
            return Err(refuse::reserved(self.request, reservation, ip));
        }
        let pool = objects.pool_ranges.find(place.vrf, place.key).unwrap_or(NONE);
        if !mine && !self.is_open(target, pool) {
            return Err(refuse::boundary(self.state, self.request, target.pool, pool, ip));
        }
        let how = self.availability(want, place, pick)?;
        let rule = Rule { choice: target.choice, pick };
        Ok(Picked { place, subnet: target.subnet, pool, record: None, rule, how })
    }

    /// Whether an address is the owner's, and did not merely cool.
    fn holds(&self, place: Place) -> bool {
        let store = &self.state.store;
        let held = |index: u32| self.owned.contains(&index) && store.records.get(index).state.is_held();
        store.record_at(place).is_some_and(held)
    }

    /// Whether an address was asked for with its subnet's prefix length, or with none.
    pub(super) fn check_prefix(&self, want: &Want, spec: &SubnetSpec, ip: IpAddr) -> Result<(), Refusal> {
        let Some(cidr) = spec.cidr(Family::of(ip)) else { return Ok(()) };
        let asked = want.prefixes.iter().find(|&&(address, prefix)| address == ip && prefix != cidr.prefix());
        asked.map_or(Ok(()), |&(_, prefix)| Err(refuse::other_prefix(self.request, spec, cidr, ip, prefix)))
    }

    /// Whether an address is free for this owner now.
    fn availability(&self, want: &Want, place: Place, pick: Pick) -> Result<How, Refusal> {
        let store = &self.state.store;
        if self.taken.contains(&place) {
            return Err(refuse::twice_in_request(self.request, place.address()));
        }
        if self.state.withheld.has(place) {
            return Err(refuse::closed(self.request, place));
        }
        let Some(index) = store.record_at(place) else { return Ok(How::Enter) };
        let record = store.records.get(index);
        let mine = self.owned.contains(&index);
        match record.state {
            AllocationState::Reserved if mine => Ok(How::Enter),
            AllocationState::Active
                if mine
                    && want.join
                    && store.is_interface(index, &want.attachment)
                    && store.second(index).is_none() =>
            {
                Ok(How::Join)
            }
            AllocationState::Cooling if mine || self.is_free(index, place) => Ok(How::Enter),
            AllocationState::Cooling if pick == Pick::Listed && self.was_siblings(index) => Ok(How::Enter),
            AllocationState::Cooling if pick == Pick::Asked && self.was_namesakes(index) => Ok(How::Enter),
            AllocationState::Cooling => {
                Err(refuse::cooling(self.state, self.request, place, index, self.now))
            }
            AllocationState::Active | AllocationState::Reserved => {
                Err(refuse::taken(self.state, self.request, place, index))
            }
        }
    }

    /// Whether a released address has cooled, or cools after one that it is reserved for as it is for this owner: a pod
    /// that was recreated under its name (C2).
    fn is_free(&self, index: u32, place: Place) -> bool {
        let objects = &self.state.objects;
        let subnet = objects.subnet_ranges.find(place.vrf, place.key);
        let cooling_ms = subnet.map_or(0, |subnet| objects.subnets.get(subnet).spec.cooling_ms);
        let group = || {
            let number = objects.reserved_ranges.find(place.vrf, place.key)?;
            let owner = objects.reservations.get(number).spec.owner.as_ref()?;
            Some(owner.covers(&self.request.owner) && owner.covers(&self.state.store.owner(index)))
        };
        self.now.since(self.state.store.records.get(index).since) >= cooling_ms || group() == Some(true)
    }

    /// Whether a released address was had off a list by one in whose place this owner comes (C2). Pods of one Deployment are
    /// owners apart, and all that they have in common is what their names begin with.
    fn was_siblings(&self, index: u32) -> bool {
        let (siblings, owner) = (&self.request.siblings, &self.request.owner);
        if siblings.is_empty() || self.state.store.records.get(index).rule.pick != Pick::Listed {
            return false;
        }
        let last = self.state.store.owner(index);
        last.kind == owner.kind && last.namespace == owner.namespace && last.name.starts_with(siblings)
    }

    /// Whether a released address was had by one of the same name: a pod that was made anew and asks for its address (C2).
    fn was_namesakes(&self, index: u32) -> bool {
        let (last, owner) = (self.state.store.owner(index), &self.request.owner);
        !owner.name.is_empty()
            && (&last.kind, &last.namespace, &last.name) == (&owner.kind, &owner.namespace, &owner.name)
    }

    /// What the owner had here before and may have back; or why it must wait for its present holder.
    pub(super) fn returned(
        &self,
        want: &Want,
        target: &Drawn,
        family: Family,
    ) -> Option<Result<Picked, Refusal>> {
        let store = &self.state.store;
        let subnet = self.state.objects.subnets.get(target.subnet);
        let cidr = subnet.spec.cidr(family)?;
        let mut best = None;
        for &index in &self.owned {
            let place = store.place_of(index);
            if place.vrf != subnet.vrf || !cidr.contains(place.address()) || self.taken.contains(&place) {
                continue;
            }
            let same = store.is_interface(index, &want.attachment);
            let pool = self.state.objects.pool_ranges.find(place.vrf, place.key).unwrap_or(NONE);
            let rule = Rule { choice: target.choice, pick: Pick::Returned };
            let picked = |how| Picked { place, subnet: target.subnet, pool, record: Some(index), rule, how };
            let state = store.records.get(index).state;
            match state {
                AllocationState::Active if same && want.join && store.second(index).is_none() => {
                    return Some(Ok(picked(How::Join)));
                }
                AllocationState::Active if same => {
                    return Some(Err(refuse::held_by_own(self.state, self.request, place, index)));
                }
                AllocationState::Active => {}
                AllocationState::Reserved | AllocationState::Cooling => {
                    let barred = self.is_barred(target, place, pool, state.is_held())
                        || !same && self.belongs_to_another_want(index, want);
                    let rank = (same, state.is_held(), store.records.get(index).since, Reverse(place));
                    if !barred && best.as_ref().is_none_or(|(other, _)| rank > *other) {
                        best = Some((rank, picked(How::Enter)));
                    }
                }
            }
        }
        best.map(|(_, picked)| Ok(picked))
    }

    /// Whether what the owner had cannot be had unasked any more. What is kept for it is no longer drawn, so excluding it
    /// changes nothing.
    fn is_barred(&self, target: &Drawn, place: Place, pool: u32, kept: bool) -> bool {
        let spec = &self.state.objects.subnets.get(target.subnet).spec;
        let address = place.address();
        let among = |ranges: &[IpRange]| ranges.iter().any(|range| range.contains(address));
        let open = match self.is_reserved_for_owner(place) {
            Some(mine) => mine,
            None => self.is_open(target, pool) && (kept || !among(&spec.exclude)),
        };
        !open
            || Objects::nobodys(spec, address).is_some()
            || !kept && spec.draining
            || !kept && !spec.within.is_empty() && !among(&spec.within)
    }

    /// Whether a target's addresses in a pool may be had: the pool is the target, or its selectors match.
    fn is_open(&self, target: &Drawn, pool: u32) -> bool {
        pool == target.pool || target.pool == NONE && self.selects(&self.state.objects.pools.get(pool).spec)
    }

    /// Whether a reserved address is reserved for this owner; `None`: it is not reserved.
    pub(super) fn is_reserved_for_owner(&self, place: Place) -> Option<bool> {
        let number = self.state.objects.reserved_ranges.find(place.vrf, place.key)?;
        let owner = self.state.objects.reservations.get(number).spec.owner.as_ref();
        Some(owner.is_some_and(|owner| owner.covers(&self.request.owner)))
    }

    fn belongs_to_another_want(&self, index: u32, want: &Want) -> bool {
        (self.request.wants.iter()).any(|other| {
            !other.attachment.same(&want.attachment)
                && self.state.store.is_interface(index, &other.attachment)
        })
    }

    /// The first free address that is reserved for the owner in the target's subnet.
    pub(super) fn reserved(&self, target: &Drawn, family: Family) -> Option<Picked> {
        let objects = &self.state.objects;
        if objects.reservations.is_empty() || objects.subnets.get(target.subnet).spec.draining {
            return None;
        }
        let vrf = objects.subnets.get(target.subnet).vrf;
        let mine = objects
            .reserved_for(&self.request.owner)
            .filter(|reservation| reservation.subnet == target.subnet);
        let ranges =
            mine.flat_map(|reservation| &reservation.spec.addresses).filter(|range| range.family() == family);
        let keys = ranges.flat_map(|range| {
            let (first, last) = range.keys();
            first..=last
        });
        let spec = &objects.subnets.get(target.subnet).spec;
        keys.take(RESERVED_SCAN_MAX).map(|key| Place { vrf, key }).find_map(|place| {
            let free = !self.taken.contains(&place)
                && !self.state.withheld.has(place)
                && Objects::nobodys(spec, place.address()).is_none()
                && self.state.store.record_at(place).is_none_or(|index| {
                    let held = self.state.store.records.get(index).state.is_held();
                    !held && (self.owned.contains(&index) || self.is_free(index, place))
                });
            let pool = objects.pool_ranges.find(vrf, place.key).unwrap_or(NONE);
            let rule = Rule { choice: target.choice, pick: Pick::Reservation };
            let how = How::Enter;
            free.then_some(Picked { place, subnet: target.subnet, pool, record: None, rule, how })
        })
    }
}
