//! Addresses asked for by name: explicit address before everything else.

use allotment_core::{Choice, Object, Pick, SubnetSpec};

use super::said;
use crate::world::{World, pool, reservation, selector, subnet};

fn rack() -> World {
    let rack =
        SubnetSpec { exclude: vec!["10.0.0.64/26".parse().unwrap()], ..subnet("rack", &["10.0.0.0/24"]) };
    World::new([rack, subnet("other", &["10.1.0.0/24"])])
}

#[test]
fn an_address_alone_needs_nothing_else() {
    let mut world = rack();
    let entry = world.ask("a").ip(&["10.0.0.7"]).entry();
    assert_eq!(entry.ips[0].address.to_string(), "10.0.0.7");
    assert_eq!((entry.ips[0].rule.choice, entry.ips[0].rule.pick), (Choice::Address, Pick::Asked));
    assert_eq!((entry.ips[0].subnet.as_str(), entry.ips[0].prefix), ("rack", 24));
}

#[test]
fn an_address_is_looked_for_in_the_vrf_of_what_is_bound() {
    let mut blue = subnet("blue", &["10.0.0.0/24"]);
    (blue.vrf, blue.networks) = ("blue".into(), vec!["blue-net".into()]);
    let mut world = World::new([subnet("rack", &["10.0.0.0/24"]), blue]);
    let entry = world.ask("a").network("blue-net").ip(&["10.0.0.7"]).entry();
    assert_eq!((entry.ips[0].vrf.as_str(), entry.ips[0].subnet.as_str()), ("blue", "blue"));
    assert_eq!(world.ask("b").ip(&["10.0.0.7"]).entry().ips[0].vrf, "default");
}

#[test]
fn an_address_is_stronger_than_what_is_bound_and_weaker_than_what_is_named() {
    let mut rack = subnet("rack", &["10.0.0.0/24"]);
    rack.networks = vec!["net".into()];
    let mut world = World::new([rack, subnet("other", &["10.1.0.0/24"])]);
    assert_eq!(world.ask("a").ip(&["10.1.0.9"]).get(), "10.1.0.9");
    assert_eq!(world.ask("b").on("other").ip(&["10.1.0.8"]).get(), "10.1.0.8");
    let refusal = world.ask("c").on("rack").ip(&["10.1.0.7"]).refusal();
    assert_eq!(
        said(&refusal),
        [
            "not-allowed",
            "Container c asks for 10.1.0.7, which lies in none of the subnets that it may draw from: 1 subnets looked at",
            "ask for an address of 10.0.0.0/24 (`rack`), or name its subnet",
        ]
    );
}

#[test]
fn an_address_of_no_subnet_is_unknown() {
    let refusal = rack().ask("a").ip(&["192.0.2.1"]).refusal();
    assert_eq!(
        said(&refusal),
        [
            "unknown",
            "Container a asks for 192.0.2.1, which lies in no subnet of VRF `default`: 2 subnets",
            "ask for an address of a subnet, or make a subnet that has it",
        ]
    );
}

#[test]
fn excluded_addresses_are_had_by_name_only() {
    let mut world = World::new([SubnetSpec {
        exclude: vec!["10.0.0.2-10.0.0.5".parse().unwrap()],
        ..subnet("s", &["10.0.0.0/29"])
    }]);
    assert_eq!(world.ask("a").on("s").get(), "10.0.0.6");
    assert_eq!(world.ask("b").on("s").get(), "full");
    assert_eq!(world.ask("b").on("s").ip(&["10.0.0.4"]).get(), "10.0.0.4");
    world.del("b");
    assert_eq!(world.ask("b").on("s").get(), "full", "it had an excluded one, but does not ask for it now");
    assert_eq!(world.ask("b").on("s").ip(&["10.0.0.4"]).get(), "10.0.0.4");
    world.del("b");
    assert_eq!(world.ask("c").on("s").ip(&["10.0.0.4"]).get(), "taken", "it cools as any other");
    world.now += 30_000;
    assert_eq!(world.ask("c").on("s").get(), "full");
    assert_eq!(world.ask("c").on("s").ip(&["10.0.0.4"]).get(), "10.0.0.4");
}

