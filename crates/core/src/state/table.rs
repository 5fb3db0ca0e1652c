//! The index tables: hash → record numbers, eight bytes an entry.
//!
//! A sorted array with gaps (linear probing in hash order): the home of a hash grows with the hash, and a run of cells
//! is kept sorted by it. So a look-up, found or not, ends within about three neighbouring cells; a table grows by half in
//! one pass without hashing anything again; and removing moves a few neighbours back instead of leaving a tombstone. Several
//! records may share a hash: the caller compares what it really looks for.

use super::prefetch::prefetch;

/// Hash and record number; empty when the number is [`EMPTY`].
#[derive(Clone, Copy)]
struct Cell {
    tag: u32,
    index: u32,
}

const EMPTY: u32 = u32::MAX;
const GAP: Cell = Cell { tag: 0, index: EMPTY };

/// Cells behind the last home, so that runs need not wrap around.
const SLACK: usize = 16;

#[derive(Default)]
pub(super) struct Table {
    cells: Vec<Cell>,
    homes: usize,
    len: usize,
}

impl Table {
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.homes as u64) >> 32) as usize
    }

    /// The record numbers stored under a hash.
    pub(super) fn find(&self, tag: u32) -> impl Iterator<Item = u32> + '_ {
        let start = self.home(tag).min(self.cells.len());
        self.cells[start..]
            .iter()
            .take_while(move |cell| cell.index != EMPTY && cell.tag <= tag)
            .filter(move |cell| cell.tag == tag)
            .map(|cell| cell.index)
    }

    /// Asks for the cells of a hash, for a look-up that comes soon.
    pub(super) fn prefetch(&self, tag: u32) {
        if let Some(cell) = self.cells.get(self.home(tag)) {
            prefetch(cell);
        }
    }

    pub(super) fn insert(&mut self, tag: u32, index: u32) {
        if self.len * 5 >= self.homes * 4 {
            self.grow();
        }
        let mut at = self.home(tag);
        while self.cells[at].index != EMPTY && self.cells[at].tag <= tag {
            at += 1;
        }
        let mut moving = Cell { tag, index };
        while moving.index != EMPTY {
            std::mem::swap(&mut self.cells[at], &mut moving);
            at += 1;
        }
        self.end_with_gap();
        self.len += 1;
    }

    /// Removes one entry; the pair must be there.
    pub(super) fn remove(&mut self, tag: u32, index: u32) {
        let start = self.home(tag);
        let place = self.cells[start..].iter().position(|cell| cell.tag == tag && cell.index == index);
        let mut at = start + place.expect("what is removed from an index was inserted under the same hash");
        // Who does not stand at home moves up.
        while self.cells[at + 1].index != EMPTY && self.home(self.cells[at + 1].tag) <= at {
            self.cells[at] = self.cells[at + 1];
            at += 1;
        }
        self.cells[at] = GAP;
        self.len -= 1;
    }

    /// Every run ends in a gap, the last one too.
    fn end_with_gap(&mut self) {
        if self.cells.last().is_some_and(|last| last.index != EMPTY) {
            self.cells.push(GAP);
        }
    }

    fn grow(&mut self) {
        let homes = (self.homes * 3 / 2).max(16);
        let old = std::mem::replace(&mut self.cells, vec![GAP; homes + SLACK]);
        self.homes = homes;
        let mut next = 0;
        for cell in old.into_iter().filter(|cell| cell.index != EMPTY) {
            next = next.max(self.home(cell.tag));
            if next == self.cells.len() {
                self.cells.push(GAP);
            }
            self.cells[next] = cell;
            next += 1;
        }
        self.end_with_gap();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A small generator: the test needs spread, not secrecy.
    fn next(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    }

    #[test]
    fn behaves_like_a_set_of_pairs() {
        for spread in [3, 40, u64::from(u32::MAX)] {
            let (mut table, mut model, mut seed) = (Table::default(), BTreeSet::new(), spread);
            for step in 0..20_000_u32 {
                let tag = u32::try_from(next(&mut seed) % spread).unwrap()
                    | if step % 2 == 0 { 0xffff_fff0 } else { 0 };
                if next(&mut seed) % 5 < 3 && model.len() < 700 {
                    table.insert(tag, step);
                    model.insert((tag, step));
                } else if let Some(&(tag, index)) = model.range((tag, 0)..).next() {
                    table.remove(tag, index);
                    model.remove(&(tag, index));
                }
                if step % 16 == 0 {
                    let mut found: Vec<u32> = table.find(tag).collect();
                    found.sort_unstable();
                    let expected: Vec<u32> =
                        model.range((tag, 0)..=(tag, u32::MAX)).map(|&(_, i)| i).collect();
                    assert_eq!(found, expected);
                }
            }
            assert_eq!(table.len, model.len());
        }
    }
}
