//! Doing what was planned, and saying what was given.

use smallvec::SmallVec;

use super::objects::Subnet;
use super::plan::{How, Picked, Plan, Planned};
use super::record::NONE;
use super::store::Entry;
use super::{Place, State};
use crate::{
    AllocationState, Attachment, Dns, Family, Grant, GrantEntry, GrantedIp, Mac, Owner, Rule, Timestamp, Want,
};

impl State {
    /// Does what was planned. The plan must be of this very state: nothing may have been applied since. Every address
    /// whose record changed is appended to `changed`; asking again changes none.
    pub fn apply(&mut self, plan: &Plan<'_>, changed: &mut Vec<Place>) {
        for (want, entry) in plan.request.wants.iter().zip(&plan.entries) {
            for picked in &entry.picks {
                match picked.how {
                    How::Enter => self.give(plan, want, entry, picked),
                    How::Join => self.join(picked.place, &want.attachment, others(entry)),
                    How::Keep if !self.refresh(plan, &want.attachment, entry.mac, picked.place) => continue,
                    How::Keep => {}
                }
                changed.push(picked.place);
            }
        }
    }

    fn give(&mut self, plan: &Plan<'_>, want: &Want, planned: &Planned, picked: &Picked) {
        let place = picked.place;
        let (block, record) = match picked.record {
            Some(record) => (self.store.records.get(record).block, picked.record),
            None => self.block_and_record(place),
        };
        let segment = self.layout.segment_at(&self.store, block, place.offset());
        let was_held = record.is_some_and(|record| self.store.records.get(record).state.is_held());
        if let (Some(record), Some(segment), false) = (record, segment, was_held) {
            self.layout.take_down(&mut self.store, segment, record, picked.rule.pick);
        }
        let entry = Entry {
            owner: &plan.request.owner,
            owner_tag: plan.probe.tag,
            attachment: Some(&want.attachment),
            mac: planned.mac,
            state: AllocationState::Active,
            rule: picked.rule,
            others: others(planned),
            since: plan.now,
            outlives_owner: want.outlives_owner,
        };
        self.store.enter_in(block, place.offset(), record, &entry);
        if was_held {
            return;
        }
        match segment {
            Some(segment) => {
                let region = self.layout.region_of_segment(segment);
                self.layout.on_held(&self.store, region, place.key);
            }
            None if picked.subnet != NONE => self.objects.subnets.get_mut(picked.subnet).outside += 1,
            None => {}
        }
    }

    /// The block of an address, made where there is none, and the address's record.
    fn block_and_record(&mut self, place: Place) -> (u32, Option<u32>) {
        let (block, fresh) = self.store.blocks.find_or_add(place.vrf, place.key);
        if fresh {
            self.attach_block(place.vrf, block);
        }
        (block, self.store.blocks.get(block).record(place.offset()))
    }

    /// Makes the segments of a new block.
    fn attach_block(&mut self, vrf: u32, block: u32) {
        let base = self.store.blocks.get(block).base;
        let mut subnets: Vec<u32> =
            self.objects.subnet_ranges.overlapping(vrf, (base, base | 0xff)).collect();
        subnets.dedup();
        for subnet in subnets {
            let subnet = self.objects.subnets.get(subnet);
            let pools = subnet.pools.iter().flat_map(|&pool| self.objects.pools.get(pool).regions);
            for region in subnet.regions.into_iter().chain(pools).flatten() {
                self.layout.attach(&mut self.store, region, block);
            }
        }
    }

    fn join(&mut self, place: Place, attachment: &Attachment, others: u8) {
        let index = self.store.record_at(place).expect("planned on a record that is there");
        self.store.set_second(index, attachment.clone(), others);
    }

    /// The same attachment again: its sandbox, namespace or MAC may be new. `false`: nothing is.
    fn refresh(&mut self, plan: &Plan<'_>, attachment: &Attachment, mac: Option<Mac>, place: Place) -> bool {
        let index = self.store.record_at(place).expect("planned on a record that is there");
        let known = self.store.allocation(index);
        let at = known.attachments.iter().position(|present| present.same(attachment)).unwrap_or(0);
        let same_rest = at == 1 || known.mac == mac && known.owner == plan.request.owner;
        if known.attachments[at] == *attachment && same_rest {
            return false;
        }
        let second_others =
            known.attachments.get(1).map_or(0, |second| self.store.others(index, &second.holder));
        if at == 1 {
            self.store.set_second(index, attachment.clone(), second_others);
            return true;
        }
        self.rewrite(place, &plan.request.owner, attachment, mac, known.rule, known.since);
        if let Some(second) = known.attachments.into_iter().nth(1) {
            self.store.set_second(index, second, second_others);
        }
        true
    }

