//! Giving back.

use super::{Place, State};
use crate::address::key_of;
use crate::{AllocationState, Attachment, Release, ReleaseMode, Timestamp};

impl State {
    /// Releases. Every address whose record changed is appended to `changed`; what is not held changes nothing.
    pub fn release(&mut self, release: &Release, now: Timestamp, changed: &mut Vec<Place>) {
        let now = now.max(self.store.newest);
        match release {
            Release::Interface { container_id, .. } | Release::Sandbox { container_id, .. } => {
                for index in self.store.in_sandbox(container_id) {
                    self.end(index, self.store.place_of(index), now, ReleaseMode::Cool, release, changed);
                }
            }
            Release::Address { vrf, address, mode, since, .. } => {
                let Some(vrf) = self.store.vrfs.find(vrf, self.store.seed) else { return };
                let place = Place { vrf, key: key_of(*address) };
                let Some(index) = self.store.record_at(place) else { return };
                let record = self.store.records.get(index);
                let is_kept = record.state == AllocationState::Reserved && *mode == ReleaseMode::Keep;
                let is_meant = since.is_none_or(|since| since == record.since);
                if record.state.is_held() && !is_kept && is_meant {
                    self.end(index, place, now, *mode, release, changed);
                }
            }
        }
    }

    /// Ends the attachments that a release means; the address is released with its last one.
    fn end(
        &mut self,
        index: u32,
        place: Place,
        now: Timestamp,
        mode: ReleaseMode,
        release: &Release,
        changed: &mut Vec<Place>,
    ) {
        self.store.prefetch_change(index);
        let segment =
            self.layout.segment_at(&self.store, self.store.records.get(index).block, place.offset());
        self.layout.prefetch_tail(&self.store, segment);
        if self.store.second(index).is_some() {
            let known = self.store.allocation(index);
            let left: Vec<_> =
                known.attachments.iter().filter(|attachment| !means(release, attachment)).collect();
            match left[..] {
                [] => {}
                [stays] => {
                    self.part_if_alone(index, release, changed);
                    let others = self.store.others(index, &stays.holder);
                    self.rewrite(place, &known.owner, stays, known.mac, known.rule, known.since);
                    self.store.records.get_mut(index).set_others(others);
                    return changed.push(place);
                }
                _ => return,
            }
        } else if !self.means_only(index, release) {
            return;
        }
        self.part_if_alone(index, release, changed);
        changed.push(place);
        let state = match mode {
            ReleaseMode::Cool => AllocationState::Cooling,
            ReleaseMode::Keep => AllocationState::Reserved,
        };
        self.vacate(place, index, segment, state, now);
    }

    /// A release of one address leaves the others of its holder; any other release ends all of them.
    fn part_if_alone(&mut self, index: u32, release: &Release, changed: &mut Vec<Place>) {
        if let Release::Address { holder, .. } = release {
            self.part(index, holder, changed);
        }
    }

    /// Whether a release means the only attachment of a record.
    fn means_only(&self, index: u32, release: &Release) -> bool {
        let store = &self.store;
        match release {
            Release::Interface { container_id, interface, network } => {
                store.is_sandbox(index, container_id) && store.is_on(index, interface, network.as_deref())
            }
            Release::Address { holder, .. } => store.is_holder(index, holder),
            Release::Sandbox { .. } => means(release, &store.allocation(index).attachments[0]),
        }
    }

    fn vacate(
        &mut self,
        place: Place,
        index: u32,
        segment: Option<u32>,
        state: AllocationState,
        now: Timestamp,
    ) {
        self.store.vacate(index, state, now);
        if state.is_held() {
            return;
        }
        if let Some(segment) = segment {
            self.layout.on_released(self.layout.region_of_segment(segment));
            self.layout.hang_up(&mut self.store, segment, index);
        } else if let Some(subnet) = self.objects.subnet_ranges.find(place.vrf, place.key) {
            self.objects.subnets.get_mut(subnet).outside -= 1;
        }
    }
}

fn means(release: &Release, attachment: &Attachment) -> bool {
    match release {
        Release::Interface { container_id, interface, network } => {
            attachment.container_id == *container_id
                && attachment.interface == *interface
                && network.as_ref().is_none_or(|network| attachment.network == *network)
        }
        Release::Sandbox { container_id, netns } => {
            attachment.container_id == *container_id && attachment.netns.as_ref() == Some(netns)
        }
        Release::Address { holder, .. } => attachment.holder == *holder,
    }
}
