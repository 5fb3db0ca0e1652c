//! A grant of which a ledger that writes block by block has kept a part (L4): asked for again, it is whole, with the part in
//! it. Nobody had been told of the part alone.

use allotment_core::{Asked, Code, Family, FamilyWant, Object, Release, ReleaseMode, State, Timestamp};

use crate::world::{Ask, World, ips, subnet};

fn rack() -> World {
    World::new([subnet("rack", &["10.0.0.0/24", "fd00::/64"]), subnet("other", &["10.1.0.0/24"])])
}

/// What a process finds after its forerunner could write these addresses, and no others.
fn torn(world: &World, kept: &[&str]) -> World {
    let mut state = State::new();
    state.begin_loading();
    for object in world.state.objects() {
        state.put(object).unwrap();
    }
    for place in world.state.blocks().flat_map(|block| world.state.places(block)) {
        if kept.contains(&place.address().to_string().as_str()) {
            let mut record = Vec::new();
            world.state.write_record(place, &mut record);
            state.load("default", place.address(), &record).unwrap();
        }
    }
    state.settle();
    World { state, now: world.now + 1000 }
}

#[test]
fn l4_the_other_family_is_drawn_again() {
    for kept in ["10.0.0.2", "fd00::2"] {
        let mut world = rack();
        assert_eq!(world.ask("a").on("rack").get(), "10.0.0.2 fd00::2");
        let mut world = torn(&world, &[kept]);
        assert_eq!(world.ask("a").on("rack").get(), "10.0.0.2 fd00::2", "{kept} was kept");
        world.restart();
        assert_eq!(world.ask("a").on("rack").get(), "10.0.0.2 fd00::2");
        assert_eq!(world.ask("a").get(), "10.0.0.2 fd00::2", "and it is whole");
    }
}

#[test]
fn l4_what_was_given_alone_is_whole() {
    let mut world = rack();
    world.ask("a").on("rack").family(FamilyWant::Require(Family::V4)).grant().unwrap();
    let mut narrow = World::new([subnet("rack", &["10.0.0.0/24"])]);
    narrow.ask("a").on("rack").grant().unwrap();
    narrow.put(Object::Subnet(subnet("rack", &["10.0.0.0/24", "fd00::/64"]))).unwrap();
    for world in [world, narrow] {
        let mut world = torn(&world, &["10.0.0.2"]);
        assert_eq!(world.ask("a").on("rack").get(), "10.0.0.2", "it does not grow by asking again");
    }
}

#[test]
fn l4_the_rest_of_a_list_of_addresses_is_given() {
    let asked = ["10.0.0.9", "fd00::9"];
    for kept in asked {
        let mut world = rack();
        world.ask("a").on("rack").ip(&asked).grant().unwrap();
        let mut world = torn(&world, &[kept]);
        assert_eq!(world.ask("a").on("rack").ip(&asked).get(), "10.0.0.9 fd00::9", "{kept} was kept");
    }
    // The family that it does not name is filled up.
    let mut world = rack();
    assert_eq!(world.ask("a").on("rack").ip(&["10.0.0.9"]).get(), "10.0.0.9 fd00::2");
    let mut world = torn(&world, &["fd00::2"]);
    assert_eq!(world.ask("a").on("rack").ip(&["10.0.0.9"]).get(), "10.0.0.9 fd00::2");
}

