//! A ledger that was lost, in part or whole, or set back (L6).

use std::fs;
use std::path::Path;
use std::process::Command;

use allotment_controller::ledger;
use allotment_core::Code;
use allotment_engine::EngineError;
use allotment_engine::conformance::{World, pod, subnet};
use allotment_fleet::Proxy;
use allotment_fleet::proxy::{Fault, Rule, Which};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::DeleteParams;

use super::{Engaged, restarted};
use crate::plane::{Turn, turn};

fn delete(turn: &Turn, name: &str) {
    turn.runtime.block_on(turn.blocks().delete(name, &DeleteParams::default())).unwrap();
}

fn fill(turn: &Turn, engaged: &Engaged, pods: std::ops::Range<u64>) {
    let ask = |n| engaged.engine.allocate(pod(n, "a"), std::time::Instant::now() + super::PATIENCE);
    for grant in turn.runtime.block_on(futures_util::future::join_all(pods.map(ask))) {
        grant.unwrap();
    }
}

fn recovering(turn: &Turn, engaged: &Engaged) -> Option<u64> {
    turn.runtime.block_on(engaged.engine.read(|state, _| state.recovering())).unwrap()
}

#[test]
fn l6_deleted_blocks_are_written_again() {
    let turn = turn();
    let engaged = turn.engaged();
    engaged.put(&turn, &["10.0.0.0/22", "fd00::/64"]);
    fill(&turn, &engaged, 0..600);
    let (names, content) = (turn.names(), engaged.content(&turn));
    // One, then all of them.
    delete(&turn, "default.10-0-1-0");
    turn.wait_for("it is there again", || (turn.names() == names).then_some(()));
    turn.empty_once();
    turn.wait_for("they are there again", || (turn.names() == names).then_some(()));
    restarted(&turn).assert_same(&content, "after a restart");
    turn.wait_for("they are counted", || {
        (engaged.keeper.counts().lost.get() == 1 + names.len() as u64).then_some(())
    });
    // And they can be written on.
    assert_eq!(engaged.granted(&turn, 600).to_string(), "10.0.2.90");
    assert_eq!((recovering(&turn, &engaged), engaged.keeper.counts().set_back.get()), (None, 0));
}

#[test]
fn l6_a_block_that_is_deleted_under_a_commit_is_written_with_it() {
    let turn = turn();
    let mut world = turn.begun(&["10.0.0.0/24"]);
    world.allocate(&[pod(1, "a")]).unwrap();
    // Nobody watches here.
    delete(&turn, "default.10-0-0-0");
    world.allocate(&[pod(2, "a")]).unwrap();
    assert_eq!(world.content().allocations.len(), 2);
    restarted(&turn).assert_same(&world.content(), "after a restart");
}

#[test]
fn l6_a_definition_that_is_deleted_and_comes_back_brings_everything_back() {
    let turn = turn();
    let engaged = turn.engaged();
    engaged.put(&turn, &["10.0.0.0/22"]);
    fill(&turn, &engaged, 0..600);
    let (names, content) = (turn.names(), engaged.content(&turn));
    let definitions: Api<CustomResourceDefinition> = Api::all(turn.client());
    let name = "addressblocks.allotment.dev";
    turn.runtime.block_on(definitions.delete(name, &DeleteParams::default())).unwrap();
    turn.wait_for("it is gone", || {
        turn.runtime.block_on(definitions.get_opt(name)).unwrap().is_none().then_some(())
    });
    let error = turn.wait_for("it is noticed", || match engaged.ask(&turn, pod(600, "a")) {
        Err(EngineError::Ledger(why)) => Some(why),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    });
    assert!(error.contains("the ledger on the API server"), "{error}");
    engaged.content(&turn).assert_same(&content, "it is still known");
    turn.define();
    turn.wait_for("all of it is there again", || (turn.names() == names).then_some(()));
    engaged.granted(&turn, 600);
    restarted(&turn).assert_same(&engaged.content(&turn), "after a restart");
    assert_eq!(recovering(&turn, &engaged), None);
}

