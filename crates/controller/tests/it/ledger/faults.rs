//! An API server that fails: nothing is granted that is not written, and it goes on by itself.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use allotment_controller::ledger::KubeLedger;
use allotment_engine::conformance::{World, ended, pod, subnet};
use allotment_engine::{CommitError, EngineError, Ledger};
use allotment_fleet::Proxy;
use allotment_fleet::proxy::{Fault, Rule, Which};

use super::restarted;
use crate::plane::{Turn, turn};

fn blocks(verb: &str) -> Which {
    Which::any().verb(verb).resource("addressblocks")
}

/// A proxy, and an engine that sees the API server through it.
fn proxied(turn: &Turn) -> (Proxy<'static>, super::Engaged) {
    drop(turn.begun(&["10.0.0.0/24", "fd00::/64"]));
    let proxy = Proxy::start(turn.plane).unwrap();
    let engaged = turn.engage(turn.ledger_through(&proxy));
    (proxy, engaged)
}

#[test]
fn an_answer_that_is_lost_is_found() {
    let turn = turn();
    let (proxy, engaged) = proxied(&turn);
    // Of the first write the object is made, of the second replaced.
    for (n, verb) in [(1, "create"), (2, "update")] {
        proxy.inject(Rule::new(blocks(verb), Fault::LoseAnswer).times(2));
        let grant = engaged.ask(&turn, pod(n, "a")).unwrap();
        assert_eq!(grant.entries[0].ips.len(), 2, "both blocks were written, and no answer came");
        proxy.heal();
    }
    let metrics = engaged.engine.metrics();
    assert_eq!((metrics.conflicts.get(), metrics.failures.get()), (0, 0), "the content says whose it is");
    assert_eq!(restarted(&turn), engaged.content(&turn));
    assert_eq!(engaged.keeper.counts().set_back.get(), 0);
}

#[test]
fn a_lost_answer_of_a_write_that_others_wrote_over_is_a_conflict() {
    let turn = turn();
    drop(turn.begun(&["10.0.0.0/24"]));
    let proxy = Proxy::start(turn.plane).unwrap();
    let mut first = World::load(turn.ledger_through(&proxy)).unwrap();
    // The answer is lost, and so is the look at what became of it.
    proxy.inject(Rule::new(blocks("create"), Fault::LoseAnswer).times(1));
    proxy.inject(Rule::new(blocks("get"), Fault::Answer(503)).times(1));
    assert!(matches!(first.allocate(&[pod(1, "a")]), Err(CommitError::Failed(_))));
    let mut second = turn.world();
    assert_eq!(second.content().allocations.len(), 1, "it was written all the same");
    second.allocate(&[pod(2, "a")]).unwrap();
    // The first one, which knows nothing of either, tries again and hears of both.
    again(&mut first, "10.0.0.0");
    assert!(first.content().allocations.is_empty());
    assert!(matches!(first.allocate(&[pod(1, "a")]), Err(CommitError::Conflict(_))));
    again(&mut first, "10.0.0.0");
    assert_eq!(first.content(), second.content());
}

/// Reads a block again, as an engine does after a commit that did not happen.
fn again(world: &mut World<KubeLedger>, base: &str) {
    let base: IpAddr = base.parse().unwrap();
    world.state.begin_loading();
    world.state.forget(world.state.block_of("default", base).unwrap());
    world.ledger.reload(&mut world.state, &[("default".to_owned(), base)]).unwrap();
    world.state.settle();
}

#[test]
fn every_failure_is_told_and_ends() {
    let turn = turn();
    let (proxy, engaged) = proxied(&turn);
    engaged.granted(&turn, 0);
    let mut n = 0;
    for fault in [Fault::Answer(429), Fault::Answer(500), Fault::Answer(503), Fault::Answer(504), Fault::Lose]
    {
        n += 1;
        proxy.inject(Rule::new(blocks("update"), fault.clone()));
        let error = engaged.ask(&turn, pod(n, "a")).unwrap_err();
        assert!(matches!(error, EngineError::Ledger(_)), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("the ledger failed: the ledger on the API server (default "), "{text}");
        assert!(text.contains("cannot be written: "), "{text}");
        assert_eq!(
            engaged.content(&turn).allocations.len() as u64,
            2 * n,
            "what is written is shown, {fault:?}"
        );
        proxy.heal();
        engaged.granted(&turn, n);
    }
    assert_eq!(restarted(&turn), engaged.content(&turn));
    assert_eq!(engaged.content(&turn).allocations.len(), 12);
}

