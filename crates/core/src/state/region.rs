//! Regions: where addresses are drawn from, and in which order (C1).
//!
//! A region is one family of a pool, or of what its pools leave of a subnet, without what nobody is given unasked
//! (edges, gateway, excluded, reserved). Where a region meets a block there is a [`Segment`]; it exists once the block has a
//! record. Never used addresses are found by a cursor that only moves up. Released ones hang in their segment's list, oldest
//! first; for `oldest` the segment whose head was released first is drained before the next one is begun, so that
//! neighbours are handed out together and a batch touches few blocks.

use std::collections::BTreeSet;

use super::Place;
use super::block::{Bits, bit, combine, offsets, set_bit};
use super::hash::stable;
use super::ranges::{self, Range};
use super::record::{NONE, Record};
use super::store::Store;
use crate::address::Key;
use crate::{Attachment, Order, Pick, Timestamp};

/// Above this size a block is opened only when no open one has a cooled address: a churned /64 would grow for ever.
const EAGER_MAX: u128 = 65_536;

/// Where a region meets a block.
pub(super) struct Segment {
    mask: Bits,
    pub(super) block: u32,
    pub(super) region: u32,
    pub(super) next_in_block: u32,
    /// Released addresses, oldest first.
    head: u32,
    tail: u32,
    released: u32,
}

/// What of it is in use; for people and refusals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) held: u64,
    pub(super) released: u64,
}

/// An address to hand out next.
pub(super) struct Chosen {
    pub(super) key: Key,
    pub(super) pick: Pick,
    /// Its record where it had to be looked at.
    pub(super) record: Option<u32>,
}

pub(super) struct Region {
    /// `NONE`: what the pools leave.
    pub(super) pool: u32,
    pub(super) vrf: u32,
    pub(super) ranges: Vec<Range>,
    pub(super) total: u128,
    pub(super) tally: Tally,
    order: Order,
    cooling_ms: u64,
    /// The lowest address that was never used.
    cursor: Option<Key>,
    /// Whether the cursor stands in a block without any record.
    cursor_opens: bool,
    /// The segment being drained, and how many of its addresses were there when that began and still are.
    draining: Option<(u32, u32)>,
    /// The other segments with released addresses, by when their oldest was released.
    waiting: BTreeSet<(Timestamp, u32)>,
    /// The last address handed out, for `NextAfterLast`.
    last: Option<Key>,
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

    fn is_cooled(&self, store: &Store, record: u32, now: Timestamp) -> bool {
        now.since(store.records.get(record).since) >= self.cooling_ms
    }

    /// Whether the record is of a released address that still cools.
    pub(super) fn is_cooling(&self, record: &Record, now: Timestamp) -> bool {
        !record.state.is_held() && now.since(record.since) < self.cooling_ms
    }

