//! Long sequences of operations at random, on subnets of every order and size, with pools, reservations and several VRFs.

use allotment_core::{Attachment, Object, Refusal, Release, Request, SubnetSpec, Target, Timestamp, Want};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};

use super::pair::{Op, Pair};
use super::steps::{Step, op, steps, subnets};
use crate::world::container;
use crate::{cases, check};

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

/// Containers come and go on a few addresses of three blocks each, one subnet below and one above the size from which no
/// block is opened while another has cooled addresses.
#[test]
fn blocks_are_drained_one_after_the_other() {
    cases::run(40, &churn(), |steps| {
        let subnets = subnets().into_iter().filter(|spec| matches!(spec.name.as_str(), "b" | "c"));
        let subnets = subnets.map(|spec| Object::Subnet(SubnetSpec { cooling_ms: 5_000, ..spec }));
        let mut pair = Pair::new(&subnets.collect::<Vec<_>>());
        // Who ended does not come back: another one does.
        let mut generations = [0; 14];
        for step in steps {
            match step {
                Churn::Ask { id, interfaces, subnet } => {
                    let request = newcomer(id + 100 * generations[id], subnet);
                    pair.step(&Op::Ask(with_interfaces(request, interfaces)));
                }
                Churn::End { id } => {
                    let container_id = format!("new{}", id + 100 * generations[id]);
                    generations[id] += 1;
                    for interface in ["eth1", "eth0", "eth2"].map(str::to_owned) {
                        let container_id = container_id.clone();
                        let release = Release::Interface { container_id, interface, network: None };
                        pair.step(&Op::Release(release));
                    }
                }
                Churn::Pass { ms } => pair.step(&Op::Pass(ms)),
                Churn::Restart => pair.step(&Op::Restart),
            }
        }
    });
}

#[derive(Clone, Debug)]
enum Churn {
    Ask { id: usize, interfaces: usize, subnet: &'static str },
    End { id: usize },
    Pass { ms: u64 },
    Restart,
}

fn churn() -> impl Strategy<Value = Vec<Churn>> {
    let ask = (0..14_usize, prop_oneof![4 => Just(1), 1 => 2..4_usize], prop_oneof![Just("b"), Just("c")]);
    let step = prop_oneof![
        20 => ask.prop_map(|(id, interfaces, subnet)| Churn::Ask { id, interfaces, subnet }),
        16 => (0..14_usize).prop_map(|id| Churn::End { id }),
        10 => (0..4_000_u64).prop_map(|ms| Churn::Pass { ms }),
        1 => Just(Churn::Restart),
    ];
    vec(step, 50..200)
}

fn with_interfaces(mut request: Request, count: usize) -> Request {
    let want = request.wants.remove(0);
    let numbered = |at: usize| {
        let attachment = Attachment { interface: format!("eth{at}"), ..want.attachment.clone() };
        Want { attachment, ..want.clone() }
    };
    request.wants = (0..count).map(numbered).collect();
    request
}

#[test]
fn long_sequences() {
    cases::run(24, &steps(), |steps| run(&steps));
}