#[test]
fn an_api_server_that_asks_for_a_rest_gets_it() {
    let turn = turn();
    let (proxy, engaged) = proxied(&turn);
    engaged.granted(&turn, 0);
    proxy.inject(Rule::new(blocks("update"), Fault::Answer(429)).times(2));
    engaged.ask(&turn, pod(1, "a")).unwrap_err();
    proxy.forget();
    engaged.granted(&turn, 1);
    // One write for each of the two blocks, however often it was asked for in the second that it wanted.
    assert_eq!(proxy.count(&blocks("update")), 2);
}

#[test]
fn a_slow_api_server_is_waited_for() {
    let turn = turn();
    let (proxy, engaged) = proxied(&turn);
    proxy.latency(Duration::from_millis(700));
    let grants: Vec<_> =
        (0..20).map(|n| engaged.engine.allocate(pod(n, "a"), Instant::now() + super::PATIENCE)).collect();
    for grant in turn.runtime.block_on(futures_util::future::join_all(grants)) {
        grant.unwrap();
    }
    assert_eq!(restarted(&turn).allocations.len(), 40);
}

#[test]
fn l4_a_crash_between_the_blocks_of_a_grant_is_completed() {
    let turn = turn();
    drop(turn.begun(&["10.0.0.0/24", "fd00::/64"]));
    let proxy = Proxy::start(turn.plane).unwrap();
    for (n, lost) in [(1, "default.10-0-0-0"), (2, "default.fd00-0-0-0-0-0-0-0")] {
        let mut world = World::load(turn.ledger_through(&proxy)).unwrap();
        let before = world.content().allocations.len();
        for verb in ["create", "update"] {
            let which = if verb == "create" { blocks(verb) } else { blocks(verb).name(lost) };
            // A new object's name is in its body, so that the first or the second of both is lost.
            let spare = u64::from(verb == "create" && n == 2);
            proxy.inject(Rule::new(which, Fault::Lose).spare(spare).times(1));
        }
        assert!(matches!(world.allocate(&[pod(n, "a")]), Err(CommitError::Failed(_))));
        drop(world);
        proxy.heal();
        let mut world = turn.world();
        let half = world.content();
        assert_eq!(half.allocations.len(), before + 1, "one of both families");
        let grant = world.allocate(&[pod(n, "a")]).unwrap().remove(0).unwrap();
        assert_eq!(grant.entries[0].ips.len(), 2);
        let kept = half.allocations.iter().all(|known| {
            world
                .content()
                .allocations
                .iter()
                .any(|now| now.address == known.address && now.owner == known.owner)
        });
        assert!(kept, "what was written is a part of what is granted");
        restarted(&turn).assert_same(&world.content(), "after a restart");
    }
}

#[test]
fn l4_a_crash_between_the_blocks_of_a_grant_is_undone_when_its_pod_is_gone() {
    let turn = turn();
    drop(turn.begun(&["10.0.0.0/24", "fd00::/64"]));
    let proxy = Proxy::start(turn.plane).unwrap();
    let mut world = World::load(turn.ledger_through(&proxy)).unwrap();
    proxy.inject(Rule::new(blocks("create"), Fault::Lose).spare(1).times(1));
    assert!(matches!(world.allocate(&[pod(1, "a")]), Err(CommitError::Failed(_))));
    drop(world);
    let mut world = turn.world();
    world.release(&[ended(1)]).unwrap();
    let content = restarted(&turn);
    assert_eq!(content.allocations.len(), 1);
    assert!(content.allocations.iter().all(|known| !known.state.is_held()));
}

#[test]
fn an_engine_starts_when_the_api_server_is_there() {
    let turn = turn();
    drop(turn.begun(&["10.0.0.0/24"]));
    let proxy = Proxy::start(turn.plane).unwrap();
    proxy.refuse();
    let error = World::load(turn.ledger_through(&proxy)).err().unwrap();
    assert!(error.to_string().starts_with("the ledger on the API server cannot be opened: "), "{error}");
    proxy.heal();
    // A list that is too old by the time it is read to its end is begun again.
    proxy.inject(Rule::new(blocks("list"), Fault::Answer(410)).times(1));
    let mut world = World::load(turn.ledger_through(&proxy)).unwrap();
    world.put(subnet("b", "default", &["10.1.0.0/24"])).unwrap();
}
