//! Subnets and pools in order: named by the request, bound to the network, bound to the namespace, default.

use allotment_core::{Choice, Object, SubnetSpec};

use super::said;
use crate::world::{World, pool, selector, subnet};

fn bound(name: &str, cidr: &str, change: impl Fn(&mut SubnetSpec)) -> SubnetSpec {
    let mut spec = subnet(name, &[cidr]);
    change(&mut spec);
    spec
}

#[test]
fn several_subnets_and_pools_are_tried_in_order() {
    let mut world = World::new([subnet("a", &["10.0.0.0/30"]), subnet("b", &["10.1.0.0/29"])]);
    world.put(Object::IPPool(pool("p", "b", &["10.1.0.4"]))).unwrap();
    let ask = |world: &mut World, id: &str| world.ask(id).on("a").pool("p").on("b").get();
    for (id, address) in
        [("1", "10.0.0.2"), ("2", "10.1.0.4"), ("3", "10.1.0.2"), ("4", "10.1.0.3"), ("5", "10.1.0.5")]
    {
        assert_eq!(ask(&mut world, id), address);
    }
    ask(&mut world, "6");
    world.del("2");
    let refusal = world.ask("7").on("a").pool("p").on("b").refusal();
    assert_eq!(
        said(&refusal),
        [
            "full",
            "subnet `a` has no free IPv4 address for Container 7: 1 in it, 1 held, 0 cooling; also: \
             pool `p` has no free IPv4 address for Container 7: 1 in it, 0 held, 1 cooling; \
             subnet `b` has no free IPv4 address for Container 7: 4 in it, 4 held, 0 cooling; \
             in all: 6 in it, 5 held, 1 cooling",
            "the first of them is free again in 30 s; or add a subnet or pool behind it",
        ]
    );
    world.del("1");
    assert_eq!(ask(&mut world, "2"), "10.1.0.4", "its own before others that are free earlier in the order");
    world.now += 30_000;
    assert_eq!(ask(&mut world, "7"), "10.0.0.2");
}

#[test]
fn what_does_not_exist_is_unknown_at_once() {
    let mut world = World::new([subnet("a", &["10.0.0.0/24"]), subnet("b", &["10.1.0.0/24"])]);
    assert_eq!(
        said(&world.ask("x").on("a").on("c").refusal()),
        [
            "unknown",
            "Container x asks for subnet `c`, which does not exist: 2 subnets exist",
            "make it, or name one of: a, b",
        ]
    );
    assert_eq!(
        said(&world.ask("x").pool("p").refusal()),
        [
            "unknown",
            "Container x asks for pool `p`, which does not exist: 0 pools exist",
            "no pool exists yet: make it first",
        ]
    );
}

#[test]
fn nothing_says_where_from() {
    let mut world = World::new([subnet("a", &["10.0.0.0/24"])]);
    assert_eq!(
        said(&world.ask("x").namespace("shop").refusal()),
        [
            "not-allowed",
            "nothing says where Container x gets its address on network `net`: no subnet is named, none is bound to the \
             network or to namespace `shop`, and no default subnet may be used: 1 subnets",
            "name a subnet in the `ipam` section, list the network in a subnet's `networks`, or set `default: true` on one",
        ]
    );
    let text = "nothing says where Container x gets its address on network `net`: no subnet is named, none is bound to the \
                network, and no default subnet may be used: 1 subnets";
    assert_eq!(said(&world.ask("x").refusal())[1], text);
}

#[test]
fn network_before_namespace_before_default() {
    let mut world = World::new([
        bound("default", "10.0.0.0/24", |s| s.default = true),
        bound("namespace", "10.1.0.0/24", |s| s.namespaces = vec!["shop".into()]),
        bound("network", "10.2.0.0/24", |s| s.networks = vec!["telecom/macvlan-a".into()]),
        subnet("unbound", &["10.3.0.0/24"]),
    ]);
    let choice = |entry: allotment_core::GrantEntry| (entry.ips[0].subnet.clone(), entry.ips[0].rule.choice);
    assert_eq!(choice(world.ask("1").entry()), ("default".into(), Choice::Default));
    assert_eq!(choice(world.ask("2").namespace("shop").entry()), ("namespace".into(), Choice::Selector));
    let ask = world.ask("3").namespace("shop").network("telecom/macvlan-a");
    assert_eq!(choice(ask.entry()), ("network".into(), Choice::Network));
    let ask = world.ask("4").namespace("shop").network("telecom/macvlan-a").on("unbound");
    assert_eq!(choice(ask.entry()), ("unbound".into(), Choice::Request));
    let mut ask = world.ask("5").on("unbound");
    ask.want().source = Some(Choice::Network);
    assert_eq!(choice(ask.entry()), ("unbound".into(), Choice::Network), "whoever named it is recorded");
    // A namespace chooses, but not instead of a subnet that was made for the network.
    let by_namespace = |mut ask: crate::world::Ask<'_>| {
        ask.want().source = Some(Choice::Namespace);
        choice(ask.entry())
    };
    assert_eq!(by_namespace(world.ask("6").on("unbound")), ("unbound".into(), Choice::Namespace));
    let ask = world.ask("7").network("telecom/macvlan-a").on("unbound");
    assert_eq!(by_namespace(ask), ("network".into(), Choice::Network));
}

