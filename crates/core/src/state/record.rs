//! One address in memory: 64 bytes, one cache line, beside its text in the arena.

use super::arena::Text;
use super::prefetch::prefetch;
use crate::{AllocationState, Choice, Mac, Pick, Rule, Timestamp};

/// No record, no segment, no block.
pub(super) const NONE: u32 = u32::MAX;

/// What is known of one address. Words are numbers of the interners; uid, name, holder, container id and namespace
/// evidence are in the text.
#[repr(align(64))]
#[derive(Clone, Copy)]
pub(super) struct Record {
    pub(super) since: Timestamp,
    text_start: u32,
    pub(super) block: u32,
    pub(super) owner_tag: u32,
    pub(super) sandbox_tag: u32,
    pub(super) namespace: u32,
    pub(super) network: u32,
    pub(super) interface: u32,
    pub(super) node: u32,
    /// Neighbours in the segment's list of released addresses, oldest first.
    pub(super) prev: u32,
    pub(super) next: u32,
    text_granules: u16,
    pub(super) kind: u16,
    mac: [u8; 6],
    pub(super) offset: u8,
    pub(super) state: AllocationState,
    pub(super) rule: Rule,
    flags: u8,
    /// It stays its owner's when the owner is gone.
    pub(super) outlives_owner: bool,
}

const _: () = assert!(size_of::<Record>() == 64);

const HAS_MAC: u8 = 1;
const HAS_ATTACHMENT: u8 = 2;
const HAS_SECOND: u8 = 4;
const IN_SANDBOX_INDEX: u8 = 8;
const IN_MAC_INDEX: u8 = 16;
/// The upper three bits are a number.
const OTHERS_SHIFT: u32 = 5;

/// How many other addresses a record can remember.
pub(super) const OTHERS_MAX: u8 = 7;

impl Record {
    const EMPTY: Record = Record {
        since: Timestamp(0),
        text_start: 0,
        block: NONE,
        owner_tag: 0,
        sandbox_tag: 0,
        namespace: 0,
        network: 0,
        interface: 0,
        node: 0,
        prev: NONE,
        next: NONE,
        text_granules: 0,
        kind: 0,
        mac: [0; 6],
        offset: 0,
        state: AllocationState::Cooling,
        rule: Rule { choice: Choice::Default, pick: Pick::Fresh },
        flags: 0,
        outlives_owner: false,
    };

    /// The record of a place, not yet written.
    pub(super) fn of(block: u32, offset: u8) -> Record {
        Record { block, offset, ..Record::EMPTY }
    }

    pub(super) fn text(&self) -> Text {
        Text { start: self.text_start, granules: self.text_granules }
    }

    /// Whether it was ever written.
    pub(super) fn is_written(&self) -> bool {
        self.text_granules > 0
    }

    pub(super) fn set_text(&mut self, text: Text) {
        (self.text_start, self.text_granules) = (text.start, text.granules);
    }

    pub(super) fn mac(&self) -> Option<Mac> {
        self.has(HAS_MAC).then_some(Mac(self.mac))
    }

    pub(super) fn set_mac(&mut self, mac: Option<Mac>) {
        self.mac = mac.map_or([0; 6], |mac| mac.0);
        self.set(HAS_MAC, mac.is_some());
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn set(&mut self, flag: u8, on: bool) {
        if on { self.flags |= flag } else { self.flags &= !flag }
    }

    /// Whether somebody uses it, or used it last.
    pub(super) fn has_attachment(&self) -> bool {
        self.has(HAS_ATTACHMENT)
    }

    pub(super) fn set_attachment(&mut self, on: bool) {
        self.set(HAS_ATTACHMENT, on);
    }

    /// Whether a second holder is recorded beside the record.
    pub(super) fn has_second(&self) -> bool {
        self.has(HAS_SECOND)
    }

    pub(super) fn set_second(&mut self, on: bool) {
        self.set(HAS_SECOND, on);
    }

    /// Whether anything leads to it beside its owner and its place.
    pub(super) fn is_indexed(&self) -> bool {
        self.has(IN_SANDBOX_INDEX | IN_MAC_INDEX | HAS_SECOND)
    }

    pub(super) fn in_sandbox_index(&self) -> bool {
        self.has(IN_SANDBOX_INDEX)
    }

    pub(super) fn set_in_sandbox_index(&mut self, on: bool) {
        self.set(IN_SANDBOX_INDEX, on);
    }

    /// How many other addresses the same want was given with it: more than [`OTHERS_MAX`] count as so many. A ledger that
    /// writes block by block may have lost them.
    pub(super) fn others(&self) -> u8 {
        self.flags >> OTHERS_SHIFT
    }

    pub(super) fn set_others(&mut self, others: u8) {
        let rest = self.flags & ((1 << OTHERS_SHIFT) - 1);
        self.flags = rest | others.min(OTHERS_MAX) << OTHERS_SHIFT;
    }

    pub(super) fn in_mac_index(&self) -> bool {
        self.has(IN_MAC_INDEX)
    }

    pub(super) fn set_in_mac_index(&mut self, on: bool) {
        self.set(IN_MAC_INDEX, on);
    }
}

/// Records by number, in chunks: growing never moves them.
#[derive(Default)]
pub(super) struct Slab {
    chunks: Vec<Box<[Record; CHUNK]>>,
    next: u32,
    free: Vec<u32>,
}

const CHUNK: usize = 1024;

impl Slab {
    pub(super) fn get(&self, index: u32) -> &Record {
        &self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }

    pub(super) fn get_mut(&mut self, index: u32) -> &mut Record {
        &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }

    /// Asks for a record.
    pub(super) fn prefetch(&self, index: u32) {
        if index != NONE {
            prefetch(self.get(index));
        }
    }

    pub(super) fn add(&mut self, record: Record) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            if self.next as usize == self.chunks.len() * CHUNK {
                let chunk = vec![Record::EMPTY; CHUNK].into_boxed_slice();
                self.chunks.push(chunk.try_into().ok().expect("it was made as long as a chunk"));
            }
            self.next += 1;
            self.next - 1
        });
        *self.get_mut(index) = record;
        index
    }

    pub(super) fn drop(&mut self, index: u32) {
        self.free.push(index);
    }
}
