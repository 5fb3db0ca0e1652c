//! What is in which object: names (L1), content that cannot be read (L2), conditional writes (L3).

use allotment_controller::ledger::KubeLedger;
use allotment_core::{Code, Object, ObjectKey, ObjectKind, SubnetSpec};
use allotment_engine::conformance::{World, ended, pod, subnet};
use allotment_engine::{CommitError, EngineError, LedgerError};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::{PATIENCE, restarted};
use crate::plane::{Turn, turn};

/// Somebody's edit.
fn edit(turn: &Turn, name: &str, data: &str) {
    let patch = Patch::Merge(json!({"spec": {"data": data}}));
    turn.runtime.block_on(turn.blocks().patch(name, &PatchParams::default(), &patch)).unwrap();
}

fn data(turn: &Turn, name: &str) -> String {
    turn.runtime.block_on(turn.blocks().get(name)).unwrap().spec.data
}

#[test]
fn l1_a_block_is_one_object_whatever_the_subnets() {
    let turn = turn();
    let mut world = turn.begun(&["10.0.0.0/25", "fd00::/64"]);
    world.put(subnet("b", "default", &["10.0.0.128/25"])).unwrap();
    world.put(subnet("c", "blue", &["10.0.0.0/24"])).unwrap();
    for (n, name) in [(1, "a"), (2, "b"), (3, "c")] {
        assert!(world.allocate(&[pod(n, name)]).unwrap()[0].is_ok());
    }
    let names = ["blue.10-0-0-0", "default.10-0-0-0", "default.fd00-0-0-0-0-0-0-0", "ledger"];
    let objects = ["object.subnet.a", "object.subnet.b", "object.subnet.c"];
    assert_eq!(turn.names(), [&names[..], &objects[..]].concat());
    let of: Vec<String> = turn.objects().into_iter().map(|object| object.spec.of).collect();
    let said = ["blue 10.0.0.0", "default 10.0.0.0", "default fd00::", "the ledger", "Subnet a"];
    assert_eq!(of[..5], said);
    // The subnets go and another one comes: the block and what it remembers stay.
    world.release(&[ended(1), ended(2)]).unwrap();
    for name in ["a", "b"] {
        world.remove(&Object::Subnet(SubnetSpec::new(name, Vec::new()))).unwrap();
    }
    world.put(subnet("d", "default", &["10.0.0.0/23"])).unwrap();
    world.allocate(&[pod(4, "d")]).unwrap()[0].as_ref().unwrap();
    let objects = ["object.subnet.c", "object.subnet.d"];
    assert_eq!(turn.names(), [&names[..], &objects[..]].concat());
    restarted(&turn).assert_same(&world.content(), "after a restart");
}

/// Two blocks with 300 pods.
fn two_blocks(turn: &Turn) -> World<KubeLedger> {
    let mut world = turn.begun(&["10.0.0.0/23"]);
    let requests: Vec<_> = (0..300).map(|n| pod(n, "a")).collect();
    assert!(world.allocate(&requests).unwrap().iter().all(Result::is_ok));
    world
}

#[test]
fn l2_what_cannot_be_read_is_read_only_and_the_rest_works() {
    // A later format, as a newer controller would write it; and what nobody wrote.
    for unreadable in ["Anything", "%%%", "", "AQAAAAAA"] {
        let turn = turn();
        two_blocks(&turn);
        edit(&turn, "default.10-0-0-0", unreadable);
        let mut world = turn.world();
        assert_eq!(world.content().allocations.len(), 46, "of the other block");
        let closed: Vec<String> = world.state.closed().map(|(vrf, base)| format!("{vrf} {base}")).collect();
        assert_eq!(closed, ["default 10.0.0.0"]);
        let requests: Vec<_> = (300..550).map(|n| pod(n, "a")).collect();
        let given = world.allocate(&requests).unwrap();
        assert_eq!(
            given.iter().filter(|given| given.is_ok()).count(),
            209,
            "what was left of the other block"
        );
        assert_eq!(given.last().unwrap().as_ref().unwrap_err().code, Code::Full);
        world.release(&[ended(1)]).unwrap();
        assert_eq!(data(&turn, "default.10-0-0-0"), unreadable, "nobody has touched it");
        restarted(&turn).assert_same(&world.content(), "after a restart");
    }
}

#[test]
fn l2_a_block_that_becomes_unreadable_is_closed_and_opened_again() {
    let turn = turn();
    drop(two_blocks(&turn));
    let engaged = turn.engaged();
    let good = data(&turn, "default.10-0-0-0");
    let closed = |count| {
        turn.wait_for(&format!("{count} closed blocks"), || {
            let closed =
                turn.runtime.block_on(engaged.engine.read(|state, _| state.closed().count())).unwrap();
            (closed == count).then_some(())
        });
    };
    // A newer controller has taken it over: format 3.
    edit(&turn, "default.10-0-0-0", "AwAA");
    closed(1);
    assert_eq!(engaged.content(&turn).allocations.len(), 46);
    assert!(engaged.ask(&turn, pod(300, "a")).is_ok());
    edit(&turn, "default.10-0-0-0", &good);
    closed(0);
    assert_eq!(engaged.content(&turn).allocations.len(), 301);
}

