//! What a commit costs the disk, in numbers that do not depend on the machine.

use std::sync::Arc;

use allotment_engine::EmbeddedLedger;
use allotment_engine::conformance::{World, ended, pod, subnet};

use crate::gate::new_disk;
use crate::sim_disk::{Cost, SimDisk};

fn world(disk: &SimDisk) -> World<EmbeddedLedger> {
    let ledger = EmbeddedLedger::open_disk(Arc::new(disk.clone()), "the ledger").unwrap();
    let mut world = World::load(ledger).unwrap();
    world.put(subnet("a", "default", &["10.0.0.0/16"])).unwrap();
    world.allocate(&(0..10_000).map(|n| pod(n, "a")).collect::<Vec<_>>()).unwrap();
    for n in 0..20 {
        world.allocate(&[pod(20_000 + n, "a")]).unwrap();
    }
    world
}

/// What one change costs.
fn cost(disk: &SimDisk, change: impl FnOnce()) -> Cost {
    let before = disk.cost();
    change();
    let after = disk.cost();
    Cost {
        writes: after.writes - before.writes,
        bytes: after.bytes - before.bytes,
        syncs: after.syncs - before.syncs,
    }
}

#[test]
fn a_commit_is_one_sync_and_a_few_pages() {
    let disk = new_disk();
    let mut world = world(&disk);
    let one = cost(&disk, || drop(world.allocate(&[pod(30_000, "a")]).unwrap()));
    assert_eq!(one.syncs, 1);
    assert!(one.writes <= 8 && one.bytes <= 30_000, "{one:?}");
    // 64 releases all over the subnet cost little more than one, whatever the number of blocks.
    let scattered: Vec<_> = (0..64).map(|n| ended(n * 150)).collect();
    let many = cost(&disk, || world.release(&scattered).unwrap());
    assert_eq!(many.syncs, 1);
    assert!(many.writes <= 10 && many.bytes <= 50_000, "{many:?}");
}

#[test]
fn folding_comes_in_small_steps() {
    let disk = new_disk();
    let ledger = EmbeddedLedger::open_disk(Arc::new(disk.clone()), "the ledger").unwrap();
    let mut world = World::load(ledger.with_journal_budget(1 << 20)).unwrap();
    world.put(subnet("a", "default", &["10.0.0.0/18"])).unwrap();
    world.allocate(&(0..16_000).map(|n| pod(n, "a")).collect::<Vec<_>>()).unwrap();
    let (mut worst, mut sum) = (0, 0);
    for round in 0..600 {
        let ended: Vec<_> = (0..16).map(|n| ended((round * 16 + n) * 7919 % 16_000)).collect();
        let again: Vec<_> = (0..16).map(|n| pod((round * 16 + n) * 7919 % 16_000, "a")).collect();
        let cost = cost(&disk, || {
            world.release(&ended).unwrap();
            world.allocate(&again).unwrap();
        });
        worst = worst.max(cost.bytes);
        sum += cost.bytes;
    }
    // 64 blocks of 30 KB each: folded at once they would be 2 MB.
    assert!(worst < 300_000, "{worst} bytes in the most expensive two commits");
    assert!(sum / 600 < 100_000, "{} bytes in two commits on average", sum / 600);
    let journal = disk.bytes().len();
    assert!(journal < 16 << 20, "the file has grown to {journal} bytes");
}

#[test]
fn opening_and_reading_write_nothing() {
    let disk = new_disk();
    drop(world(&disk));
    let nothing = cost(&disk, || {
        let ledger = EmbeddedLedger::open_disk(Arc::new(disk.clone()), "the ledger").unwrap();
        assert_eq!(World::load(ledger).unwrap().state.len(), 10_020);
    });
    assert_eq!(nothing, Cost::default());
}
