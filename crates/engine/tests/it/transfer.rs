//! Reading everything in pages, and adopting it elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_core::{Allocation, Asked, Code, State};
use allotment_engine::conformance::{Content, ended, pod, subnet};
use allotment_engine::{EmbeddedLedger, Engine, EngineError, Handle, Pages};

use crate::gate::new_disk;
use crate::sim_disk::SimDisk;

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

fn engine_on(disk: &SimDisk) -> Handle {
    Engine::open(EmbeddedLedger::open_disk(Arc::new(disk.clone()), "the ledger").unwrap()).unwrap()
}

/// An engine on an empty ledger with one subnet.
async fn engine() -> (Handle, SimDisk) {
    let disk = new_disk();
    let handle = engine_on(&disk);
    handle.put(subnet("a", "default", &["10.0.0.0/16", "fd00::/64"])).await.unwrap();
    (handle, disk)
}

async fn content(handle: &Handle) -> Content {
    handle.read(|state, _| Content::of(state)).await.unwrap()
}

/// Everything, and in how many pages it came.
async fn export(handle: &Handle) -> (Vec<Allocation>, usize) {
    let (mut all, mut pages) = (Vec::new(), 0);
    let mut walk = Pages::new(handle, |_, _| true, State::at);
    while let Some(page) = walk.next().await.unwrap() {
        all.extend(page.items);
        pages += 1;
    }
    (all, pages)
}

#[tokio::test]
async fn an_export_adopted_elsewhere_is_the_same() {
    let (from, _) = engine().await;
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..3000 {
        let (handle, request) = (from.clone(), pod(n, "a"));
        asked.spawn(async move { handle.allocate(request, soon()).await.unwrap() });
    }
    asked.join_all().await;
    from.release(ended(5), soon()).await.unwrap();
    let (exported, pages) = export(&from).await;
    assert_eq!(exported.len(), 6000);
    assert!(pages >= 20, "no page has more than a few hundred records, so {pages} are too few");

    let (to, disk) = engine().await;
    for part in exported.chunks(1000) {
        assert_eq!(to.adopt(part.to_vec()).await.unwrap(), 1000);
    }
    content(&to).await.assert_same(&content(&from).await, "adopted");
    let commits = to.metrics().commits.get();
    assert_eq!(to.adopt(exported).await.unwrap(), 0, "again it is nothing new");
    assert_eq!(to.metrics().commits.get(), commits);
    // What was adopted is held: the same pod has what it had, another one gets something else.
    let known = to.allocate(pod(7, "a"), soon()).await.unwrap();
    assert_eq!(known, from.allocate(pod(7, "a"), soon()).await.unwrap());
    to.allocate(pod(5000, "a"), soon()).await.unwrap();
    let adopted = content(&to).await;
    to.stop().await;
    content(&engine_on(&disk)).await.assert_same(&adopted, "after a restart");
}

#[tokio::test]
async fn an_empty_ledger_is_one_empty_page() {
    let (handle, _) = engine().await;
    assert_eq!(export(&handle).await, (Vec::new(), 1));
}

#[tokio::test]
async fn what_is_refused_ends_it_and_what_came_before_stays() {
    let (from, _) = engine().await;
    for n in 0..3 {
        from.allocate(pod(n, "a"), soon()).await.unwrap();
    }
    let (exported, _) = export(&from).await;
    let (to, disk) = engine().await;
    // Somebody holds an address of the list.
    let mut thief = pod(77, "a");
    thief.wants[0].ips = Asked::Each(vec![exported[1].address]);
    to.allocate(thief, soon()).await.unwrap();
    let before = content(&to).await.allocations.len();
    let error = to.adopt(exported.clone()).await.unwrap_err();
    assert!(matches!(&error, EngineError::Refused(refusal) if refusal.code == Code::Taken), "{error}");
    assert!(error.to_string().contains("10.0.0.3 in VRF `default`"), "{error}");
    let found = content(&to).await;
    assert_eq!(found.allocations.len(), before + 1);
    to.stop().await;
    content(&engine_on(&disk)).await.assert_same(&found, "after a restart");
}
