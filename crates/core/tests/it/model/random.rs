//! Long sequences of operations at random, on subnets of every order and size, with pools, reservations and several VRFs.

use allotment_core::{Attachment, Object, Refusal, Request, Target, Timestamp, Want};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::pair::{Op, Pair};
use super::steps::{Step, op, steps, subnets};
use crate::check;
use crate::world::container;

/// A new container that asks for an address of a subnet.
fn newcomer(id: usize, subnet: &str) -> Request {
    let attachment = Attachment {
        holder: format!("new{id}"),
        container_id: format!("new{id}"),
        network: "net".into(),
        interface: "eth0".into(),
        ..Attachment::default()
    };
    let targets = vec![Target::Subnet(subnet.into())];
    let wants = vec![Want { attachment, targets, ..Want::default() }];
    Request { owner: container(&format!("new{id}")), wants, ..Request::default() }
}

/// What a restarted process gives next is what this one would have given, wherever the order follows from records alone:
/// not which block is being drained.
fn check_next(pair: &mut Pair) {
    let mut fresh = check::restarted(&pair.state);
    let now = Timestamp(pair.now);
    for id in 0..50 {
        let name = ["a", "d", "e", "red"][id % 4];
        let request = newcomer(id, name);
        let [live, anew] = [&mut pair.state, &mut fresh].map(|state| {
            let plan = state.plan(&request, now)?;
            let grant = state.grant(&plan);
            state.apply(&plan, &mut Vec::new());
            Ok::<_, Refusal>(grant)
        });
        assert_eq!(live, anew, "{name}");
    }
}

fn run(steps: &[Step]) {
    let mut pair = Pair::new(&subnets().into_iter().map(Object::Subnet).collect::<Vec<_>>());
    for step in steps {
        if let Some(op) = op(&pair, step) {
            pair.step(&op);
        }
    }
    pair.step(&Op::Restart);
    for id in 0..20 {
        pair.step(&Op::Ask(newcomer(100 + id, ["a", "b", "c", "d", "f"][id % 5])));
    }
    check_next(&mut pair);
}

#[test]
fn long_sequences() {
    // Always the same ones; PROPTEST_CASES asks for that many new ones.
    let mut runner = if std::env::var_os("PROPTEST_CASES").is_some() {
        TestRunner::new(Config { failure_persistence: None, ..Config::default() })
    } else {
        let config = Config { failure_persistence: None, cases: 24, ..Config::default() };
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
    };
    let result = runner.run(&steps(), |steps| {
        run(&steps);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
