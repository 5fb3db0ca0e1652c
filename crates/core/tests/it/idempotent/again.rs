//! Asking again for an interface that has something.

use allotment_core::{Code, Family, FamilyWant, MacWant, Object, ObjectKind, Refusal};

use crate::world::{World, container, ips, pool, reservation, subnet};

/// `a` has 10.0.0.2 and `fd00::2` of `rack`, `p` has 10.0.0.16 of pool `p`.
fn asked_already() -> World {
    let mut world = World::new([
        subnet("rack", &["10.0.0.0/24", "fd00::/64"]),
        subnet("other", &["10.1.0.0/24"]),
        subnet("empty", &["10.2.0.0/24"]),
    ]);
    world.put(Object::IPPool(pool("p", "rack", &["10.0.0.16/28"]))).unwrap();
    world.put(Object::IPPool(pool("q", "rack", &["10.0.0.32/28"]))).unwrap();
    world.ask("a").on("rack").mac(MAC).grant().unwrap();
    world.ask("p").pool("p").family(FamilyWant::Require(Family::V4)).grant().unwrap();
    world
}

const MAC: &str = "02:00:00:00:00:01";

#[test]
fn whoever_names_nothing_else_gets_what_it_has() {
    let mut world = asked_already();
    let has = "10.0.0.2 fd00::2";
    assert_eq!(world.ask("a").get(), has, "nothing named");
    assert_eq!(world.ask("a").on("other").on("rack").get(), has, "one of several");
    assert_eq!(world.ask("a").on("rack").ip(&["10.0.0.2"]).get(), has, "the other family is filled up");
    assert_eq!(world.ask("a").on("rack").one_of(&["10.0.0.9", "10.0.0.2"]).get(), has);
    assert_eq!(world.ask("a").on("rack").one_of(&["10.1.0.9"]).get(), has, "a list for elsewhere");
    assert_eq!(world.ask("a").on("rack").family(FamilyWant::Prefer(Family::V6)).get(), has);
    assert_eq!(world.ask("a").on("rack").mac(MAC).get(), has);
    // What was seen is not named: a new sandbox's interface has a new one.
    let mut ask = world.ask("a").on("rack");
    ask.want().mac = Some(MacWant::Seen("02:00:00:00:00:09".parse().unwrap()));
    assert_eq!(ask.get(), has);
    assert_eq!(world.ask("p").get(), "10.0.0.16");
    assert_eq!(world.ask("p").on("rack").get(), "10.0.0.16", "the pool is a part of it");
}

#[test]
fn whoever_names_something_else_is_told_what_it_has() {
    let mut world = asked_already();
    let mut check = |ask: &dyn Fn(&mut World) -> Refusal, expect: &str| {
        let refusal = ask(&mut world);
        assert_eq!((refusal.code, refusal.to_string().as_str()), (Code::Invalid, expect));
        assert_eq!(refusal.hint, "release the interface first (DEL), or ask for what it has");
    };
    let both = "10.0.0.2 of subnet `rack`, fd00::2 of subnet `rack` already";
    check(
        &|world| world.ask("a").on("other").refusal(),
        &format!("Container a asks for subnet `other`, but its interface `eth0` has {both}"),
    );
    check(
        &|world| world.ask("a").on("other").on("empty").refusal(),
        &format!(
            "Container a asks for subnet `other` or subnet `empty`, but its interface `eth0` has {both}"
        ),
    );
    check(
        &|world| world.ask("a").on("rack").ip(&["10.0.0.9"]).refusal(),
        &format!("Container a asks for 10.0.0.9, but its interface `eth0` has {both}"),
    );
    check(
        &|world| world.ask("a").one_of(&["10.0.0.9", "10.1.0.9"]).refusal(),
        &format!("Container a asks for one of 10.0.0.9, but its interface `eth0` has {both}"),
    );
    check(
        &|world| world.ask("a").on("rack").family(FamilyWant::Require(Family::V6)).refusal(),
        &format!("Container a asks for IPv6 alone, but its interface `eth0` has {both}"),
    );
    check(
        &|world| world.ask("a").on("rack").mac("02:00:00:00:00:02").refusal(),
        "Container a asks for MAC 02:00:00:00:00:02, but its interface `eth0` has MAC 02:00:00:00:00:01 already",
    );
    check(
        &|world| world.ask("p").pool("q").refusal(),
        "Container p asks for pool `q`, but its interface `eth0` has 10.0.0.16 of pool `p` already",
    );
    // After DEL it may be anything.
    world.del("a");
    assert_eq!(world.ask("a").on("other").mac("02:00:00:00:00:02").get(), "10.1.0.2");
}