#[test]
fn edges_and_gateways_are_nobodys() {
    let mut world = rack();
    for (ip, what) in [
        ("10.0.0.0", "the network address"),
        ("10.0.0.1", "the gateway"),
        ("10.0.0.255", "the broadcast address"),
    ] {
        let refusal = world.ask("a").on("rack").ip(&[ip]).refusal();
        assert_eq!(
            said(&refusal),
            [
                "not-allowed".to_owned(),
                format!("Container a asks for {ip}, which is {what} of subnet `rack`"),
                "ask for another address".to_owned(),
            ]
        );
        assert_eq!(world.ask("a").ip(&[ip]).get(), "not-allowed", "without a subnet too");
    }
    let mut six = World::new([subnet("six", &["fd00::/120"])]);
    assert_eq!(six.ask("a").on("six").ip(&["fd00::"]).get(), "not-allowed");
    assert_eq!(six.ask("a").on("six").ip(&["fd00::ff"]).get(), "fd00::ff", "IPv6 has no broadcast");
}

#[test]
fn ranges_of_an_implied_subnet_hold_for_addresses_by_name() {
    let mut world = World::new([SubnetSpec {
        within: vec!["10.0.0.16-10.0.0.31".parse().unwrap()],
        ..subnet("lan", &["10.0.0.0/24"])
    }]);
    assert_eq!(world.ask("a").on("lan").get(), "10.0.0.16");
    assert_eq!(world.ask("b").on("lan").ip(&["10.0.0.31"]).get(), "10.0.0.31");
    assert_eq!(
        said(&world.ask("c").on("lan").ip(&["10.0.0.32"]).refusal()),
        [
            "not-allowed",
            "Container c asks for 10.0.0.32, which the ranges of `lan` leave out",
            "ask for an address of 10.0.0.16-10.0.0.31",
        ]
    );
}

#[test]
fn an_address_that_somebody_has_is_taken() {
    let mut world = rack();
    let mut ask = world.ask("a").ip(&["10.0.0.7"]);
    ask.want().attachment.node = "node-1".into();
    ask.grant().unwrap();
    assert_eq!(
        said(&world.ask("b").ip(&["10.0.0.7"]).refusal()),
        [
            "taken",
            "Container b asks for 10.0.0.7, which Container a on node `node-1` holds",
            "ask for another address, or end its holder first",
        ]
    );
    world.now += 1;
    world.del("a");
    world.now += 20_500;
    let refusal = world.ask("b").ip(&["10.0.0.7"]).refusal();
    assert_eq!(refusal.again_ms, Some(9500));
    assert_eq!(
        said(&refusal),
        [
            "taken",
            "Container b asks for 10.0.0.7, which still cools after Container a: 10 seconds left",
            "ask again in 10 s, or for another address",
        ]
    );
    assert_eq!(world.ask("a").ip(&["10.0.0.7"]).get(), "10.0.0.7");
}

#[test]
fn a_pool_is_not_entered_by_address_from_outside() {
    let mut world = rack();
    world.put(Object::IPPool(pool("db", "rack", &["10.0.0.16/28"]))).unwrap();
    let mut web = pool("web", "rack", &["10.0.0.32/28"]);
    web.pod_selector = Some(selector(&[("app", "web")]));
    world.put(Object::IPPool(web)).unwrap();
    let outside = |name: &str, ip: &str| {
        [
            "not-allowed".to_owned(),
            format!("Container a asks for {ip}, which belongs to pool `{name}`"),
            "name the pool that has the address, or ask for another address".to_owned(),
        ]
    };
    assert_eq!(said(&world.ask("a").on("rack").ip(&["10.0.0.17"]).refusal()), outside("db", "10.0.0.17"));
    assert_eq!(said(&world.ask("a").ip(&["10.0.0.17"]).refusal()), outside("db", "10.0.0.17"));
    assert_eq!(said(&world.ask("a").on("rack").ip(&["10.0.0.33"]).refusal()), outside("web", "10.0.0.33"));
    assert_eq!(
        said(&world.ask("a").pool("db").ip(&["10.0.0.9"]).refusal()),
        [
            "not-allowed",
            "Container a asks for 10.0.0.9, which is not in pool `db`",
            "name the pool that has the address, or ask for another address",
        ]
    );
    let entry = world.ask("a").pool("db").ip(&["10.0.0.17"]).entry();
    assert_eq!(entry.ips[0].pool.as_deref(), Some("db"));
    let web = &[("app", "web")];
    assert_eq!(world.ask("b").on("rack").pod_labels(web).ip(&["10.0.0.33"]).get(), "10.0.0.33");
    assert_eq!(world.ask("c").pod_labels(web).ip(&["10.0.0.34"]).get(), "10.0.0.34");
    assert_eq!(world.ask("d").on("rack").pod_labels(web).ip(&["10.0.0.9"]).get(), "10.0.0.9");
}

