//! MACs (C6): unique per VRF, whichever way they are written.

use allotment_core::{MacWant, SubnetSpec};

use super::said;
use crate::world::{World, stateful, subnet};

const MAC: &str = "02:00:5e:00:0a:01";

fn vrfs() -> World {
    let red = SubnetSpec { vrf: "red".into(), ..subnet("red", &["10.0.0.0/24"]) };
    World::new([subnet("a", &["10.0.0.0/24", "fd00::/64"]), subnet("b", &["10.1.0.0/24"]), red])
}

#[test]
fn a_mac_is_one_owners_in_its_vrf() {
    let mut world = vrfs();
    let entry = world.ask("1").on("a").mac(MAC).entry();
    assert_eq!(entry.mac.unwrap().to_string(), MAC);
    for spelling in ["02-00-5E-00-0A-01", "0200.5e00.0a01", MAC] {
        assert_eq!(
            said(&world.ask("2").on("b").mac(spelling).refusal()),
            [
                "taken",
                "Container 2 asks for MAC 02:00:5e:00:0a:01, which Container 1 has (10.0.0.2, VRF `default`)",
                "use another MAC, or end its holder first",
            ]
        );
    }
    assert_eq!(world.ask("2").on("red").mac(MAC).get(), "10.0.0.2", "another VRF is another world");
    world.del("1");
    assert_eq!(world.ask("3").on("b").mac(MAC).get(), "10.1.0.2", "it ends with its holder");
}

#[test]
fn a_mac_that_was_seen_counts_as_one_that_was_asked_for() {
    let mut world = vrfs();
    let mut ask = world.ask("1").on("a");
    ask.want().mac = Some(MacWant::Seen(MAC.parse().unwrap()));
    ask.grant().unwrap();
    assert_eq!(world.at("fd00::2").unwrap().mac, Some(MAC.parse().unwrap()), "at both addresses");
    assert_eq!(world.ask("2").on("b").mac(MAC).get(), "taken");
}

#[test]
fn two_interfaces_of_one_request_have_two() {
    let mut world = vrfs();
    let refusal = world.ask("1").on("a").mac(MAC).and("n1", "net1").on("b").mac(MAC).refusal();
    assert_eq!(
        said(&refusal),
        [
            "invalid",
            "Container 1 asks for MAC 02:00:5e:00:0a:01 on two interfaces",
            "give each interface a MAC of its own"
        ]
    );
    assert_eq!(
        world.ask("1").on("a").mac(MAC).and("n1", "net1").on("red").mac(MAC).get(),
        "10.0.0.2 fd00::2 + 10.0.0.2"
    );
    assert_eq!(
        world.ask("1").on("a").mac(MAC).and("n2", "net2").on("b").mac(MAC).get(),
        "taken",
        "and later too"
    );
}

#[test]
fn the_same_interface_may_have_another_one_after_a_del() {
    let mut world = vrfs();
    world.ask("1").on("a").mac(MAC).grant().unwrap();
    assert_eq!(world.ask("1").on("a").entry().mac, Some(MAC.parse().unwrap()), "unasked it stays");
    assert_eq!(world.ask("1").on("a").mac("02:00:5e:00:0a:02").get(), "invalid");
    world.del("1");
    assert_eq!(world.ask("1").on("a").mac("02:00:5e:00:0a:02").get(), "10.0.0.2 fd00::2");
    assert_eq!(world.ask("2").on("b").mac(MAC).get(), "10.1.0.2", "the old one is free");
    world.del("1");
    assert_eq!(world.ask("1").on("a").mac(MAC).get(), "taken");
}

#[test]
fn an_address_that_is_kept_keeps_its_mac_from_others() {
    let mut world = vrfs();
    let owner = || stateful("db-0");
    world.ask("1").owner(owner()).on("a").mac(MAC).grant().unwrap();
    for address in ["10.0.0.2", "fd00::2"] {
        world.keep(address, "1");
    }
    assert_eq!(world.ask("2").on("b").mac(MAC).get(), "taken");
    world.restart();
    assert_eq!(world.ask("2").on("b").mac(MAC).get(), "taken");
    // The owner comes back, with its MAC on an interface of another name.
    let mut ask = world.ask("3").owner(owner()).on("a").mac(MAC);
    ask.want().attachment.interface = "net1".into();
    assert_eq!(ask.get(), "10.0.0.2 fd00::2");
}

#[test]
fn of_a_list_each_takes_the_first_that_is_left_and_keeps_it() {
    let mut world = vrfs();
    let list = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
    let mut ask = |id: &str| {
        let mut ask = world.ask(id).on("a");
        ask.want().mac = Some(MacWant::OneOf(list.map(|mac| mac.parse().unwrap()).into()));
        ask.grant().map(|grant| grant.entries[0].mac.unwrap().to_string())
    };
    assert_eq!(ask("1").unwrap(), list[0]);
    assert_eq!(ask("2").unwrap(), list[1]);
    assert_eq!(
        (ask("1").unwrap(), ask("2").unwrap()),
        (list[0].to_owned(), list[1].to_owned()),
        "asked again"
    );
    assert_eq!(
        said(&ask("3").unwrap_err())[..2],
        [
            "taken",
            "Container 3 can have none of the MACs listed for it: Container 3 asks for MAC 02:00:00:00:00:01, which \
             Container 1 has (10.0.0.2, VRF `default`); also: Container 3 asks for MAC 02:00:00:00:00:02, which Container 2 \
             has (10.0.0.3, VRF `default`): 2 tried",
        ]
    );
    world.del("1");
    let mut ask = world.ask("2").on("a");
    ask.want().mac = Some(MacWant::OneOf(list.map(|mac| mac.parse().unwrap()).into()));
    assert_eq!(
        ask.entry().mac.unwrap().to_string(),
        list[1],
        "what comes free changes nothing for those who have one"
    );
}
