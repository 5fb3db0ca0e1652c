//! What is given to nobody for now: blocks that cannot be read (L2), and everything new while the ledger recovers (L6).

use allotment_core::{Code, Object, ObjectKind, Owner, Timestamp};

use crate::check;
use crate::world::{World, reservation, stateful, subnet};

/// Two blocks, of which the ledger cannot read the second; `a` had 10.0.1.7 there.
fn half_read() -> World {
    let mut world = World::new([subnet("rack-a", &["10.0.0.0/23"])]);
    world.ask("a").on("rack-a").ip(&["10.0.1.7"]).grant().unwrap();
    world.ask("b").on("rack-a").grant().unwrap();
    close(&mut world, "10.0.1.0");
    world
}

fn close(world: &mut World, base: &str) {
    let base = base.parse().unwrap();
    world.state.begin_loading();
    if let Some(block) = world.state.block_of("default", base) {
        world.state.forget(block);
    }
    world.state.close("default", base);
    world.state.settle();
    check::check(&world.state, Timestamp(world.now));
}

#[test]
fn l2_a_closed_block_is_neither_given_nor_freed() {
    let mut world = half_read();
    assert_eq!(world.state.closed().collect::<Vec<_>>(), [("default", "10.0.1.0".parse().unwrap())]);
    let usage = &world.state.subnet_usage("rack-a", Timestamp(world.now))[0];
    assert_eq!((usage.total, usage.held), (254, 1), "the other block, without network and gateway");
    for n in 0..253 {
        let given = world.ask(&format!("c-{n}")).on("rack-a").get();
        assert!(given.starts_with("10.0.0."), "{given}");
    }
    assert_eq!(world.ask("d").on("rack-a").grant().unwrap_err().code, Code::Full);
    assert_eq!(world.del("a"), 0, "who has it is not known");
    let refusal = world.ask("d").on("rack-a").ip(&["10.0.1.8"]).grant().unwrap_err();
    assert_eq!(refusal.code, Code::Withheld);
    let text = "Container d asks for 10.0.1.8: the block of the ledger that it lies in cannot be read";
    assert_eq!(refusal.to_string(), text);
}

#[test]
fn l2_what_is_reserved_in_a_closed_block_stays_there() {
    let mut world = half_read();
    let mine = Owner { uid: String::new(), ..stateful("db-0") };
    world.put(Object::Reservation(reservation("mine", "rack-a", &["10.0.1.9"], Some(mine)))).unwrap();
    let mut ask = world.ask("pod").on("rack-a");
    ask.request.owner = stateful("db-0");
    assert_eq!(ask.get(), "10.0.0.3");
}

#[test]
fn l2_nothing_is_adopted_into_a_closed_block() {
    let mut world = World::new([subnet("rack-a", &["10.0.0.0/23"])]);
    world.ask("a").on("rack-a").ip(&["10.0.1.7"]).grant().unwrap();
    let shown = world.at("10.0.1.7").unwrap();
    close(&mut world, "10.0.1.0");
    let refusal = world.state.adopt(&shown, Timestamp(world.now), &mut Vec::new()).unwrap_err();
    assert_eq!(refusal.code, Code::Withheld);
}

#[test]
fn l2_a_block_stays_closed_whatever_becomes_of_subnets() {
    let mut world = half_read();
    world.del("b");
    assert!(world.remove(ObjectKind::Subnet, "rack-a").unwrap());
    world.put(Object::Subnet(subnet("rack-b", &["10.0.1.0/24"]))).unwrap();
    assert_eq!(world.ask("c").on("rack-b").grant().unwrap_err().code, Code::Full);
}

#[test]
fn l2_a_block_that_can_be_read_again_is_open() {
    let mut world = World::new([subnet("rack-a", &["10.0.1.0/24"])]);
    world.ask("a").on("rack-a").grant().unwrap();
    let places: Vec<_> = world.state.blocks().flat_map(|block| world.state.places(block)).collect();
    let mut record = Vec::new();
    assert!(world.state.write_record(places[0], &mut record));
    close(&mut world, "10.0.1.0");
    assert_eq!(world.ask("a").on("rack-a").grant().unwrap_err().code, Code::Full);
    world.state.begin_loading();
    world.state.forget(places[0].block());
    world.state.load("default", places[0].address(), &record).unwrap();
    world.state.settle();
    assert_eq!(world.state.closed().count(), 0);
    assert_eq!(world.ask("a").on("rack-a").get(), "10.0.1.2");
    assert_eq!(world.ask("b").on("rack-a").get(), "10.0.1.3");
}

#[test]
fn l6_while_the_ledger_recovers_only_what_is_held_is_given() {
    let mut world = World::new([subnet("rack-a", &["10.0.0.0/24"])]);
    for id in ["a", "b"] {
        world.ask(id).on("rack-a").grant().unwrap();
    }
    let mut kept = world.ask("db-0-pod").on("rack-a");
    kept.request.owner = stateful("db-0");
    assert_eq!(kept.get(), "10.0.0.4");
    world.keep("10.0.0.4", "db-0-pod");
    world.del("b");
    world.state.recover(Some(7));
    assert_eq!(world.state.recovering(), Some(7));
    assert_eq!(world.ask("a").on("rack-a").get(), "10.0.0.2", "it has it");

    let refusal = world.ask("c").on("rack-a").grant().unwrap_err();
    assert_eq!(refusal.code, Code::Withheld);
    let text = "Container c asks for an address while the ledger recovers: it was set back, and not every node has said \
                since which addresses it uses: 7 is the epoch";
    assert_eq!(refusal.to_string(), text);
    let again = world.ask("b").on("rack-a").grant().unwrap_err();
    assert_eq!(again.code, Code::Withheld, "what cooled for it may have been another's since");
    let mut kept = world.ask("db-0-next").on("rack-a");
    kept.request.owner = stateful("db-0");
    assert_eq!(kept.grant().unwrap_err().code, Code::Withheld, "and so may what is kept for it");

    assert_eq!(world.del("a"), 1, "what is proved to have ended is released");
    world.state.recover(None);
    assert_eq!(world.ask("c").on("rack-a").get(), "10.0.0.5");
    assert_eq!(world.ask("b").on("rack-a").get(), "10.0.0.3");
}
