//! Asking again: an attachment that has something is answered with that, and with nothing else.
//!
//! A request that names another subnet, pool, family, address or MAC than the attachment has is refused with what it has:
//! whoever believes in another network than there is must not be told yes. Where it names nothing, anything is right. A firm
//! request is asked on behalf of somebody who was to be told what was given, and is told now.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::State;
use super::plan::{How, Picked, Picks, Plan, Planned, Planner};
use super::record::NONE;
use super::refuse;
use crate::address::key_of;
use crate::{
    AllocationState, Asked, Family, FamilyWant, Grant, Pick, Refusal, Request, Target, Timestamp, Want,
};

impl State {
    /// What a request would be answered with from what its attachments have already; an entry without addresses where one has
    /// nothing. Refused like the request itself where it names something else. Draws nothing and changes nothing.
    pub fn held_for(&self, request: &Request) -> Result<Grant, Refusal> {
        let probe = self.store.probe(&request.owner);
        let mut planner = Planner::new(self, request, probe, Timestamp(0));
        let mut entries: SmallVec<[Planned; 1]> = SmallVec::new();
        for want in &request.wants {
            let mut picks = planner.present(want);
            if !picks.is_empty() {
                planner.keep(want, &mut picks)?;
            }
            let mac = planner.mac(want, &picks, &entries, probe)?;
            entries.push(Planned { picks, mac });
        }
        planner.check_nothing_left()?;
        Ok(self.grant(&Plan { request, now: Timestamp(0), probe, entries }))
    }
}

