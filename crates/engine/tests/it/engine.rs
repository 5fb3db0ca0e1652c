//! What callers of the engine can rely on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_core::{AllocationState, Code, Object, ObjectKey, ObjectKind, SubnetSpec, Timestamp};
use allotment_engine::conformance::{Content, ended, pod, subnet};
use allotment_engine::{EmbeddedLedger, End, Engine, EngineError, Handle, Options, Pace};
use tokio::task::{JoinHandle, JoinSet};

use crate::gate::{self, Gate, Verdict, new_disk};
use crate::sim_disk::SimDisk;

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

fn engine_on(disk: &SimDisk) -> Handle {
    Engine::open(EmbeddedLedger::open_disk(Arc::new(disk.clone()), "the ledger").unwrap()).unwrap()
}

async fn content(handle: &Handle) -> Content {
    handle.read(|state, _| Content::of(state)).await.unwrap()
}

type Asked = JoinHandle<Result<allotment_core::Grant, EngineError>>;

/// Asks for pod `n`, and returns when the request is in the queue.
async fn ask(handle: &Handle, n: u64) -> Asked {
    let before = handle.metrics().queued();
    let asked = tokio::spawn({
        let handle = handle.clone();
        async move { handle.allocate(pod(n, "a"), soon()).await }
    });
    while handle.metrics().queued() == before {
        tokio::task::yield_now().await;
    }
    asked
}

/// Makes the engine wait in a commit, so that what is asked now is decided together afterwards.
async fn hold_up(handle: &Handle, gate: &mut Gate) -> Asked {
    let asked = tokio::spawn({
        let handle = handle.clone();
        async move { handle.allocate(pod(9999, "a"), soon()).await }
    });
    gate.arrival().await;
    asked
}

#[tokio::test]
async fn the_same_request_twice_at_once_is_one_allocation() {
    let (handle, mut gate, _) = gate::engine("10.0.0.0/24").await;
    let first = hold_up(&handle, &mut gate).await;
    let (second, third) = (ask(&handle, 1).await, ask(&handle, 1).await);
    gate.let_it(Verdict::Commit);
    first.await.unwrap().unwrap();
    gate.arrival().await;
    assert!(!second.is_finished() && !third.is_finished(), "neither is answered before the commit");
    gate.let_it(Verdict::Commit);
    assert_eq!(second.await.unwrap().unwrap(), third.await.unwrap().unwrap());
    assert_eq!(content(&handle).await.allocations.len(), 2);
    assert_eq!(handle.metrics().commits.get(), 3, "the subnet, the first, and both of the others");
    // Asked again later, nothing is written: a commit would wait at the gate.
    handle.allocate(pod(1, "a"), soon()).await.unwrap();
}

#[tokio::test]
async fn those_who_come_in_quick_succession_share_a_commit() {
    let ledger = EmbeddedLedger::open_disk(Arc::new(new_disk()), "the ledger").unwrap();
    let hour = Duration::from_hours(1);
    let pace = Pace { first: hour, longest: hour, enough: 3, ..Pace::default() };
    let options = Options { pace, ..Options::default() };
    let handle = Engine::open_with(ledger, options).unwrap();
    handle.put(subnet("a", "v", &["10.0.0.0/24"])).await.unwrap();
    assert_eq!(handle.metrics().commits.get(), 1, "the first one does not wait");
    let mut asked: Vec<Asked> = Vec::new();
    for n in 1..=2 {
        let handle = handle.clone();
        asked.push(tokio::spawn({
            let handle = handle.clone();
            async move { handle.allocate(pod(n, "a"), soon()).await }
        }));
        tokio::task::yield_now().await;
        // It is read after the request was taken: the engine gathers.
        handle.read(|_, _| ()).await.unwrap();
        assert!(asked.iter().all(|asked| !asked.is_finished()), "{n} of 3");
    }
    handle.allocate(pod(3, "a"), soon()).await.unwrap();
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(handle.metrics().commits.get(), 2);
}

#[tokio::test]
async fn a_refusal_on_what_is_committed_waits_for_nobody() {
    let (handle, _gate, _) = gate::engine("10.0.0.0/24").await;
    let refused = handle.allocate(pod(1, "nowhere"), soon()).await.unwrap_err();
    assert!(
        matches!(refused, EngineError::Refused(ref refusal) if refusal.code == Code::Unknown),
        "{refused}"
    );
    assert_eq!((handle.metrics().refusals(Code::Unknown), handle.metrics().refusals(Code::Full)), (1, 0));
}

