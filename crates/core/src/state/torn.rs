//! Grants of which the ledger has a part (L4). A ledger that writes block by block may be stopped half-way through the
//! addresses of one want; nobody has been told of the part, and asked for again it is made whole.
//!
//! So each record says how many other addresses the same want was given with it. What ends on its own is taken off that
//! number at those that stay.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::plan::{Picked, Picks, Planner};
use super::store::Store;
use super::{Place, State};
use crate::{AllocationState, Asked, FamilyWant, Refusal, Want};

impl Store {
    /// How many other addresses a holder was given with this one.
    pub(super) fn others(&self, index: u32, holder: &str) -> u8 {
        match self.seconds.get(&index).filter(|second| second.attachment.holder == holder) {
            Some(second) => second.others,
            None => self.records.get(index).others(),
        }
    }

    fn set_others(&mut self, index: u32, holder: &str, others: u8) {
        match self.seconds.get_mut(&index).filter(|second| second.attachment.holder == holder) {
            Some(second) => second.others = others,
            None => self.records.get_mut(index).set_others(others),
        }
    }
}

impl State {
    /// Before one address of a holder ends on its own: those that it was given with it are fewer from now on.
    pub(super) fn part(&mut self, index: u32, holder: &str, changed: &mut Vec<Place>) {
        if self.store.others(index, holder) == 0 {
            return;
        }
        let known = self.store.allocation(index);
        let Some(attachment) = known.attachments.iter().find(|attachment| attachment.holder == holder) else {
            return;
        };
        let probe = self.store.probe(&known.owner);
        let stay: SmallVec<[u32; 4]> = (self.store.owned_by(probe))
            .filter(|&other| {
                other != index
                    && self.store.records.get(other).state == AllocationState::Active
                    && self.store.is_interface(other, attachment)
                    && self.store.is_holder(other, holder)
            })
            .collect();
        for other in stay {
            let others = self.store.others(other, holder);
            if others > 0 {
                self.store.set_others(other, holder, others - 1);
                changed.push(self.store.place_of(other));
            }
        }
    }
}

impl Planner<'_> {
    /// Whether the want's attachment was given more than it has.
    pub(super) fn is_torn(&self, want: &Want, present: &Picks) -> bool {
        let others = |picked: &Picked| {
            let others = picked.record.map(|record| self.state.store.others(record, &want.attachment.holder));
            usize::from(others.unwrap_or(0))
        };
        present.iter().any(|picked| others(picked) >= present.len())
    }

    /// Gives the attachment the rest of what it was given once.
    pub(super) fn mend(&mut self, want: &Want, picks: &mut Picks) -> Result<(), Refusal> {
        if self.request.firm && self.is_for_others(want, picks) {
            return self.mend_unnamed(want, picks);
        }
        let targets = self.targets(want)?;
        if let Asked::Each(ips) = &want.ips
            && !ips.is_empty()
        {
            self.taken.extend(picks.iter().map(|picked| picked.place));
            let has = |ip: &IpAddr| picks.iter().any(|picked| picked.place.address() == *ip);
            let missing: SmallVec<[IpAddr; 2]> = ips.iter().copied().filter(|ip| !has(ip)).collect();
            return self.each(want, &targets, &missing, picks);
        }
        self.keep(want, picks)?;
        if want.family == FamilyWant::All {
            self.complete(want, &targets, picks)?;
        }
        picks.sort_by_key(|picked| !picked.place.address().is_ipv4());
        Ok(())
    }

    /// What was named at that time is not known any more: the other family comes from where the part is from.
    fn mend_unnamed(&mut self, want: &Want, picks: &mut Picks) -> Result<(), Refusal> {
        let want = Want { attachment: want.attachment.clone(), join: want.join, ..Want::default() };
        self.keep(&want, picks)?;
        self.complete(&want, &[], picks)?;
        picks.sort_by_key(|picked| !picked.place.address().is_ipv4());
        Ok(())
    }
}
