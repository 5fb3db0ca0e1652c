//! Records with their blocks and indexes: what is known, kept consistent, without any rule.

mod stored;

use hashbrown::HashMap;

use super::Place;
use super::arena::Arena;
use super::block::{Blocks, set_bit};
use super::codec::{self, TextParts};
use super::hash::Seed;
use super::intern::Interner;
use super::record::{NONE, Record, Slab};
use super::table::Table;
use super::text::{Packed, Reader};
use crate::address::address_of;
use crate::{Allocation, AllocationState, Attachment, Mac, Owner, OwnerKey, Request, Rule, Timestamp};

#[derive(Default)]
pub(super) struct Store {
    pub(super) seed: Seed,
    pub(super) vrfs: Interner,
    kinds: Interner,
    namespaces: Interner,
    networks: Interner,
    interfaces: Interner,
    nodes: Interner,
    pub(super) records: Slab,
    arena: Arena,
    pub(super) blocks: Blocks,
    by_owner: Table,
    by_mac: Table,
    /// By container id; not where that is the owner's uid, as it is for a `Container`.
    by_sandbox: Table,
    /// Second holders, by record: there is one only during a live migration.
    pub(super) seconds: HashMap<u32, Second, foldhash::fast::FixedState>,
    pub(super) newest: Timestamp,
    /// Where a record's text is put together.
    scratch: Vec<u8>,
}

/// A second holder, and how many other addresses it was given with this one.
pub(super) struct Second {
    pub(super) attachment: Attachment,
    pub(super) others: u8,
}

/// What an address is to say from now on.
pub(super) struct Entry<'a> {
    pub(super) owner: &'a Owner,
    pub(super) owner_tag: u32,
    pub(super) attachment: Option<&'a Attachment>,
    pub(super) mac: Option<Mac>,
    pub(super) state: AllocationState,
    pub(super) rule: Rule,
    /// How many other addresses come with it.
    pub(super) others: u8,
    pub(super) since: Timestamp,
    pub(super) outlives_owner: bool,
}

/// An owner to be looked for.
#[derive(Clone, Copy)]
pub(super) struct OwnerProbe<'a> {
    pub(super) tag: u32,
    key: OwnerKey<'a>,
}

impl Store {
    /// To be called before anything is entered.
    pub(super) fn set_seed(&mut self, seed: Seed) {
        (self.seed, self.blocks.seed) = (seed, seed);
    }

    /// How many kinds of owner a record can tell apart.
    pub(super) const KINDS_MAX: usize = 1 << 16;

    pub(super) fn has_room_for_kind(&self, kind: &str) -> bool {
        self.kinds.len() < Self::KINDS_MAX || self.kinds.find(kind, self.seed).is_some()
    }

    pub(super) fn record_at(&self, place: Place) -> Option<u32> {
        let block = self.blocks.find(place.vrf, place.key)?;
        self.blocks.get(block).record(place.offset())
    }

    pub(super) fn place_of(&self, index: u32) -> Place {
        let record = self.records.get(index);
        let block = self.blocks.get(record.block);
        Place { vrf: block.vrf, key: block.base | u128::from(record.offset) }
    }

