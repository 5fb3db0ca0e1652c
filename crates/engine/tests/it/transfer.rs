//! Export and import.

use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_core::{Allocation, AllocationState, MacWant};
use allotment_engine::conformance::{Content, ended, pod, subnet};
use allotment_engine::{EmbeddedLedger, Engine, EngineError, Handle};

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
        assert_eq!(to.import(part.to_vec()).await.unwrap(), 1000);
    }
    content(&to).await.assert_same(&content(&from).await, "imported");
    let commits = to.metrics().commits.get();
    assert_eq!(to.import(exported).await.unwrap(), 0, "again it is nothing new");
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
async fn a_list_with_one_fault_is_not_imported_at_all() {
    let (from, _) = engine().await;
    let mut request = pod(1, "a");
    request.wants[0].mac = Some(MacWant::Asked("02:00:5e:00:00:01".parse().unwrap()));
    from.allocate(request, soon()).await.unwrap();
    let (sound, _) = export(&from).await;
    let other = |edit: &dyn Fn(&mut Allocation)| {
        let mut other = sound[0].clone();
        other.address = "10.0.77.77".parse().unwrap();
        other.owner.uid = "another".to_owned();
        other.mac = None;
        edit(&mut other);
        other
    };
    let faulty: [(Allocation, &str); 5] = [
        (other(&|one| one.address = sound[0].address), "10.0.0.2 in VRF `default` has two records"),
        (other(&|one| one.mac = sound[0].mac), "has the MAC 02:00:5e:00:00:01, which Pod shop/cart-1 has"),
        (other(&|one| one.attachments.clear()), "is active, but has no attachment"),
        (
            other(&|one| one.attachments = vec![one.attachments[0].clone(); 3]),
            "has more than two attachments",
        ),
        (other(&|one| one.address = "::ffff:10.0.0.9".parse().unwrap()), "is an IPv4-mapped IPv6 address"),
    ];
    let (to, _) = engine().await;
    for (bad, why) in faulty {
        let list = [sound.clone(), vec![bad]].concat();
        let error = to.import(list).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert!(error.to_string().ends_with("3 in the list, 1 in the way"), "{error}");
        assert!(content(&to).await.allocations.is_empty());
    }
    // Somebody holds an address of the list.
    to.allocate(pod(2, "a"), soon()).await.unwrap();
    let error = to.import(sound).await.unwrap_err();
    assert!(
        error.to_string().contains("10.0.0.2 in VRF `default` is recorded for Pod shop/cart-2 already"),
        "{error}"
    );
    assert!(matches!(error, EngineError::Refused(_)));
    let found = content(&to).await;
    assert!(
        found
            .allocations
            .iter()
            .all(|known| known.state == AllocationState::Active && known.owner.name == "cart-2")
    );
}