#[test]
fn l2_what_somebody_spoils_is_written_again() {
    let turn = turn();
    drop(two_blocks(&turn));
    let engaged = turn.engaged();
    let before = engaged.content(&turn);
    for spoiled in ["spoiled", ""] {
        for name in ["default.10-0-0-0", "ledger"] {
            edit(&turn, name, spoiled);
            turn.wait_for("it is whole again", || (data(&turn, name) != spoiled).then_some(()));
        }
    }
    turn.wait_for("it is believed", || (engaged.keeper.counts().lost.get() == 4).then_some(()));
    engaged.content(&turn).assert_same(&before, "in memory");
    restarted(&turn).assert_same(&before, "after a restart");
    assert_eq!(engaged.keeper.counts().set_back.get(), 0);
}

#[test]
fn l2_a_ledger_in_a_newer_format_is_not_opened() {
    let turn = turn();
    drop(two_blocks(&turn));
    edit(&turn, "ledger", "AwAA");
    let error = World::load(turn.ledger()).err().unwrap();
    assert!(matches!(error, LedgerError::Newer { found: 3, known: 2, .. }), "{error}");
}

#[test]
fn l2_an_object_that_cannot_be_read_is_accepted_anew_unless_it_is_newer() {
    let turn = turn();
    let mut world = two_blocks(&turn);
    world.put(subnet("b", "default", &["10.1.0.0/24"])).unwrap();
    edit(&turn, "object.subnet.a", "spoiled");
    edit(&turn, "object.subnet.b", "AwAA");
    let engaged = turn.engaged();
    assert!(engaged.content(&turn).objects.is_empty());
    assert_eq!(engaged.content(&turn).allocations.len(), 300, "what is held stays held");
    engaged.put(&turn, &["10.0.0.0/23"]);
    let b = || turn.runtime.block_on(engaged.engine.put(subnet("b", "default", &["10.1.0.0/24"])));
    let error = b().unwrap_err();
    let said = "the ledger failed: the ledger on the API server (Subnet b) is in format 3; this program knows formats up to 2";
    assert_eq!(error.to_string(), said);
    assert_eq!(data(&turn, "object.subnet.b"), "AwAA");
    assert_eq!(engaged.granted(&turn, 300).to_string(), "10.0.1.46");
    assert_eq!(restarted(&turn).objects.len(), 1);
}

#[test]
fn l3_a_write_over_what_has_changed_is_refused() {
    let turn = turn();
    let mut first = turn.begun(&["10.0.0.0/24"]);
    let mut second = turn.world();
    first.allocate(&[pod(1, "a")]).unwrap();
    assert!(
        matches!(second.allocate(&[pod(2, "a")]), Err(CommitError::Conflict(blocks)) if blocks.len() == 1)
    );
    // Objects too: the second knows nothing of the first one's.
    first.put(subnet("b", "default", &["10.1.0.0/24"])).unwrap();
    assert!(matches!(second.put(subnet("b", "default", &["10.2.0.0/24"])), Err(CommitError::Objects)));
    assert_eq!(restarted(&turn), first.content());
}

#[test]
fn l3_a_field_that_the_api_server_does_not_know_is_refused() {
    let turn = turn();
    let request = |strict: &str| {
        let path = format!("/apis/allotment.dev/v1alpha1/addressblocks{strict}");
        let body = json!({"apiVersion": "allotment.dev/v1alpha1", "kind": "AddressBlock",
            "metadata": {"generateName": "x-"}, "spec": {"of": "", "data": "", "more": 1}});
        let request = http::Request::post(path).header("content-type", "application/json");
        let request = request.body(body.to_string().into_bytes()).unwrap();
        turn.runtime.block_on(turn.client().request_text(request))
    };
    // As every write of ours has it (`ledger::api`): else the field would be dropped without a word.
    assert!(request("").is_ok());
    let error = request("?fieldValidation=Strict").unwrap_err().to_string();
    assert!(error.contains("unknown field \"spec.more\""), "{error}");
}

#[test]
fn whoever_only_looks_writes_nothing() {
    let turn = turn();
    let look = || KubeLedger::read_only(turn.client(), turn.runtime.handle().clone());
    let world = World::load(look()).unwrap();
    assert_eq!((world.content().objects.len(), turn.names().len()), (0, 0), "nothing is begun");
    let written = two_blocks(&turn);
    turn.runtime.block_on(turn.blocks().delete("ledger", &DeleteParams::default())).unwrap();
    let names = turn.names();
    let mut world = World::load(look()).unwrap();
    world.content().assert_same(&written.content(), "as it is");
    assert!(matches!(world.allocate(&[pod(300, "a")]), Err(CommitError::Failed(LedgerError::Write { .. }))));
    assert_eq!(turn.names(), names);
}

#[test]
fn an_object_that_is_removed_leaves_nothing() {
    let turn = turn();
    let engaged = turn.engaged();
    engaged.put(&turn, &["10.0.0.0/24"]);
    let key = ObjectKey { kind: ObjectKind::Subnet, name: "a".to_owned() };
    assert!(turn.runtime.block_on(engaged.engine.remove(key)).unwrap());
    assert_eq!(turn.names(), ["ledger"]);
    // And can be made again, with what it says now.
    engaged.put(&turn, &["10.0.1.0/24"]);
    assert_eq!(engaged.granted(&turn, 1).to_string(), "10.0.1.2");
    let error = turn.runtime.block_on(engaged.engine.release(ended(7), std::time::Instant::now() + PATIENCE));
    assert!(!matches!(error, Err(EngineError::Ledger(_))));
}
