//! Reservations (C4): for nobody, or for an owner that need not exist yet.

use allotment_core::{Object, Owner, Pick};

use super::said;
use crate::world::{World, pool, reservation, stateful, subnet};

fn pod(name: &str, uid: &str) -> Owner {
    Owner { kind: "Pod".into(), namespace: "shop".into(), name: name.into(), uid: uid.into() }
}

fn rack(name: &str, addresses: &[&str], owner: Option<Owner>) -> World {
    let mut world = World::new([subnet("rack", &["10.0.0.0/28"])]);
    world.put(Object::Reservation(reservation(name, "rack", addresses, owner))).unwrap();
    world
}

#[test]
fn reserved_for_nobody() {
    let mut world = rack("printer", &["10.0.0.2-10.0.0.3"], None);
    assert_eq!(world.ask("1").on("rack").get(), "10.0.0.4");
    assert_eq!(
        said(&world.ask("2").ip(&["10.0.0.2"]).refusal()),
        [
            "not-allowed",
            "Container 2 asks for 10.0.0.2, which reservation `printer` sets aside for nobody (kept)",
            "ask for another address, or change the reservation",
        ]
    );
}

#[test]
fn reserved_for_an_owner_that_does_not_exist_yet() {
    let mut world = rack("db", &["10.0.0.9"], Some(stateful("db-0")));
    assert_eq!(world.ask("1").on("rack").get(), "10.0.0.2");
    assert_eq!(
        said(&world.ask("1").ip(&["10.0.0.9"]).owner(stateful("db-1")).refusal())[1],
        "StatefulSet shop/db-1 asks for 10.0.0.9, which reservation `db` sets aside for StatefulSet shop/db-0"
    );
    let entry = world.ask("2").on("rack").owner(stateful("db-0")).entry();
    assert_eq!(
        (entry.ips[0].address.to_string().as_str(), entry.ips[0].rule.pick),
        ("10.0.0.9", Pick::Reservation)
    );
    world.restart();
    assert_eq!(world.ask("2").on("rack").owner(stateful("db-0")).get(), "10.0.0.9");
}

#[test]
fn a_pod_recreated_under_its_name_has_its_reserved_address_back_at_once() {
    // C2: both are the owner that the address is reserved for.
    let mut reserved_for = pod("cart", "");
    let mut world = rack("cart", &["10.0.0.9"], Some(reserved_for.clone()));
    assert_eq!(world.ask("1").on("rack").owner(pod("cart", "u1")).get(), "10.0.0.9");
    world.del("1");
    assert_eq!(world.ask("2").on("rack").owner(pod("cart", "u2")).get(), "10.0.0.9");
    world.del("2");
    assert_eq!(world.ask("3").ip(&["10.0.0.9"]).owner(pod("cart", "u3")).get(), "10.0.0.9");
    // A reservation that names the uid is for that one only.
    world.del("3");
    reserved_for.uid = "u9".into();
    world.put(Object::Reservation(reservation("cart", "rack", &["10.0.0.9"], Some(reserved_for)))).unwrap();
    assert_eq!(world.ask("4").on("rack").owner(pod("cart", "u4")).get(), "10.0.0.2");
    assert_eq!(
        world.ask("9").on("rack").owner(pod("cart", "u9")).get(),
        "10.0.0.3",
        "it cools after another"
    );
    world.del("9");
    world.now += 30_000;
    assert_eq!(world.ask("8").ip(&["10.0.0.9"]).owner(pod("cart", "u9")).get(), "10.0.0.9");
}

#[test]
fn reserved_ones_first_then_like_anybody() {
    let mut world = rack("db", &["10.0.0.9-10.0.0.10"], Some(stateful("db-0")));
    let ask = world.ask("1").on("rack").owner(stateful("db-0")).and("n1", "net1").on("rack");
    assert_eq!(ask.and("n2", "net2").on("rack").get(), "10.0.0.9 + 10.0.0.10 + 10.0.0.2");
}

#[test]
fn several_reservations_are_used_in_the_order_of_their_names() {
    let mut world = rack("b", &["10.0.0.9"], Some(stateful("db-0")));
    world.put(Object::Reservation(reservation("a", "rack", &["10.0.0.11"], Some(stateful("db-0"))))).unwrap();
    let ask = |world: &mut World, id: &str| world.ask(id).on("rack").owner(stateful("db-0")).get();
    assert_eq!(ask(&mut world, "1"), "10.0.0.11");
    world.del("1");
    world.now += 30_000;
    world
        .put(Object::Reservation(reservation("b", "rack", &["10.0.0.8-10.0.0.9"], Some(stateful("db-0")))))
        .unwrap();
    world.put(Object::Reservation(reservation("a", "rack", &["10.0.0.10"], Some(stateful("db-0"))))).unwrap();
    world.restart();
    assert_eq!(ask(&mut world, "2"), "10.0.0.11", "what it had last");
    world.del("2");
    assert_eq!(world.ask("3").on("rack").ip(&["10.0.0.11"]).get(), "taken");
}

#[test]
fn a_reservation_opens_a_pool_for_its_owner() {
    let mut world = rack("db", &["10.0.0.9"], Some(stateful("db-0")));
    world.put(Object::IPPool(pool("p", "rack", &["10.0.0.8/30"]))).unwrap();
    let ask = |world: &mut World, id: &str| world.ask(id).on("rack").owner(stateful("db-0")).get();
    assert_eq!(ask(&mut world, "1"), "10.0.0.9");
    world.keep("10.0.0.9", "1");
    assert_eq!(ask(&mut world, "2"), "10.0.0.9", "kept for it, and reserved for it");
    world.del("2");
    assert_eq!(ask(&mut world, "3"), "10.0.0.9");
}

#[test]
fn reserving_an_edge_gives_it_to_nobody() {
    let mut world = rack("all", &["10.0.0.0/28"], Some(stateful("db-0")));
    assert_eq!(world.ask("1").on("rack").owner(stateful("db-0")).get(), "10.0.0.2");
    assert_eq!(world.ask("2").on("rack").get(), "full");
    assert_eq!(world.ask("3").ip(&["10.0.0.1"]).owner(stateful("db-0")).get(), "not-allowed");
}