#[test]
fn l6_what_was_deleted_while_nobody_was_there_is_adopted_from_what_pods_show() {
    let turn = turn();
    let engaged = turn.engaged();
    engaged.put(&turn, &["10.0.0.0/23"]);
    fill(&turn, &engaged, 0..300);
    let content = engaged.content(&turn);
    turn.runtime.block_on(engaged.engine.stop());
    delete(&turn, "default.10-0-0-0");
    let engaged = turn.engaged();
    assert_eq!(engaged.content(&turn).allocations.len(), 46);
    let taken = turn.runtime.block_on(engaged.engine.adopt(content.allocations.clone())).unwrap();
    assert_eq!(taken, 254);
    engaged.content(&turn).assert_same(&content, "adopted");
    restarted(&turn).assert_same(&content, "after a restart");
}

#[test]
fn l6_an_epoch_holds_everything_new_back_until_it_is_settled() {
    let turn = turn();
    let engaged = turn.engaged();
    engaged.put(&turn, &["10.0.0.0/24"]);
    let first = engaged.granted(&turn, 1);
    let epoch = turn.runtime.block_on(ledger::raise(turn.client())).unwrap();
    turn.wait_for("the engine has heard of it", || recovering(&turn, &engaged));
    let withheld = |engaged: &Engaged, n| match engaged.ask(&turn, pod(n, "a")) {
        Err(EngineError::Refused(refusal)) => assert_eq!(refusal.code, Code::Withheld),
        other => panic!("{other:?}"),
    };
    withheld(&engaged, 2);
    assert_eq!(engaged.granted(&turn, 1), first, "what it has it keeps");
    // A restart does not end it.
    turn.runtime.block_on(engaged.engine.stop());
    let engaged = turn.engaged();
    assert_eq!(recovering(&turn, &engaged), Some(epoch));
    withheld(&engaged, 2);
    // Raised again meanwhile: what was said under the old one says nothing.
    let newer = turn.runtime.block_on(ledger::raise(turn.client())).unwrap();
    assert!(newer > epoch);
    assert!(!turn.runtime.block_on(ledger::settle(turn.client(), epoch)).unwrap());
    assert!(turn.runtime.block_on(ledger::settle(turn.client(), newer)).unwrap());
    turn.wait_for("it is over", || recovering(&turn, &engaged).is_none().then_some(()));
    engaged.granted(&turn, 2);
}

#[test]
fn l6_a_ledger_that_does_not_know_its_epoch_begins_a_new_one() {
    let turn = turn();
    let mut world = turn.begun(&["10.0.0.0/24"]);
    world.allocate(&[pod(1, "a")]).unwrap();
    drop(world);
    let engaged = turn.engaged();
    turn.runtime.block_on(engaged.engine.stop());
    delete(&turn, "ledger");
    let world = turn.world();
    let epoch = world.state.recovering().expect("who knows what else is missing");
    assert!(epoch > 1_700_000_000, "no epoch before was as high: {epoch}");
    turn.empty();
    let engaged = turn.engaged();
    assert_eq!(recovering(&turn, &engaged), None, "there is nothing at all, and nothing to recover");
}

/// Copies a stopped etcd's data.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// Stops the control plane, does something to its data, and starts it again.
fn with_stopped(turn: &Turn, act: impl FnOnce(&Path, &Path)) {
    let plane = turn.plane;
    plane.api_server().kill().unwrap();
    plane.etcd().stop().unwrap();
    act(&plane.folder().join("etcd"), &plane.folder().join("etcd-before"));
    plane.etcd().start().unwrap();
    plane.api_server().start().unwrap();
    plane.wait_ready().unwrap();
}

