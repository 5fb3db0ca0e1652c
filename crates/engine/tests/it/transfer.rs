//! Reading everything in pages, and taking it over elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_core::Allocation;
use allotment_engine::conformance::{Content, ended, pod, subnet};
use allotment_engine::{EmbeddedLedger, Engine, Handle};

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

async fn export(handle: &Handle) -> (Vec<Allocation>, usize) {
    let (mut all, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let page = handle.page(after).await.unwrap();
        all.extend(page.allocations);
        pages += 1;
        after = page.next;
        if after.is_none() {
            return (all, pages);
        }
    }
}

#[tokio::test]
async fn an_export_imported_elsewhere_is_the_same() {
    let (from, _) = engine().await;
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..3000 {
        let (handle, request) = (from.clone(), pod(n, "a"));
        asked.spawn(async move { handle.allocate(request, soon()).await.unwrap() });
    }
    asked.join_all().await;
    from.release(ended(5), soon()).await.unwrap();
    let (exported, pages) = export(&from).await;
    assert_eq!((exported.len(), pages), (6000, 3), "12 blocks of each family, 8 in a page");

    let (to, disk) = engine().await;
    for part in exported.chunks(1000) {
        assert_eq!(to.adopt(part.to_vec()).await.unwrap(), 1000);
    }
    content(&to).await.assert_same(&content(&from).await, "imported");
    let commits = to.metrics().commits.get();
    assert_eq!(to.adopt(exported).await.unwrap(), 0, "again it is nothing new");
    assert_eq!(to.metrics().commits.get(), commits);
    // What was imported is held: the same pod has what it had, another one gets something else.
    let known = to.allocate(pod(7, "a"), soon()).await.unwrap();
    assert_eq!(known, from.allocate(pod(7, "a"), soon()).await.unwrap());
    to.allocate(pod(5000, "a"), soon()).await.unwrap();
    let imported = content(&to).await;
    to.stop().await;
    content(&engine_on(&disk)).await.assert_same(&imported, "after a restart");
}

#[tokio::test]
async fn an_empty_ledger_is_one_empty_page() {
    let (handle, _) = engine().await;
    assert_eq!(export(&handle).await, (Vec::new(), 1));
}

#[tokio::test]
async fn a_list_is_taken_over_up_to_what_is_refused() {
    let (from, _) = engine().await;
    for n in 0..3 {
        from.allocate(pod(n, "a"), soon()).await.unwrap();
    }
    let (mut exported, _) = export(&from).await;
    exported.retain(|allocation| allocation.address.is_ipv4());
    let (to, disk) = engine().await;
    to.allocate(pod(9, "a"), soon()).await.unwrap();
    to.release(ended(9), soon()).await.unwrap();
    exported[1].address = "192.168.0.1".parse().unwrap();
    let error = to.adopt(exported.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "192.168.0.1 in VRF `default`: no subnet has it");
    let taken = content(&to).await;
    to.stop().await;
    let again = engine_on(&disk);
    content(&again).await.assert_same(&taken, "after a restart");
    assert!(taken.allocations.contains(&exported[0]), "what stands before it was free here, and stays");
    assert!(!taken.allocations.contains(&exported[2]));
    again.allocate(pod(10, "a"), soon()).await.unwrap();
}
