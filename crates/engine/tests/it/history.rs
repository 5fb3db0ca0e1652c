//! What happened is remembered for as long as it was asked for, without another sync.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use allotment_core::{AllocationState, Timestamp};
use allotment_engine::conformance::{ended, pod, subnet};
use allotment_engine::{Change, EmbeddedLedger, Engine, Handle, Options};

use crate::gate::new_disk;
use crate::sim_disk::SimDisk;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// An engine whose clock is turned by hand.
struct Machine {
    disk: SimDisk,
    clock: Arc<AtomicU64>,
    handle: Handle,
}

impl Machine {
    fn new(keep: Duration) -> Machine {
        let (disk, clock) = (new_disk(), Arc::new(AtomicU64::new(100 * DAY)));
        let handle = start(&disk, &clock, keep);
        Machine { disk, clock, handle }
    }

    async fn restart(self, keep: Duration) -> Machine {
        self.handle.stop().await;
        let handle = start(&self.disk, &self.clock, keep);
        Machine { handle, ..self }
    }

    async fn come(&self, n: u64) {
        self.handle.allocate(pod(n, "a"), soon()).await.unwrap();
    }

    async fn go(&self, n: u64) {
        assert_eq!(self.handle.release(ended(n), soon()).await.unwrap().len(), 1);
    }

    async fn all(&self, only: Option<&str>) -> Vec<Change> {
        let only = only.map(|only| only.parse().unwrap());
        let (mut changes, mut from) = (Vec::new(), Some(0));
        while let Some(next) = from {
            let page = self.handle.history(next, only).await.unwrap();
            changes.extend(page.changes);
            from = page.next;
        }
        changes
    }
}

fn start(disk: &SimDisk, clock: &Arc<AtomicU64>, keep: Duration) -> Handle {
    let ledger = EmbeddedLedger::open_disk(Arc::new(disk.clone()), "the ledger").unwrap();
    let now = Arc::clone(clock);
    let clock = Box::new(move || Timestamp(now.load(Ordering::Relaxed)));
    // Blocks are folded at once, so that nothing but the history needs old rows.
    let ledger = ledger.with_journal_budget(1).with_history(keep);
    Engine::open_with(ledger, Options { clock, ..Options::default() }).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

#[tokio::test]
async fn every_change_is_remembered_as_it_was() {
    let machine = Machine::new(Duration::from_hours(720));
    machine.handle.put(subnet("a", "default", &["10.0.0.0/24"])).await.unwrap();
    machine.come(1).await;
    machine.clock.fetch_add(1000, Ordering::Relaxed);
    machine.go(1).await;
    for n in 2..600 {
        machine.clock.fetch_add(DAY / 1000, Ordering::Relaxed);
        machine.come(n).await;
        machine.go(n).await;
    }
    let machine = machine.restart(Duration::from_hours(720)).await;
    let changes = machine.all(None).await;
    assert_eq!(changes.len(), 2 * 599, "over several pages, and across a restart");
    assert!(changes.is_sorted_by_key(|change| change.at));
    let of_one = machine.all(Some("10.0.0.2")).await;
    let first: Vec<_> = of_one.iter().take(2).map(|change| change.allocation().unwrap()).collect();
    assert_eq!(first[0].state, AllocationState::Active);
    assert_eq!(first[1].state, AllocationState::Cooling);
    assert_eq!(first[0].owner, first[1].owner);
    assert_eq!(of_one[1].at, Timestamp(100 * DAY + 1000));
    assert_eq!(
        of_one,
        changes.into_iter().filter(|change| change.address == of_one[0].address).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn what_is_too_old_goes_and_what_is_not_wanted_is_not_kept() {
    let month = Duration::from_hours(720);
    let machine = Machine::new(month);
    machine.handle.put(subnet("a", "default", &["10.0.0.0/24"])).await.unwrap();
    for n in 0..100 {
        machine.clock.fetch_add(DAY, Ordering::Relaxed);
        machine.come(n).await;
        machine.go(n).await;
    }
    let days = |changes: &[Change]| {
        let (first, last) = (changes.first().unwrap().at.0, changes.last().unwrap().at.0);
        (last - first) / DAY
    };
    assert_eq!(days(&machine.all(None).await), 30);
    let machine = machine.restart(Duration::ZERO).await;
    for n in 100..130 {
        machine.come(n).await;
    }
    let left = machine.all(None).await;
    assert!(left.len() <= 4, "only what a load needs: {}", left.len());
}

#[tokio::test]
async fn it_costs_no_sync_and_a_page_at_most() {
    let cost = async |keep: Duration| {
        let machine = Machine::new(keep);
        machine.handle.put(subnet("a", "default", &["10.0.0.0/24"])).await.unwrap();
        let before = machine.disk.cost();
        for n in 0..200 {
            machine.come(n).await;
            machine.go(n).await;
        }
        let after = machine.disk.cost();
        (after.syncs - before.syncs, after.writes - before.writes)
    };
    let (without, with) = (cost(Duration::ZERO).await, cost(Duration::from_hours(720)).await);
    // A file that grows is synced for that, which it does a few times.
    assert!((400..=405).contains(&with.0) && with.0 <= without.0 + 2, "{with:?} {without:?}");
    // Where the journal would be next to empty without it, its tree has a level more.
    assert!(with.1 <= without.1 + 400, "{with:?} {without:?}");
}