#[test]
fn l6_an_etcd_that_was_set_back_doubles_nothing() {
    let turn = turn();
    let engaged = turn.engaged();
    engaged.put(&turn, &["10.0.0.0/22"]);
    fill(&turn, &engaged, 0..300);
    with_stopped(&turn, copy);
    // An hour's work: new pods, and a subnet.
    turn.wait_for("the engine writes again", || engaged.ask(&turn, pod(300, "a")).ok());
    fill(&turn, &engaged, 301..600);
    turn.runtime.block_on(engaged.engine.put(subnet("b", "default", &["10.1.0.0/24"]))).unwrap();
    let (names, content) = (turn.names(), engaged.content(&turn));
    with_stopped(&turn, |data, before| copy(before, data));
    // Whoever has the memory of it brings it back, and believes nothing free that others may have been given.
    turn.wait_for("it is noticed", || recovering(&turn, &engaged));
    turn.wait_for("all of it is there again", || (turn.names() == names).then_some(()));
    turn.wait_for("it is as it was", || (restarted_or_not(&turn)? == content).then_some(()));
    engaged.content(&turn).assert_same(&content, "in memory");
    assert!(
        matches!(engaged.ask(&turn, pod(700, "a")), Err(EngineError::Refused(refusal)) if refusal.code == Code::Withheld)
    );
    let epoch = recovering(&turn, &engaged).unwrap();
    assert!(turn.runtime.block_on(ledger::settle(turn.client(), epoch)).unwrap());
    let address = turn.wait_for("it is over", || engaged.ask(&turn, pod(700, "a")).ok());
    let address = address.entries[0].ips[0].address;
    assert!(content.allocations.iter().all(|known| known.address != address), "{address}");
    assert_eq!(engaged.keeper.counts().set_back.get(), 1);
}

/// The API server may still be warming up.
fn restarted_or_not(turn: &Turn) -> Option<allotment_engine::conformance::Content> {
    World::load(turn.ledger()).ok().map(|world| world.content())
}

#[test]
fn l6_a_set_back_that_a_commit_notices_is_heard_of() {
    let turn = turn();
    drop(turn.begun(&["10.0.0.0/24"]));
    with_stopped(&turn, copy);
    let proxy = Proxy::start(turn.plane).unwrap();
    // No watch ever tells it anything.
    proxy.inject(Rule::new(Which::any().verb("watch"), Fault::Answer(503)));
    let engaged = turn.engage(turn.ledger_through(&proxy));
    // More versions than the API server itself makes while it starts and waits for the test.
    for n in 0..200 {
        engaged.granted(&turn, n);
    }
    let content = engaged.content(&turn);
    with_stopped(&turn, |data, before| copy(before, data));
    // The block is not there at all now, and what is written next brings it back.
    turn.wait_for("it writes again", || engaged.ask(&turn, pod(200, "a")).ok());
    turn.wait_for("it is noticed", || recovering(&turn, &engaged));
    assert_eq!(engaged.content(&turn).allocations.len(), content.allocations.len() + 1);
    turn.wait_for("it is written", || (restarted_or_not(&turn)? == engaged.content(&turn)).then_some(()));
}

#[test]
fn l6_a_block_from_a_backup_is_not_believed() {
    let turn = turn();
    let engaged = turn.engaged();
    engaged.put(&turn, &["10.0.0.0/24"]);
    engaged.granted(&turn, 1);
    let mut backup = turn.runtime.block_on(turn.blocks().get("default.10-0-0-0")).unwrap();
    engaged.granted(&turn, 2);
    let content = engaged.content(&turn);
    // Somebody means well.
    backup.metadata = kube::core::ObjectMeta { name: backup.metadata.name, ..Default::default() };
    turn.wait_for("it is put in its place", || {
        let _ = turn.runtime.block_on(turn.blocks().delete("default.10-0-0-0", &DeleteParams::default()));
        turn.runtime.block_on(turn.blocks().create(&kube::api::PostParams::default(), &backup)).ok()
    });
    turn.wait_for("it is noticed", || recovering(&turn, &engaged));
    turn.wait_for("nothing is lost", || (restarted(&turn) == content).then_some(()));
    engaged.content(&turn).assert_same(&content, "in memory");
}