#[test]
fn naming_a_pool_beside_another_does_not_open_it() {
    let mut world = rack();
    let mut web = pool("web", "rack", &["10.0.0.32/28"]);
    web.pod_selector = Some(selector(&[("app", "web")]));
    world.put(Object::IPPool(web)).unwrap();
    world.put(Object::IPPool(pool("db", "rack", &["10.0.0.16/28"]))).unwrap();
    // `web` is passed over, because its selectors do not match; its addresses stay closed.
    assert_eq!(world.ask("a").pool("web").pool("db").ip(&["10.0.0.33"]).get(), "not-allowed");
    assert_eq!(world.ask("a").on("rack").pool("web").ip(&["10.0.0.33"]).get(), "not-allowed");
    assert_eq!(world.ask("a").pool("db").pool("web").one_of(&["10.0.0.33"]).get(), "not-allowed");
    // Each of several that are open has its own.
    assert_eq!(world.ask("b").pool("db").on("rack").ip(&["10.0.0.9"]).get(), "10.0.0.9");
    assert_eq!(world.ask("c").on("rack").pool("db").ip(&["10.0.0.17"]).get(), "10.0.0.17");
    let web = &[("app", "web")];
    let ask = world.ask("d").pool("db").pool("web").pod_labels(web);
    assert_eq!(ask.ip(&["10.0.0.33"]).get(), "10.0.0.33");
    let ask = world.ask("e").pool("db").on("rack").pod_labels(web);
    assert_eq!(ask.ip(&["10.0.0.34"]).get(), "10.0.0.34", "by the subnet, as its selectors match");
}

#[test]
fn the_first_of_a_list_that_can_be_had() {
    let mut world = rack();
    world.put(Object::Reservation(reservation("printer", "rack", &["10.0.0.11"], None))).unwrap();
    world.ask("a").ip(&["10.0.0.10"]).grant().unwrap();
    let list = ["10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13"];
    let entry = world.ask("b").on("rack").one_of(&list).entry();
    assert_eq!(entry.ips[0].address.to_string(), "10.0.0.12");
    assert_eq!(entry.ips[0].rule.pick, Pick::Listed);
    assert_eq!(world.ask("b").on("rack").one_of(&list[..1]).get(), "invalid", "it has another one already");
    assert_eq!(world.ask("c").one_of(&list).get(), "10.0.0.13", "without a subnet");
    assert_eq!(
        said(&world.ask("d").on("rack").one_of(&list[..2]).refusal()),
        [
            "taken",
            "Container d can have none of the addresses listed for it: Container d asks for 10.0.0.10, which Container a \
             holds; also: Container d asks for 10.0.0.11, which reservation `printer` sets aside for nobody (kept): 2 tried",
            "ask for another address, or end its holder first",
        ]
    );
    assert_eq!(
        said(&world.ask("d").on("other").one_of(&list).refusal()),
        [
            "not-allowed",
            "none of the addresses listed for Container d (10.0.0.10, 10.0.0.11, 10.0.0.12, 10.0.0.13) lies in subnet `other`: 4 listed",
            "list addresses of the subnet, or name theirs",
        ]
    );
}

#[test]
fn a_list_passes_over_what_is_not_for_the_namespace() {
    let mut closed = subnet("closed", &["10.2.0.0/24"]);
    closed.namespaces = vec!["shop".into()];
    let mut world = World::new([closed, subnet("open", &["10.3.0.0/24"])]);
    assert_eq!(world.ask("a").one_of(&["10.2.0.7", "10.3.0.7"]).get(), "10.3.0.7");
    assert_eq!(world.ask("b").one_of(&["10.2.0.7"]).get(), "not-allowed");
    assert_eq!(world.ask("b").one_of(&["10.9.0.7", "10.3.0.8"]).get(), "10.3.0.8");
    assert_eq!(world.ask("c").one_of(&["10.9.0.7"]).get(), "unknown");
}