#[test]
fn k3_a_firm_request_is_answered_with_what_there_is_whatever_it_names_now() {
    let mut world = asked_already();
    let has = "10.0.0.2 fd00::2";
    assert_eq!(world.ask("a").firm().on("other").get(), has);
    assert_eq!(world.ask("a").firm().on("gone").get(), has, "a subnet that does not exist");
    assert_eq!(world.ask("a").firm().ip(&["10.1.0.9", "fd00::9"]).get(), has);
    assert_eq!(world.ask("a").firm().one_of(&["10.0.0.9"]).get(), has);
    assert_eq!(world.ask("a").firm().pool("q").family(FamilyWant::Require(Family::V6)).get(), has);
    let entry = world.ask("a").firm().on("other").mac("02:00:00:00:00:02").entry();
    assert_eq!(entry.mac, Some(MAC.parse().unwrap()), "and so is the MAC");
    // What it does not have yet it gets as named.
    let both = world.ask("a").firm().on("other").and("n1", "net1").on("other").get();
    assert_eq!(both, "10.0.0.2 fd00::2 + 10.1.0.2");
}

#[test]
fn an_edit_of_the_objects_does_not_make_the_same_request_another_one() {
    let mut world = asked_already();
    world.put(Object::IPPool(pool("p", "rack", &["10.0.0.64/28"]))).unwrap();
    assert_eq!(world.ask("p").pool("p").get(), "10.0.0.16", "the pool has moved on");
    world.remove(ObjectKind::IPPool, "p").unwrap();
    assert_eq!(world.ask("p").pool("p").get(), "10.0.0.16", "the pool is gone");
    world.put(Object::IPPool(pool("r", "rack", &["10.0.0.2"]))).unwrap();
    assert_eq!(world.ask("a").on("rack").get(), "10.0.0.2 fd00::2", "a pool has come around it");
    let kept = reservation("mine", "rack", &["10.0.0.200"], Some(container("k")));
    world.put(Object::Reservation(kept)).unwrap();
    world.put(Object::IPPool(pool("s", "rack", &["10.0.0.192/27"]))).unwrap();
    assert_eq!(world.ask("k").pool("q").family(FamilyWant::Require(Family::V4)).get(), "10.0.0.200");
}

#[test]
fn of_several_wants_of_an_interface_each_has_its_own_and_nothing_is_left() {
    let mut world = asked_already();
    let ask = |world: &mut World, subnets: &[&str]| {
        let mut ask = world.ask("s").on(subnets[0]);
        for subnet in &subnets[1..] {
            ask = ask.and("net", "eth0").on(subnet);
        }
        ask.grant().map(|grant| grant.entries.iter().map(ips).collect::<Vec<_>>().join(" + "))
    };
    assert_eq!(ask(&mut world, &["rack", "other"]).unwrap(), "10.0.0.3 fd00::3 + 10.1.0.2");
    assert_eq!(ask(&mut world, &["other", "rack"]).unwrap(), "10.1.0.2 + 10.0.0.3 fd00::3");
    let refusal = ask(&mut world, &["other", "empty"]).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Container s asks for subnet `other` and subnet `empty`, but its interface `eth0` has 10.0.0.3 of subnet `rack`, \
         fd00::3 of subnet `rack` already"
    );
    assert_eq!(ask(&mut world, &["other"]).unwrap_err().code, Code::Invalid, "it has more");
    assert_eq!(
        ask(&mut world, &["rack", "other", "empty"]).unwrap(),
        "10.0.0.3 fd00::3 + 10.1.0.2 + 10.2.0.2"
    );
}

#[test]
fn what_is_held_is_told_without_drawing() {
    let mut world = asked_already();
    let request = world.ask("a").on("rack").and("n1", "net1").on("other").request;
    let grant = world.state.held_for(&request).unwrap();
    assert_eq!(grant.entries.iter().map(ips).collect::<Vec<_>>(), ["10.0.0.2 fd00::2", ""]);
    assert_eq!((grant.entries[0].ips[0].prefix, grant.entries[0].mac), (24, Some(MAC.parse().unwrap())));
    let request = world.ask("a").on("other").request;
    assert_eq!(world.state.held_for(&request).unwrap_err().code, Code::Invalid);
    let request = world.ask("nobody").on("gone").request;
    assert_eq!(world.state.held_for(&request).unwrap().entries[0].ips, []);
}
