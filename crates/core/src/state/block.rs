//! Blocks: 256-aligned runs of addresses, in which a place leads to its record.

use std::collections::BTreeMap;

use super::hash::Seed;
use super::prefetch::prefetch;
use super::record::NONE;
use super::table::Table;
use crate::address::Key;

/// One bit per address of a block.
pub(super) type Bits = [u64; 4];

pub(super) fn bit(bits: &Bits, offset: u8) -> bool {
    bits[usize::from(offset >> 6)] >> (offset & 63) & 1 == 1
}

pub(super) fn set_bit(bits: &mut Bits, offset: u8, on: bool) {
    let mask = 1 << (offset & 63);
    let word = &mut bits[usize::from(offset >> 6)];
    if on { *word |= mask } else { *word &= !mask }
}

/// The lowest set bit at or after `from`.
pub(super) fn first_bit(bits: &Bits, from: u8) -> Option<u8> {
    let start = from >> 6;
    (start..4).find_map(|at| {
        let mask = if at == start { u64::MAX << (from & 63) } else { u64::MAX };
        let word = bits[usize::from(at)] & mask;
        (word != 0).then(|| at * 64 + u8::try_from(word.trailing_zeros()).expect("below 64"))
    })
}

pub(super) fn combine(a: &Bits, b: &Bits, with: impl Fn(u64, u64) -> u64) -> Bits {
    std::array::from_fn(|at| with(a[at], b[at]))
}

/// The offsets of the set bits, ascending.
pub(super) fn offsets(bits: Bits) -> impl Iterator<Item = u8> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let found = first_bit(&bits, next?)?;
        next = found.checked_add(1);
        Some(found)
    })
}

/// 256 addresses of a VRF.
pub(super) struct Block {
    pub(super) base: Key,
    pub(super) vrf: u32,
    /// Addresses with a record: used now or before.
    pub(super) used: Bits,
    /// Addresses that belong to somebody.
    pub(super) held: Bits,
    /// The records of the used addresses, ascending: an address's rank among them is its index here, so a sparse block
    /// of a large IPv6 subnet costs little.
    slots: Vec<u32>,
    /// How many addresses are used below each word of `used`.
    before: [u8; 4],
    /// First of the segments that lie in this block; see `region`.
    pub(super) segment: u32,
}

impl Block {
    fn rank(&self, offset: u8) -> usize {
        let word = usize::from(offset >> 6);
        let below = self.used[word] & ((1 << (offset & 63)) - 1);
        usize::from(self.before[word]) + below.count_ones() as usize
    }

    pub(super) fn record(&self, offset: u8) -> Option<u32> {
        bit(&self.used, offset).then(|| self.slots[self.rank(offset)])
    }

    /// Asks for where the record of an address is written down.
    pub(super) fn prefetch(&self, offset: u8) {
        if let Some(slot) = self.slots.get(self.rank(offset)) {
            prefetch(slot);
        }
    }

    /// Enters the record of an address that has none.
    pub(super) fn enter(&mut self, offset: u8, record: u32) {
        let rank = self.rank(offset);
        self.slots.insert(rank, record);
        set_bit(&mut self.used, offset, true);
        for before in &mut self.before[usize::from(offset >> 6) + 1..] {
            *before += 1;
        }
    }

    pub(super) fn records(&self) -> &[u32] {
        &self.slots
    }

    /// Forgets every record, and returns their numbers.
    pub(super) fn clear(&mut self) -> Vec<u32> {
        (self.used, self.held, self.before) = ([0; 4], [0; 4], [0; 4]);
        std::mem::take(&mut self.slots)
    }
}

/// All blocks, by number, by place and in order.
#[derive(Default)]
pub(super) struct Blocks {
    pub(super) seed: Seed,
    list: Vec<Block>,
    places: Table,
    order: BTreeMap<(u32, Key), u32>,
}

impl Blocks {
    pub(super) fn get(&self, number: u32) -> &Block {
        &self.list[number as usize]
    }

    pub(super) fn get_mut(&mut self, number: u32) -> &mut Block {
        &mut self.list[number as usize]
    }

    pub(super) fn find(&self, vrf: u32, key: Key) -> Option<u32> {
        let base = key & !0xff;
        self.places.find(self.seed.block(vrf, base)).find(|&number| {
            let block = self.get(number);
            block.base == base && block.vrf == vrf
        })
    }

    /// The block of an address; `true` when it is new.
    pub(super) fn find_or_add(&mut self, vrf: u32, key: Key) -> (u32, bool) {
        if let Some(number) = self.find(vrf, key) {
            return (number, false);
        }
        let number = u32::try_from(self.list.len()).expect("memory ends before 2^32 blocks");
        let base = key & !0xff;
        self.list.push(Block {
            base,
            vrf,
            used: [0; 4],
            held: [0; 4],
            slots: Vec::new(),
            before: [0; 4],
            segment: NONE,
        });
        self.places.insert(self.seed.block(vrf, base), number);
        self.order.insert((vrf, base), number);
        (number, true)
    }

    /// The blocks that touch a range of addresses, ascending.
    pub(super) fn within(&self, vrf: u32, first: Key, last: Key) -> impl Iterator<Item = u32> + '_ {
        self.order.range((vrf, first & !0xff)..=(vrf, last)).map(|(_, &number)| number)
    }

    /// The blocks behind a place, in order; all of them behind none.
    pub(super) fn after(&self, place: Option<(u32, Key)>) -> impl Iterator<Item = u32> + '_ {
        let from = place.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.order.range((from, std::ops::Bound::Unbounded)).map(|(_, &number)| number)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.order.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_found_in_order() {
        let mut bits = [0; 4];
        for offset in [0, 63, 64, 130, 255] {
            set_bit(&mut bits, offset, true);
        }
        assert_eq!(offsets(bits).collect::<Vec<_>>(), [0, 63, 64, 130, 255]);
        assert_eq!(first_bit(&bits, 131), Some(255));
        set_bit(&mut bits, 255, false);
        assert_eq!(first_bit(&bits, 131), None);
    }

    #[test]
    fn records_are_found_by_rank() {
        let mut blocks = Blocks::default();
        let (number, fresh) = blocks.find_or_add(3, 0x1234);
        assert!(fresh);
        let block = blocks.get_mut(number);
        for offset in [200, 3, 255, 0, 64] {
            block.enter(offset, u32::from(offset) + 1000);
        }
        for offset in 0..=255 {
            let expected = [0, 3, 64, 200, 255].contains(&offset).then(|| u32::from(offset) + 1000);
            assert_eq!(block.record(offset), expected);
        }
        assert_eq!(blocks.within(3, 0x12ff, 0x1300).count(), 1);
        assert_eq!(blocks.within(4, 0, Key::MAX).count(), 0);
    }
}