#[tokio::test]
async fn a_refusal_on_what_is_not_committed_falls_with_the_commit() {
    // One address besides the gateway.
    let (handle, mut gate, _) = gate::engine("10.0.0.0/30").await;
    let blocker = hold_up(&handle, &mut gate).await;
    let (one, other) = (ask(&handle, 1).await, ask(&handle, 2).await);
    // The blocker fails; then pod 1 takes the only address, and pod 2 is in its way.
    gate.let_it(Verdict::Conflict);
    gate.arrival().await;
    gate.let_it(Verdict::Fail);
    assert!(matches!(blocker.await.unwrap(), Err(EngineError::Ledger(_))));
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert!(matches!(one, Err(EngineError::Ledger(_))), "{one:?}");
    assert!(matches!(other, Err(EngineError::Ledger(_))), "{other:?}");
    assert!(content(&handle).await.allocations.is_empty());
    gate.let_it(Verdict::Commit);
    let granted = until_written(|| handle.allocate(pod(2, "a"), soon())).await;
    assert_eq!(granted.entries[0].ips[0].address.to_string(), "10.0.0.2");
}

/// Asks until the engine tries the ledger again.
async fn until_written<T, F: Future<Output = Result<T, EngineError>>>(mut ask: impl FnMut() -> F) -> T {
    let end = soon();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(EngineError::Ledger(why)) => assert!(Instant::now() < end, "{why}"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn after_a_conflict_it_is_decided_again() {
    let (handle, mut gate, _) = gate::engine("10.0.0.0/24").await;
    let asked = hold_up(&handle, &mut gate).await;
    for verdict in [Verdict::Conflict, Verdict::Conflict, Verdict::Commit] {
        gate.let_it(verdict);
    }
    asked.await.unwrap().unwrap();
    assert_eq!((handle.metrics().conflicts.get(), handle.metrics().commits.get()), (2, 2));
    for _ in 0..5 {
        gate.let_it(Verdict::Conflict);
    }
    let error = handle.allocate(pod(1, "a"), soon()).await.unwrap_err();
    assert_eq!(error.to_string(), "the ledger failed: others wrote the same blocks 5 times in a row");
    assert_eq!(content(&handle).await.allocations.len(), 1);
}

#[tokio::test]
async fn objects_of_a_failed_commit_are_as_they_were() {
    let (handle, gate, _) = gate::engine("10.0.0.0/24").await;
    let before = content(&handle).await;
    gate.let_it(Verdict::Fail);
    let error = handle.put(subnet("a", "default", &["10.0.0.0/16"])).await.unwrap_err();
    assert!(matches!(error, EngineError::Ledger(_)), "{error}");
    assert_eq!(content(&handle).await, before);
    gate.let_it(Verdict::Fail);
    let key = before.objects[0].key();
    let remove = || handle.remove(key.clone());
    // The first attempts may fall into the pause after the failure; then one waits at the gate, and fails.
    while handle.metrics().failures.get() < 2 {
        assert!(matches!(remove().await, Err(EngineError::Ledger(_))));
    }
    assert_eq!(content(&handle).await, before);
    gate.let_it(Verdict::Commit);
    assert!(until_written(remove).await);
    assert!(content(&handle).await.objects.is_empty());
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_done() {
    let (handle, mut gate, _) = gate::engine("10.0.0.0/24").await;
    let first = hold_up(&handle, &mut gate).await;
    let withdrawn = ask(&handle, 1).await;
    let late = {
        let handle = handle.clone();
        tokio::spawn(async move { handle.allocate(pod(2, "a"), Instant::now()).await })
    };
    withdrawn.abort();
    assert!(withdrawn.await.unwrap_err().is_cancelled());
    gate.let_it(Verdict::Commit);
    first.await.unwrap().unwrap();
    assert!(matches!(late.await.unwrap(), Err(EngineError::Deadline)));
    assert_eq!(content(&handle).await.allocations.len(), 1);
    assert_eq!((handle.metrics().withdrawn.get(), handle.metrics().late.get()), (1, 1));
}

#[tokio::test]
async fn a_full_queue_says_so() {
    let (handle, mut gate, _) = gate::engine("10.0.0.0/16").await;
    let first = hold_up(&handle, &mut gate).await;
    let mut asked = JoinSet::new();
    for n in 0..9000 {
        let handle = handle.clone();
        asked.spawn(async move { handle.allocate(pod(n, "a"), soon()).await });
    }
    while handle.metrics().busy.get() < 9000 - 8192 {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        gate.let_it(Verdict::Commit);
    }
    first.await.unwrap().unwrap();
    let outcomes = asked.join_all().await;
    let busy =
        outcomes.iter().filter(|outcome| matches!(outcome, Err(EngineError::Busy { waiting: 8192 }))).count();
    assert_eq!((busy, outcomes.iter().filter(|outcome| outcome.is_ok()).count()), (808, 8192));
}

#[tokio::test]
async fn stopping_finishes_what_is_queued() {
    let (handle, mut gate, disk) = gate::engine("10.0.0.0/24").await;
    let first = hold_up(&handle, &mut gate).await;
    let mut asked = Vec::new();
    for n in 0..50 {
        let handle = handle.clone();
        asked.push(tokio::spawn({
            let handle = handle.clone();
            async move { handle.allocate(pod(n, "a"), soon()).await }
        }));
        tokio::task::yield_now().await;
    }
    let stopped = tokio::spawn({
        let handle = handle.clone();
        async move { handle.stop().await }
    });
    // On this runtime of one thread it runs up to its first wait, and nobody can ask any more.
    tokio::task::yield_now().await;
    assert!(matches!(handle.read(|_, _| ()).await, Err(EngineError::Stopped)));
    gate.let_it(Verdict::Commit);
    gate.let_it(Verdict::Commit);
    stopped.await.unwrap();
    first.await.unwrap().unwrap();
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(handle.ended().await, End::Stopped);
    assert!(matches!(handle.allocate(pod(60, "a"), soon()).await, Err(EngineError::Stopped)));
    assert_eq!(content(&engine_on(&disk)).await.allocations.len(), 51);
}

#[tokio::test]
async fn a_panic_leaves_nobody_waiting() {
    let (handle, mut gate, _) = gate::engine("10.0.0.0/24").await;
    let first = hold_up(&handle, &mut gate).await;
    let second = ask(&handle, 1).await;
    gate.let_it(Verdict::Panic);
    assert!(matches!(first.await.unwrap(), Err(EngineError::Stopped)));
    assert!(matches!(second.await.unwrap(), Err(EngineError::Stopped)));
    assert_eq!(handle.ended().await, End::Panicked("the test says so".to_owned()));
    assert!(matches!(handle.read(|_, _| ()).await, Err(EngineError::Stopped)));
}

#[tokio::test]
async fn the_engine_ends_when_nobody_can_ask_it() {
    let (handle, mut gate, disk) = gate::engine("10.0.0.0/24").await;
    drop(handle.clone());
    let first = hold_up(&handle, &mut gate).await;
    gate.let_it(Verdict::Commit);
    first.await.unwrap().unwrap();
    drop(handle);
    gate.closing().await;
    assert_eq!(content(&engine_on(&disk)).await.allocations.len(), 1);
}

#[tokio::test]
async fn the_same_object_again_writes_nothing() {
    let disk = new_disk();
    let handle = engine_on(&disk);
    let object = subnet("a", "default", &["10.0.0.0/24"]);
    handle.put(object.clone()).await.unwrap();
    let commits = handle.metrics().commits.get();
    handle.put(object).await.unwrap();
    assert!(!handle.remove(ObjectKey { kind: ObjectKind::IPPool, name: "a".to_owned() }).await.unwrap());
    assert_eq!(handle.metrics().commits.get(), commits);
    let error = handle.put(subnet("b", "default", &["10.0.0.0/8"])).await.unwrap_err();
    assert!(matches!(error, EngineError::Object(_)), "{error}");
}

#[tokio::test]
async fn a_release_returns_what_was() {
    let handle = engine_on(&new_disk());
    handle.put(subnet("a", "default", &["10.0.0.0/24", "fd00::/64"])).await.unwrap();
    handle.allocate(pod(1, "a"), soon()).await.unwrap();
    handle.allocate(pod(2, "a"), soon()).await.unwrap();
    let released = handle.release(ended(1), soon()).await.unwrap();
    assert_eq!(released.len(), 2, "one of each family");
    for known in &released {
        assert_eq!((known.state, known.owner.name.as_str()), (AllocationState::Active, "cart-1"));
    }
    assert!(handle.release(ended(1), soon()).await.unwrap().is_empty(), "twice is no error, and nothing");
    assert!(handle.release(ended(7), soon()).await.unwrap().is_empty());
}

#[tokio::test]
async fn time_never_runs_backwards_under_the_rules() {
    let disk = new_disk();
    let engine_at = |ms: u64| {
        let ledger = EmbeddedLedger::open_disk(Arc::new(disk.clone()), "the ledger").unwrap();
        Engine::open_with(ledger, Options { clock: Box::new(move || Timestamp(ms)), ..Options::default() })
            .unwrap()
    };
    let handle = engine_at(1_000_000);
    let spec = SubnetSpec::new("a", vec!["10.0.0.0/30".parse().unwrap()]);
    handle.put(Object::Subnet(spec)).await.unwrap();
    handle.allocate(pod(1, "a"), soon()).await.unwrap();
    handle.release(ended(1), soon()).await.unwrap();
    handle.stop().await;
    // The clock was set back, and then forward by less than the address cools.
    for (clock, now, free) in
        [(5000, 1_000_000, false), (1_029_999, 1_029_999, false), (1_030_000, 1_030_000, true)]
    {
        let handle = engine_at(clock);
        assert_eq!(handle.read(|_, now| now).await.unwrap(), Timestamp(now));
        assert_eq!(handle.allocate(pod(2, "a"), soon()).await.is_ok(), free, "at {clock}");
        handle.stop().await;
    }
}
