//! Deciding a request: what is there already, else where to draw and what.

use smallvec::SmallVec;

use super::choose::Chosen;
use super::form;
use super::objects::family_index;
use super::record::NONE;
use super::refuse;
use super::store::OwnerProbe;
use super::targets::Drawn;
use super::{Place, State};
use crate::{Asked, Choice, Family, FamilyWant, Refusal, Request, Rule, Target, Timestamp, Want};

/// What a request will change, decided but not yet done.
pub struct Plan<'a> {
    pub(super) request: &'a Request,
    pub(super) now: Timestamp,
    pub(super) probe: OwnerProbe<'a>,
    pub(super) entries: SmallVec<[Planned; 1]>,
}

/// What one want gets.
pub(super) struct Planned {
    pub(super) picks: Picks,
    pub(super) mac: Option<crate::Mac>,
}

pub(super) type Picks = SmallVec<[Picked; 2]>;

/// One address of a want.
#[derive(Clone, Copy)]
pub(super) struct Picked {
    pub(super) place: Place,
    pub(super) subnet: u32,
    /// The pool it was drawn from; `NONE` outside pools.
    pub(super) pool: u32,
    /// The address's record where the plan has come across it.
    pub(super) record: Option<u32>,
    pub(super) rule: Rule,
    pub(super) how: How,
}

/// What becomes of the address's record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// It is this attachment's from now on.
    Enter,
    /// It is this attachment's already.
    Keep,
    /// A second holder joins the present one.
    Join,
}

impl Plan<'_> {
    /// The addresses planned, in the order of the wants.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.entries.iter().flat_map(|entry| entry.picks.iter().map(|picked| picked.place))
    }

    /// Whether anybody comes to have an address by it.
    fn gives(&self) -> bool {
        self.entries.iter().any(|entry| entry.picks.iter().any(|picked| picked.how != How::Keep))
    }
}

impl State {
    /// Decides a request: all of its wants, or none. Changes nothing. Asking again for an attachment that has its
    /// addresses returns them.
    pub fn plan<'a>(&self, request: &'a Request, now: Timestamp) -> Result<Plan<'a>, Refusal> {
        form::check_request(request)?;
        form::check_kind(&self.store, &request.owner)?;
        let probe = self.store.probe(&request.owner);
        self.store.prefetch_request(request, probe.tag);
        let now = now.max(self.store.newest);
        let mut planner = Planner::new(self, request, probe, now);
        let mut plan = Plan { request, now, probe, entries: SmallVec::new() };
        for (at, want) in request.wants.iter().enumerate() {
            planner.check_apart(want, &request.wants[..at])?;
            plan.entries.push(Planned { picks: Picks::new(), mac: None });
            let Some((entry, before)) = plan.entries.split_last_mut() else { break };
            planner.want(want, &mut entry.picks)?;
            entry.mac = planner.mac(want, &entry.picks, before, probe)?;
        }
        if !planner.owned.is_empty() {
            planner.check_nothing_left()?;
        }
        match self.recovering() {
            Some(epoch) if plan.gives() => Err(refuse::recovering(request, epoch)),
            _ => Ok(plan),
        }
    }
}

/// Which families are drawn together, and which instead of them.
fn passes(family: FamilyWant) -> &'static [&'static [Family]] {
    match family {
        FamilyWant::All => &[&Family::BOTH],
        FamilyWant::Require(Family::V4) => &[&[Family::V4]],
        FamilyWant::Require(Family::V6) => &[&[Family::V6]],
        FamilyWant::Prefer(Family::V4) => &[&[Family::V4], &[Family::V6]],
        FamilyWant::Prefer(Family::V6) => &[&[Family::V6], &[Family::V4]],
    }
}

/// One request being decided.
pub(super) struct Planner<'s> {
    pub(super) state: &'s State,
    pub(super) request: &'s Request,
    pub(super) now: Timestamp,
    /// The owner's records.
    pub(super) owned: SmallVec<[u32; 4]>,
    /// What this plan has picked so far.
    pub(super) taken: SmallVec<[Place; 4]>,
}

impl<'s> Planner<'s> {
    pub(super) fn new(state: &'s State, request: &'s Request, probe: OwnerProbe<'_>, now: Timestamp) -> Self {
        let mut planner = Planner { state, request, now, owned: SmallVec::new(), taken: SmallVec::new() };
        planner.owned.extend(state.store.owned_by(probe));
        planner
    }
}

