//! The structures that core is built on, beside what they were chosen over; the decision is in
//! `docs/internals/decisions/0001-core-structures.md`.
//!
//! `cargo bench -p allotment-core --bench structures` prints a table.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    dead_code,
    reason = "a benchmark prints; the structures have more to them than is measured"
)]
#![allow(unused_imports, reason = "their unit tests come along under clippy")]

#[path = "../../src/state/arena.rs"]
mod arena;
#[path = "../core/memory.rs"]
mod memory;
#[path = "../../src/state/prefetch.rs"]
mod prefetch;
#[path = "../../src/state/table.rs"]
mod table;

use std::hint::black_box;
use std::time::Instant;

use arena::Arena;
use hashbrown::HashTable;
use table::Table;

/// Steps per measurement; the best of [`ROUNDS`] counts, because whatever else the machine does only adds.
const STEPS: usize = 200_000;
const ROUNDS: usize = 7;

/// A generator that gives the same numbers in every run.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Nanoseconds of one step, and the bytes that `made` came to have allocated.
fn row<T>(name: &str, made: impl FnOnce() -> T, per: usize, mut step: impl FnMut(&mut T, u64)) {
    let before = memory::allocated();
    let mut it = made();
    let bytes = (memory::allocated() - before) as f64 / per as f64;
    let mut seed = 88_172_645_463_325_252;
    let best = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        for _ in 0..STEPS {
            step(&mut it, random(&mut seed));
        }
        start.elapsed()
    });
    let ns = best.min().unwrap_or_default().as_secs_f64() * 1e9 / STEPS as f64;
    println!("{name:<76} {ns:>8.1} {bytes:>10.1}");
}

/// Under a random hash one entry is replaced by another, as a reused record's owner is.
fn tables(entries: u32) {
    let tag = |seed: u64| (seed >> 32) as u32;
    let start = || {
        let mut seed = 1;
        (0..entries).map(move |index| (tag(random(&mut seed)), index))
    };
    let name = |what: &str| format!("{what}, {entries} entries: look up, remove, insert");
    let per = entries as usize;
    let make = || {
        let (mut table, held): (_, Vec<_>) = (Table::default(), start().collect());
        for &(tag, index) in &held {
            table.insert(tag, index);
        }
        (table, held)
    };
    row(&name("sorted table"), make, per, |(table, held), seed| {
        let at = seed as usize % held.len();
        let (old, index) = held[at];
        let new = tag(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        black_box(table.find(new).next());
        table.remove(old, index);
        table.insert(new, index);
        held[at].0 = new;
    });
    let mut ahead = Vec::with_capacity(64);
    row(&name("sorted table, 64 asked for ahead"), make, per, move |(table, held), seed| {
        let at = seed as usize % held.len();
        let new = tag(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        table.prefetch(held[at].0);
        table.prefetch(new);
        ahead.push((at, new));
        if ahead.len() == 64 {
            for (at, new) in ahead.drain(..) {
                black_box(table.find(new).next());
                table.remove(held[at].0, held[at].1);
                table.insert(new, held[at].1);
                held[at].0 = new;
            }
        }
    });
    // The hash is spread over all 64 bits, because this table uses the upper ones too.
    let wide = |tag: u32| u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let make = || {
        let (mut table, held): (HashTable<(u32, u32)>, Vec<_>) = (HashTable::new(), start().collect());
        for &entry in &held {
            table.insert_unique(wide(entry.0), entry, |entry| wide(entry.0));
        }
        (table, held)
    };
    row(&name("hashbrown"), make, per, |(table, held), seed| {
        let at = seed as usize % held.len();
        let old = held[at];
        let new = tag(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        black_box(table.find(wide(new), |entry| entry.0 == new));
        if let Ok(entry) = table.find_entry(wide(old.0), |&entry| entry == old) {
            entry.remove();
        }
        held[at].0 = new;
        table.insert_unique(wide(new), held[at], |entry| wide(entry.0));
    });
}

/// A text of 45 to 60 bytes is replaced by another, as a reused record's is.
fn texts(count: usize) {
    let bytes = [7_u8; 64];
    let length = |seed: u64| 45 + (seed >> 40) as usize % 16;
    let name = |what: &str| format!("{what}, {count} texts: replace one");
    let make = || {
        let (mut arena, mut seed) = (Arena::default(), 1);
        let texts: Vec<_> = (0..count).map(|_| arena.put(&bytes[..length(random(&mut seed))])).collect();
        (arena, texts)
    };
    row(&name("arena"), make, count, |(arena, texts), seed| {
        let at = seed as usize % count;
        texts[at] = arena.replace(texts[at], &bytes[..length(seed)]);
    });
    let make = || {
        let mut seed = 1;
        (0..count).map(|_| Box::from(&bytes[..length(random(&mut seed))])).collect::<Vec<Box<[u8]>>>()
    };
    row(&name("Box<[u8]>, without the allocator's own"), make, count, |texts, seed| {
        texts[seed as usize % count] = Box::from(&bytes[..length(seed)]);
    });
}

/// Where the record of an address is looked up in its block: by rank among the used, or in an array of 256.
fn slots(blocks: usize, used: usize) {
    type Ranked = ([u64; 4], [u8; 4], Vec<u32>);
    let offsets = move || (0..used).map(move |at| at * 255 / used.max(2));
    let name = |what: &str| format!("{what}, {blocks} blocks with {used} used: look up");
    let make = || {
        let block = || {
            let mut bits = [0_u64; 4];
            offsets().for_each(|at| bits[at / 64] |= 1 << (at % 64));
            let mut before = [0; 4];
            for word in 1..4 {
                before[word] = before[word - 1] + bits[word - 1].count_ones() as u8;
            }
            (bits, before, (0..used as u32).collect())
        };
        (0..blocks).map(|_| block()).collect::<Vec<Ranked>>()
    };
    row(&name("ranked slots"), make, blocks, |list, seed| {
        let (bits, before, slots) = &list[seed as usize % blocks];
        let (word, bit) = ((seed >> 40) as usize % 4, (seed >> 50) as u32 % 64);
        if bits[word] >> bit & 1 == 1 {
            let below = (bits[word] & ((1 << bit) - 1)).count_ones();
            black_box(slots[usize::from(before[word]) + below as usize]);
        }
    });
    let make = || {
        let block = || {
            let mut slots = Box::new([u32::MAX; 256]);
            offsets().zip(0..).for_each(|(at, record)| slots[at] = record);
            slots
        };
        (0..blocks).map(|_| block()).collect::<Vec<_>>()
    };
    row(&name("dense slots"), make, blocks, |list, seed| {
        let offset = (seed >> 40) as usize % 4 * 64 + (seed >> 50) as usize % 64;
        black_box(list[seed as usize % blocks][offset]);
    });
}

fn main() {
    println!("{:<76} {:>8} {:>10}", "structures", "ns", "bytes each");
    tables(100_000);
    tables(1_000_000);
    texts(100_000);
    texts(1_000_000);
    slots(4_096, 256);
    slots(4_096, 26);
    slots(4_096, 2);
}