    pub(super) fn probe<'a>(&self, owner: &'a Owner) -> OwnerProbe<'a> {
        let key = owner.key();
        OwnerProbe { tag: self.seed.owner(key), key }
    }

    /// The records of an owner, whatever their state.
    pub(super) fn owned_by<'a>(&'a self, probe: OwnerProbe<'a>) -> impl Iterator<Item = u32> + 'a {
        self.by_owner.find(probe.tag).filter(move |&index| self.is_owner(index, probe))
    }

    pub(super) fn is_owner(&self, index: u32, probe: OwnerProbe<'_>) -> bool {
        let record = self.records.get(index);
        let mut reader = self.text(record);
        let is_kind = |kind| self.kinds.get(u32::from(record.kind)) == kind;
        match probe.key {
            _ if record.owner_tag != probe.tag => false,
            OwnerKey::Uid { kind, uid } => is_kind(kind) && reader.uid().is_some_and(|stored| stored.is(uid)),
            OwnerKey::Name { kind, namespace, name } => {
                reader.uid();
                is_kind(kind)
                    && self.namespaces.get(record.namespace) == namespace
                    && reader.string().is_some_and(|stored| stored.is(name))
            }
        }
    }

    fn text(&self, record: &Record) -> Reader<'_> {
        Reader::new(self.arena.get(record.text()))
    }

    fn holder(&self, record: &Record) -> Option<Packed<'_>> {
        let mut reader = self.text(record);
        reader.uid()?;
        reader.string()?;
        reader.string()
    }

    fn container(&self, record: &Record) -> Option<Packed<'_>> {
        let mut reader = self.text(record);
        reader.uid()?;
        reader.string()?;
        reader.string()?;
        reader.string()
    }

    /// Whether the record's first attachment is this network and interface, whoever the holder.
    pub(super) fn is_interface(&self, index: u32, attachment: &Attachment) -> bool {
        self.is_on(index, &attachment.interface, Some(&attachment.network))
    }

    /// Whether the record's first attachment is this interface, on this network if one is named.
    pub(super) fn is_on(&self, index: u32, interface: &str, network: Option<&str>) -> bool {
        let record = self.records.get(index);
        record.has_attachment()
            && self.interfaces.get(record.interface) == interface
            && network.is_none_or(|network| self.networks.get(record.network) == network)
    }

    /// Whether `holder` uses the address, as first or second.
    pub(super) fn is_holder(&self, index: u32, holder: &str) -> bool {
        let record = self.records.get(index);
        record.has_attachment()
            && (self.holder(record).is_some_and(|stored| stored.is(holder))
                || self.second(index).is_some_and(|second| second.holder == holder))
    }

    pub(super) fn is_sandbox(&self, index: u32, container_id: &str) -> bool {
        self.container(self.records.get(index)).is_some_and(|stored| stored.is(container_id))
    }

    pub(super) fn second(&self, index: u32) -> Option<&Attachment> {
        self.records
            .get(index)
            .has_second()
            .then(|| self.seconds.get(&index))
            .flatten()
            .map(|s| &s.attachment)
    }

    /// Active records in whose first or second attachment a container id occurs.
    pub(super) fn in_sandbox(&self, container_id: &str) -> Vec<u32> {
        let owner = OwnerKey::Uid { kind: "Container", uid: container_id };
        let mut found: Vec<u32> = (self.by_owner.find(self.seed.owner(owner)))
            .chain(self.by_sandbox.find(self.seed.word(container_id)))
            .filter(|&index| {
                let record = self.records.get(index);
                record.state == AllocationState::Active
                    && record.has_attachment()
                    && (self.is_sandbox(index, container_id)
                        || self.second(index).is_some_and(|second| second.container_id == container_id))
            })
            .collect();
        // By address: of what is released at one moment the lowest has been free for longest, after a restart too.
        found.sort_unstable_by_key(|&index| self.place_of(index));
        found.dedup();
        found
    }

    /// Held records with a MAC.
    pub(super) fn with_mac(&self, vrf: u32, mac: Mac) -> impl Iterator<Item = u32> + '_ {
        self.by_mac.find(self.seed.mac(mac)).filter(move |&index| {
            let record = self.records.get(index);
            record.mac() == Some(mac) && self.blocks.get(record.block).vrf == vrf
        })
    }

    /// Asks for what a request will look up: its owner, its MACs.
    pub(super) fn prefetch_request(&self, request: &Request, owner_tag: u32) {
        self.by_owner.prefetch(owner_tag);
        for mac in request.wants.iter().filter_map(|want| want.mac.as_ref()?.macs().first()) {
            self.by_mac.prefetch(self.seed.mac(*mac));
        }
    }

    /// Asks for what will be changed beside a record when its address is given to somebody else or released.
    pub(super) fn prefetch_change(&self, index: u32) {
        if index == NONE {
            return;
        }
        let record = self.records.get(index);
        self.arena.prefetch(record.text());
        if record.in_mac_index()
            && let Some(mac) = record.mac()
        {
            self.by_mac.prefetch(self.seed.mac(mac));
        }
        if !record.state.is_held() {
            self.by_owner.prefetch(record.owner_tag);
            self.records.prefetch(record.next);
        }
    }

    /// Writes what an address says, whether it had a record or not. Returns the record's number.
    pub(super) fn enter(&mut self, place: Place, entry: &Entry<'_>) -> u32 {
        let (block, _) = self.blocks.find_or_add(place.vrf, place.key);
        let record = self.blocks.get(block).record(place.offset());
        self.enter_in(block, place.offset(), record, entry)
    }

    /// As `enter`, where the block and the record, if there is one, are at hand.
    pub(super) fn enter_in(&mut self, block: u32, offset: u8, record: Option<u32>, entry: &Entry<'_>) -> u32 {
        let index = record.unwrap_or_else(|| {
            let index = self.records.add(Record::of(block, offset));
            self.blocks.get_mut(block).enter(offset, index);
            index
        });
        set_bit(&mut self.blocks.get_mut(block).held, offset, entry.state.is_held());
        self.write(index, entry);
        index
    }

    fn write(&mut self, index: u32, entry: &Entry<'_>) {
        let seed = self.seed;
        self.drop_indexes(index);
        let network = entry.attachment.map_or("", |attachment| &attachment.network);
        let interface = entry.attachment.map_or("", |attachment| &attachment.interface);
        let node = entry.attachment.map_or("", |attachment| &attachment.node);
        self.scratch.clear();
        codec::push_text(&mut self.scratch, entry.owner, entry.attachment);

        let record = self.records.get_mut(index);
        let old_tag = record.is_written().then_some(record.owner_tag);
        record.set_text(self.arena.replace(record.text(), &self.scratch));
        record.kind = u16::try_from(self.kinds.intern(&entry.owner.kind, seed))
            .expect("checked by `has_room_for_kind` wherever a kind comes in");
        record.namespace = self.namespaces.intern(&entry.owner.namespace, seed);
        record.network = self.networks.intern(network, seed);
        record.interface = self.interfaces.intern(interface, seed);
        record.node = self.nodes.intern(node, seed);
        record.owner_tag = entry.owner_tag;
        (record.state, record.rule, record.since) = (entry.state, entry.rule, entry.since);
        record.set_attachment(entry.attachment.is_some());
        record.set_others(entry.others);
        record.outlives_owner = entry.outlives_owner;
        record.set_mac(entry.mac);
        self.newest = self.newest.max(entry.since);
        if old_tag != Some(entry.owner_tag) {
            if let Some(old) = old_tag {
                self.by_owner.remove(old, index);
            }
            self.by_owner.insert(entry.owner_tag, index);
        }
        if entry.state.is_held() {
            self.add_holder_indexes(index, entry.attachment, entry.owner);
        }
    }

    fn add_holder_indexes(&mut self, index: u32, attachment: Option<&Attachment>, owner: &Owner) {
        let seed = self.seed;
        let is_owner = |id: &str| owner.kind == "Container" && owner.uid == id;
        let record = self.records.get_mut(index);
        if let Some(mac) = record.mac() {
            self.by_mac.insert(seed.mac(mac), index);
            record.set_in_mac_index(true);
        }
        if let Some(attachment) =
            attachment.filter(|a| !a.container_id.is_empty() && !is_owner(&a.container_id))
        {
            let tag = seed.word(&attachment.container_id);
            self.by_sandbox.insert(tag, index);
            record.sandbox_tag = tag;
            record.set_in_sandbox_index(true);
        }
    }

    /// Takes a record out of all indexes but that of the owners.
    fn drop_indexes(&mut self, index: u32) {
        let record = self.records.get_mut(index);
        if !record.is_indexed() {
            return;
        }
        if record.in_mac_index() {
            let mac = record.mac().expect("what is in the index of MACs has one");
            self.by_mac.remove(self.seed.mac(mac), index);
        }
        if record.in_sandbox_index() {
            self.by_sandbox.remove(record.sandbox_tag, index);
        }
        if record.has_second()
            && let Some(Second { attachment, .. }) = self.seconds.remove(&index)
            && !attachment.container_id.is_empty()
        {
            self.by_sandbox.remove(self.seed.word(&attachment.container_id), index);
        }
        record.set_in_mac_index(false);
        record.set_in_sandbox_index(false);
        record.set_second(false);
    }

    /// Ends the use of an address: it cools, or stays reserved for its owner.
    pub(super) fn vacate(&mut self, index: u32, state: AllocationState, now: Timestamp) {
        self.drop_indexes(index);
        let record = self.records.get_mut(index);
        (record.state, record.since) = (state, now);
        record.set_others(0);
        record.outlives_owner &= state.is_held();
        if !state.is_held() {
            set_bit(&mut self.blocks.get_mut(record.block).held, record.offset, false);
        } else if let Some(mac) = record.mac() {
            self.by_mac.insert(self.seed.mac(mac), index);
            record.set_in_mac_index(true);
        }
        self.newest = self.newest.max(now);
    }

    /// Adds a second holder, or replaces it.
    pub(super) fn set_second(&mut self, index: u32, attachment: Attachment, others: u8) {
        if let Some(Second { attachment: old, .. }) = self.seconds.remove(&index)
            && !old.container_id.is_empty()
        {
            self.by_sandbox.remove(self.seed.word(&old.container_id), index);
        }
        if !attachment.container_id.is_empty() {
            self.by_sandbox.insert(self.seed.word(&attachment.container_id), index);
        }
        self.seconds.insert(index, Second { attachment, others });
        self.records.get_mut(index).set_second(true);
    }

    /// Forgets an address altogether.
    pub(super) fn forget(&mut self, index: u32) {
        self.drop_indexes(index);
        let record = self.records.get(index);
        if record.is_written() {
            self.by_owner.remove(record.owner_tag, index);
        }
        self.arena.drop(record.text());
        self.records.drop(index);
    }

    /// The record in full.
    pub(super) fn allocation(&self, index: u32) -> Allocation {
        let record = self.records.get(index);
        let place = self.place_of(index);
        let parts = TextParts::read(&mut self.text(record)).expect("a record's text was written by us");
        let mut attachments = Vec::new();
        if record.has_attachment() {
            attachments.push(Attachment {
                holder: parts.holder,
                container_id: parts.container_id,
                network: self.networks.get(record.network).to_owned(),
                interface: self.interfaces.get(record.interface).to_owned(),
                node: self.nodes.get(record.node).to_owned(),
                netns: parts.netns,
            });
        }
        attachments.extend(self.second(index).cloned());
        Allocation {
            vrf: self.vrfs.get(place.vrf).to_owned(),
            address: address_of(place.key),
            state: record.state,
            owner: self.owner_with(record, parts.uid, parts.name),
            attachments,
            mac: record.mac(),
            rule: record.rule,
            since: record.since,
            outlives_owner: record.outlives_owner,
        }
    }

    fn owner_with(&self, record: &Record, uid: String, name: String) -> Owner {
        Owner {
            kind: self.kinds.get(u32::from(record.kind)).to_owned(),
            namespace: self.namespaces.get(record.namespace).to_owned(),
            name,
            uid,
        }
    }

    pub(super) fn owner(&self, index: u32) -> Owner {
        let record = self.records.get(index);
        let parts = TextParts::read(&mut self.text(record)).expect("a record's text was written by us");
        self.owner_with(record, parts.uid, parts.name)
    }

    pub(super) fn node(&self, index: u32) -> &str {
        self.nodes.get(self.records.get(index).node)
    }

    /// The VRFs that anything was ever said of.
    pub(super) fn vrf_names(&self) -> impl Iterator<Item = &str> {
        self.vrfs.words()
    }

    pub(super) fn unlink(&mut self, index: u32) -> (u32, u32) {
        let record = self.records.get_mut(index);
        let ends = (record.prev, record.next);
        (record.prev, record.next) = (NONE, NONE);
        let (prev, next) = ends;
        if prev != NONE {
            self.records.get_mut(prev).next = next;
        }
        if next != NONE {
            self.records.get_mut(next).prev = prev;
        }
        ends
    }
}