#[test]
fn an_interface_has_one_address_per_family_of_a_subnet() {
    let mut world = rack();
    assert_eq!(
        said(&world.ask("a").ip(&["10.0.0.7", "10.0.0.8"]).refusal()),
        [
            "invalid",
            "Container a asks for both 10.0.0.7 and 10.0.0.8 on one interface, which are of one subnet and family",
            "an interface has one address per family of a subnet; ask for one of them",
        ]
    );
    assert_eq!(world.ask("a").ip(&["10.1.0.8", "10.0.0.8"]).get(), "10.1.0.8 10.0.0.8", "of two subnets");
    assert_eq!(
        said(&world.ask("a").ip(&["10.0.0.9"]).refusal()),
        [
            "invalid",
            "Container a asks for 10.0.0.9, but its interface `eth0` has 10.0.0.8 of subnet `rack`, 10.1.0.8 of subnet `other` already",
            "release the interface first (DEL), or ask for what it has",
        ]
    );
}

#[test]
fn all_addresses_of_several_subnets_with_what_they_say() {
    let with = |name: &str, cidrs: [&str; 2], to: [&str; 2]| {
        let routes = to.map(|to| allotment_core::Route { to: to.parse().unwrap(), via: None }).to_vec();
        SubnetSpec { routes, ..subnet(name, &cidrs) }
    };
    let mut world = World::new([
        with("one", ["10.1.0.0/24", "fd01::/64"], ["10.128.0.0/16", "fd81::/64"]),
        with("two", ["10.2.0.0/24", "fd02::/64"], ["10.129.0.0/16", "fd82::/64"]),
    ]);
    let entry = world.ask("a").ip(&["10.2.0.5", "fd01::5", "10.1.0.5", "fd02::5"]).entry();
    assert_eq!(crate::world::ips(&entry), "10.2.0.5 10.1.0.5 fd01::5 fd02::5");
    let routes: Vec<String> = entry.routes.iter().map(|route| route.to.to_string()).collect();
    assert_eq!(routes, ["10.129.0.0/16", "fd82::/64", "10.128.0.0/16", "fd81::/64"], "each once");
}

#[test]
fn of_a_list_pods_of_one_deployment_hand_on_what_cools() {
    let mut world = rack();
    let list = ["10.0.0.11", "10.0.0.12"];
    assert_eq!(world.ask("a").one_of(&list).replica("cart", "cart-1-a").get(), "10.0.0.11");
    assert_eq!(world.ask("b").one_of(&list).replica("cart", "cart-1-b").get(), "10.0.0.12");
    world.del("a");
    assert_eq!(
        world.ask("x").one_of(&list).replica("till", "till-1-a").get(),
        "taken",
        "another Deployment waits"
    );
    assert_eq!(world.ask("x").one_of(&list).get(), "taken");
    assert_eq!(world.ask("c").ip(&list[..1]).replica("cart", "cart-2-x").get(), "taken", "not off a list");
    assert_eq!(world.ask("c").one_of(&list).replica("cart", "cart-2-c").get(), "10.0.0.11");
    // What the last one did not have off a list was not the list's to hand on.
    world.del("c");
    assert_eq!(world.ask("d").ip(&["10.0.0.13"]).replica("cart", "cart-2-d").get(), "10.0.0.13");
    world.del("d");
    assert_eq!(world.ask("e").one_of(&["10.0.0.13"]).replica("cart", "cart-2-e").get(), "taken");
    // Those without a list get none of it either.
    assert_eq!(world.ask("f").on("rack").replica("cart", "cart-2-f").get(), "10.0.0.2");
}

#[test]
fn an_address_is_asked_for_with_its_subnets_prefix_length_or_none() {
    let mut world = rack();
    let mut ask = |id: &str, ips: &[&str], prefix: u8| {
        let mut ask = world.ask(id).on("rack").ip(ips);
        ask.want().prefixes = vec![(ips[0].parse().unwrap(), prefix)];
        ask.grant()
    };
    assert_eq!(
        said(&ask("a", &["10.0.0.7"], 16).unwrap_err()),
        [
            "invalid",
            "Container a asks for 10.0.0.7 with prefix length 16, and subnet `rack` is 10.0.0.0/24",
            "ask for 10.0.0.7, with or without /24",
        ]
    );
    assert!(ask("a", &["10.0.0.7"], 24).is_ok());
    assert!(ask("a", &["10.0.0.7"], 16).is_err(), "asked again");
    // Of a list the others stay.
    let mut list = world.ask("b").on("rack").one_of(&["10.0.0.8", "10.0.0.9"]);
    list.want().prefixes = vec![("10.0.0.8".parse().unwrap(), 16)];
    assert_eq!(list.get(), "10.0.0.9");
}
