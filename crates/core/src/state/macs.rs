//! Which MAC is recorded with the addresses of an interface (C6).

use super::plan::{How, Picks, Planned, Planner};
use super::store::OwnerProbe;
use super::{Place, refuse};
use crate::{Mac, MacWant, Refusal, Want};

impl Planner<'_> {
    /// The MAC to record, if nobody else in the VRF has it.
    pub(super) fn mac(
        &self,
        want: &Want,
        picks: &Picks,
        before: &[Planned],
        probe: OwnerProbe<'_>,
    ) -> Result<Option<Mac>, Refusal> {
        if let Some((place, has)) = self.shared(want, picks) {
            return match &want.mac {
                _ if self.request.firm => Ok(has),
                Some(MacWant::Asked(asked)) if has != Some(*asked) => {
                    Err(refuse::shared_mac(self.request, place, &[*asked], has))
                }
                Some(MacWant::OneOf(list))
                    if !list.is_empty() && !has.is_some_and(|mac| list.contains(&mac)) =>
                {
                    Err(refuse::shared_mac(self.request, place, list, has))
                }
                _ => Ok(has),
            };
        }
        let macs = want.mac.as_ref().map_or(&[][..], MacWant::macs);
        let has = self.kept_mac(picks);
        // What is seen replaces what is recorded; what is named does not.
        if let (Some(MacWant::Asked(_) | MacWant::OneOf(_)), Some(has)) = (&want.mac, has)
            && !macs.is_empty()
            && !macs.contains(&has)
        {
            if self.request.firm {
                return Ok(Some(has));
            }
            let asked: Vec<String> = macs.iter().map(ToString::to_string).collect();
            let asked = format!("MAC {}", asked.join(" or "));
            return Err(refuse::differs(self.request, want, &asked, &format!("MAC {has}")));
        }
        match macs {
            [] => Ok(has),
            [mac] => self.is_mac_free(*mac, want, picks, before, probe).map(|()| Some(*mac)),
            _ => {
                let own = self.own_mac(picks).filter(|mac| macs.contains(mac));
                let mut refusals = Vec::new();
                for &mac in own.iter().chain(macs.iter().filter(|&&mac| own != Some(mac))) {
                    match self.is_mac_free(mac, want, picks, before, probe) {
                        Ok(()) => return Ok(Some(mac)),
                        Err(refusal) => refusals.push(refusal),
                    }
                }
                Err(refuse::mac_list(self.request, refusals))
            }
        }
    }

    /// What the interface has, where nobody says anything about MACs.
    fn kept_mac(&self, picks: &Picks) -> Option<Mac> {
        let store = &self.state.store;
        let kept = picks.first().filter(|picked| picked.how == How::Keep)?;
        store.records.get(store.record_at(kept.place)?).mac()
    }

    /// What the owner has or had at these addresses.
    fn own_mac(&self, picks: &Picks) -> Option<Mac> {
        let store = &self.state.store;
        let records = picks.iter().filter_map(|picked| store.record_at(picked.place));
        records.filter(|index| self.owned.contains(index)).find_map(|index| store.records.get(index).mac())
    }

    /// The address that the want shares as its second holder, and the MAC it has, which is the first one's to change.
    fn shared(&self, want: &Want, picks: &Picks) -> Option<(Place, Option<Mac>)> {
        let store = &self.state.store;
        let second = |index| store.second(index).is_some_and(|second| second.same(&want.attachment));
        picks.iter().filter(|picked| picked.how != How::Enter).find_map(|picked| {
            let index = store.record_at(picked.place)?;
            let shares = picked.how == How::Join || second(index);
            shares.then(|| (picked.place, store.records.get(index).mac()))
        })
    }

    fn is_mac_free(
        &self,
        mac: Mac,
        want: &Want,
        picks: &Picks,
        before: &[Planned],
        probe: OwnerProbe<'_>,
    ) -> Result<(), Refusal> {
        let store = &self.state.store;
        for picked in picks {
            let other = store.with_mac(picked.place.vrf, mac).find(|&index| {
                let same = store.is_owner(index, probe) && store.is_interface(index, &want.attachment);
                !same && !picks.iter().any(|picked| picked.place == store.place_of(index))
            });
            if let Some(other) = other {
                return Err(refuse::mac_taken(self.state, self.request, mac, other));
            }
        }
        let same_vrf =
            |entry: &&Planned| entry.picks.iter().any(|p| picks.iter().any(|q| p.place.vrf == q.place.vrf));
        let others = before
            .iter()
            .zip(&self.request.wants)
            .filter(|(_, other)| !other.attachment.same(&want.attachment))
            .map(|(entry, _)| entry);
        if others.into_iter().any(|entry| entry.mac == Some(mac) && same_vrf(&entry)) {
            return Err(refuse::mac_twice(self.request, mac));
        }
        Ok(())
    }
}
