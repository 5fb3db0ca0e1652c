//! Addresses that are kept for their owner, and what comes back to it (C2, R5, R6).

use allotment_core::{AllocationState, Object, Pick, Release, ReleaseMode};

use super::{address, holders, netns, rack};
use crate::check;
use crate::world::{World, reservation, stateful, subnet};

#[test]
fn what_is_kept_returns_to_its_owner_alone() {
    let mut world = rack();
    let ask = |world: &mut World, pod: &str, name: &str| {
        let mut request = world.ask(pod).on("rack").owner(stateful(name)).request;
        request.wants[0].attachment.netns = Some(netns(1));
        world.grant(&request).map(|grant| crate::world::ips(&grant.entries[0]))
    };
    assert_eq!(ask(&mut world, "pod-1", "db-0").unwrap(), "10.0.0.2 fd00::2");
    world.keep("10.0.0.2", "pod-1");
    world.keep("fd00::2", "pod-1");
    assert_eq!(world.state_of("10.0.0.2"), Some(AllocationState::Reserved));
    let kept = check::all(&world.state);
    world.now += 1_000_000;
    assert_eq!(world.release(&address("10.0.0.2", "pod-1", ReleaseMode::Keep)), 0, "a second time");
    // A DEL that comes late, or a sweep, ends no retention; not after a restart either.
    for restarted in [false, true] {
        if restarted {
            world.restart();
        }
        assert_eq!(world.del("pod-1"), 0);
        let sandbox = Release::Sandbox { container_id: "pod-1".into(), netns: netns(1) };
        assert_eq!(world.release(&sandbox), 0);
        assert_eq!(check::all(&world.state), kept);
    }
    assert_eq!(world.ask("x").on("rack").ip(&["10.0.0.2"]).get(), "taken");
    assert_eq!(world.ask("x").on("rack").get(), "10.0.0.3 fd00::3");
    assert_eq!(ask(&mut world, "pod-2", "db-1").unwrap(), "10.0.0.4 fd00::4");
    assert_eq!(ask(&mut world, "pod-3", "db-0").unwrap(), "10.0.0.2 fd00::2");
    let back = world.at("10.0.0.2").unwrap();
    assert_eq!((back.rule.pick, holders(&back)), (Pick::Returned, vec!["pod-3"]));
}

#[test]
fn what_is_kept_can_be_let_go() {
    let mut world = rack();
    world.ask("pod-1").on("rack").owner(stateful("db-0")).grant().unwrap();
    world.keep("10.0.0.2", "pod-1");
    world.now += 5;
    assert_eq!(world.release(&address("10.0.0.2", "pod-1", ReleaseMode::Cool)), 1);
    assert_eq!(world.state_of("10.0.0.2"), Some(AllocationState::Cooling));
    assert_eq!(world.ask("x").on("rack").ip(&["10.0.0.2"]).get(), "taken");
    world.now += 30_000;
    assert_eq!(world.ask("x").on("rack").ip(&["10.0.0.2"]).get(), "10.0.0.2 fd00::3");
}

#[test]
fn r6_what_outlives_its_owner_says_so_until_it_is_let_go() {
    let mut world = World::new([subnet("rack", &["10.0.0.0/24"])]);
    let ask = |world: &mut World, pod: &str, outlives: bool| {
        let mut request = world.ask(pod).on("rack").owner(stateful("db-0")).request;
        request.wants[0].outlives_owner = outlives;
        world.grant(&request).unwrap();
    };
    let outlives = |world: &World| world.at("10.0.0.2").unwrap().outlives_owner;
    ask(&mut world, "pod-1", true);
    for restarted in [false, true] {
        if restarted {
            world.restart();
        }
        assert!(outlives(&world));
    }
    world.keep("10.0.0.2", "pod-1");
    assert!(outlives(&world));
    ask(&mut world, "pod-2", false);
    assert!(!outlives(&world), "what is said last holds");
    world.keep("10.0.0.2", "pod-2");
    ask(&mut world, "pod-3", true);
    world.release(&address("10.0.0.2", "pod-3", ReleaseMode::Cool));
    assert!(!outlives(&world), "nothing is kept");
}

#[test]
fn an_adopted_owner_has_its_new_uid() {
    let mut world = rack();
    world.ask("pod-1").on("rack").owner(stateful("db-0")).grant().unwrap();
    let mut adopted = stateful("db-0");
    adopted.uid = "another".into();
    assert_eq!(world.ask("pod-1").on("rack").owner(adopted.clone()).get(), "10.0.0.2 fd00::2");
    assert_eq!(world.at("10.0.0.2").unwrap().owner.uid, "another");
    assert_eq!(world.state.owned_by(&stateful("db-0")).len(), 2, "it is the same owner");
}

