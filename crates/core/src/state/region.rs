//! Regions: where addresses are drawn from, and in which order (C1).
//!
//! A region is one family of a pool, or of what its pools leave of a subnet, without what nobody is given unasked
//! (edges, gateway, excluded, reserved). Where a region meets a block there is a [`Segment`]; it exists once the block has a
//! record. Never used addresses are found by a cursor that only moves up. Released ones hang in their segment's list, oldest
//! first. `layout` keeps all of it, `choose` says which address is next.

use std::collections::BTreeSet;

use super::Place;
use super::block::{Bits, combine, offsets};
use super::ranges::{self, Range};
use super::record::Record;
use super::store::Store;
use crate::address::Key;
use crate::{Order, Timestamp};

/// Where a region meets a block.
pub(super) struct Segment {
    pub(super) mask: Bits,
    pub(super) block: u32,
    pub(super) region: u32,
    pub(super) next_in_block: u32,
    /// Released addresses, oldest first.
    pub(super) head: u32,
    pub(super) tail: u32,
    pub(super) released: u32,
}

/// What of it is in use; for people and refusals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) held: u64,
    pub(super) released: u64,
}
pub(super) struct Region {
    /// `NONE`: what the pools leave.
    pub(super) pool: u32,
    pub(super) vrf: u32,
    pub(super) ranges: Vec<Range>,
    pub(super) total: u128,
    pub(super) tally: Tally,
    pub(super) order: Order,
    pub(super) cooling_ms: u64,
    /// The lowest address that was never used.
    pub(super) cursor: Option<Key>,
    /// Whether the cursor stands in a block without any record.
    pub(super) cursor_opens: bool,
    /// The segment being drained, and how many of its addresses were there when that began and still are.
    pub(super) draining: Option<(u32, u32)>,
    /// The other segments with released addresses, by when their oldest was released.
    pub(super) waiting: BTreeSet<(Timestamp, u32)>,
    /// The last address handed out, for `NextAfterLast`.
    pub(super) last: Option<Key>,
}

impl Region {
    pub(super) fn new(pool: u32, vrf: u32, ranges: Vec<Range>) -> Region {
        Region {
            pool,
            vrf,
            total: ranges::count(&ranges),
            tally: Tally::default(),
            order: Order::Oldest,
            cooling_ms: 0,
            cursor: ranges.first().map(|range| range.0),
            cursor_opens: true,
            ranges,
            draining: None,
            waiting: BTreeSet::new(),
            last: None,
        }
    }

    #[must_use]
    pub(super) fn ordered(self, order: Order, cooling_ms: u64) -> Region {
        Region { order, cooling_ms, ..self }
    }

    pub(super) fn is_cooled(&self, store: &Store, record: u32, now: Timestamp) -> bool {
        now.since(store.records.get(record).since) >= self.cooling_ms
    }

    /// Whether the record is of a released address that still cools.
    pub(super) fn is_cooling(&self, record: &Record, now: Timestamp) -> bool {
        !record.state.is_held() && now.since(record.since) < self.cooling_ms
    }

    /// The first address at or after `from` for which `usable` has a bit; it is asked block by block.
    pub(super) fn walk(&self, store: &Store, from: Key, usable: impl Fn(u32, Bits) -> Bits) -> Option<Key> {
        let start = self.ranges.partition_point(|range| range.1 < from);
        for &(first, last) in &self.ranges[start..] {
            let mut key = first.max(from);
            loop {
                let base = key & !0xff;
                let Some(block) = store.blocks.find(self.vrf, key) else { return Some(key) };
                let end = last.min(base | 0xff);
                if let Some(offset) = offsets(usable(block, span(low(key), low(end)))).next() {
                    return Some(base | u128::from(offset));
                }
                if end == last {
                    break;
                }
                key = end + 1;
            }
        }
        None
    }

    /// The address that came last to somebody who has it still: as near to the last handed out as records tell.
    pub(super) fn last_held(&self, store: &Store) -> Option<Key> {
        let held = self.ranges.iter().flat_map(|&range| {
            store.blocks.within(self.vrf, range.0, range.1).flat_map(move |number| {
                let block = store.blocks.get(number);
                let held = combine(&block.held, &span_within(block.base, range), |held, span| held & span);
                offsets(held)
                    .filter_map(move |offset| Some((block.record(offset)?, block.base | u128::from(offset))))
            })
        });
        held.max_by_key(|&(record, key)| (store.records.get(record).since, key)).map(|(_, key)| key)
    }

    pub(super) fn never_used(&self, store: &Store, from: Key) -> Option<Key> {
        self.walk(store, from, |block, span| {
            combine(&span, &store.blocks.get(block).used, |span, used| span & !used)
        })
    }

    /// The lowest address that was never used and is not `taken`.
    pub(super) fn fresh(&self, store: &Store, taken: &[Place]) -> Option<Key> {
        let mut key = self.cursor?;
        while taken.contains(&Place { vrf: self.vrf, key }) {
            key = self.never_used(store, key.checked_add(1)?)?;
        }
        Some(key)
    }

    pub(super) fn advance(&mut self, store: &Store) {
        self.cursor = self.cursor.and_then(|from| self.never_used(store, from));
        self.cursor_opens = self.cursor.is_some_and(|cursor| store.blocks.find(self.vrf, cursor).is_none());
    }

    /// The address at a place of the region, counted from its start.
    pub(super) fn at(&self, mut index: u128) -> Option<Key> {
        self.ranges.iter().find_map(|&(first, last)| {
            let length = (last - first).saturating_add(1);
            if index < length {
                return Some(first + index);
            }
            index -= length;
            None
        })
    }
}

/// The bits from one offset to another, both included.
fn span(first: u8, last: u8) -> Bits {
    std::array::from_fn(|word| {
        let base = u32::try_from(word).expect("below 4") * 64;
        let from = u32::from(first).saturating_sub(base);
        let to = (u32::from(last) + 1).saturating_sub(base);
        let up_to = |bits: u32| if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
        up_to(to) & !up_to(from)
    })
}

/// The addresses of a block that lie in a range, which touches it.
pub(super) fn span_within(base: Key, (first, last): Range) -> Bits {
    span(low(first.max(base)), low(last.min(base | 0xff)))
}

pub(super) fn low(key: Key) -> u8 {
    key.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_their_ends() {
        for (first, last) in [(0, 0), (0, 255), (63, 64), (10, 9), (255, 255), (64, 127)] {
            let found: Vec<u8> = offsets(span(first, last)).collect();
            assert_eq!(found, (first..=last).collect::<Vec<u8>>(), "{first}-{last}");
        }
    }
}