impl Planner<'_> {
    /// Picks the addresses of a want; `picks` is empty.
    fn want(&mut self, want: &Want, picks: &mut Picks) -> Result<(), Refusal> {
        if !self.owned.is_empty() {
            *picks = self.present(want);
        }
        if self.is_torn(want, picks) {
            return self.mend(want, picks);
        }
        if !picks.is_empty() {
            return self.keep(want, picks);
        }
        let mut targets = self.targets(want)?;
        match &want.ips {
            Asked::Each(ips) if !ips.is_empty() => self.each(want, &targets, ips, picks),
            _ => {
                if !self.owned.is_empty() {
                    self.own_first(want, &mut targets)?;
                }
                self.draw(want, &targets, picks)
            }
        }
    }

    /// Wants of one interface name subnets apart, or each its addresses: else nothing would tell whose is what.
    fn check_apart(&self, want: &Want, before: &[Want]) -> Result<(), Refusal> {
        let by_address = |want: &Want| matches!(&want.ips, Asked::Each(ips) if !ips.is_empty());
        let subnets = || want.targets.iter().filter_map(|target| self.subnet_named(target));
        let meets = |other: &Want| {
            other.attachment.same(&want.attachment)
                && !(by_address(want) && by_address(other))
                && subnets().any(|subnet| self.names(other, subnet))
        };
        if before.iter().any(meets) { Err(refuse::interface_twice(self.request, want)) } else { Ok(()) }
    }

    /// Whether a subnet, or a pool of it, is among the targets that a want names.
    pub(super) fn names(&self, want: &Want, subnet: u32) -> bool {
        want.targets.iter().any(|target| self.subnet_named(target) == Some(subnet))
    }

    fn subnet_named(&self, target: &Target) -> Option<u32> {
        let objects = &self.state.objects;
        match target {
            Target::Subnet(name) => objects.subnets.find(name),
            Target::Pool(name) => objects.pools.by_name(name).map(|pool| pool.subnet),
        }
    }

    /// Puts the targets first in which the interface has something that comes back to it (C2). While another holder still
    /// uses that, no other target stands in for it.
    fn own_first(&self, want: &Want, targets: &mut [Drawn]) -> Result<(), Refusal> {
        let mut first = 0;
        for at in 0..targets.len() {
            let mut own = 0;
            for &family in passes(want.family).iter().copied().flatten() {
                own += usize::from(self.returned(want, &targets[at], family).transpose()?.is_some());
            }
            if own > 0 {
                targets[first..=at].rotate_right(1);
                first += 1;
            }
        }
        Ok(())
    }

    /// Draws from the first target that can give what is wanted.
    fn draw(&mut self, want: &Want, targets: &[Drawn], picks: &mut Picks) -> Result<(), Refusal> {
        let mut refusals = Vec::new();
        for families in passes(want.family) {
            for target in targets {
                let before = self.taken.len();
                match self.fill(want, target, families, picks) {
                    Ok(()) => return Ok(()),
                    Err(refusal) => refusals.push(refusal),
                }
                self.taken.truncate(before);
                picks.clear();
            }
        }
        Err(refuse::all(refusals))
    }

    /// One address of each of the families that the target has.
    fn fill(
        &mut self,
        want: &Want,
        target: &Drawn,
        families: &[Family],
        picks: &mut Picks,
    ) -> Result<(), Refusal> {
        let spec = &self.state.objects.subnets.get(target.subnet).spec;
        if let Asked::OneOf(ips) = &want.ips
            && !ips.iter().any(|ip| spec.cidrs.iter().any(|cidr| cidr.contains(*ip)))
            && !ips.is_empty()
        {
            return Err(refuse::list_outside(self.request, spec, ips));
        }
        for &family in families.iter().filter(|&&family| spec.cidr(family).is_some()) {
            let picked = self.pick(want, target, family)?;
            self.taken.push(picked.place);
            picks.push(picked);
        }
        if picks.is_empty() { Err(refuse::no_family(self.request, spec, families)) } else { Ok(()) }
    }

    /// One address: of the list, the owner's own, reserved for it, or by the subnet's order.
    pub(super) fn pick(&mut self, want: &Want, target: &Drawn, family: Family) -> Result<Picked, Refusal> {
        if let Asked::OneOf(ips) = &want.ips
            && let Some(result) = self.one_of(want, target, family, ips)
        {
            return result;
        }
        if !self.owned.is_empty()
            && let Some(result) = self.returned(want, target, family)
        {
            return result;
        }
        if let Some(picked) = self.reserved(target, family) {
            return Ok(picked);
        }
        self.dynamic(want, target, family)
    }

    fn dynamic(&self, want: &Want, target: &Drawn, family: Family) -> Result<Picked, Refusal> {
        let spec = &self.state.objects.subnets.get(target.subnet).spec;
        if spec.draining {
            return Err(refuse::draining(self.request, spec));
        }
        let regions = self.regions(target, family);
        let vrf = self.state.objects.subnets.get(target.subnet).vrf;
        for &number in &regions {
            let found =
                self.state.layout.pick(&self.state.store, number, self.now, &self.taken, &want.attachment);
            let Some(Chosen { key, pick, record }) = found else { continue };
            let pool = self.state.layout.region(number).pool;
            let choice = if pool == NONE || pool == target.pool { target.choice } else { Choice::Selector };
            let rule = Rule { choice, pick };
            return Ok(Picked {
                place: Place { vrf, key },
                subnet: target.subnet,
                pool,
                record,
                rule,
                how: How::Enter,
            });
        }
        Err(refuse::full(self, target, family, &regions))
    }

    /// The regions a target draws from: a named pool; pools whose selectors match; else what the pools leave (C3).
    fn regions(&self, target: &Drawn, family: Family) -> SmallVec<[u32; 2]> {
        let objects = &self.state.objects;
        let family = family_index(family);
        let subnet = objects.subnets.get(target.subnet);
        let mut regions = SmallVec::new();
        if target.pool == NONE {
            let pools = subnet.pools.iter().map(|&number| objects.pools.get(number));
            let matching = pools.filter(|pool| self.selects(&pool.spec));
            regions.extend(matching.filter_map(|pool| pool.regions[family]));
        } else {
            regions.extend(objects.pools.get(target.pool).regions[family]);
        }
        if regions.is_empty() {
            regions.extend(subnet.regions[family]);
        }
        regions
    }
}
