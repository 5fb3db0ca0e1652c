//! Pools that come, move and go over held, cooling and never used addresses.

use allotment_core::{Object, ObjectKind, Timestamp};

use super::{all, drain, lived_in};
use crate::world::{World, pool, reservation, selector, stateful, subnet};

fn put(world: &mut World, ranges: &[&str]) {
    let before = all(world);
    world.put(Object::IPPool(pool("p", "s", ranges))).unwrap();
    assert_eq!(all(world), before, "records stay");
}

fn drain_pool(world: &mut World, name: &str) -> Vec<String> {
    let next = |at: usize| {
        let address = world.ask(&format!("{name}{at}")).pool("p").get();
        (address != "full").then_some(address)
    };
    (0..).map_while(next).collect()
}

#[test]
fn a_pool_over_what_is_held_cools_and_was_never_used() {
    let mut world = lived_in("10.0.0.0/28");
    put(&mut world, &["10.0.0.2-10.0.0.6"]);
    let usage = world.state.pool_usage("p", Timestamp(world.now))[0];
    assert_eq!((usage.total, usage.held, usage.cooling, usage.free()), (5, 1, 1, 3));
    assert_eq!(world.ask("held").on("s").get(), "10.0.0.2", "what it has it keeps");
    assert_eq!(world.ask("x").on("s").get(), "10.0.0.7");
    assert_eq!(drain_pool(&mut world, "in"), ["10.0.0.5", "10.0.0.6", "10.0.0.4"]);
    world.del("held");
    assert_eq!(
        world.ask("held").on("s").get(),
        "10.0.0.8",
        "it does not come back into a pool it did not name"
    );
    world.now += 30_000;
    assert_eq!(drain_pool(&mut world, "later"), ["10.0.0.3", "10.0.0.2"]);
}

#[test]
fn a_pool_that_goes_leaves_all_to_the_rest() {
    let mut world = lived_in("10.0.0.0/28");
    put(&mut world, &["10.0.0.2-10.0.0.6"]);
    world.ask("in").pool("p").grant().unwrap();
    let before = all(&world);
    assert!(world.remove(ObjectKind::IPPool, "p").unwrap());
    assert_eq!(all(&world), before);
    assert_eq!(world.ask("in").pool("p").get(), "10.0.0.5", "asked again it has what it has");
    assert_eq!(world.ask("new").pool("p").get(), "unknown");
    let rest = drain(&mut world, "s", "x");
    assert_eq!(rest.first().map(String::as_str), Some("10.0.0.6"));
    assert_eq!(rest.last().map(String::as_str), Some("10.0.0.4"));
    assert_eq!(rest.len(), 10);
}

#[test]
fn a_pool_that_moves() {
    let mut world = lived_in("10.0.0.0/28");
    put(&mut world, &["10.0.0.2-10.0.0.3"]);
    assert!(drain_pool(&mut world, "a").is_empty());
    put(&mut world, &["10.0.0.14", "10.0.0.3-10.0.0.4", "10.0.0.5"]);
    assert_eq!(drain_pool(&mut world, "b"), ["10.0.0.5", "10.0.0.14", "10.0.0.4"]);
    assert_eq!(world.ask("x").on("s").get(), "10.0.0.6");
}

#[test]
fn a_pool_that_is_all_of_its_subnet() {
    let mut world = lived_in("10.0.0.0/28");
    put(&mut world, &["10.0.0.0/28"]);
    assert_eq!(world.ask("x").on("s").get(), "full");
    assert_eq!(drain_pool(&mut world, "p").len(), 11, "without the edges and the gateway");
}

#[test]
fn a_pool_over_what_is_excluded_and_reserved() {
    let mut spec = subnet("s", &["10.0.0.0/28"]);
    spec.exclude = vec!["10.0.0.4-10.0.0.5".parse().unwrap()];
    let mut world = World::new([spec]);
    let reserved = reservation("r", "s", &["10.0.0.6"], Some(stateful("db-0")));
    world.put(Object::Reservation(reserved)).unwrap();
    put(&mut world, &["10.0.0.4-10.0.0.7"]);
    assert_eq!(drain_pool(&mut world, "x"), ["10.0.0.7"]);
    assert_eq!(world.ask("y").pool("p").ip(&["10.0.0.4"]).get(), "10.0.0.4", "excluded, by name");
    assert_eq!(world.ask("z").on("s").ip(&["10.0.0.5"]).get(), "not-allowed");
    assert_eq!(world.ask("d").pool("p").owner(stateful("db-0")).get(), "10.0.0.6");
    let usage = world.state.pool_usage("p", Timestamp(world.now))[0];
    assert_eq!((usage.total, usage.held, usage.free()), (1, 1, 0), "of what may be drawn");
    let usage = world.state.subnet_usage("s", Timestamp(world.now))[0];
    assert_eq!((usage.total, usage.held, usage.beside, usage.free()), (10, 3, 2, 9));
}

#[test]
fn two_pools_meet_in_one_block() {
    let mut world = World::new([subnet("s", &["10.0.0.0/24"])]);
    world.put(Object::IPPool(pool("p", "s", &["10.0.0.64/26"]))).unwrap();
    world.put(Object::IPPool(pool("q", "s", &["10.0.0.128/26"]))).unwrap();
    let asked = |world: &mut World, id: &str| {
        [world.ask(&format!("s{id}")).on("s").get(), world.ask(&format!("p{id}")).pool("p").get(), {
            world.ask(&format!("q{id}")).pool("q").get()
        }]
    };
    assert_eq!(asked(&mut world, "1"), ["10.0.0.2", "10.0.0.64", "10.0.0.128"]);
    assert_eq!(asked(&mut world, "2"), ["10.0.0.3", "10.0.0.65", "10.0.0.129"]);
    world.remove(ObjectKind::IPPool, "p").unwrap();
    for id in 3..63 {
        world.ask(&format!("s{id}")).on("s").grant().unwrap();
    }
    assert_eq!(
        world.ask("last").on("s").get(),
        "10.0.0.66",
        "what is used of the pool that went is passed over"
    );
}

#[test]
fn selectors_that_change_move_nobody() {
    let mut world = lived_in("10.0.0.0/28");
    let mut selecting = pool("p", "s", &["10.0.0.8/29"]);
    selecting.pod_selector = Some(selector(&[("app", "db")]));
    world.put(Object::IPPool(selecting.clone())).unwrap();
    let db = &[("app", "db")];
    assert_eq!(world.ask("a").on("s").pod_labels(db).get(), "10.0.0.8");
    selecting.pod_selector = Some(selector(&[("app", "web")]));
    world.put(Object::IPPool(selecting)).unwrap();
    assert_eq!(world.ask("a").on("s").pod_labels(db).get(), "10.0.0.8");
    assert_eq!(world.ask("b").on("s").pod_labels(db).get(), "10.0.0.5");
    world.restart();
    assert_eq!(world.ask("c").on("s").pod_labels(&[("app", "web")]).get(), "10.0.0.9");
}