#[test]
fn of_several_addresses_the_one_had_last_comes_back() {
    let mut world = World::new([subnet("rack", &["10.0.0.0/24"])]);
    for ip in ["10.0.0.9", "10.0.0.5", "10.0.0.7"] {
        world.ask("a").on("rack").ip(&[ip]).grant().unwrap();
        world.now += 1_000;
        world.del("a");
    }
    world.restart();
    assert_eq!(world.ask("a").on("rack").get(), "10.0.0.7");
    assert_eq!(world.at("10.0.0.7").unwrap().rule.pick, Pick::Returned);
    // What is kept for it comes before what merely cools.
    let mut world = World::new([subnet("rack", &["10.0.0.0/24"])]);
    let ask = |world: &mut World, pod: &str, ip: &str| {
        world.ask(pod).on("rack").owner(stateful("db-0")).ip(&[ip]).grant().unwrap();
    };
    ask(&mut world, "pod-1", "10.0.0.9");
    world.keep("10.0.0.9", "pod-1");
    ask(&mut world, "pod-2", "10.0.0.5");
    world.now += 1_000;
    world.del("pod-2");
    assert_eq!(world.ask("pod-3").on("rack").owner(stateful("db-0")).get(), "10.0.0.9");
}

#[test]
fn what_an_owner_had_before_it_cooled_is_its_until_another_takes_it() {
    let mut world = World::new([subnet("rack", &["10.0.0.0/29"])]);
    world.ask("a").on("rack").grant().unwrap();
    world.del("a");
    world.now += 1_000_000;
    assert_eq!(world.ask("a").on("rack").get(), "10.0.0.2", "free, but it had it last");
    world.del("a");
    world.now += 30_000;
    for id in ["1", "2", "3", "4", "5"] {
        world.ask(id).on("rack").grant().unwrap();
    }
    assert_eq!(world.ask("a").on("rack").get(), "full");
}

#[test]
fn retention_is_stronger_than_the_order_of_subnets() {
    let mut world = World::new([subnet("a", &["10.0.0.0/30"]), subnet("b", &["10.1.0.0/24"])]);
    world.ask("x").on("a").grant().unwrap();
    let ask = |world: &mut World, pod: &str| world.ask(pod).on("a").on("b").owner(stateful("db-0")).get();
    assert_eq!(ask(&mut world, "pod-1"), "10.1.0.2");
    world.keep("10.1.0.2", "pod-1");
    world.del("x");
    world.now += 30_000;
    assert_eq!(ask(&mut world, "pod-2"), "10.1.0.2");
    let refused = world.ask("pod-3").on("a").on("b").owner(stateful("db-0")).refusal();
    assert_eq!(
        refused.code.as_str(),
        "taken",
        "nor does its next pod get a second one while the first lives"
    );
}

#[test]
fn retention_is_stronger_than_the_order_of_a_list() {
    let mut world = World::new([subnet("rack", &["10.0.0.0/24"])]);
    let list = &["10.0.0.9", "10.0.0.8", "10.0.0.7"];
    let ask =
        |world: &mut World, pod: &str| world.ask(pod).on("rack").owner(stateful("db-0")).one_of(list).get();
    world.ask("x").ip(&["10.0.0.9"]).grant().unwrap();
    assert_eq!(ask(&mut world, "pod-1"), "10.0.0.8");
    world.del("x");
    world.now += 30_000;
    assert_eq!(ask(&mut world, "pod-2"), "taken", "while the first one lives");
    world.keep("10.0.0.8", "pod-1");
    assert_eq!(ask(&mut world, "pod-2"), "10.0.0.8");
}

#[test]
fn a_reserved_address_goes_back_to_its_reservation() {
    let mut world = rack();
    let db = Some(stateful("db-0"));
    world.put(Object::Reservation(reservation("db", "rack", &["10.0.0.9"], db))).unwrap();
    let ask = |world: &mut World, pod: &str| world.ask(pod).on("rack").owner(stateful("db-0")).get();
    assert_eq!(ask(&mut world, "pod-1"), "10.0.0.9 fd00::2");
    world.del("pod-1");
    assert_eq!(ask(&mut world, "pod-2"), "10.0.0.9 fd00::2");
    world.del("pod-2");
    world.now += 60_000;
    assert_eq!(world.ask("x").on("rack").get(), "10.0.0.2 fd00::3");
    assert_eq!(ask(&mut world, "pod-3"), "10.0.0.9 fd00::2");
}
