//! The engine on a disk that fails: nothing is granted that is not there, and it goes on by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_core::Grant;
use allotment_engine::conformance::{Content, ended, pod, subnet};
use allotment_engine::{EmbeddedLedger, Engine, EngineError, Handle};

use crate::gate::new_disk;
use crate::sim_disk::{Fault, SimDisk};

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

fn engine_on(disk: &SimDisk) -> Handle {
    let ledger = EmbeddedLedger::open_disk(Arc::new(disk.clone()), "the ledger").unwrap();
    Engine::open(ledger.with_journal_budget(2000)).unwrap()
}

/// Asks until the ledger can be written again.
async fn granted(handle: &Handle, n: u64) -> Grant {
    let end = soon();
    loop {
        match handle.allocate(pod(n, "a"), soon()).await {
            Ok(grant) => return grant,
            Err(EngineError::Ledger(why)) => assert!(Instant::now() < end, "{why}"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_full_disk_stops_grants_but_not_reading() {
    let disk = new_disk();
    let handle = engine_on(&disk);
    handle.put(subnet("a", "default", &["10.0.0.0/24"])).await.unwrap();
    granted(&handle, 1).await;
    disk.fail_at(disk.operations() + 3, Fault::Full);
    let error = handle.allocate(pod(2, "a"), soon()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the ledger failed: the ledger cannot be written: "), "{text}");
    let shown = handle.read(|state, _| Content::of(state)).await.unwrap();
    assert_eq!(shown.allocations.len(), 1, "what is committed is still shown, and nothing else");
    // A release is no easier than a grant, and a refusal needs no disk once the ledger is tried again.
    assert!(matches!(handle.release(ended(1), soon()).await, Err(EngineError::Ledger(_))));
    disk.repair();
    let grant = granted(&handle, 3).await;
    assert_eq!(grant.entries[0].ips[0].address.to_string(), "10.0.0.3", "pod 2 has got nothing");
    handle.stop().await;
    let shown = engine_on(&disk).read(|state, _| Content::of(state)).await.unwrap();
    assert_eq!(shown.allocations.len(), 2);
}

#[tokio::test]
async fn a_disk_that_is_gone_hides_what_cannot_be_known() {
    for seed in 0..8 {
        let disk = new_disk();
        let handle = engine_on(&disk);
        handle.put(subnet("a", "default", &["10.0.0.0/24"])).await.unwrap();
        granted(&handle, 1).await;
        disk.fail_at(disk.operations() + 2 + seed, Fault::Stop);
        let mut n = 2;
        while handle.allocate(pod(n, "a"), soon()).await.is_ok() {
            n += 1;
        }
        let unread = handle.read(|state, _| state.len()).await;
        assert!(matches!(unread, Err(EngineError::Ledger(_))), "{unread:?}");
        disk.restart(seed);
        for n in 2..=n {
            granted(&handle, n).await;
        }
        let shown = handle.read(|state, _| Content::of(state)).await.unwrap();
        assert_eq!(shown.allocations.len() as u64, n, "each pod has one address");
        handle.stop().await;
    }
}

#[tokio::test]
async fn every_grant_that_was_seen_is_there_after_any_fault() {
    for fault in [Fault::Fail, Fault::Tear, Fault::Full, Fault::Stop] {
        for operation in 1..40 {
            let disk = new_disk();
            disk.draw_from(operation);
            let handle = engine_on(&disk);
            handle.put(subnet("a", "default", &["10.0.0.0/22"])).await.unwrap();
            disk.fail_at(disk.operations() + operation, fault);
            let mut seen = Vec::new();
            for n in 0.. {
                match handle.allocate(pod(n, "a"), soon()).await {
                    Ok(grant) => seen.push(grant.entries[0].ips[0].address),
                    Err(EngineError::Ledger(_)) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            handle.stop().await;
            disk.restart(operation);
            let handle = engine_on(&disk);
            let content = handle.read(|state, _| Content::of(state)).await.unwrap();
            for address in &seen {
                let kept = content.allocations.iter().any(|known| known.address == *address);
                assert!(kept, "{fault:?} at {operation}: {address} was granted and is gone");
            }
            assert!(content.allocations.len() <= seen.len() + 1, "one was in doubt at most");
            handle.stop().await;
        }
    }
}

#[tokio::test]
async fn a_set_of_objects_that_could_not_be_committed_is_taken_back_as_one() {
    let disk = new_disk();
    let handle = engine_on(&disk);
    let objects = |at: [&str; 2]| vec![subnet("a", "default", &[at[0]]), subnet("b", "default", &[at[1]])];
    let (here, there) = (["10.0.0.0/24", "10.0.1.0/24"], ["10.0.1.0/24", "10.0.0.0/24"]);
    assert_eq!(handle.put_all(objects(here)).await.unwrap(), []);
    disk.fail_at(disk.operations() + 3, Fault::Full);
    let mut swapped = objects(there);
    swapped.push(subnet("c", "default", &["10.0.2.0/24"]));
    assert!(matches!(handle.put_all(swapped.clone()).await, Err(EngineError::Ledger(_))));
    let shown = handle.read(|state, _| state.objects().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(shown, objects(here), "as they were");
    disk.repair();
    let end = soon();
    while let Err(error) = handle.put_all(swapped.clone()).await {
        assert!(Instant::now() < end, "{error}");
    }
    handle.stop().await;
    let shown = engine_on(&disk).read(|state, _| state.objects().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(shown, swapped, "and after a restart as they are wanted");
}
