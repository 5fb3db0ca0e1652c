//! The checks.

use std::net::IpAddr;

use allotment_core::{Asked, BlockId, MacWant, Netns, Object, Release, ReleaseMode, Request};

use super::world::{World, ended, pod, subnet};
use super::{Content, Subject};
use crate::{Batch, CommitError, Ledger};

type Check<S> = fn(&S);

/// Every check with its name.
pub(super) fn all<S: Subject>() -> [(&'static str, Check<S>); 9] {
    [
        ("an empty ledger has nothing", empty),
        ("objects are there after a restart, as they were put last", objects),
        ("records of every shape are there after a restart", shapes),
        ("committing the same content again changes nothing", replay),
        ("a big batch is committed whole", big_batch),
        ("many small commits over the same blocks", interleaved),
        ("reloading blocks undoes what was not committed", reload),
        ("a batch that changes nothing can be committed", nothing),
        ("two writers of one block conflict, and neither is lost", conflict),
    ]
}

fn world<S: Subject>(subject: &S) -> World<S::Ledger> {
    World::load(subject.open()).expect("the ledger loads")
}

/// Closes the world's ledger, and checks that another start finds the same.
fn restart<S: Subject>(subject: &S, world: World<S::Ledger>) -> World<S::Ledger> {
    let before = world.content();
    drop(world);
    let after = self::world(subject);
    after.content().assert_same(&before, "after a restart");
    after
}

fn commit<T>(committed: Result<T, CommitError>) -> T {
    committed.expect("the ledger commits")
}

fn empty<S: Subject>(subject: &S) {
    let world = world(subject);
    assert_eq!(world.content(), Content::default());
    restart(subject, world);
}

fn nothing<S: Subject>(subject: &S) {
    let mut world = world(subject);
    commit(world.change(|_, _| ()));
    restart(subject, world);
}

fn objects<S: Subject>(subject: &S) {
    let mut world = world(subject);
    let (a, b) =
        (subnet("a", "default", &["10.0.0.0/24"]), subnet("b", "red", &["10.0.0.0/24", "fd00::/64"]));
    commit(world.put(a));
    commit(world.put(b.clone()));
    commit(world.put(subnet("a", "default", &["10.0.0.0/16"])));
    let mut world = restart(subject, world);
    assert_eq!(world.content().objects.len(), 2);
    commit(world.remove(&b));
    // Put and removed within one batch, and the other way round: the last word counts.
    commit(world.change(|state, batch| {
        let Object::Subnet(spec) = &b else { unreachable!("a subnet is a subnet") };
        for object in [Some(b.clone()), None, Some(b.clone())] {
            match &object {
                Some(object) => state.put(object.clone()).expect("it was accepted before"),
                None => assert_eq!(state.remove(&b.key()), Ok(true)),
            }
            batch.objects.push((b.key(), object));
        }
        assert_eq!(spec.name, "b");
    }));
    let world = restart(subject, world);
    assert_eq!(world.content().objects.len(), 2);
}

fn shapes<S: Subject>(subject: &S) {
    let mut world = world(subject);
    commit(world.put(subnet("a", "default", &["10.0.0.0/24", "fd00::/64"])));
    commit(world.put(subnet("b", "red", &["10.0.0.0/24"])));
    let mut rich = pod(1, "a");
    rich.owner.name = "grüße-".repeat(40);
    rich.wants[0].mac = Some(MacWant::Asked("02:00:5e:00:00:01".parse().expect("it is a MAC")));
    rich.wants[0].attachment.netns = Some(Netns {
        boot: "boot".to_owned(),
        device: 4,
        inode: u64::MAX,
        cookie: Some(1 << 40),
        path: "/run/netns/x".to_owned(),
    });
    let mut asked = pod(2, "a");
    asked.wants[0].ips = Asked::Each(vec![address("10.0.0.254"), address("fd00::ff")]);
    let mut joining = rich.clone();
    joining.wants[0].join = true;
    let attachment = &mut joining.wants[0].attachment;
    (attachment.holder, attachment.container_id) = ("its next pod".to_owned(), "another sandbox".to_owned());
    for request in [rich, asked, joining, pod(3, "b"), pod(4, "a"), pod(5, "a")] {
        let outcome = commit(world.allocate(std::slice::from_ref(&request)));
        assert!(outcome[0].is_ok(), "{outcome:?}");
    }
    let held = |world: &World<S::Ledger>, name: &str| {
        let content = world.content();
        let found =
            content.allocations.into_iter().find(|known| known.owner.name == name && known.address.is_ipv4());
        found.expect("it was allocated")
    };
    let kept = held(&world, "cart-4");
    let keep = Release::Address {
        vrf: kept.vrf,
        address: kept.address,
        holder: kept.owner.uid,
        mode: ReleaseMode::Keep,
        since: None,
    };
    commit(world.release(&[keep, ended(5)]));
    let world = restart(subject, world);
    assert_eq!(world.content().allocations.len(), 9, "four in two families, one in one");
}

fn replay<S: Subject>(subject: &S) {
    let mut world = world(subject);
    commit(world.put(subnet("a", "default", &["10.0.0.0/24"])));
    let requests: Vec<Request> = (0..20).map(|n| pod(n, "a")).collect();
    commit(world.allocate(&requests));
    let content = world.content();
    // Asked again, nothing changes; and committed again all the same, nothing changes in the ledger.
    commit(world.allocate(&requests));
    world.content().assert_same(&content, "asked again");
    commit(world.change(|state, batch| {
        batch.places = state.blocks().flat_map(|block| state.places(block)).collect();
        batch.places.extend_from_within(..);
    }));
    restart(subject, world).content().assert_same(&content, "committed again");
}

fn big_batch<S: Subject>(subject: &S) {
    let mut world = world(subject);
    commit(world.put(subnet("a", "default", &["10.0.0.0/16", "fd00::/64"])));
    let requests: Vec<Request> = (0..3000).map(|n| pod(n, "a")).collect();
    let grants = commit(world.allocate(&requests));
    assert!(grants.iter().all(Result::is_ok));
    let world = restart(subject, world);
    assert_eq!(world.content().allocations.len(), 6000);
}

fn interleaved<S: Subject>(subject: &S) {
    let mut world = world(subject);
    commit(world.put(subnet("a", "default", &["10.0.0.0/22"])));
    for round in 0..6u64 {
        for n in 0..40 {
            // From block to block; what is released at once is used again by the next.
            let place = if n % 3 == 0 { 5 } else { 10 + round * 10 + n / 4 };
            let mut request = pod(round * 40 + n, "a");
            request.wants[0].ips = Asked::Each(vec![address(&format!("10.0.{}.{place}", n % 4))]);
            let outcome = commit(world.allocate(&[request]));
            assert!(outcome[0].is_ok(), "{outcome:?}");
            if n % 3 == 0 {
                commit(world.release(&[ended(round * 40 + n)]));
            }
        }
        world = restart(subject, world);
    }
}

fn reload<S: Subject>(subject: &S) {
    let mut world = world(subject);
    commit(world.put(subnet("a", "default", &["10.0.0.0/23"])));
    let requests: Vec<Request> = (0..300).map(|n| pod(n, "a")).collect();
    commit(world.allocate(&requests));
    let content = world.content();
    let mut batch = Batch { at: world.now.plus(1000), ..Batch::default() };
    for n in 300..320 {
        let request = pod(n, "a");
        let plan = world.state.plan(&request, batch.at).expect("there is room");
        world.state.apply(&plan, &mut batch.places);
    }
    world.state.release(&ended(7), batch.at, &mut batch.places);
    assert_ne!(world.content(), content);
    assert_eq!(batch.blocks().len(), 2);
    forget_and_reload(&mut world, &batch.blocks());
    world.content().assert_same(&content, "after forgetting and reloading");
    world.state.assert_consistent();
    restart(subject, world);
}

fn conflict<S: Subject>(subject: &S) {
    if !subject.is_shared() {
        return;
    }
    let mut first = world(subject);
    commit(first.put(subnet("a", "default", &["10.0.0.0/24"])));
    let mut second = world(subject);
    commit(first.allocate(&[pod(1, "a")]));
    let Err(CommitError::Conflict(blocks)) = second.allocate(&[pod(2, "a")]) else {
        panic!("the second writer did not hear of the first");
    };
    assert_eq!(blocks.iter().map(|block| block.base()).collect::<Vec<_>>(), [address("10.0.0.0")]);
    forget_and_reload(&mut second, &blocks);
    second.content().assert_same(&first.content(), "the second writer, after reloading");
    commit(second.allocate(&[pod(2, "a")]));
    let content = second.content();
    assert_eq!(content.allocations.len(), 2);
    drop(first);
    restart(subject, second);
}

fn forget_and_reload<L: Ledger>(world: &mut World<L>, blocks: &[BlockId]) {
    let name = |&block| (world.state.vrf_name(block).to_owned(), block.base());
    let named: Vec<(String, IpAddr)> = blocks.iter().map(name).collect();
    world.state.begin_loading();
    for &block in blocks {
        world.state.forget(block);
    }
    world.ledger.reload(&mut world.state, &named).expect("the ledger reads");
    world.state.settle();
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("the checks write addresses well")
}