    /// Writes an active record anew; its state does not change.
    pub(super) fn rewrite(
        &mut self,
        place: Place,
        owner: &Owner,
        attachment: &Attachment,
        mac: Option<Mac>,
        rule: Rule,
        since: Timestamp,
    ) {
        let owner_tag = self.store.seed.owner(owner.key());
        let state = AllocationState::Active;
        let record = self.store.record_at(place).map(|index| self.store.records.get(index));
        let (others, outlives_owner) =
            record.map_or((0, false), |record| (record.others(), record.outlives_owner));
        let attachment = Some(attachment);
        let entry = Entry { owner, owner_tag, attachment, mac, state, rule, others, since, outlives_owner };
        self.store.enter(place, &entry);
    }

    /// What the plan gives, for the caller.
    pub fn grant(&self, plan: &Plan<'_>) -> Grant {
        let entries = plan.request.wants.iter().zip(&plan.entries);
        Grant { entries: entries.map(|(want, entry)| self.grant_entry(&want.attachment, entry)).collect() }
    }

    fn grant_entry(&self, attachment: &Attachment, planned: &Planned) -> GrantEntry {
        let ips: Vec<GrantedIp> = planned.picks.iter().map(|picked| self.granted(picked)).collect();
        let mut entry = GrantEntry {
            attachment: attachment.clone(),
            mac: planned.mac,
            ips,
            routes: Vec::new(),
            dns: Dns::default(),
            mtu: None,
        };
        let mut subnets: SmallVec<[u32; 2]> = SmallVec::new();
        for picked in &planned.picks {
            if picked.subnet != NONE && !subnets.contains(&picked.subnet) {
                subnets.push(picked.subnet);
            }
        }
        for subnet in subnets {
            let spec = &self.objects.subnets.get(subnet).spec;
            // A route needs an address of its family on the interface.
            let usable = spec
                .routes
                .iter()
                .filter(|route| entry.ips.iter().any(|ip| Family::of(ip.address) == route.to.family()));
            entry.routes.extend(usable.cloned());
            entry.mtu = entry.mtu.or(spec.mtu);
            merge(&mut entry.dns, &spec.dns);
        }
        entry
    }

    fn granted(&self, picked: &Picked) -> GrantedIp {
        let address = picked.place.address();
        let family = Family::of(address);
        let subnet: Option<&Subnet> =
            (picked.subnet != NONE).then(|| self.objects.subnets.get(picked.subnet));
        let pool = (picked.pool != NONE).then(|| self.objects.pools.get(picked.pool).spec.name.clone());
        GrantedIp {
            address,
            // An address whose subnet is gone stands alone.
            prefix: subnet.and_then(|s| s.spec.cidr(family)).map_or(family.bits(), crate::Cidr::prefix),
            gateway: subnet.and_then(|subnet| subnet.spec.gateway(family)),
            vrf: self.store.vrfs.get(picked.place.vrf).to_owned(),
            subnet: subnet.map_or_else(String::new, |subnet| subnet.spec.name.clone()),
            pool,
            rule: picked.rule,
        }
    }
}

/// How many other addresses come with each of an entry's.
fn others(planned: &Planned) -> u8 {
    u8::try_from(planned.picks.len() - 1).unwrap_or(u8::MAX)
}

/// The first subnet's DNS settings count; a second one adds what the first leaves out.
fn merge(into: &mut Dns, more: &Dns) {
    if into.nameservers.is_empty() {
        into.nameservers.clone_from(&more.nameservers);
    }
    if into.domain.is_none() {
        into.domain.clone_from(&more.domain);
    }
    if into.search.is_empty() {
        into.search.clone_from(&more.search);
    }
    if into.options.is_empty() {
        into.options.clone_from(&more.options);
    }
}
