//! All regions and segments: made and unmade with subnets and blocks, kept as addresses come and go.

use super::block::{Bits, bit, combine, offsets};
use super::record::NONE;
use super::region::{Region, Segment, span_within};
use super::store::Store;
use crate::address::Key;
use crate::{Order, Pick};

/// All regions and segments.
#[derive(Default)]
pub(super) struct Layout {
    regions: Vec<Option<Region>>,
    free_regions: Vec<u32>,
    pub(super) segments: Vec<Segment>,
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
}
