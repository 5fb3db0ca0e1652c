//! The ledger on a disk that fails, tears or stops at every operation of a run: what was reported committed is there,
//! and no batch is there by half.

use std::sync::Arc;

use allotment_engine::conformance::{Content, World, ended, pod, subnet};
use allotment_engine::{CommitError, EmbeddedLedger};

use crate::sim_disk::{Fault, SimDisk};

/// So short that every commit folds, and rows are trimmed.
const JOURNAL: u64 = 1500;
const STEPS: u64 = 13;

fn open(disk: &SimDisk) -> World<EmbeddedLedger> {
    let ledger = EmbeddedLedger::open_disk(Arc::new(disk.clone()), "the disk").unwrap();
    World::load(ledger.with_journal_budget(JOURNAL)).unwrap()
}

/// One commit of the run. Done again after it failed, or after it succeeded unnoticed, it leads to the same content.
fn step(world: &mut World<EmbeddedLedger>, n: u64) -> Result<(), CommitError> {
    match n % 6 {
        0 => world.put(subnet("a", "default", &[&format!("10.0.0.0/{}", 24 - n / 6)])),
        1 | 3 => world.allocate(&(n * 10..n * 10 + 7).map(|n| pod(n, "a")).collect::<Vec<_>>()).map(drop),
        2 => world.allocate(&[pod(n * 10, "a")]).map(drop),
        4 => world.release(&[n * 10 - 30, n * 10 - 9, n * 10 - 8].map(ended)),
        _ => world.put(subnet(&format!("b{n}"), "red", &[&format!("10.{n}.0.0/24")])),
    }
}

/// The disk and the content before each step of an undisturbed run, and at its end.
struct Run {
    before: Vec<(Vec<u8>, Content)>,
}

impl Run {
    fn record() -> Run {
        let disk = SimDisk::default();
        EmbeddedLedger::create_disk(Arc::new(disk.clone()), "the disk", 1).unwrap();
        let mut before = Vec::new();
        for n in 0..=STEPS {
            let mut world = open(&disk);
            before.push((disk.bytes(), world.content()));
            if n < STEPS {
                step(&mut world, n).unwrap();
            }
        }
        Run { before }
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_half_there() {
    let run = Run::record();
    let mut outcomes = [0u32; 2];
    for n in 0..STEPS {
        let (bytes, before) = &run.before[usize::try_from(n).unwrap()];
        let after = &run.before[usize::try_from(n).unwrap() + 1].1;
        for operation in 1.. {
            let mut reached = false;
            for fault in [Fault::Fail, Fault::Tear, Fault::Full, Fault::Stop] {
                for seed in 0..if matches!(fault, Fault::Tear | Fault::Stop) { 3 } else { 1 } {
                    let trial = Trial { n, operation, fault, seed };
                    if let Some(happened) = trial.run(&SimDisk::of(bytes.clone()), before, after) {
                        reached = true;
                        outcomes[usize::from(happened)] += 1;
                    }
                }
            }
            if !reached {
                break;
            }
        }
    }
    let [lost, kept] = outcomes;
    assert!(lost > 500, "{lost} failed commits were not in the ledger afterwards");
    assert!(kept > 30, "{kept} commits were in the ledger though they failed or just before the stop");
}

/// One fault at one operation of one step.
#[derive(Clone, Copy, Debug)]
struct Trial {
    n: u64,
    operation: u64,
    fault: Fault,
    seed: u64,
}

impl Trial {
    /// Whether the step was in the ledger afterwards; nothing when the step has fewer operations.
    fn run(self, disk: &SimDisk, before: &Content, after: &Content) -> Option<bool> {
        disk.draw_from(self.seed);
        disk.fail_at(self.operation, self.fault);
        let mut world = open(disk);
        let committed = step(&mut world, self.n);
        if !disk.has_failed() {
            drop(world);
            return None;
        }
        let mut world = if disk.is_stopped() {
            drop(world);
            disk.restart(self.seed);
            open(disk)
        } else {
            disk.repair();
            // The same ledger goes on.
            let World { ledger, .. } = world;
            World::load(ledger).unwrap_or_else(|error| panic!("{self:?}: {error}"))
        };
        let found = world.content();
        let happened = found == *after;
        if committed.is_ok() {
            found.assert_same(after, &format!("{self:?}: it was reported committed"));
        }
        if !happened {
            found.assert_same(before, &format!("{self:?}: all or nothing of it is there"));
        }
        step(&mut world, self.n).unwrap_or_else(|error| panic!("{self:?}: {error}"));
        // Now the machine stops: what was reported committed has to be safe by itself.
        disk.stop();
        drop(world);
        disk.restart(self.seed + 1);
        let world = open(disk);
        world.content().assert_same(after, &format!("{self:?}: done again"));
        Some(happened)
    }
}
