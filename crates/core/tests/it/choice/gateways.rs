//! Gateways, routes and DNS: what an interface is told beside its addresses (C4).

use allotment_core::{Dns, Object, Route, SubnetSpec};

use crate::world::{World, subnet};

fn with_gateways(cidrs: &[&str], gateways: Option<&[&str]>) -> SubnetSpec {
    let gateways = gateways.map(|list| list.iter().map(|ip| ip.parse().unwrap()).collect());
    SubnetSpec { gateways, ..subnet("s", cidrs) }
}

/// Addresses and gateways of the first container.
fn first(spec: SubnetSpec) -> String {
    let entry = World::new([spec]).ask("1").on("s").entry();
    let line = |ip: &allotment_core::GrantedIp| {
        let gateway = ip.gateway.map_or("none".to_owned(), |gateway| gateway.to_string());
        format!("{} via {gateway}", ip.address)
    };
    entry.ips.iter().map(line).collect::<Vec<_>>().join(", ")
}

#[test]
fn gateways_given_first_usable_and_none() {
    let dual = &["10.0.0.0/24", "fd00::/64"];
    assert_eq!(first(with_gateways(dual, None)), "10.0.0.2 via 10.0.0.1, fd00::2 via fd00::1");
    assert_eq!(first(with_gateways(dual, Some(&[]))), "10.0.0.1 via none, fd00::1 via none");
    assert_eq!(
        first(with_gateways(dual, Some(&["10.0.0.254"]))),
        "10.0.0.1 via 10.0.0.254, fd00::2 via fd00::1"
    );
    assert_eq!(
        first(with_gateways(dual, Some(&["fd00::2", "10.0.0.2"]))),
        "10.0.0.1 via 10.0.0.2, fd00::1 via fd00::2"
    );
    assert_eq!(first(with_gateways(&["10.0.0.0/31"], None)), "10.0.0.0 via none");
    assert_eq!(first(with_gateways(&["10.0.0.0/31"], Some(&["10.0.0.0"]))), "10.0.0.1 via 10.0.0.0");
    assert_eq!(first(with_gateways(&["fd00::/127"], Some(&["fd00::1"]))), "fd00:: via fd00::1");
}

#[test]
fn a_gateway_may_be_excluded_too() {
    let mut spec = with_gateways(&["10.0.0.0/24"], None);
    spec.exclude = vec!["10.0.0.1-10.0.0.9".parse().unwrap()];
    assert_eq!(first(spec), "10.0.0.10 via 10.0.0.1");
}

#[test]
fn a_gateway_that_moves_frees_the_old_one() {
    let mut world = World::new([with_gateways(&["10.0.0.0/29"], None)]);
    world.ask("1").on("s").grant().unwrap();
    world.put(Object::Subnet(with_gateways(&["10.0.0.0/29"], Some(&["10.0.0.6"])))).unwrap();
    let more: Vec<String> = ["2", "3", "4", "5"].map(|id| world.ask(id).on("s").get()).into();
    assert_eq!(more, ["10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.0.5"]);
    assert_eq!(world.ask("6").on("s").get(), "full");
    // And one that is held cannot become one.
    let error = world.put(Object::Subnet(with_gateways(&["10.0.0.0/29"], None))).unwrap_err();
    assert_eq!(
        error.text,
        "1 address, 10.0.0.1 (Container 2), is held where the gateway, network or broadcast address would be"
    );
    assert_eq!(
        (error.field.as_str(), error.hint.as_str()),
        ("spec.gateways", "choose another gateway or CIDR, or release them first")
    );
}

#[test]
fn a_gateway_that_moves_onto_a_cooling_address_keeps_it() {
    let mut world = World::new([with_gateways(&["10.0.0.0/29"], None)]);
    world.ask("1").on("s").ip(&["10.0.0.6"]).grant().unwrap();
    world.del("1");
    world.put(Object::Subnet(with_gateways(&["10.0.0.0/29"], Some(&["10.0.0.6"])))).unwrap();
    assert_eq!(world.ask("1").on("s").get(), "10.0.0.1", "its own is nobody's now");
    world.now += 60_000;
    for id in ["2", "3", "4", "5"] {
        world.ask(id).on("s").grant().unwrap();
    }
    assert_eq!(world.ask("6").on("s").get(), "full");
}

#[test]
fn routes_and_dns_come_with_the_family() {
    let route = |to: &str, via: Option<&str>| Route {
        to: to.parse().unwrap(),
        via: via.map(|via| via.parse().unwrap()),
    };
    let spec = SubnetSpec {
        routes: vec![route("10.0.0.0/8", Some("10.0.0.9")), route("fd00::/16", None)],
        dns: Dns { search: vec!["rack.example".into()], ..Dns::default() },
        mtu: Some(9000),
        ..subnet("s", &["10.0.0.0/24", "fd00::/64"])
    };
    let mut world = World::new([spec.clone()]);
    let entry = world.ask("1").on("s").entry();
    assert_eq!((&entry.routes, &entry.dns, entry.mtu), (&spec.routes, &spec.dns, spec.mtu));
    let four = allotment_core::FamilyWant::Require(allotment_core::Family::V4);
    let entry = world.ask("2").on("s").family(four).entry();
    assert_eq!(entry.routes, spec.routes[..1], "a route needs an address of its family");
}
