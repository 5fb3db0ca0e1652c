//! One request being answered, want by want.

use std::cmp::Reverse;
use std::net::IpAddr;

use allotment_core::{
    Allocation, AllocationState, Asked, Choice, Code, Family, FamilyWant, Grant, Mac, Pick, PoolSpec,
    Request, Rule, Target, Timestamp, Want,
};

use super::naive::{Naive, Place};
use crate::check::is_nobodys;

/// A target of a want: a subnet, or a pool of it.
#[derive(Clone)]
struct Drawn {
    subnet: String,
    pool: Option<String>,
    choice: Choice,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum How {
    Enter,
    Keep,
    Join,
}

#[derive(Clone)]
pub(super) struct Picked {
    pub(super) place: Place,
    pub(super) rule: Rule,
    pub(super) how: How,
}

/// One request being answered.
pub(super) struct Asking<'a> {
    pub(super) model: &'a Naive,
    pub(super) request: &'a Request,
    now: Timestamp,
    taken: Vec<Place>,
    /// What was really given to the want at hand.
    given: Option<Vec<IpAddr>>,
}

/// The addresses of a want, and its MAC.
pub(super) type Entry = (Vec<Picked>, Option<Mac>);

impl Naive {
    /// What a request is given; `given` is the real answer.
    pub(super) fn answer(
        &self,
        request: &Request,
        now: Timestamp,
        given: Option<&Grant>,
    ) -> Result<Vec<Entry>, Code> {
        let mut asking = Asking { model: self, request, now, taken: Vec::new(), given: None };
        let mut entries = Vec::new();
        for (at, want) in request.wants.iter().enumerate() {
            let ips = given.map(|grant| grant.entries[at].ips.iter().map(|ip| ip.address).collect());
            asking.given = ips;
            let picks = asking.want(want)?;
            let mac = asking.mac(want, &picks, &entries)?;
            entries.push((picks, mac));
        }
        Ok(entries)
    }
}