    /// The first address at or after `from` for which `usable` has a bit; it is asked block by block.
    fn walk(&self, store: &Store, from: Key, usable: impl Fn(u32, Bits) -> Bits) -> Option<Key> {
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
    fn last_held(&self, store: &Store) -> Option<Key> {
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

    fn never_used(&self, store: &Store, from: Key) -> Option<Key> {
        self.walk(store, from, |block, span| {
            combine(&span, &store.blocks.get(block).used, |span, used| span & !used)
        })
    }

    /// The lowest address that was never used and is not `taken`.
    fn fresh(&self, store: &Store, taken: &[Place]) -> Option<Key> {
        let mut key = self.cursor?;
        while taken.contains(&Place { vrf: self.vrf, key }) {
            key = self.never_used(store, key.checked_add(1)?)?;
        }
        Some(key)
    }

    fn advance(&mut self, store: &Store) {
        self.cursor = self.cursor.and_then(|from| self.never_used(store, from));
        self.cursor_opens = self.cursor.is_some_and(|cursor| store.blocks.find(self.vrf, cursor).is_none());
    }

    /// The address at a place of the region, counted from its start.
    fn at(&self, mut index: u128) -> Option<Key> {
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

fn low(key: Key) -> u8 {
    key.to_le_bytes()[0]
}

/// All regions and segments.
#[derive(Default)]
pub(super) struct Layout {
    regions: Vec<Option<Region>>,
    free_regions: Vec<u32>,
    segments: Vec<Segment>,
    free_segments: Vec<u32>,
}

impl Layout {
    pub(super) fn region(&self, number: u32) -> &Region {
        self.regions[number as usize]
            .as_ref()
            .expect("a region lives as long as the subnet that refers to it")
    }

    fn region_mut(&mut self, number: u32) -> &mut Region {
        self.regions[number as usize]
            .as_mut()
            .expect("a region lives as long as the subnet that refers to it")
    }

    /// The region of an address, if it is drawn from one.
    pub(super) fn segment_at(&self, store: &Store, block: u32, offset: u8) -> Option<u32> {
        let mut next = store.blocks.get(block).segment;
        while next != NONE {
            let segment = &self.segments[next as usize];
            if bit(&segment.mask, offset) {
                return Some(next);
            }
            next = segment.next_in_block;
        }
        None
    }

    pub(super) fn region_of_segment(&self, segment: u32) -> u32 {
        self.segments[segment as usize].region
    }

    /// Adds a region; its segments in the blocks that exist come with it, its released addresses in order.
    pub(super) fn add_region(&mut self, store: &mut Store, region: Region) -> u32 {
        let number = self.free_regions.pop().unwrap_or_else(|| {
            self.regions.push(None);
            u32::try_from(self.regions.len() - 1).expect("fewer regions than addresses")
        });
        let (vrf, ranges) = (region.vrf, region.ranges.clone());
        self.regions[number as usize] = Some(region);
        let mut blocks: Vec<u32> = ranges
            .iter()
            .flat_map(|&(first, last)| store.blocks.within(vrf, first, last).collect::<Vec<_>>())
            .collect();
        blocks.dedup();
        for block in blocks {
            self.attach(store, number, block);
        }
        let region = self.regions[number as usize].as_mut().expect("put there above");
        region.advance(store);
        if region.order == Order::NextAfterLast {
            region.last = region.last_held(store);
        }
        number
    }

    pub(super) fn remove_region(&mut self, store: &mut Store, number: u32) {
        let region = self.regions[number as usize].take().expect("removed once");
        self.free_regions.push(number);
        for &(first, last) in &region.ranges {
            for block in store.blocks.within(region.vrf, first, last).collect::<Vec<_>>() {
                self.detach(store, number, block);
            }
        }
    }

    /// Makes the segment in which a region meets a block, if it does.
    pub(super) fn attach(&mut self, store: &mut Store, number: u32, block: u32) {
        let region = self.region(number);
        let base = store.blocks.get(block).base;
        let start = region.ranges.partition_point(|range| range.1 < base);
        let mut mask = [0; 4];
        for &range in region.ranges[start..].iter().take_while(|range| range.0 <= base | 0xff) {
            mask = combine(&mask, &span_within(base, range), |a, b| a | b);
        }
        if mask == [0; 4] {
            return;
        }
        let next_in_block = store.blocks.get(block).segment;
        let segment =
            Segment { mask, block, region: number, next_in_block, head: NONE, tail: NONE, released: 0 };
        let place = if let Some(place) = self.free_segments.pop() {
            self.segments[place as usize] = segment;
            place
        } else {
            self.segments.push(segment);
            u32::try_from(self.segments.len() - 1).expect("fewer segments than addresses")
        };
        store.blocks.get_mut(block).segment = place;
        self.take_in(store, place, mask);
        let region = self.region_mut(number);
        if region.cursor.is_some_and(|cursor| cursor & !0xff == base) {
            region.cursor_opens = false;
        }
    }

    /// Counts a new segment's held addresses and hangs up its released ones.
    fn take_in(&mut self, store: &mut Store, place: u32, mask: Bits) {
        let block = store.blocks.get(self.segments[place as usize].block);
        let held = combine(&block.held, &mask, |held, mask| held & mask);
        let released = combine(&block.used, &block.held, |used, held| used & !held);
        let released = combine(&released, &mask, |released, mask| released & mask);
        let mut found: Vec<u32> = offsets(released).filter_map(|offset| block.record(offset)).collect();
        found.sort_by_key(|&record| (store.records.get(record).since, store.records.get(record).offset));
        let number = self.segments[place as usize].region;
        self.region_mut(number).tally.held += offsets(held).count() as u64;
        for record in found {
            self.hang_up(store, place, record);
        }
    }

    fn detach(&mut self, store: &mut Store, number: u32, block: u32) {
        let mut previous = NONE;
        let mut next = store.blocks.get(block).segment;
        while next != NONE {
            let after = self.segments[next as usize].next_in_block;
            if self.segments[next as usize].region == number {
                while self.segments[next as usize].head != NONE {
                    let head = self.segments[next as usize].head;
                    let (_, rest) = store.unlink(head);
                    self.segments[next as usize].head = rest;
                }
                if previous == NONE {
                    store.blocks.get_mut(block).segment = after;
                } else {
                    self.segments[previous as usize].next_in_block = after;
                }
                self.free_segments.push(next);
            } else {
                previous = next;
            }
            next = after;
        }
    }

    /// Asks for the record behind which the next released one of a segment is hung.
    pub(super) fn prefetch_tail(&self, store: &Store, segment: Option<u32>) {
        if let Some(segment) = segment {
            store.records.prefetch(self.segments[segment as usize].tail);
        }
    }

    /// Hangs a released record at the end of its segment's list.
    pub(super) fn hang_up(&mut self, store: &mut Store, place: u32, record: u32) {
        let segment = &mut self.segments[place as usize];
        let tail = std::mem::replace(&mut segment.tail, record);
        segment.released += 1;
        store.records.get_mut(record).prev = tail;
        let number = segment.region;
        if tail == NONE {
            segment.head = record;
            let since = store.records.get(record).since;
            self.region_mut(number).waiting.insert((since, place));
        } else {
            store.records.get_mut(tail).next = record;
        }
        self.region_mut(number).tally.released += 1;
    }

    /// Takes a released record off its segment's list: the address is handed out again.
    pub(super) fn take_down(&mut self, store: &mut Store, place: u32, record: u32, pick: Pick) {
        let number = self.segments[place as usize].region;
        if pick == Pick::Oldest {
            self.drain(store, number, place);
        }
        let (prev, next) = store.unlink(record);
        // It is handed out next, most likely.
        store.prefetch_change(next);
        let since = store.records.get(record).since;
        let segment = &mut self.segments[place as usize];
        segment.released -= 1;
        if prev == NONE {
            segment.head = next;
        }
        if next == NONE {
            segment.tail = prev;
        }
        let head = segment.head;
        let region = self.regions[number as usize].as_mut().expect("the segment's region");
        region.tally.released -= 1;
        match &mut region.draining {
            Some((draining, left)) if *draining == place => {
                *left -= 1;
                if *left == 0 || head == NONE {
                    region.draining = None;
                    if head != NONE {
                        region.waiting.insert((store.records.get(head).since, place));
                    }
                    if let Some(&(_, following)) = region.waiting.first() {
                        store.records.prefetch(self.segments[following as usize].head);
                    }
                }
            }
            _ if prev == NONE => {
                region.waiting.remove(&(since, place));
                if head != NONE {
                    region.waiting.insert((store.records.get(head).since, place));
                }
            }
            _ => {}
        }
    }

    /// Begins to drain a segment, unless it is being drained already.
    fn drain(&mut self, store: &Store, number: u32, place: u32) {
        let (head, released) = (self.segments[place as usize].head, self.segments[place as usize].released);
        let region = self.regions[number as usize].as_mut().expect("the segment's region");
        if region.draining.is_some_and(|(draining, _)| draining == place) {
            return;
        }
        if let Some((old, _)) = region.draining {
            let head = self.segments[old as usize].head;
            region.waiting.insert((store.records.get(head).since, old));
        }
        region.waiting.remove(&(store.records.get(head).since, place));
        region.draining = Some((place, released));
    }

    /// What changes in a region when one of its addresses comes to belong to somebody.
    pub(super) fn on_held(&mut self, store: &Store, number: u32, key: Key) {
        let region = self.regions[number as usize].as_mut().expect("the segment's region");
        region.tally.held += 1;
        region.last = Some(key);
        if region.cursor == Some(key) {
            region.advance(store);
        }
    }

    pub(super) fn on_released(&mut self, number: u32) {
        self.region_mut(number).tally.held -= 1;
    }

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
