//! Families (C5), and subnets of every size.

use allotment_core::{Family, FamilyWant, Object, SubnetSpec};

use super::said;
use crate::world::{World, pool, subnet};

fn dual() -> World {
    World::new([subnet("dual", &["10.0.0.0/30", "fd00::/125"])])
}

#[test]
fn one_of_each_family_or_none() {
    let mut world = dual();
    let entry = world.ask("1").on("dual").entry();
    assert_eq!(crate::world::ips(&entry), "10.0.0.2 fd00::2");
    assert_eq!(entry.ips[1].gateway, Some("fd00::1".parse().unwrap()));
    assert_eq!((entry.ips[0].prefix, entry.ips[1].prefix), (30, 125));
    let refusal = world.ask("2").on("dual").refusal();
    assert_eq!(
        refusal.to_string(),
        "subnet `dual` has no free IPv4 address for Container 2: 1 in it, 1 held, 0 cooling"
    );
    assert_eq!(world.state.len(), 2, "nothing of the other family was kept");
}

#[test]
fn one_family_on_request() {
    let mut world = dual();
    assert_eq!(world.ask("1").on("dual").family(FamilyWant::Require(Family::V6)).get(), "fd00::2");
    assert_eq!(world.ask("2").on("dual").family(FamilyWant::Require(Family::V4)).get(), "10.0.0.2");
    assert_eq!(world.ask("3").on("dual").family(FamilyWant::Require(Family::V4)).get(), "full");
    assert_eq!(world.ask("3").on("dual").family(FamilyWant::Prefer(Family::V4)).get(), "fd00::3");
    assert_eq!(world.ask("4").on("dual").family(FamilyWant::Prefer(Family::V6)).get(), "fd00::4");
}

#[test]
fn a_family_that_the_subnet_does_not_have() {
    let mut world = World::new([subnet("four", &["10.0.0.0/29"]), subnet("six", &["fd00::/125"])]);
    let refusal = world.ask("1").on("four").family(FamilyWant::Require(Family::V6)).refusal();
    assert_eq!(
        said(&refusal),
        [
            "invalid",
            "Container 1 asks for IPv6, which subnet `four` does not have",
            "ask for a family that the subnet has, or give it a second CIDR",
        ]
    );
    assert_eq!(world.ask("1").on("four").family(FamilyWant::Prefer(Family::V6)).get(), "10.0.0.2");
    let six = FamilyWant::Require(Family::V6);
    assert_eq!(world.ask("2").on("four").on("six").family(six).get(), "fd00::2", "the next subnet has it");
}

#[test]
fn the_preferred_family_is_looked_for_in_all_subnets_first() {
    let mut world = World::new([subnet("six", &["fd00::/125"]), subnet("four", &["10.0.0.0/30"])]);
    let ask = |world: &mut World, id: &str| {
        world.ask(id).on("six").on("four").family(FamilyWant::Prefer(Family::V4)).get()
    };
    assert_eq!(ask(&mut world, "1"), "10.0.0.2");
    assert_eq!(ask(&mut world, "2"), "fd00::2");
}

#[test]
fn a_subnet_that_lacks_one_family_is_passed_over_as_a_whole() {
    let mut world = World::new([
        subnet("small", &["10.0.0.0/30", "fd00::/64"]),
        subnet("large", &["10.1.0.0/24", "fd01::/64"]),
    ]);
    assert_eq!(world.ask("1").on("small").on("large").get(), "10.0.0.2 fd00::2");
    assert_eq!(world.ask("2").on("small").on("large").get(), "10.1.0.2 fd01::2", "never half of each");
}

#[test]
fn what_a_passed_over_subnet_had_is_left_to_other_interfaces() {
    let mut world = World::new([
        subnet("small", &["10.0.0.0/30", "fd00::/126"]),
        subnet("large", &["10.1.0.0/24", "fd01::/64"]),
    ]);
    let (four, six) = (FamilyWant::Require(Family::V4), FamilyWant::Require(Family::V6));
    for id in ["1", "2"] {
        world.ask(id).on("small").family(six).grant().unwrap();
    }
    let ask = world.ask("3").on("small").on("large").and("n1", "net1").on("small").family(four);
    assert_eq!(ask.get(), "10.1.0.2 fd01::2 + 10.0.0.2");
}

#[test]
fn an_address_of_one_family_is_completed_by_the_other() {
    let mut world = World::new([subnet("d", &["10.0.0.0/24", "fd00::/64"])]);
    assert_eq!(world.ask("1").on("d").ip(&["fd00::9"]).get(), "10.0.0.2 fd00::9");
    assert_eq!(world.ask("2").ip(&["10.0.0.9"]).get(), "10.0.0.9 fd00::2");
    assert_eq!(world.ask("3").on("d").one_of(&["fd00::9", "fd00::a"]).get(), "10.0.0.3 fd00::a");
    let four = FamilyWant::Require(Family::V4);
    assert_eq!(world.ask("4").on("d").ip(&["10.0.0.10"]).family(four).get(), "10.0.0.10");
    assert_eq!(
        said(&world.ask("5").on("d").ip(&["fd00::b"]).family(four).refusal()),
        [
            "invalid",
            "Container 5 asks for fd00::b and requires IPv4",
            "ask for an address of that family, or leave the family out",
        ]
    );
    assert_eq!(world.ask("5").on("d").one_of(&["fd00::b"]).family(four).get(), "10.0.0.4");
}