#[test]
fn several_bound_ones_are_tried_in_the_order_of_their_names() {
    let networks = |s: &mut SubnetSpec| s.networks = vec!["net".into(), "net".into()];
    let mut world = World::new([
        bound("b", "10.1.0.0/30", networks),
        bound("c", "10.2.0.0/30", |_| {}),
        bound("a", "10.0.0.0/30", networks),
    ]);
    assert_eq!(["1", "2", "3"].map(|id| world.ask(id).get()), ["10.0.0.2", "10.1.0.2", "full"]);
    // One that is bound later falls into its place; one that no longer is, out of it.
    world.put(Object::Subnet(bound("c", "10.2.0.0/30", networks))).unwrap();
    assert_eq!(world.ask("3").get(), "10.2.0.2");
    world.put(Object::Subnet(bound("a", "10.0.0.0/30", |_| {}))).unwrap();
    world.del("1");
    world.now += 30_000;
    assert_eq!(world.ask("4").get(), "full");
    assert_eq!(world.ask("4").on("a").get(), "10.0.0.2");
}

#[test]
fn several_default_subnets_are_tried_in_the_order_of_their_names() {
    let default = |s: &mut SubnetSpec| s.default = true;
    let mut world = World::new([bound("b", "10.1.0.0/30", default), bound("a", "10.0.0.0/30", default)]);
    assert_eq!(["1", "2", "3"].map(|id| world.ask(id).get()), ["10.0.0.2", "10.1.0.2", "full"]);
}

#[test]
fn namespaces_are_bound_by_name_and_by_label() {
    let mut world = World::new([
        bound("by-label", "10.1.0.0/24", |s| s.namespace_selector = Some(selector(&[("team", "red")]))),
        bound("by-name", "10.2.0.0/24", |s| s.namespaces = vec!["shop".into(), "bank".into()]),
        bound("either", "10.3.0.0/24", |s| {
            (s.namespaces, s.namespace_selector) = (vec!["mill".into()], Some(selector(&[("team", "blue")])));
        }),
    ]);
    let red = &[("team", "red")];
    assert_eq!(world.ask("1").namespace("shop").get(), "10.2.0.2");
    assert_eq!(world.ask("2").namespace("bank").get(), "10.2.0.3");
    assert_eq!(world.ask("3").namespace("any").namespace_labels(red).get(), "10.1.0.2");
    assert_eq!(world.ask("4").namespace("shop").namespace_labels(red).get(), "10.1.0.3", "by name of subnet");
    assert_eq!(world.ask("5").namespace("mill").get(), "10.3.0.2");
    assert_eq!(world.ask("6").namespace_labels(&[("team", "blue")]).get(), "10.3.0.3");
    assert_eq!(world.ask("7").namespace("any").get(), "not-allowed");
    assert_eq!(world.ask("7").namespace("any").on("either").get(), "not-allowed");
    assert_eq!(
        said(&world.ask("7").namespace("any").on("by-name").refusal()),
        [
            "not-allowed",
            "subnet `by-name` is not for namespace `any` of Container 7: 2 namespaces bound by name",
            "add the namespace to the subnet's `namespaces`, or use another subnet",
        ]
    );
    assert_eq!(
        said(&world.ask("7").on("by-name").refusal()),
        [
            "not-allowed",
            "subnet `by-name` is bound to namespaces, and Container 7 is in none: 2 namespaces bound by name",
            "use another subnet, or take the subnet's `namespaces` and `namespaceSelector` away",
        ]
    );
    assert_eq!(world.ask("7").namespace("any").ip(&["10.2.0.9"]).get(), "not-allowed", "by address neither");
}

#[test]
fn a_subnet_bound_twice_is_tried_once() {
    let mut world = World::new([bound("s", "10.0.0.0/30", |s| {
        (s.namespaces, s.namespace_selector) = (vec!["shop".into()], Some(selector(&[("team", "red")])));
    })]);
    let ask = |world: &mut World, id: &str| {
        world.ask(id).namespace("shop").namespace_labels(&[("team", "red")]).grant()
    };
    ask(&mut world, "1").unwrap();
    assert_eq!(
        ask(&mut world, "2").unwrap_err().to_string(),
        "subnet `s` has no free IPv4 address for Container 2: 1 in it, 1 held, 0 cooling"
    );
}

#[test]
fn of_those_named_the_ones_that_may_be_used_are_tried() {
    let mut world = World::new([
        bound("closed", "10.1.0.0/24", |s| s.namespaces = vec!["shop".into()]),
        subnet("open", &["10.2.0.0/30"]),
    ]);
    assert_eq!(world.ask("1").on("closed").on("open").get(), "10.2.0.2");
    assert_eq!(world.ask("2").on("closed").on("open").get(), "full");
    assert_eq!(world.ask("2").on("closed").get(), "not-allowed");
}

#[test]
fn a_default_subnet_may_be_bound_too() {
    let mut world = World::new([bound("d", "10.0.0.0/24", |s| {
        (s.default, s.namespaces) = (true, vec!["shop".into()]);
    })]);
    assert_eq!(world.ask("1").namespace("shop").get(), "10.0.0.2");
    assert_eq!(world.ask("2").namespace("bank").get(), "not-allowed");
}

#[test]
fn equal_cidrs_in_two_vrfs_do_not_meet() {
    let red = bound("red", "10.0.0.0/29", |s| s.vrf = "red".into());
    let mut world = World::new([subnet("plain", &["10.0.0.0/29"]), red]);
    assert_eq!(world.ask("a").on("plain").get(), "10.0.0.2");
    assert_eq!(world.ask("a").network("n2").on("red").get(), "10.0.0.2", "of the same container even");
    assert_eq!(world.ask("b").on("red").ip(&["10.0.0.2"]).get(), "taken");
    world.del("a");
    assert_eq!(world.state_of("10.0.0.2"), Some(allotment_core::AllocationState::Cooling));
    let red = world.state.allocation("red", "10.0.0.2".parse().unwrap()).unwrap();
    assert_eq!(red.state, allotment_core::AllocationState::Active);
}
