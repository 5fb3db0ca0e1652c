//! Order of reuse and cooling (C1, C2).

use allotment_core::{AllocationState, Netns, Object, Order, Owner, Pick, Release, SubnetSpec};

use crate::world::{World, container, reservation, stateful, subnet};

#[test]
fn never_used_addresses_come_first_then_those_free_for_longest() {
    let mut world = World::new([subnet("s", &["10.0.0.0/29"])]);
    for (id, address) in [("a", "10.0.0.2"), ("b", "10.0.0.3"), ("c", "10.0.0.4")] {
        assert_eq!(world.ask(id).on("s").get(), address);
    }
    world.del("b");
    world.now += 1_000;
    world.del("a");
    world.now += 60_000;
    assert_eq!(world.ask("d").on("s").get(), "10.0.0.5", "never used");
    assert_eq!(world.ask("e").on("s").get(), "10.0.0.6");
    assert_eq!(world.ask("f").on("s").get(), "10.0.0.3", "released first");
    assert_eq!(world.at("10.0.0.3").unwrap().rule.pick, Pick::Oldest);
    assert_eq!(world.ask("g").on("s").get(), "10.0.0.2");
    assert_eq!(world.ask("h").on("s").get(), "full");
}

#[test]
fn a_cooling_address_is_for_its_last_owner_only() {
    let mut world = World::new([subnet("s", &["10.0.0.0/30"])]);
    assert_eq!(world.ask("a").on("s").get(), "10.0.0.2");
    world.del("a");
    assert_eq!(world.state_of("10.0.0.2"), Some(AllocationState::Cooling));
    let refusal = world.ask("b").on("s").grant().unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "subnet `s` has no free IPv4 address for Container b: 1 in it, 0 held, 1 cooling"
    );
    assert_eq!(refusal.hint, "the first of them is free again in 30 s; or add a subnet or pool behind it");
    assert_eq!(refusal.again_ms, Some(30_000));
    assert_eq!(world.ask("b").on("s").ip(&["10.0.0.2"]).get(), "taken");
    assert_eq!(world.ask("a").on("s").get(), "10.0.0.2", "its own comes back at once");
    world.del("a");
    world.now += 29_999;
    assert_eq!(world.ask("b").on("s").get(), "full");
    world.now += 1;
    assert_eq!(world.ask("b").on("s").get(), "10.0.0.2");
}

#[test]
fn c2_a_pod_made_anew_under_its_name_has_the_address_it_asks_for_at_once() {
    let pod = |name: &str, uid: &str| Owner {
        kind: "Pod".into(),
        namespace: "shop".into(),
        name: name.into(),
        uid: uid.into(),
    };
    let mut world = World::new([subnet("s", &["10.0.0.0/29"])]);
    assert_eq!(world.ask("1").owner(pod("cart", "u1")).ip(&["10.0.0.5"]).get(), "10.0.0.5");
    assert_eq!(world.ask("2").owner(pod("cart", "u2")).ip(&["10.0.0.5"]).get(), "taken", "it is in use");
    world.del("1");
    assert_eq!(world.ask("3").owner(pod("till", "u3")).ip(&["10.0.0.5"]).get(), "taken", "another name");
    let other = Owner { namespace: "bank".into(), ..pod("cart", "u4") };
    assert_eq!(world.ask("4").owner(other).ip(&["10.0.0.5"]).get(), "taken", "another namespace");
    assert_eq!(world.ask("5").owner(pod("cart", "u5")).on("s").get(), "10.0.0.2", "it asks for none");
    assert_eq!(world.ask("2").owner(pod("cart", "u2")).ip(&["10.0.0.5"]).get(), "10.0.0.5");
    // A name that is missing is nobody's.
    world.del("2");
    assert_eq!(world.ask("6").owner(pod("", "u6")).ip(&["10.0.0.6"]).get(), "10.0.0.6");
    world.del("6");
    assert_eq!(world.ask("7").owner(pod("", "u7")).ip(&["10.0.0.6"]).get(), "taken");
}

#[test]
fn a_draining_subnet_gives_nobody_anything_new() {
    let spec = subnet("s", &["10.0.0.0/28"]);
    let mut world = World::new([spec.clone(), subnet("t", &["10.0.1.0/28"])]);
    let reserved = reservation("r", "s", &["10.0.0.9"], Some(container("vip")));
    world.put(Object::Reservation(reserved)).unwrap();
    assert_eq!(world.ask("db").on("s").owner(stateful("db-0")).get(), "10.0.0.2");
    world.keep("10.0.0.2", "db");
    assert_eq!(world.ask("a").on("s").get(), "10.0.0.3");
    assert_eq!(world.ask("b").on("s").get(), "10.0.0.4");
    world.del("b");
    world.put(Object::Subnet(SubnetSpec { draining: true, ..spec })).unwrap();
    let refusal = world.ask("c").on("s").refusal();
    assert_eq!(
        refusal.to_string(),
        "subnet `s` is being deleted, and gives nothing to Container c, which holds nothing of it"
    );
    assert_eq!(world.ask("c").on("s").ip(&["10.0.0.7"]).get(), "not-allowed", "nor by name");
    assert_eq!(world.ask("c").ip(&["10.0.0.7"]).get(), "not-allowed");
    assert_eq!(world.ask("vip").on("s").get(), "not-allowed", "nor what is reserved");
    assert_eq!(world.ask("b").on("s").get(), "not-allowed", "nor what cools");
    assert_eq!(world.ask("a").on("s").get(), "10.0.0.3", "asking again");
    assert_eq!(world.ask("new").on("s").owner(stateful("db-0")).get(), "10.0.0.2", "what is kept is held");
    assert_eq!(world.ask("c").on("s").on("t").get(), "10.0.1.2", "the next one serves");
}

