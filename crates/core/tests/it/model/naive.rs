//! The rules in the most obvious way: a map of records, and a walk over all addresses for every question.
//!
//! Where the rules leave a choice (which of two addresses released at the same moment, where a hash begins) the model takes
//! the one that was really given, after checking that it is one of those allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use allotment_core::{
    Allocation, AllocationState, Attachment, Code, Grant, Mac, PoolSpec, Release, ReleaseMode, Request,
    ReservationSpec, SubnetSpec, Timestamp, Want,
};

use super::answer::{How, Picked};
use super::order::Orders;

pub(super) type Place = (String, IpAddr);

#[derive(Clone, Default)]
pub(super) struct Naive {
    pub(super) subnets: BTreeMap<String, SubnetSpec>,
    pub(super) pools: BTreeMap<String, PoolSpec>,
    pub(super) reservations: BTreeMap<String, ReservationSpec>,
    pub(super) records: BTreeMap<Place, Allocation>,
    pub(super) orders: Orders,
}

impl Naive {
    /// Answers a request and takes it over; `given` is the real answer.
    pub(super) fn grant(
        &mut self,
        request: &Request,
        now: Timestamp,
        given: Option<&Grant>,
    ) -> Result<Vec<Vec<IpAddr>>, Code> {
        let entries = self.answer(request, now, given)?;
        let out = entries.iter().map(|(picks, _)| picks.iter().map(|picked| picked.place.1).collect());
        let out: Vec<Vec<IpAddr>> = out.collect();
        for (want, (picks, mac)) in request.wants.iter().zip(entries) {
            for picked in picks {
                self.take_over(request, want, &picked, mac, now);
            }
        }
        Ok(out)
    }

    fn take_over(
        &mut self,
        request: &Request,
        want: &Want,
        picked: &Picked,
        mac: Option<Mac>,
        now: Timestamp,
    ) {
        if picked.how == How::Enter {
            self.given_out(&picked.place, picked.rule.pick);
            let allocation = Allocation {
                vrf: picked.place.0.clone(),
                address: picked.place.1,
                state: AllocationState::Active,
                owner: request.owner.clone(),
                attachments: vec![want.attachment.clone()],
                mac,
                rule: picked.rule,
                since: now,
                outlives_owner: want.outlives_owner,
            };
            self.records.insert(picked.place.clone(), allocation);
            return;
        }
        let record = self.records.get_mut(&picked.place).unwrap();
        match record.attachments.iter().position(|present| present.same(&want.attachment)) {
            Some(0) => {
                record.attachments[0] = want.attachment.clone();
                (record.mac, record.owner) = (mac, request.owner.clone());
            }
            Some(at) => record.attachments[at] = want.attachment.clone(),
            None => record.attachments.push(want.attachment.clone()),
        }
    }

    /// Gives back; returns the places that changed.
    pub(super) fn release(&mut self, release: &Release, now: Timestamp) -> BTreeSet<Place> {
        let mut changed = BTreeSet::new();
        for (place, record) in &mut self.records {
            let meant: Vec<bool> = record.attachments.iter().map(|a| means(release, place, a)).collect();
            let (kept, mode) = match release {
                Release::Address { mode, .. } => (true, *mode),
                _ => (false, ReleaseMode::Cool),
            };
            let in_question = match record.state {
                AllocationState::Active => true,
                AllocationState::Reserved => kept && mode == ReleaseMode::Cool,
                AllocationState::Cooling => false,
            };
            if !in_question || !meant.contains(&true) {
                continue;
            }
            changed.insert(place.clone());
            if meant.contains(&false) {
                record.attachments.remove(usize::from(!meant[0]));
                continue;
            }
            record.attachments.truncate(1);
            record.since = now;
            record.state = match mode {
                ReleaseMode::Cool => AllocationState::Cooling,
                ReleaseMode::Keep => AllocationState::Reserved,
            };
        }
        changed
    }

    /// The subnet of an address.
    pub(super) fn subnet_of(&self, (vrf, address): &Place) -> Option<&SubnetSpec> {
        self.subnets
            .values()
            .find(|spec| spec.vrf == *vrf && spec.cidrs.iter().any(|cidr| cidr.contains(*address)))
    }

    pub(super) fn pool_of(&self, place: &Place) -> Option<&PoolSpec> {
        let subnet = self.subnet_of(place)?;
        let has = |pool: &&PoolSpec| pool.ranges.iter().any(|range| range.contains(place.1));
        self.pools.values().filter(|pool| pool.subnet == subnet.name).find(has)
    }

    pub(super) fn reservation_of(&self, place: &Place) -> Option<&ReservationSpec> {
        let subnet = self.subnet_of(place)?;
        let has = |kept: &&ReservationSpec| kept.addresses.iter().any(|range| range.contains(place.1));
        self.reservations.values().filter(|kept| kept.subnet == subnet.name).find(has)
    }

    /// Whether a released address has cooled.
    pub(super) fn has_cooled(&self, record: &Allocation, now: Timestamp) -> bool {
        let place = (record.vrf.clone(), record.address);
        now.since(record.since) >= self.subnet_of(&place).map_or(0, |spec| spec.cooling_ms)
    }
}

/// Whether a release is about this attachment of the record of a place.
fn means(release: &Release, place: &Place, attachment: &Attachment) -> bool {
    match release {
        Release::Interface { container_id, interface, network } => {
            attachment.container_id == *container_id
                && attachment.interface == *interface
                && network.as_ref().is_none_or(|network| attachment.network == *network)
        }
        Release::Sandbox { container_id, netns } => {
            attachment.container_id == *container_id && attachment.netns.as_ref() == Some(netns)
        }
        Release::Address { vrf, address, holder, .. } => {
            (vrf, address) == (&place.0, &place.1) && attachment.holder == *holder
        }
    }
}
