//! Somebody else who writes: two leaders double nothing and both get on; what others do is heard of.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use allotment_controller::ledger;
use allotment_core::{Asked, Release, ReleaseMode, Request};
use allotment_engine::conformance::{Content, pod, subnet};
use allotment_engine::{EngineError, Handle};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{PATIENCE, restarted};
use crate::plane::turn;

/// Who was told that they have an address, and that they no longer have it.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<BTreeMap<IpAddr, u64>>>);

/// The same numbers for one seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// Asks and releases at random, for pods of its own. Returns how many grants there were.
async fn work(engine: Handle, told: Told, first: u64, seed: u64, steps: usize) -> usize {
    let mut random = Random(seed);
    let (mut grants, mut mine) = (0, Vec::new());
    for step in 0..steps {
        let deadline = Instant::now() + PATIENCE;
        if mine.len() > 20 || !mine.is_empty() && random.below(3) == 0 {
            let place = usize::try_from(random.below(mine.len() as u64)).unwrap();
            let (n, address): (u64, IpAddr) = mine.swap_remove(place);
            // Before the release is asked for: once it is done, another may have the address.
            told.0.lock().unwrap().remove(&address);
            release(&engine, n, address, deadline).await;
            continue;
        }
        let n = first + step as u64;
        let request = if random.below(4) == 0 { by_name(n, &mut random) } else { pod(n, "a") };
        match engine.allocate(request, deadline).await {
            Ok(grant) => {
                grants += 1;
                let address = grant.entries[0].ips[0].address;
                mine.push((n, address));
                let other = told.0.lock().unwrap().insert(address, n);
                assert_eq!(other, None, "seed {seed}: {address} was given to {n} and is another's");
            }
            Err(EngineError::Ledger(_) | EngineError::Refused(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    grants
}

/// One that both sides want again and again.
fn by_name(n: u64, random: &mut Random) -> Request {
    let mut request = pod(n, "a");
    let address = format!("10.0.{}.{}", random.below(2), 2 + random.below(20));
    request.wants[0].ips = Asked::Each(vec![address.parse().unwrap()]);
    request
}

/// Until it is written.
async fn release(engine: &Handle, n: u64, address: IpAddr, deadline: Instant) {
    let holder = pod(n, "a").owner.uid;
    let release =
        Release::Address { vrf: "default".to_owned(), address, holder, mode: ReleaseMode::Cool, since: None };
    loop {
        match engine.release(release.clone(), deadline).await {
            Ok(_) => return,
            Err(EngineError::Ledger(_)) => assert!(Instant::now() < deadline),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn l4_two_leaders_at_once_double_nothing_and_both_get_on() {
    let turn = turn();
    drop(turn.begun(&["10.0.0.0/23"]));
    let seed = 0x5eed_u64.wrapping_add(u64::from(std::process::id()));
    eprintln!("seed {seed}");
    let engines = [turn.engaged(), turn.engaged()];
    let told = Told::default();
    let workers = (0..8).map(|at: u64| {
        let engine = engines[usize::from(at % 2 == 1)].engine.clone();
        work(engine, told.clone(), at * 1_000_000, seed * 8 + at, 60)
    });
    let grants = turn.runtime.block_on(futures_util::future::join_all(workers));
    let of = |side: usize| grants.iter().skip(side).step_by(2).sum::<usize>();
    assert!(of(0) > 50 && of(1) > 50, "{grants:?}");
    assert!(engines.iter().any(|engaged| engaged.engine.metrics().conflicts.get() > 0), "they met");
    // What was told is what is written.
    let content = restarted(&turn);
    for (address, n) in told.0.lock().unwrap().iter() {
        let known = content.allocations.iter().find(|known| known.address == *address).unwrap();
        assert!(known.state.is_held() && known.owner == pod(*n, "a").owner, "{address} of {n}: {known:?}");
    }
    for engaged in &engines {
        turn.wait_for("each side knows all", || (engaged.content(&turn) == content).then_some(()));
        assert_eq!(engaged.keeper.counts().set_back.get(), 0);
    }
}

#[test]
fn l4_of_what_two_leaders_gave_one_attachment_the_shown_one_stays() {
    let turn = turn();
    let mut first = turn.begun(&["10.0.0.0/22"]);
    let mut second = turn.world();
    let ask = |address: &str| {
        let mut request = pod(1, "a");
        request.wants[0].ips = Asked::Each(vec![address.parse().unwrap()]);
        request
    };
    // In two blocks nothing stands in the way of both.
    first.allocate(&[ask("10.0.0.5"), pod(2, "a")]).unwrap()[0].as_ref().unwrap();
    second.allocate(&[ask("10.0.1.5")]).unwrap()[0].as_ref().unwrap();
    drop((first, second));
    let engaged = turn.engaged();
    let doubled = |shown: Option<&str>| {
        let shown = shown.map(|address| vec![address.parse().unwrap()]);
        let of = pod(1, "a").owner.uid;
        let found = ledger::doubled(&engaged.engine, |attachment| match &shown {
            Some(shown) if attachment.holder == of => ledger::Showing::These(shown.clone()),
            _ => ledger::Showing::Nothing,
        });
        turn.runtime.block_on(found).unwrap()
    };
    let released = |releases: &[Release]| match releases {
        [Release::Address { address, .. }] => address.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(released(&doubled(None)), "10.0.1.5");
    assert_eq!(released(&doubled(Some("10.0.0.5"))), "10.0.1.5");
    let doubled_one = doubled(Some("10.0.1.5"));
    assert_eq!(released(&doubled_one), "10.0.0.5");
    for release in doubled_one {
        turn.runtime.block_on(engaged.engine.release(release, Instant::now() + PATIENCE)).unwrap();
    }
    assert!(doubled(Some("10.0.1.5")).is_empty() && doubled(None).is_empty());
    assert_eq!(engaged.granted(&turn, 1).to_string(), "10.0.1.5");
}

#[test]
fn others_changes_are_taken_over() {
    let turn = turn();
    let engaged = turn.engaged();
    engaged.put(&turn, &["10.0.0.0/24"]);
    engaged.granted(&turn, 1);
    let mut other = turn.world();
    other.put(subnet("b", "blue", &["10.0.0.0/24"])).unwrap();
    other.allocate(&[pod(2, "a"), pod(3, "b")]).unwrap();
    turn.wait_for("what the other wrote is there", || {
        (engaged.content(&turn) == other.content()).then_some(())
    });
    // And the other way round, where nobody keeps watch: by the conflict.
    engaged.granted(&turn, 4);
    assert!(other.allocate(&[pod(5, "a")]).is_err());
    assert_eq!(engaged.keeper.counts().lost.get(), 0);
}

#[test]
fn a_label_disturbs_nothing() {
    let turn = turn();
    let engaged = turn.engaged();
    engaged.put(&turn, &["10.0.0.0/24"]);
    engaged.granted(&turn, 1);
    let label = Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}}));
    turn.runtime.block_on(turn.blocks().patch("default.10-0-0-0", &PatchParams::default(), &label)).unwrap();
    assert_eq!(engaged.granted(&turn, 2).to_string(), "10.0.0.3");
    assert_eq!(restarted(&turn), engaged.content(&turn));
    assert_eq!(engaged.keeper.counts().lost.get(), 0);
}

#[test]
fn its_own_writes_are_not_looked_at_again() {
    let turn = turn();
    drop(turn.begun(&["10.0.0.0/23"]));
    let proxy = allotment_fleet::Proxy::start(turn.plane).unwrap();
    let engaged = turn.engage(turn.ledger_through(&proxy));
    for n in 0..30 {
        engaged.granted(&turn, n);
    }
    let blocks = |verb: &str| {
        let which = allotment_fleet::proxy::Which::any().verb(verb).resource("addressblocks");
        proxy.count(&which)
    };
    turn.wait_for("the watch is up", || (blocks("watch") == 1).then_some(()));
    assert_eq!((blocks("create"), blocks("update")), (1, 29), "one write each");
    // One for the object of the ledger as a whole, at most.
    assert!(blocks("get") <= 1, "{:?}", proxy.requests());
    let content: Content = engaged.content(&turn);
    assert_eq!(content.allocations.len(), 30);
}
