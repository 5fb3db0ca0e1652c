//! A ledger in memory that several engines write to, and what an engine does about the others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use allotment_core::{BlockId, Object, ObjectKey, Place, State};
use allotment_engine::conformance::{self, Content, Subject, ended, pod, subnet};
use allotment_engine::{Batch, CommitError, Engine, EngineError, Handle, Ledger, LedgerError, Stale};

type BlockName = (String, IpAddr);
type Records = Vec<(IpAddr, Vec<u8>)>;

/// What is written, and how often each thing was.
#[derive(Default)]
struct Written {
    blocks: BTreeMap<BlockName, (u64, Records)>,
    objects: BTreeMap<ObjectKey, Object>,
    objects_version: u64,
    /// Whether it can be reached.
    away: bool,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Written>>);

/// One writer's view of it.
struct Writer {
    shared: Shared,
    blocks: BTreeMap<BlockName, u64>,
    objects: u64,
}

impl Shared {
    fn writer(&self) -> Writer {
        Writer { shared: self.clone(), blocks: BTreeMap::new(), objects: 0 }
    }

    fn engine(&self) -> Handle {
        Engine::open(self.writer()).unwrap()
    }
}

fn name(state: &State, block: BlockId) -> BlockName {
    (state.vrf_name(block).to_owned(), block.base())
}

impl Writer {
    fn fill(&mut self, state: &mut State, written: &Written, blocks: &[BlockName]) {
        for block in blocks {
            let (version, records) = written.blocks.get(block).cloned().unwrap_or_default();
            self.blocks.insert(block.clone(), version);
            for (address, record) in records {
                state.load(&block.0, address, &record).unwrap();
            }
        }
    }
}

impl Ledger for Writer {
    fn load(&mut self, state: &mut State) -> Result<(), LedgerError> {
        let shared = self.shared.clone();
        let written = shared.0.lock().unwrap();
        for object in written.objects.values() {
            state.put(object.clone()).unwrap();
        }
        self.objects = written.objects_version;
        self.fill(state, &written, &written.blocks.keys().cloned().collect::<Vec<_>>());
        Ok(())
    }

    fn commit(&mut self, state: &State, batch: &Batch) -> Result<(), CommitError> {
        let mut written = self.shared.0.lock().unwrap();
        if !batch.objects.is_empty() && written.objects_version != self.objects {
            return Err(CommitError::Objects);
        }
        let version = |block: &BlockName, of: &BTreeMap<BlockName, u64>| of.get(block).copied().unwrap_or(0);
        let there = |block: &BlockName| written.blocks.get(block).map_or(0, |block| block.0);
        let (conflicts, fine): (Vec<BlockId>, Vec<BlockId>) = (batch.blocks().into_iter())
            .partition(|&block| there(&name(state, block)) != version(&name(state, block), &self.blocks));
        for block in fine {
            let record = |place: Place| {
                let mut bytes = Vec::new();
                state.write_record(place, &mut bytes);
                (place.address(), bytes)
            };
            let version = version(&name(state, block), &self.blocks) + 1;
            let records = state.places(block).map(record).collect();
            written.blocks.insert(name(state, block), (version, records));
            self.blocks.insert(name(state, block), version);
        }
        if !conflicts.is_empty() {
            return Err(CommitError::Conflict(conflicts));
        }
        for (key, object) in &batch.objects {
            match object {
                Some(object) => written.objects.insert(key.clone(), object.clone()),
                None => written.objects.remove(key),
            };
            written.objects_version += 1;
        }
        self.objects = written.objects_version;
        Ok(())
    }

    fn reload(&mut self, state: &mut State, blocks: &[BlockName]) -> Result<(), LedgerError> {
        let shared = self.shared.clone();
        self.fill(state, &shared.0.lock().unwrap(), blocks);
        Ok(())
    }

