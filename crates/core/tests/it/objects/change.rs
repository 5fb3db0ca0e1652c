//! Subnets that change: records stay, and the new layout hands out neither held nor cooling ones.

use allotment_core::{AllocationState, Object, ObjectKind, Order, SubnetSpec, Timestamp};

use super::{all, drain, lived_in, said};
use crate::world::{World, subnet};

fn of(cidr: &str, change: impl Fn(&mut SubnetSpec)) -> SubnetSpec {
    let mut spec = subnet("s", &[cidr]);
    change(&mut spec);
    spec
}

fn put(world: &mut World, cidr: &str, change: impl Fn(&mut SubnetSpec)) {
    let before = all(world);
    world.put(Object::Subnet(of(cidr, change))).unwrap();
    assert_eq!(all(world), before, "records stay");
}

#[test]
fn a_subnet_grows_at_once() {
    let mut world = World::new([subnet("s", &["10.0.0.0/30"])]);
    assert_eq!(drain(&mut world, "s", "a"), ["10.0.0.2"]);
    put(&mut world, "10.0.0.0/29", |_| {});
    assert_eq!(drain(&mut world, "s", "b"), ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    put(&mut world, "10.0.0.0/22", |_| {});
    assert_eq!(world.ask("c").on("s").get(), "10.0.0.7", "the broadcast address that was");
    assert_eq!(world.ask("c").on("s").entry().ips[0].prefix, 22);
}

#[test]
fn a_subnet_grows_by_a_family() {
    let mut world = World::new([subnet("s", &["10.0.0.0/24"])]);
    world.ask("old").on("s").grant().unwrap();
    world.put(Object::Subnet(subnet("s", &["10.0.0.0/24", "fd00::/64"]))).unwrap();
    assert_eq!(world.ask("new").on("s").get(), "10.0.0.3 fd00::2");
    assert_eq!(world.ask("old").on("s").get(), "10.0.0.2", "what it has does not change under it");
    let error = world.put(Object::Subnet(subnet("s", &["10.0.0.0/24"]))).unwrap_err();
    assert_eq!(error.text, "1 address, fd00::2 (Container new), is held outside the new CIDRs");
}

#[test]
fn shrinking_below_holders_is_refused_with_the_list() {
    let mut world = World::new([subnet("s", &["10.0.0.0/24"])]);
    for at in 0..8 {
        world.ask(&at.to_string()).ip(&[&format!("10.0.0.{}", 100 + at)]).grant().unwrap();
    }
    let error = world.put(Object::Subnet(subnet("s", &["10.0.0.0/26"]))).unwrap_err();
    assert_eq!(
        said(&error),
        [
            "Subnet `s`: spec.cidrs",
            "8 addresses, 10.0.0.100 (Container 0), 10.0.0.101 (Container 1), 10.0.0.102 (Container 2), \
             10.0.0.103 (Container 3), 10.0.0.104 (Container 4) and 3 more, are held outside the new CIDRs",
            "release them first, or keep a CIDR that has them; the subnet in force stays as it is",
        ]
    );
    assert_eq!(world.ask("9").ip(&["10.0.0.200"]).get(), "10.0.0.200", "the one in force stays as it is");
    // Nor may its edges fall on holders.
    world.del("9");
    let error = world.put(Object::Subnet(subnet("s", &["10.0.0.96/29"]))).unwrap_err();
    assert!(error.text.starts_with("4 addresses, 10.0.0.104"), "{error}");
    for id in ["4", "5", "6", "7"] {
        world.del(id);
    }
    let error = world.put(Object::Subnet(subnet("s", &["10.0.0.100/30"]))).unwrap_err();
    assert_eq!(
        (error.field.as_str(), error.text.as_str()),
        (
            "spec.gateways",
            "3 addresses, 10.0.0.100 (Container 0), 10.0.0.101 (Container 1), 10.0.0.103 (Container 3), are held where the \
             gateway, network or broadcast address would be"
        )
    );
    world.del("3");
    put(&mut world, "10.0.0.96/29", |_| {});
    assert_eq!(drain(&mut world, "s", "x"), ["10.0.0.98", "10.0.0.99"]);
}

#[test]
fn shrinking_below_a_pool_or_a_reservation_is_refused() {
    let mut world = World::new([subnet("s", &["10.0.0.0/24"])]);
    world.put(Object::IPPool(crate::world::pool("p", "s", &["10.0.0.9", "10.0.0.128/28"]))).unwrap();
    let error = world.put(Object::Subnet(subnet("s", &["10.0.0.0/25"]))).unwrap_err();
    assert_eq!(
        said(&error),
        [
            "Subnet `s`: spec.cidrs",
            "10.0.0.128-10.0.0.143 of pool `p` lies outside subnet `s` (10.0.0.0/25)",
            "ranges must lie inside the CIDRs of their subnet",
        ]
    );
    world.remove(ObjectKind::IPPool, "p").unwrap();
    let kept = crate::world::reservation("r", "s", &["10.0.0.200"], None);
    world.put(Object::Reservation(kept)).unwrap();
    let error = world.put(Object::Subnet(subnet("s", &["10.0.0.0/25"]))).unwrap_err();
    assert_eq!(error.text, "10.0.0.200 of reservation `r` lies outside subnet `s` (10.0.0.0/25)");
}

#[test]
fn shrinking_below_cooling_addresses_leaves_their_records() {
    let mut world = World::new([subnet("s", &["10.0.0.0/24"])]);
    world.ask("a").ip(&["10.0.0.200"]).grant().unwrap();
    world.del("a");
    put(&mut world, "10.0.0.0/25", |_| {});
    assert_eq!(world.state_of("10.0.0.200"), Some(AllocationState::Cooling));
    // Whoever has that part now lets it cool as it would its own.
    world.put(Object::Subnet(subnet("t", &["10.0.0.128/25"]))).unwrap();
    assert_eq!(world.ask("b").ip(&["10.0.0.200"]).get(), "taken");
    assert_eq!(world.ask("a").on("t").get(), "10.0.0.200", "its last owner has it back from there too");
    world.del("a");
    world.now += 30_000;
    assert_eq!(world.ask("b").ip(&["10.0.0.200"]).get(), "10.0.0.200");
}

#[test]
fn a_new_layout_hands_out_neither_held_nor_cooling_ones() {
    for order in [Order::Oldest, Order::Sequential, Order::Random] {
        let mut world = lived_in("10.0.0.0/29");
        put(&mut world, "10.0.0.0/29", |s| s.order = order);
        let mut free = drain(&mut world, "s", "x");
        if order == Order::Oldest {
            assert_eq!(free, ["10.0.0.5", "10.0.0.6", "10.0.0.4"]);
        }
        free.sort();
        assert_eq!(free, ["10.0.0.4", "10.0.0.5", "10.0.0.6"], "{order:?}");
        world.now += 30_000;
        assert_eq!(world.ask("y").on("s").get(), "10.0.0.3");
    }
}

#[test]
fn a_changed_order_goes_by_what_happened_before() {
    let mut world = lived_in("10.0.0.0/29");
    put(&mut world, "10.0.0.0/29", |s| s.order = Order::Sequential);
    assert_eq!(world.ask("1").on("s").get(), "10.0.0.4");
    put(&mut world, "10.0.0.0/29", |s| s.order = Order::Oldest);
    assert_eq!(world.ask("2").on("s").get(), "10.0.0.5");
    world.now += 30_000;
    assert_eq!(world.ask("3").on("s").get(), "10.0.0.6", "never used");
    assert_eq!(world.ask("4").on("s").get(), "10.0.0.3");
}

#[test]
fn excluding_and_including() {
    let mut world = lived_in("10.0.0.0/29");
    put(&mut world, "10.0.0.0/29", |s| s.exclude = vec!["10.0.0.2-10.0.0.5".parse().unwrap()]);
    let usage = world.state.subnet_usage("s", Timestamp(world.now))[0];
    assert_eq!((usage.total, usage.held, usage.beside, usage.cooling, usage.free()), (1, 1, 1, 0, 1));
    assert_eq!(drain(&mut world, "s", "x"), ["10.0.0.6"]);
    assert_eq!(world.ask("cooling").on("s").get(), "full", "its own is excluded now");
    assert_eq!(world.ask("held").on("s").get(), "10.0.0.2", "what it has it keeps");
    world.del("held");
    put(&mut world, "10.0.0.0/29", |_| {});
    assert_eq!(drain(&mut world, "s", "y"), ["10.0.0.5", "10.0.0.4"]);
    world.now += 30_000;
    assert_eq!(drain(&mut world, "s", "z"), ["10.0.0.2", "10.0.0.3"]);
}

#[test]
fn a_changed_cooling_time_holds_for_what_cools() {
    let mut world = lived_in("10.0.0.0/29");
    put(&mut world, "10.0.0.0/29", |s| s.cooling_ms = 60_000);
    assert_eq!(drain(&mut world, "s", "a"), ["10.0.0.5", "10.0.0.6"], "what had cooled cools again");
    put(&mut world, "10.0.0.0/29", |s| s.cooling_ms = 0);
    assert_eq!(drain(&mut world, "s", "b"), ["10.0.0.4", "10.0.0.3"]);
}

#[test]
fn a_subnet_that_goes_and_comes_back_knows_what_cools() {
    for cidr in ["10.0.0.0/29", "10.0.0.0/28", "10.0.0.0/24"] {
        let mut world = lived_in("10.0.0.0/29");
        world.del("held");
        let before = all(&world);
        assert!(world.remove(ObjectKind::Subnet, "s").unwrap());
        assert_eq!(all(&world), before, "records stay");
        assert_eq!(world.ask("cooling").on("s").get(), "unknown");
        assert_eq!(world.ask("cooling").ip(&["10.0.0.3"]).get(), "unknown");
        world.restart();
        put(&mut world, cidr, |_| {});
        assert_eq!(world.ask("1").on("s").get(), "10.0.0.5");
        assert_eq!(world.ask("2").ip(&["10.0.0.2"]).get(), "taken");
        assert_eq!(world.ask("cooling").on("s").get(), "10.0.0.3");
    }
}

#[test]
fn a_subnet_that_comes_back_in_another_vrf_is_another() {
    let mut world = lived_in("10.0.0.0/29");
    world.del("held");
    world.remove(ObjectKind::Subnet, "s").unwrap();
    put(&mut world, "10.0.0.0/29", |s| s.vrf = "red".into());
    assert_eq!(drain(&mut world, "s", "x"), ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
}

#[test]
fn objects_change_while_the_ledger_is_read() {
    let mut world = lived_in("10.0.0.0/29");
    let records: Vec<_> = world
        .state
        .blocks()
        .flat_map(|block| world.state.places(block))
        .map(|place| {
            let mut record = Vec::new();
            world.state.write_record(place, &mut record);
            (place.address(), record)
        })
        .collect();
    let mut fresh = World::new([]);
    fresh.state.begin_loading();
    fresh.state.put(Object::Subnet(subnet("s", &["10.0.0.0/29"]))).unwrap();
    for (address, record) in records {
        fresh.state.load("default", address, &record).unwrap();
        fresh.state.put(Object::Subnet(subnet("s", &["10.0.0.0/28"]))).unwrap();
    }
    fresh.state.put(Object::IPPool(crate::world::pool("p", "s", &["10.0.0.8/29"]))).unwrap();
    fresh.state.remove(&Object::IPPool(crate::world::pool("p", "s", &["10.0.0.8/29"])).key()).unwrap();
    let held = fresh.state.put(Object::Subnet(subnet("s", &["10.0.0.8/29"])));
    assert!(held.is_err(), "holders count as soon as they are loaded");
    fresh.state.put(Object::Subnet(subnet("s", &["10.0.0.0/29"]))).unwrap();
    fresh.state.settle();
    assert_eq!(all(&fresh), all(&world));
    fresh.now = world.now;
    assert_eq!(drain(&mut fresh, "s", "x"), drain(&mut world, "s", "x"));
}

#[test]
fn a_block_that_is_forgotten_is_as_if_never_used() {
    let mut world = lived_in("10.0.0.0/29");
    let block = world.state.block_of("default", "10.0.0.0".parse().unwrap()).unwrap();
    world.state.forget(block);
    world.state.settle();
    assert_eq!(world.state.blocks().count(), 0);
    assert!(world.state.is_empty());
    assert_eq!(world.state.places(block).count(), 0);
    assert_eq!(world.del("held"), 0);
    assert_eq!(drain(&mut world, "s", "x").len(), 5);
}