impl Planner<'_> {
    /// What the attachment has already; of an interface that draws by several wants, what it has in this one's targets.
    pub(super) fn present(&self, want: &Want) -> Picks {
        let shared = self.is_shared(want);
        let mut picks: Picks =
            self.has(want).filter(|picked| !shared || self.names(want, picked.subnet)).collect();
        let Asked::Each(asked) = &want.ips else {
            picks.sort_by_key(|picked| (!picked.place.address().is_ipv4(), picked.place));
            return picks;
        };
        picks.sort_by_cached_key(|picked| {
            let address = picked.place.address();
            (!address.is_ipv4(), asked.iter().position(|&ip| ip == address), picked.place)
        });
        picks
    }

    /// Everything that a want's attachment has.
    fn has(&self, want: &Want) -> impl Iterator<Item = Picked> {
        let store = &self.state.store;
        let is_its = |&&index: &&u32| {
            store.records.get(index).state == AllocationState::Active
                && store.is_interface(index, &want.attachment)
                && store.is_holder(index, &want.attachment.holder)
        };
        self.owned.iter().filter(is_its).map(|&index| self.kept(index))
    }

    /// Whether the interface draws by other wants too.
    fn is_shared(&self, want: &Want) -> bool {
        let same = |other: &&Want| other.attachment.same(&want.attachment);
        self.request.wants.iter().filter(same).nth(1).is_some()
    }

    fn kept(&self, index: u32) -> Picked {
        let place = self.state.store.place_of(index);
        let subnet = self.state.objects.subnet_ranges.find(place.vrf, place.key).unwrap_or(NONE);
        let pool = self.state.objects.pool_ranges.find(place.vrf, place.key).unwrap_or(NONE);
        let rule = self.state.store.records.get(index).rule;
        Picked { place, subnet, pool, record: Some(index), rule, how: How::Keep }
    }

    /// Takes what the attachment has, if that is what the want names; `present` is not empty.
    pub(super) fn keep(&mut self, want: &Want, present: &mut Picks) -> Result<(), Refusal> {
        if self.request.firm && !self.is_shared(want) {
            self.taken.extend(present.iter().map(|picked| picked.place));
            return Ok(());
        }
        if let Asked::Each(ips) = &want.ips {
            let has = |ip| present.iter().any(|picked| picked.place.address() == ip);
            if let Some(missing) = ips.iter().find(|&&ip| !has(ip)) {
                return Err(self.differs(want, &missing.to_string(), present));
            }
            if self.is_shared(want) {
                present.retain(|picked| ips.contains(&picked.place.address()));
            }
        }
        if let Some(asked) = present.iter().find_map(|picked| self.named_instead(want, picked, present)) {
            return Err(self.differs(want, &asked, present));
        }
        for picked in present.iter().filter(|picked| picked.subnet != NONE && !want.prefixes.is_empty()) {
            let spec = &self.state.objects.subnets.get(picked.subnet).spec;
            self.check_prefix(want, spec, picked.place.address())?;
        }
        self.taken.extend(present.iter().map(|picked| picked.place));
        Ok(())
    }

    /// Whether the want names something else than its attachment has.
    pub(super) fn is_for_others(&self, want: &Want, present: &Picks) -> bool {
        let listed = |picked: &Picked| match &want.ips {
            Asked::Each(ips) if !ips.is_empty() => ips.contains(&picked.place.address()),
            _ => true,
        };
        let is_drawn_beside = |picked: &Picked| {
            let family = Family::of(picked.place.address());
            matches!(&want.ips, Asked::Each(ips) if ips.iter().all(|&ip| Family::of(ip) != family))
        };
        !present.iter().all(|picked| {
            (listed(picked) || is_drawn_beside(picked)) && self.named_instead(want, picked, present).is_none()
        })
    }

    /// Wants that draw for one interface have to name, together, all that it has.
    pub(super) fn check_nothing_left(&self) -> Result<(), Refusal> {
        for want in self.request.wants.iter().filter(|want| self.is_shared(want)) {
            let left: Picks = self.has(want).filter(|picked| !self.taken.contains(&picked.place)).collect();
            if !left.is_empty() {
                let same = self.request.wants.iter().filter(|other| other.attachment.same(&want.attachment));
                let asked: Vec<String> = same.map(|want| list(&want.targets, " or ")).collect();
                return Err(self.differs(want, &asked.join(" and "), &left));
            }
        }
        Ok(())
    }

    /// What a want names instead of an address that its attachment has.
    fn named_instead(&self, want: &Want, picked: &Picked, present: &Picks) -> Option<String> {
        let fits = |target: &Target| self.fits(target, picked);
        if picked.subnet != NONE && !want.targets.iter().any(fits) && self.is_named(want) {
            return Some(list(&want.targets, " or "));
        }
        let address = picked.place.address();
        let family = Family::of(address);
        let beside = |ip: IpAddr| {
            let subnet = self.state.objects.subnet_ranges.find(picked.place.vrf, key_of(ip));
            Family::of(ip) == family && subnet == Some(picked.subnet)
        };
        match (want.family, &want.ips) {
            (FamilyWant::Require(other), _) if other != family => Some(format!("{other} alone")),
            (_, Asked::OneOf(ips)) if !ips.contains(&address) => {
                // A list without an address of this subnet and family leaves both open.
                let listed: Vec<String> =
                    ips.iter().filter(|&&ip| beside(ip)).map(ToString::to_string).collect();
                (!listed.is_empty()).then(|| format!("one of {}", listed.join(", ")))
            }
            (_, Asked::Each(ips)) if !ips.contains(&address) => {
                let mut others = present.iter().map(|other| other.place.address());
                let instead = others.find(|&ip| ips.contains(&ip) && beside(ip))?;
                Some(format!("{instead} alone"))
            }
            _ => None,
        }
    }

    /// Whether an address that the attachment has may be what a target gave it. A pool may have moved on or gone since, and
    /// what is reserved for the owner comes from anywhere in the subnet.
    fn fits(&self, target: &Target, picked: &Picked) -> bool {
        let objects = &self.state.objects;
        match target {
            Target::Subnet(name) => objects.subnets.find(name) == Some(picked.subnet),
            Target::Pool(name) => objects.pools.find(name).map_or(picked.pool == NONE, |pool| {
                objects.pools.get(pool).subnet == picked.subnet
                    && (picked.pool == pool
                        || picked.pool == NONE
                        || picked.rule.pick == Pick::Reservation
                        || self.is_reserved_for_owner(picked.place) == Some(true))
            }),
        }
    }

    fn differs(&self, want: &Want, asked: &str, has: &Picks) -> Refusal {
        let objects = &self.state.objects;
        let place = |picked: &Picked| {
            let address = picked.place.address();
            match (picked.pool, picked.subnet) {
                (_, NONE) => address.to_string(),
                (NONE, subnet) => format!("{address} of subnet `{}`", objects.subnets.get(subnet).spec.name),
                (pool, _) => format!("{address} of pool `{}`", objects.pools.get(pool).spec.name),
            }
        };
        let has: Vec<String> = has.iter().map(place).collect();
        refuse::differs(self.request, want, asked, &has.join(", "))
    }
}

fn list(targets: &[Target], between: &str) -> String {
    let name = |target: &Target| match target {
        Target::Subnet(name) => format!("subnet `{name}`"),
        Target::Pool(name) => format!("pool `{name}`"),
    };
    targets.iter().map(name).collect::<Vec<_>>().join(between)
}