    fn refresh(&mut self) -> Result<Stale, LedgerError> {
        let written = self.shared.0.lock().unwrap();
        if written.away {
            let (place, why) = ("the ledger".to_owned(), "the test says so".to_owned());
            return Err(LedgerError::Unavailable { place, why });
        }
        if written.objects_version != self.objects {
            return Ok(Stale::Everything);
        }
        let stale =
            written.blocks.iter().filter(|(block, (version, _))| self.blocks.get(block) != Some(version));
        Ok(Stale::Blocks(stale.map(|(block, _)| block.clone()).collect()))
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

async fn content(handle: &Handle) -> Content {
    handle.read(|state, _| Content::of(state)).await.unwrap()
}

impl Subject for Shared {
    type Ledger = Writer;

    fn open(&self) -> Writer {
        self.writer()
    }

    fn is_shared(&self) -> bool {
        true
    }
}

#[test]
fn it_does_what_every_ledger_does() {
    conformance::run(Shared::default);
}

#[tokio::test]
async fn what_another_wrote_is_taken_over() {
    let shared = Shared::default();
    let first = shared.engine();
    first.put(subnet("a", "default", &["10.0.0.0/22"])).await.unwrap();
    first.put(subnet("b", "blue", &["10.0.0.0/24"])).await.unwrap();
    let second = shared.engine();
    first.allocate(pod(1, "a"), soon()).await.unwrap();
    // A VRF whose blocks the second has never seen.
    first.allocate(pod(2, "b"), soon()).await.unwrap();
    first.release(ended(1), soon()).await.unwrap();
    assert!(content(&second).await.allocations.is_empty());
    second.refresh().await.unwrap();
    assert_eq!(content(&second).await, content(&first).await);
    second.refresh().await.unwrap();
    assert_eq!(content(&second).await, content(&first).await, "and nothing is done where nothing is new");
}

#[tokio::test]
async fn an_object_that_another_wrote_is_taken_over() {
    let shared = Shared::default();
    let (first, second) = (shared.engine(), shared.engine());
    first.put(subnet("a", "default", &["10.0.0.0/24"])).await.unwrap();
    first.allocate(pod(1, "a"), soon()).await.unwrap();
    second.refresh().await.unwrap();
    assert_eq!(content(&second).await, content(&first).await);
    // And without being told, by the conflict that it makes.
    first.put(subnet("b", "default", &["10.0.1.0/24"])).await.unwrap();
    second.put(subnet("c", "default", &["10.0.2.0/24"])).await.unwrap();
    let error = first.put(subnet("d", "default", &["10.0.2.0/24"])).await.unwrap_err();
    assert!(matches!(error, EngineError::Object(_)), "{error}");
    assert_eq!(content(&second).await.objects.len(), 3);
    assert_eq!(content(&second).await, content(&first).await);
    assert_eq!((first.metrics().conflicts.get(), second.metrics().conflicts.get()), (1, 1));
}

#[tokio::test]
async fn a_refresh_that_fails_changes_nothing() {
    let shared = Shared::default();
    let (first, second) = (shared.engine(), shared.engine());
    first.put(subnet("a", "default", &["10.0.0.0/24"])).await.unwrap();
    second.refresh().await.unwrap();
    first.allocate(pod(1, "a"), soon()).await.unwrap();
    shared.0.lock().unwrap().away = true;
    let error = second.refresh().await.unwrap_err();
    assert_eq!(error.to_string(), "the ledger failed: the ledger cannot be opened: the test says so");
    assert_eq!(content(&second).await.objects.len(), 1);
    shared.0.lock().unwrap().away = false;
    second.refresh().await.unwrap();
    assert_eq!(content(&second).await, content(&first).await);
}

#[tokio::test]
async fn two_at_once_double_nothing() {
    let shared = Shared::default();
    let (first, second) = (shared.engine(), shared.engine());
    first.put(subnet("a", "default", &["10.0.0.0/23"])).await.unwrap();
    second.refresh().await.unwrap();
    let mut given = BTreeSet::new();
    for round in 0..100 {
        let of = |handle: &Handle, n| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.allocate(pod(n, "a"), soon()).await })
        };
        let asked = [of(&first, 2 * round), of(&second, 2 * round + 1)];
        for asked in asked {
            match asked.await.unwrap() {
                Ok(grant) => assert!(given.insert(grant.entries[0].ips[0].address)),
                Err(EngineError::Ledger(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(given.len() > 100, "both make progress: {}", given.len());
    for handle in [&first, &second] {
        handle.refresh().await.unwrap();
        assert!(content(handle).await.allocations.len() >= given.len());
    }
    assert_eq!(content(&first).await, content(&second).await);
}