impl Asking<'_> {
    fn owned(&self) -> impl Iterator<Item = &Allocation> {
        self.model.records.values().filter(|record| record.owner.key() == self.request.owner.key())
    }

    fn want(&mut self, want: &Want) -> Result<Vec<Picked>, Code> {
        let present = |record: &&Allocation| {
            record.state == AllocationState::Active
                && record.attachments.iter().any(|present| present.same(&want.attachment))
        };
        let mut has: Vec<Picked> = (self.owned().filter(present))
            .map(|record| Picked {
                place: (record.vrf.clone(), record.address),
                rule: record.rule,
                how: How::Keep,
            })
            .collect();
        if !has.is_empty() {
            if let Asked::Each(ips) = &want.ips {
                if !ips.iter().all(|ip| has.iter().any(|picked| picked.place.1 == *ip)) {
                    return Err(Code::Invalid);
                }
                let order = |ip: IpAddr| (!ip.is_ipv4(), ips.iter().position(|&asked| asked == ip));
                has.sort_by_key(|picked| order(picked.place.1));
            }
            let other = |picked: &Picked| {
                let spec = self.model.subnet_of(&picked.place);
                spec.is_some_and(|spec| has_other_prefix(spec, want, picked.place.1))
            };
            if has.iter().any(|picked| self.names_another(want, picked) || other(picked)) {
                return Err(Code::Invalid);
            }
            self.taken.extend(has.iter().map(|picked| picked.place.clone()));
            return Ok(has);
        }
        let targets = self.targets(want)?;
        match &want.ips {
            Asked::Each(ips) if !ips.is_empty() => self.each(want, &targets, ips),
            _ => self.draw(want, targets),
        }
    }

    /// Whether a want names something else than an address that it has.
    fn names_another(&self, want: &Want, picked: &Picked) -> bool {
        let place = &picked.place;
        let of = |name: &String| {
            let spec = self.model.subnets.get(name);
            spec.is_some_and(|s| s.vrf == place.0 && s.cidrs.iter().any(|cidr| cidr.contains(place.1)))
        };
        let mine = (self.model.reservation_of(place))
            .is_some_and(|kept| kept.owner.as_ref().is_some_and(|owner| owner.covers(&self.request.owner)));
        let fits = |target: &Target| match target {
            Target::Subnet(name) => of(name),
            Target::Pool(name) => {
                self.model.pools.get(name).map_or(self.model.pool_of(place).is_none(), |pool| {
                    let free = self.model.pool_of(place).is_none_or(|other| other.name == pool.name);
                    of(&pool.subnet) && (free || mine || picked.rule.pick == Pick::Reservation)
                })
            }
        };
        let beside = |ip: &&IpAddr| {
            let spec = self.model.subnets.values().find(|spec| of(&spec.name)).unwrap();
            ip.is_ipv4() == place.1.is_ipv4() && spec.cidrs.iter().any(|cidr| cidr.contains(**ip))
        };
        let listed = match &want.ips {
            Asked::OneOf(ips) => ips.iter().any(|ip| beside(&ip)) && !ips.contains(&place.1),
            Asked::Each(_) | Asked::Nothing => false,
        };
        let family = matches!(want.family, FamilyWant::Require(family) if family != Family::of(place.1));
        !want.targets.iter().any(fits) || family || listed
    }

    /// The targets that are named and may be used.
    fn targets(&self, want: &Want) -> Result<Vec<Drawn>, Code> {
        let choice = want.source.unwrap_or(Choice::Request);
        let mut targets = Vec::new();
        for target in &want.targets {
            let (subnet, pool) = match target {
                Target::Subnet(name) => (name.clone(), None),
                Target::Pool(name) => {
                    let pool = self.model.pools.get(name).ok_or(Code::Unknown)?;
                    (pool.subnet.clone(), Some(name.clone()))
                }
            };
            if !self.model.subnets.contains_key(&subnet) {
                return Err(Code::Unknown);
            }
            if pool.as_ref().is_none_or(|pool| self.admits(&self.model.pools[pool])) {
                targets.push(Drawn { subnet, pool, choice });
            }
        }
        if targets.is_empty() { Err(Code::NotAllowed) } else { Ok(targets) }
    }

    fn admits(&self, pool: &PoolSpec) -> bool {
        pool.pod_selector.as_ref().is_none_or(|selector| selector.matches(&self.request.pod_labels))
    }

    /// Whether addresses in a pool, or in none, may be had through a target.
    fn is_open(&self, target: &Drawn, pool: Option<&PoolSpec>) -> bool {
        match pool {
            None => target.pool.is_none(),
            Some(pool) if target.pool.is_some() => target.pool.as_ref() == Some(&pool.name),
            Some(pool) => pool.pod_selector.is_some() && self.admits(pool),
        }
    }

    fn each(&mut self, want: &Want, targets: &[Drawn], ips: &[IpAddr]) -> Result<Vec<Picked>, Code> {
        let model = self.model;
        let mut picks: Vec<Picked> = Vec::new();
        let mut subnets = Vec::new();
        for &ip in ips {
            if matches!(want.family, FamilyWant::Require(family) if family != Family::of(ip)) {
                return Err(Code::Invalid);
            }
            let has = |t: &&Drawn| model.subnets[&t.subnet].cidrs.iter().any(|cidr| cidr.contains(ip));
            let fitting: Vec<&Drawn> = targets.iter().filter(has).collect();
            let pool = fitting.first().and_then(|target| {
                model.pool_of(&(model.subnets[&target.subnet].vrf.clone(), ip)).map(|pool| pool.name.clone())
            });
            let target = (fitting.iter().find(|target| target.pool == pool))
                .or(fitting.iter().find(|target| target.pool.is_none()))
                .or(fitting.first())
                .ok_or(Code::NotAllowed)?;
            if subnets.contains(&(target.subnet.clone(), Family::of(ip))) {
                return Err(Code::Invalid);
            }
            subnets.push((target.subnet.clone(), Family::of(ip)));
            let picked = self.named(want, target, ip, Pick::Asked)?;
            self.taken.push(picked.place.clone());
            picks.push(picked);
        }
        for family in Family::BOTH {
            if want.family != FamilyWant::All || picks.iter().any(|p| Family::of(p.place.1) == family) {
                continue;
            }
            let Some((subnet, _)) = subnets.iter().find(|(s, _)| model.subnets[s].cidr(family).is_some())
            else {
                continue;
            };
            let target = targets.iter().find(|target| target.subnet == *subnet).unwrap();
            let picked = self.pick(want, target, family)?;
            self.taken.push(picked.place.clone());
            picks.push(picked);
        }
        picks.sort_by_key(|picked| !picked.place.1.is_ipv4());
        Ok(picks)
    }

    fn draw(&mut self, want: &Want, targets: Vec<Drawn>) -> Result<Vec<Picked>, Code> {
        let passes = match want.family {
            FamilyWant::All => vec![vec![Family::V4, Family::V6]],
            FamilyWant::Require(family) => vec![vec![family]],
            FamilyWant::Prefer(family) => vec![vec![family], vec![family.other()]],
        };
        // What comes back to the interface comes first, and waits for its holder's end.
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for target in targets {
            let mut has = false;
            for &family in passes.iter().flatten() {
                has |= self.returned(want, &target, family).transpose()?.is_some();
            }
            if has { own.push(target) } else { others.push(target) }
        }
        own.extend(others);
        let mut codes = Vec::new();
        for families in passes {
            for target in &own {
                let before = self.taken.len();
                match self.fill(want, target, &families) {
                    Ok(picks) => return Ok(picks),
                    Err(code) => codes.push(code),
                }
                self.taken.truncate(before);
            }
        }
        Err(if codes.contains(&Code::Full) { Code::Full } else { codes[0] })
    }

    fn fill(&mut self, want: &Want, target: &Drawn, families: &[Family]) -> Result<Vec<Picked>, Code> {
        let spec = &self.model.subnets[&target.subnet];
        if let Asked::OneOf(ips) = &want.ips
            && !ips.is_empty()
            && !ips.iter().any(|ip| spec.cidrs.iter().any(|cidr| cidr.contains(*ip)))
        {
            return Err(Code::NotAllowed);
        }
        let mut picks = Vec::new();
        for &family in families.iter().filter(|&&family| spec.cidr(family).is_some()) {
            let picked = self.pick(want, target, family)?;
            self.taken.push(picked.place.clone());
            picks.push(picked);
        }
        if picks.is_empty() { Err(Code::Invalid) } else { Ok(picks) }
    }

    fn pick(&mut self, want: &Want, target: &Drawn, family: Family) -> Result<Picked, Code> {
        let spec = &self.model.subnets[&target.subnet];
        let (cidr, vrf) = (spec.cidr(family).unwrap(), &spec.vrf);
        if let Asked::OneOf(ips) = &want.ips {
            let had = |ip: &IpAddr| self.owned().any(|record| record.address == *ip && record.vrf == *vrf);
            let (had, others): (Vec<IpAddr>, Vec<IpAddr>) = ips.iter().copied().partition(had);
            let listed = had.into_iter().chain(others).filter(|&ip| cidr.contains(ip));
            let mut codes = Vec::new();
            for ip in listed {
                match self.named(want, target, ip, Pick::Listed) {
                    Ok(picked) => return Ok(picked),
                    Err(code) => codes.push(code),
                }
            }
            if let Some(&first) = codes.first() {
                return Err(first);
            }
        }
        if let Some(result) = self.returned(want, target, family) {
            return result;
        }
        if let Some(picked) = self.reserved(target, family) {
            return Ok(picked);
        }
        self.dynamic(target, family)
    }

    /// One address by name.
    fn named(&self, want: &Want, target: &Drawn, ip: IpAddr, pick: Pick) -> Result<Picked, Code> {
        let spec = &self.model.subnets[&target.subnet];
        let place = (spec.vrf.clone(), ip);
        let mine = (self.model.reservation_of(&place))
            .map(|kept| kept.owner.as_ref().is_some_and(|owner| owner.covers(&self.request.owner)));
        let open = self.is_open(target, self.model.pool_of(&place));
        if !is_nobodys(spec, ip) && has_other_prefix(spec, want, ip) {
            return Err(Code::Invalid);
        }
        if is_nobodys(spec, ip) || mine == Some(false) || mine.is_none() && !open {
            return Err(Code::NotAllowed);
        }
        if self.taken.contains(&place) {
            return Err(Code::Invalid);
        }
        let picked = |how| Picked { place: place.clone(), rule: Rule { choice: target.choice, pick }, how };
        let Some(record) = self.model.records.get(&place) else { return Ok(picked(How::Enter)) };
        let own = record.owner.key() == self.request.owner.key();
        match record.state {
            AllocationState::Reserved if own => Ok(picked(How::Enter)),
            AllocationState::Active if own && want.join && can_join(record, want) => Ok(picked(How::Join)),
            AllocationState::Cooling if own || self.is_free(record) => Ok(picked(How::Enter)),
            AllocationState::Cooling if pick == Pick::Listed && self.was_siblings(record) => {
                Ok(picked(How::Enter))
            }
            AllocationState::Cooling if pick == Pick::Asked && self.was_namesakes(record) => {
                Ok(picked(How::Enter))
            }
            _ => Err(Code::Taken),
        }
    }

    fn was_siblings(&self, record: &Allocation) -> bool {
        let prefix = &self.request.siblings;
        let key = |owner: &allotment_core::Owner| (owner.kind.clone(), owner.namespace.clone());
        !prefix.is_empty()
            && record.rule.pick == Pick::Listed
            && key(&record.owner) == key(&self.request.owner)
            && record.owner.name.starts_with(prefix)
    }

    fn was_namesakes(&self, record: &Allocation) -> bool {
        let key =
            |owner: &allotment_core::Owner| (owner.kind.clone(), owner.namespace.clone(), owner.name.clone());
        !record.owner.name.is_empty() && key(&record.owner) == key(&self.request.owner)
    }

    /// What the owner had: of this interface before others, kept before cooling, the latest first.
    fn returned(&self, want: &Want, target: &Drawn, family: Family) -> Option<Result<Picked, Code>> {
        let model = self.model;
        let spec = &model.subnets[&target.subnet];
        let cidr = spec.cidr(family)?;
        let on = |record: &Allocation, want: &Want| {
            let (there, here) = (&record.attachments[0], &want.attachment);
            (&there.network, &there.interface) == (&here.network, &here.interface)
        };
        let mut best: Option<(bool, bool, Timestamp, Reverse<IpAddr>)> = None;
        for record in self.owned().filter(|record| record.vrf == spec.vrf && cidr.contains(record.address)) {
            let place = (record.vrf.clone(), record.address);
            if self.taken.contains(&place) {
                continue;
            }
            let same = on(record, want);
            let rule = Rule { choice: target.choice, pick: Pick::Returned };
            if record.state == AllocationState::Active {
                if same && want.join && record.attachments.len() == 1 {
                    return Some(Ok(Picked { place, rule, how: How::Join }));
                }
                if same {
                    return Some(Err(Code::Taken));
                }
                continue;
            }
            let kept = record.state.is_held();
            let excluded = spec.exclude.iter().any(|range| range.contains(record.address));
            let open = match model.reservation_of(&place) {
                Some(reserved) => {
                    reserved.owner.as_ref().is_some_and(|owner| owner.covers(&self.request.owner))
                }
                None => self.is_open(target, model.pool_of(&place)) && (kept || !excluded),
            };
            let others = self.request.wants.iter().filter(|other| !other.attachment.same(&want.attachment));
            let belongs = !same && others.into_iter().any(|other| on(record, other));
            if open && !is_nobodys(spec, record.address) && !belongs {
                best = best.max(Some((same, kept, record.since, Reverse(record.address))));
            }
        }
        let (.., address) = best?;
        let place = (spec.vrf.clone(), address.0);
        Some(Ok(Picked {
            place,
            rule: Rule { choice: target.choice, pick: Pick::Returned },
            how: How::Enter,
        }))
    }

    /// Whether a released address may be had by this owner, who was not the last.
    fn is_free(&self, record: &Allocation) -> bool {
        let place = (record.vrf.clone(), record.address);
        let owner = self.model.reservation_of(&place).and_then(|kept| kept.owner.as_ref());
        self.model.has_cooled(record, self.now)
            || owner.is_some_and(|owner| owner.covers(&self.request.owner) && owner.covers(&record.owner))
    }

    fn reserved(&self, target: &Drawn, family: Family) -> Option<Picked> {
        let spec = &self.model.subnets[&target.subnet];
        let mine = self.model.reservations.values().filter(|kept| {
            kept.subnet == target.subnet
                && kept.owner.as_ref().is_some_and(|owner| owner.covers(&self.request.owner))
        });
        let addresses = mine.flat_map(|kept| &kept.addresses).filter(|range| range.family() == family);
        let place =
            addresses.flat_map(crate::check::addresses).map(|ip| (spec.vrf.clone(), ip)).find(|place| {
                let free = self.model.records.get(place).is_none_or(|record| {
                    !record.state.is_held()
                        && (record.owner.key() == self.request.owner.key() || self.is_free(record))
                });
                free && !self.taken.contains(place) && !is_nobodys(spec, place.1)
            })?;
        let rule = Rule { choice: target.choice, pick: Pick::Reservation };
        Some(Picked { place, rule, how: How::Enter })
    }

    fn dynamic(&mut self, target: &Drawn, family: Family) -> Result<Picked, Code> {
        let model = self.model;
        let vrf = &model.subnets[&target.subnet].vrf;
        let has = |pool: &&PoolSpec| pool.ranges.iter().any(|range| range.family() == family);
        let mut pools: Vec<Option<String>> = match &target.pool {
            Some(pool) => vec![&model.pools[pool]],
            None => model
                .pools
                .values()
                .filter(|p| p.subnet == target.subnet && self.is_open(target, Some(p)))
                .collect(),
        }
        .into_iter()
        .filter(has)
        .map(|pool| Some(pool.name.clone()))
        .collect();
        if pools.is_empty() {
            pools.push(None);
        }
        for pool in pools {
            let region = (target.subnet.clone(), pool.clone(), family);
            let allowed = model.next(&region, self.now, &self.taken);
            let Some(picked) = allowed.choose(self.given.as_deref()) else { continue };
            let choice = if pool.is_none() || pool == target.pool { target.choice } else { Choice::Selector };
            let rule = Rule { choice, pick: allowed.pick };
            return Ok(Picked { place: (vrf.clone(), picked), rule, how: How::Enter });
        }
        Err(Code::Full)
    }
}

/// Whether an address is asked for with a prefix length that is not its subnet's.
fn has_other_prefix(spec: &allotment_core::SubnetSpec, want: &Want, ip: IpAddr) -> bool {
    let prefix = spec.cidr(Family::of(ip)).map(allotment_core::Cidr::prefix);
    want.prefixes.iter().any(|&(asked, length)| asked == ip && Some(length) != prefix)
}

fn can_join(record: &Allocation, want: &Want) -> bool {
    record.attachments.len() == 1
        && (&record.attachments[0].network, &record.attachments[0].interface)
            == (&want.attachment.network, &want.attachment.interface)
}
