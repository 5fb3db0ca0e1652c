//! Taking over allocations that another ledger made: an import.

use super::form;
use super::refuse::{UNREAD, UNREAD_HINT};
use super::store::Entry;
use super::{Place, State};
use crate::address::key_of;
use crate::{Allocation, AllocationState, Code, Family, Pick, Refusal, Timestamp};

impl State {
    /// Takes over an allocation as it was, unless something here contradicts it; `Ok(false)`: it is here already. Its
    /// place is appended to `changed`. Call `settle` after the last one; until then nothing may be planned.
    ///
    /// A time after `now` becomes `now`, so that another machine's clock does not hold this ledger's up (C8).
    pub fn adopt(
        &mut self,
        allocation: &Allocation,
        now: Timestamp,
        changed: &mut Vec<Place>,
    ) -> Result<bool, Refusal> {
        if self.allocation(&allocation.vrf, allocation.address).is_some_and(|here| same(&here, allocation)) {
            return Ok(false);
        }
        self.check_adoption(allocation)?;
        let vrf = self.store.vrfs.intern(&allocation.vrf, self.store.seed);
        let place = Place { vrf, key: key_of(allocation.address) };
        self.unsettle(vrf, place.key, place.key);
        let entry = Entry {
            owner: &allocation.owner,
            owner_tag: self.store.seed.owner(allocation.owner.key()),
            attachment: allocation.attachments.first(),
            mac: allocation.mac,
            state: allocation.state,
            rule: allocation.rule,
            others: 0,
            since: allocation.since.min(now),
            outlives_owner: allocation.outlives_owner,
        };
        let index = self.store.enter(place, &entry);
        if let Some(second) = allocation.attachments.get(1) {
            self.store.set_second(index, second.clone(), 0);
        }
        changed.push(place);
        Ok(true)
    }

    fn check_adoption(&self, allocation: &Allocation) -> Result<(), Refusal> {
        let Allocation { vrf, address, owner, .. } = allocation;
        form::check_record(owner, &allocation.attachments)?;
        form::check_kind(&self.store, owner)?;
        let refuse = |code, why: String, hint: &str| {
            Err(Refusal::new(code, format!("{address} in VRF `{vrf}`: {why}"), hint))
        };
        let Some(located) = self.locate(vrf, *address) else {
            return refuse(
                Code::Unknown,
                "no subnet has it".to_owned(),
                "declare a subnet around it, or import the subnet too",
            );
        };
        if let Some(nobodys) = located.nobodys {
            return refuse(
                Code::NotAllowed,
                format!("it is {nobodys} of subnet `{}`", located.subnet),
                "correct the subnet",
            );
        }
        let vrf_number = self.store.vrfs.find(vrf, self.store.seed);
        if vrf_number.is_some_and(|vrf| self.withheld.has(Place { vrf, key: key_of(*address) })) {
            return refuse(Code::Withheld, UNREAD.to_owned(), UNREAD_HINT);
        }
        let in_use = usize::from(allocation.state == AllocationState::Active);
        if !(in_use..=2).contains(&allocation.attachments.len()) {
            let why = format!(
                "a {:?} address cannot have {} holders",
                allocation.state,
                allocation.attachments.len()
            );
            return refuse(Code::Invalid, why.to_lowercase(), "correct the line");
        }
        if let Some(here) = self.allocation(vrf, *address)
            && (here.state.is_held() || !allocation.state.is_held())
        {
            let why = format!("{} has it here, {owner} there", here.owner);
            return refuse(Code::Taken, why, "release it here, or leave it out of the import");
        }
        if !allocation.state.is_held() {
            return Ok(());
        }
        let mac = allocation.mac.into_iter().flat_map(|mac| self.with_mac(vrf, mac));
        if let Some(other) = mac.into_iter().find(|other| other.owner.key() != owner.key()) {
            let why = format!("{} has its MAC here, at {}", other.owner, other.address);
            return refuse(Code::Taken, why, "release that one, or leave this one out of the import");
        }
        let doubles = |other: &Allocation| {
            other.state.is_held()
                && Family::of(other.address) == Family::of(*address)
                && other.address != *address
                && self.locate(&other.vrf, other.address).is_some_and(|place| place.subnet == located.subnet)
                && other
                    .attachments
                    .iter()
                    .any(|here| allocation.attachments.iter().any(|there| there.same(here)))
        };
        if allocation.rule.pick != Pick::Asked
            && let Some(other) = self.owned_by(owner).iter().find(|other| doubles(other))
        {
            let why = format!("the same interface of {owner} has {} here", other.address);
            return refuse(Code::Taken, why, "release that one, or leave this one out of the import");
        }
        Ok(())
    }
}

/// Whether both say the same of who has the address; when and by which rule is no contradiction.
fn same(a: &Allocation, b: &Allocation) -> bool {
    (a.state, &a.owner, &a.attachments, a.mac) == (b.state, &b.owner, &b.attachments, b.mac)
}