#[test]
fn sequential_gives_the_lowest() {
    let mut spec = subnet("s", &["10.0.0.0/28"]);
    (spec.order, spec.cooling_ms) = (Order::Sequential, 0);
    let mut world = World::new([spec]);
    for id in ["a", "b", "c"] {
        world.ask(id).on("s").get();
    }
    world.del("b");
    world.del("a");
    assert_eq!(world.ask("d").on("s").get(), "10.0.0.2");
    assert_eq!(world.ask("e").on("s").get(), "10.0.0.3");
    assert_eq!(world.ask("f").on("s").get(), "10.0.0.5");
}

#[test]
fn next_after_last_goes_round() {
    let mut spec = subnet("s", &["10.0.0.0/29"]);
    (spec.order, spec.cooling_ms) = (Order::NextAfterLast, 0);
    let mut world = World::new([spec]);
    for (id, address) in [("a", "10.0.0.2"), ("b", "10.0.0.3")] {
        assert_eq!(world.ask(id).on("s").get(), address);
    }
    world.del("b");
    world.del("a");
    for (id, address) in [("c", "10.0.0.4"), ("d", "10.0.0.5"), ("e", "10.0.0.6"), ("f", "10.0.0.2")] {
        assert_eq!(world.ask(id).on("s").get(), address);
    }
}

#[test]
fn random_is_the_same_for_the_same_attachment_everywhere() {
    let mut spec = subnet("s", &["fd00::/64"]);
    spec.order = Order::Random;
    let first = World::new([spec.clone()]).ask("a").on("s").get();
    assert_eq!(World::new([spec.clone()]).ask("a").on("s").get(), first);
    let mut world = World::new([spec]);
    world.ask("b").on("s").get();
    assert_eq!(world.ask("a").on("s").get(), first);
}

#[test]
fn a_large_subnet_opens_a_block_only_when_no_open_one_has_a_cooled_address() {
    let mut world = World::new([subnet("s", &["fd00::/64"])]);
    for n in 0..254 {
        world.ask(&format!("c{n}")).on("s").get();
    }
    world.del("c7");
    world.now += 60_000;
    assert_eq!(world.ask("x").on("s").get(), "fd00::9", "the block is full: what cooled is taken first");
    assert_eq!(world.ask("y").on("s").get(), "fd00::100", "nothing cooled is left");
}

#[test]
fn a_large_subnet_opens_no_block_for_a_second_interface_either() {
    let mut world = World::new([subnet("s", &["fd00::/64"])]);
    for n in 0..253 {
        world.ask(&format!("c{n}")).on("s").grant().unwrap();
    }
    world.del("c7");
    world.now += 60_000;
    assert_eq!(world.ask("x").on("s").and("n1", "net1").on("s").get(), "fd00::ff + fd00::9");
}

#[test]
fn a_block_that_somebody_asked_for_by_name_is_open() {
    let mut spec = subnet("s", &["fd00::/64"]);
    spec.exclude = vec!["fd00::3-fd00::ff".parse().unwrap()];
    let mut world = World::new([spec]);
    assert_eq!(world.ask("a").on("s").get(), "fd00::2");
    world.del("a");
    world.now += 60_000;
    world.ask("x").on("s").ip(&["fd00::150"]).grant().unwrap();
    assert_eq!(world.ask("y").on("s").get(), "fd00::100", "never used, in a block that is open");
}

#[test]
fn of_what_is_released_at_one_moment_the_lowest_is_next() {
    for restarted in [false, true] {
        let mut spec = subnet("s", &["10.0.0.0/29"]);
        spec.exclude = ["10.0.0.2", "10.0.0.4", "10.0.0.6"].map(|ip| ip.parse().unwrap()).to_vec();
        let mut world = World::new([spec]);
        let netns = Netns { boot: "b".into(), device: 4, inode: 7, cookie: None, path: "/x".into() };
        let mut request =
            world.ask("a").on("s").ip(&["10.0.0.5"]).and("n1", "net1").on("s").ip(&["10.0.0.3"]).request;
        for want in &mut request.wants {
            want.attachment.netns = Some(netns.clone());
        }
        world.grant(&request).unwrap();
        assert_eq!(world.release(&Release::Sandbox { container_id: "a".into(), netns }), 2);
        world.now += 30_000;
        if restarted {
            world.restart();
        }
        assert_eq!(world.ask("b").on("s").get(), "10.0.0.3");
    }
}

#[test]
fn next_after_last_is_known_after_a_restart_and_a_change() {
    let mut spec = subnet("s", &["10.0.0.0/29"]);
    (spec.order, spec.cooling_ms) = (Order::NextAfterLast, 0);
    let mut world = World::new([spec.clone()]);
    for id in ["a", "b", "c"] {
        world.now += 1;
        world.ask(id).on("s").grant().unwrap();
    }
    world.del("a");
    world.restart();
    assert_eq!(world.ask("d").on("s").get(), "10.0.0.5", "not what was just released");
    spec.mtu = Some(9000);
    world.put(allotment_core::Object::Subnet(spec)).unwrap();
    assert_eq!(world.ask("e").on("s").get(), "10.0.0.6");
    assert_eq!(world.ask("f").on("s").get(), "10.0.0.2");
}
