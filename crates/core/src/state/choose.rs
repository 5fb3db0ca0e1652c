//! Which address is next: the orders of C1.
//!
//! For `oldest` the segment whose head was released first is drained before the next one is begun, so that neighbours are
//! handed out together and a batch touches few blocks.

use super::Place;
use super::block::{Bits, combine, offsets, set_bit};
use super::hash::stable;
use super::layout::Layout;
use super::record::NONE;
use super::region::Region;
use super::store::Store;
use crate::address::Key;
use crate::{Attachment, Order, Pick, Timestamp};

/// Above this size a block is opened only when no open one has a cooled address: a churned /64 would grow for ever.
const EAGER_MAX: u128 = 65_536;

/// An address to hand out next.
pub(super) struct Chosen {
    pub(super) key: Key,
    pub(super) pick: Pick,
    /// Its record where it had to be looked at.
    pub(super) record: Option<u32>,
}

impl Layout {
    /// The address that the region's order gives next, leaving out `taken`.
    pub(super) fn pick(
        &self,
        store: &Store,
        number: u32,
        now: Timestamp,
        taken: &[Place],
        attachment: &Attachment,
    ) -> Option<Chosen> {
        let region = self.region(number);
        let by = |pick| move |key| Chosen { key, pick, record: None };
        match region.order {
            Order::Oldest => self.pick_oldest(store, region, now, taken),
            Order::Sequential => self.pick_from(store, region, 0, now, taken).map(by(Pick::Lowest)),
            Order::Random => {
                let start = region.at(u128::from(stable(attachment)) % region.total.max(1))?;
                self.pick_around(store, region, start, now, taken).map(by(Pick::Hashed))
            }
            Order::NextAfterLast => {
                let start = region.last.map_or(0, |last| last.saturating_add(1));
                self.pick_around(store, region, start, now, taken).map(by(Pick::Next))
            }
        }
    }

    fn pick_oldest(&self, store: &Store, region: &Region, now: Timestamp, taken: &[Place]) -> Option<Chosen> {
        let fresh = region.fresh(store, taken);
        let chosen = |key| Chosen { key, pick: Pick::Fresh, record: None };
        let opens = |key| match region.cursor {
            Some(cursor) if cursor == key => region.cursor_opens,
            _ => store.blocks.find(region.vrf, key).is_none(),
        };
        match fresh.filter(|&key| region.total <= EAGER_MAX || !opens(key)) {
            Some(key) => Some(chosen(key)),
            None => self.oldest_cooled(store, region, now, taken).or(fresh.map(chosen)),
        }
    }

    fn oldest_cooled(
        &self,
        store: &Store,
        region: &Region,
        now: Timestamp,
        taken: &[Place],
    ) -> Option<Chosen> {
        let of_segment = |place: u32, count: u32| {
            let segment = &self.segments[place as usize];
            let mut next = segment.head;
            for _ in 0..count {
                if next == NONE || !region.is_cooled(store, next, now) {
                    return None;
                }
                let record = store.records.get(next);
                let key = store.blocks.get(segment.block).base | u128::from(record.offset);
                if !taken.contains(&Place { vrf: region.vrf, key }) {
                    return Some(Chosen { key, pick: Pick::Oldest, record: Some(next) });
                }
                next = record.next;
            }
            None
        };
        let begun = region.draining.and_then(|(place, left)| of_segment(place, left));
        begun
            .or_else(|| {
                (region.waiting.iter())
                    .take_while(|(since, _)| now.since(*since) >= region.cooling_ms)
                    .find_map(|&(_, place)| of_segment(place, u32::MAX))
                    .inspect(|chosen| {
                        if let Some(record) = chosen.record {
                            store.prefetch_change(record);
                        }
                    })
            })
            .or_else(|| region.draining.and_then(|(place, _)| of_segment(place, u32::MAX)))
    }

    /// The lowest free address at or after `from`.
    fn pick_from(
        &self,
        store: &Store,
        region: &Region,
        from: Key,
        now: Timestamp,
        taken: &[Place],
    ) -> Option<Key> {
        let usable = |number: u32, span: Bits| {
            let block = store.blocks.get(number);
            let mut free = combine(&span, &block.held, |span, held| span & !held);
            let first = offsets(free).next();
            let any_cooled = first
                .and_then(|offset| self.segment_at(store, number, offset))
                .map(|place| self.segments[place as usize].head)
                .is_some_and(|head| head != NONE && region.is_cooled(store, head, now));
            let released = combine(&free, &block.used, |free, used| free & used);
            for offset in offsets(released) {
                let cooled = any_cooled
                    && block.record(offset).is_some_and(|record| region.is_cooled(store, record, now));
                set_bit(&mut free, offset, cooled);
            }
            free
        };
        let mut key = region.walk(store, from, usable)?;
        while taken.contains(&Place { vrf: region.vrf, key }) {
            key = region.walk(store, key.checked_add(1)?, usable)?;
        }
        Some(key)
    }

    /// As `pick_from`, going on at the region's start.
    fn pick_around(
        &self,
        store: &Store,
        region: &Region,
        from: Key,
        now: Timestamp,
        taken: &[Place],
    ) -> Option<Key> {
        self.pick_from(store, region, from, now, taken)
            .or_else(|| self.pick_from(store, region, 0, now, taken))
    }

    /// Milliseconds until the region's first cooling address is free; nothing cools: `None`.
    pub(super) fn next_free_in(&self, store: &Store, number: u32, now: Timestamp) -> Option<u64> {
        let region = self.region(number);
        let waiting = region.waiting.first().map(|&(since, _)| since);
        let draining =
            region.draining.map(|(place, _)| store.records.get(self.segments[place as usize].head).since);
        let since = waiting.into_iter().chain(draining).min()?;
        Some(region.cooling_ms.saturating_sub(now.since(since)))
    }

    /// How many of a region's released addresses still cool.
    pub(super) fn cooling(&self, store: &Store, number: u32, now: Timestamp) -> u64 {
        let region = self.region(number);
        let draining = region.draining.map(|(place, _)| place);
        let places = region.waiting.iter().map(|&(_, place)| place).chain(draining);
        places
            .map(|place| {
                let mut count = 0;
                let mut next = self.segments[place as usize].tail;
                while next != NONE && !region.is_cooled(store, next, now) {
                    count += 1;
                    next = store.records.get(next).prev;
                }
                count
            })
            .sum()
    }
}