#[test]
fn a_pool_of_one_family_leaves_the_other_to_the_rest() {
    let mut world = World::new([subnet("d", &["10.0.0.0/24", "fd00::/64"])]);
    world.put(Object::IPPool(pool("p", "d", &["10.0.0.8/29"]))).unwrap();
    let entry = world.ask("1").pool("p").entry();
    assert_eq!(crate::world::ips(&entry), "10.0.0.8 fd00::2");
    assert_eq!((entry.ips[0].pool.as_deref(), entry.ips[1].pool.as_deref()), (Some("p"), None));
    assert_eq!(entry.ips[0].rule.choice, entry.ips[1].rule.choice, "both because the request named the pool");
}

#[test]
fn the_smallest_subnets() {
    for (cidr, addresses) in [
        ("10.0.0.8/31", &["10.0.0.8", "10.0.0.9"][..]),
        ("10.0.0.9/32", &["10.0.0.9"]),
        ("fd00::8/127", &["fd00::8", "fd00::9"]),
        ("fd00::9/128", &["fd00::9"]),
        ("10.0.0.8/30", &["10.0.0.10"]),
        ("fd00::8/126", &["fd00::a", "fd00::b"]),
    ] {
        let mut world = World::new([subnet("s", &[cidr])]);
        for (at, address) in addresses.iter().enumerate() {
            let entry = world.ask(&at.to_string()).on("s").entry();
            assert_eq!(entry.ips[0].address.to_string(), *address, "{cidr}");
            assert_eq!(
                entry.ips[0].gateway.is_some(),
                cidr.ends_with("/30") || cidr.ends_with("/126"),
                "{cidr}"
            );
        }
        assert_eq!(world.ask("last").on("s").get(), "full", "{cidr}");
        world.del("0");
        world.now += 30_000;
        assert_eq!(world.ask("last").on("s").get(), addresses[0], "{cidr}");
    }
}

#[test]
fn the_largest_subnets() {
    let mut world = World::new([subnet("s", &["10.0.0.0/8", "fd00::/48"])]);
    assert_eq!(world.ask("1").on("s").get(), "10.0.0.2 fd00::2");
    let usage = world.state.subnet_usage("s", allotment_core::Timestamp(world.now));
    assert_eq!((usage[0].total, usage[1].total), ((1 << 24) - 3, (1 << 80) - 2));
    assert_eq!(usage[1].free(), (1 << 80) - 3);
    let last = world.ask("2").on("s").ip(&["10.255.255.254", "fd00:0:0:ffff:ffff:ffff:ffff:ffff"]);
    assert_eq!(last.get(), "10.255.255.254 fd00::ffff:ffff:ffff:ffff:ffff");
}

#[test]
fn subnets_that_are_no_multiple_of_a_block_share_one() {
    let mut world = World::new([
        subnet("a", &["10.0.0.0/26"]),
        subnet("b", &["10.0.0.64/26"]),
        subnet("c", &["10.0.0.128/25"]),
    ]);
    for (id, on) in [("1", "c"), ("2", "a"), ("3", "b"), ("4", "a")] {
        world.ask(id).on(on).grant().unwrap();
    }
    for (address, id) in [("10.0.0.130", "1"), ("10.0.0.2", "2"), ("10.0.0.66", "3"), ("10.0.0.3", "4")] {
        assert_eq!(world.at(address).unwrap().owner.name, id);
    }
    assert_eq!(world.state.blocks().count(), 1);
    world.restart();
    assert_eq!(world.ask("5").on("b").get(), "10.0.0.67");
}

#[test]
fn a_subnet_of_both_families_at_their_whole() {
    // What `static` has: every address there is, and nothing is drawn.
    let whole = SubnetSpec {
        order: allotment_core::Order::NextAfterLast,
        gateways: Some(Vec::new()),
        cooling_ms: 0,
        ..subnet("static/lan", &["0.0.0.0/0", "::/0"])
    };
    let mut world = World::new([whole]);
    let entry = world.ask("1").on("static/lan").ip(&["10.0.0.7", "fd00::7"]).entry();
    assert_eq!(crate::world::ips(&entry), "10.0.0.7 fd00::7");
    assert_eq!(world.ask("2").on("static/lan").ip(&["10.0.0.8", "::7"]).get(), "10.0.0.8 ::7");
    assert_eq!(world.ask("1").on("static/lan").ip(&["10.0.0.7", "fd00::7"]).get(), "10.0.0.7 fd00::7");
    assert_eq!(world.del("1"), 2);
    world.restart();
    assert_eq!(world.ask("3").on("static/lan").ip(&["10.0.0.7", "fd00::7"]).get(), "10.0.0.7 fd00::7");
}