#[test]
fn k3_the_rest_comes_from_where_the_part_is_from_when_something_else_is_named_by_then() {
    for kept in ["10.0.0.2", "fd00::2"] {
        for change in [&|ask: Ask<'_>| ask.on("other").get() as _, &|ask: Ask<'_>| {
            ask.on("other").ip(&["10.1.0.7"]).get()
        }] as [&dyn Fn(Ask<'_>) -> String; 2]
        {
            let mut world = rack();
            world.ask("a").on("rack").grant().unwrap();
            let mut world = torn(&world, &[kept]);
            assert_eq!(change(world.ask("a").firm()), "10.0.0.2 fd00::2", "{kept} was kept");
        }
    }
    // What it still names is given.
    let asked = ["10.0.0.9", "fd00::9"];
    let mut world = rack();
    world.ask("a").on("rack").ip(&asked).grant().unwrap();
    let mut world = torn(&world, &["fd00::9"]);
    assert_eq!(world.ask("a").firm().on("rack").ip(&asked).get(), "10.0.0.9 fd00::9");
}

#[test]
fn l4_if_the_rest_is_gone_the_whole_is_refused() {
    let asked = ["10.0.0.9", "fd00::9"];
    let mut world = rack();
    world.ask("a").on("rack").ip(&asked).grant().unwrap();
    let mut world = torn(&world, &["10.0.0.9"]);
    world.ask("b").on("rack").ip(&["fd00::9"]).family(FamilyWant::Require(Family::V6)).grant().unwrap();
    assert_eq!(world.ask("a").on("rack").ip(&asked).grant().unwrap_err().code, Code::Taken);
}

#[test]
fn l4_of_several_interfaces_each_gets_what_it_lacks() {
    let mut world = rack();
    let ask = |world: &mut World| {
        let grant =
            world.ask("a").on("rack").and("n1", "net1").on("other").and("n2", "net2").on("rack").grant();
        grant.unwrap().entries.iter().map(ips).collect::<Vec<_>>()
    };
    let whole = ask(&mut world);
    assert_eq!(whole, ["10.0.0.2 fd00::2", "10.1.0.2", "10.0.0.3 fd00::3"]);
    // One block of the three was written.
    for kept in [&["10.0.0.2", "10.0.0.3"][..], &["fd00::2", "fd00::3"], &["10.1.0.2"]] {
        let mut world = torn(&world, kept);
        assert_eq!(ask(&mut world), whole);
    }
}

#[test]
fn l4_a_second_holder_joins_where_it_has_not_yet() {
    let mut world = rack();
    let owner = crate::world::stateful("db-0");
    let ask = |world: &mut World, pod: &str, join: bool| {
        let mut ask = world.ask(pod).on("rack");
        ask.request.owner = owner.clone();
        ask.want().join = join;
        ask.get()
    };
    assert_eq!(ask(&mut world, "old", false), "10.0.0.2 fd00::2");
    let before = torn(&world, &["10.0.0.2", "fd00::2"]);
    ask(&mut world, "new", true);
    // The IPv4 block was written after it joined, the IPv6 block was not.
    let mut half = torn(&world, &["10.0.0.2"]);
    let six = before.state.block_of("default", "fd00::".parse().unwrap()).unwrap();
    for place in before.state.places(six).collect::<Vec<_>>() {
        let mut record = Vec::new();
        before.state.write_record(place, &mut record);
        half.state.load("default", place.address(), &record).unwrap();
    }
    half.state.settle();
    assert_eq!(ask(&mut half, "new", true), "10.0.0.2 fd00::2");
    for address in ["10.0.0.2", "fd00::2"] {
        assert_eq!(half.at(address).unwrap().attachments.len(), 2, "{address}");
    }
}

#[test]
fn l4_what_ended_on_its_own_is_not_missing() {
    let mut world = rack();
    world.ask("a").on("rack").grant().unwrap();
    world.keep("10.0.0.2", "a");
    world.restart();
    assert_eq!(world.ask("a").on("rack").get(), "fd00::2", "somebody ended it");
    // Nor of a second holder that leaves the first.
    let mut world = rack();
    let owner = crate::world::stateful("db-0");
    for (pod, join) in [("old", false), ("new", true)] {
        let mut ask = world.ask(pod).on("rack");
        ask.request.owner = owner.clone();
        ask.want().join = join;
        ask.grant().unwrap();
    }
    let vrf = "default".to_owned();
    let (holder, mode, since) = ("new".to_owned(), ReleaseMode::Cool, None);
    let release = Release::Address { vrf, address: "10.0.0.2".parse().unwrap(), holder, mode, since };
    let mut written = Vec::new();
    world.state.release(&release, Timestamp(world.now), &mut written);
    assert_eq!(written.len(), 2, "the other one is told");
    world.restart();
    for (pod, has) in [("old", "10.0.0.2 fd00::2"), ("new", "fd00::2")] {
        let mut ask = world.ask(pod).on("rack");
        ask.request.owner = owner.clone();
        assert_eq!(ask.get(), has);
    }
}

#[test]
fn l4_a_list_to_choose_from_is_chosen_from_again() {
    let mut world = rack();
    let list = ["10.0.0.20", "10.0.0.21", "fd00::20", "fd00::21"];
    assert_eq!(world.ask("a").on("rack").one_of(&list).get(), "10.0.0.20 fd00::20");
    let mut world = torn(&world, &["fd00::20"]);
    let ask = world.ask("a").on("rack").one_of(&list);
    assert!(matches!(&ask.request.wants[0].ips, Asked::OneOf(ips) if ips.len() == 4));
    assert_eq!(ask.get(), "10.0.0.20 fd00::20");
}
