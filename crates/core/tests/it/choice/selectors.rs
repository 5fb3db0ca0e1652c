//! Pools and their selectors (C3): who draws from which, and who never does.

use allotment_core::{Choice, Object, PoolSpec};

use super::said;
use crate::world::{World, pool, selector, subnet};

fn rack(pools: impl IntoIterator<Item = PoolSpec>) -> World {
    let mut world = World::new([subnet("rack", &["10.0.0.0/27"])]);
    for pool in pools {
        world.put(Object::IPPool(pool)).unwrap();
    }
    world
}

fn selecting(name: &str, range: &str, change: impl Fn(&mut PoolSpec)) -> PoolSpec {
    let mut spec = pool(name, "rack", &[range]);
    change(&mut spec);
    spec
}

#[test]
fn a_pool_without_selectors_must_be_named() {
    let mut world = rack([pool("db", "rack", &["10.0.0.2-10.0.0.4"])]);
    assert_eq!(world.ask("1").on("rack").get(), "10.0.0.5", "outside the pool");
    let entry = world.ask("2").pool("db").entry();
    assert_eq!(entry.ips[0].address.to_string(), "10.0.0.2");
    assert_eq!((entry.ips[0].pool.as_deref(), entry.ips[0].rule.choice), (Some("db"), Choice::Request));
    assert_eq!((entry.ips[0].prefix, entry.ips[0].gateway), (27, Some("10.0.0.1".parse().unwrap())));
}

#[test]
fn a_pool_whose_selectors_match_is_drawn_from_instead_of_the_rest() {
    let mut world = rack([
        selecting("b", "10.0.0.8", |p| p.pod_selector = Some(selector(&[("app", "db")]))),
        selecting("a", "10.0.0.9", |p| p.namespaces = vec!["shop".into()]),
    ]);
    let db = &[("app", "db")];
    let entry = world.ask("1").on("rack").namespace("shop").pod_labels(db).entry();
    assert_eq!((entry.ips[0].pool.as_deref(), entry.ips[0].rule.choice), (Some("a"), Choice::Selector));
    assert_eq!(world.ask("2").on("rack").namespace("shop").pod_labels(db).get(), "10.0.0.8", "the next one");
    let refusal = world.ask("3").on("rack").namespace("shop").pod_labels(db).refusal();
    assert_eq!(
        said(&refusal),
        [
            "full",
            "pools `a`, `b` of subnet `rack`, whose selectors match, have no free IPv4 address for Container 3: \
             2 in it, 2 held, 0 cooling",
            "add a subnet or pool behind it, make it larger, or release what is not needed",
        ]
    );
    assert_eq!(
        said(&world.ask("4").on("rack").pod_labels(db).refusal())[1],
        "pool `b` of subnet `rack`, whose selectors match, has no free IPv4 address for Container 4: \
         1 in it, 1 held, 0 cooling"
    );
    assert_eq!(world.ask("5").on("rack").get(), "10.0.0.2");
}

#[test]
fn selectors_hold_for_who_names_the_pool_too() {
    let mut world =
        rack([selecting("db", "10.0.0.8/30", |p| p.pod_selector = Some(selector(&[("app", "db")])))]);
    assert_eq!(
        said(&world.ask("1").pool("db").refusal()),
        [
            "not-allowed",
            "the selectors of pool `db` do not match Container 1",
            "change the labels or the selectors, or use another pool",
        ]
    );
    assert_eq!(world.ask("1").pool("db").on("rack").get(), "10.0.0.2", "the next target is tried");
    assert_eq!(world.ask("2").pool("db").pod_labels(&[("app", "db")]).get(), "10.0.0.8");
}

#[test]
fn all_selectors_have_to_match() {
    let mut world = rack([selecting("p", "10.0.0.8/29", |p| {
        p.namespaces = vec!["shop".into()];
        p.pod_selector = Some(selector(&[("app", "db")]));
        p.namespace_selector = Some(selector(&[("team", "red")]));
        p.node_selector = Some(selector(&[("zone", "north")]));
    })]);
    let (app, team, zone) = (&[("app", "db")], &[("team", "red")], &[("zone", "north")]);
    let all = |world: &mut World, id: &str, without: usize, pool: bool| {
        let mut ask = world.ask(id);
        ask = if pool { ask.pool("p") } else { ask.on("rack") };
        ask = if without == 0 { ask } else { ask.namespace("shop") };
        ask = if without == 1 { ask } else { ask.pod_labels(app) };
        ask = if without == 2 { ask } else { ask.namespace_labels(team) };
        ask = if without == 3 { ask } else { ask.node_labels(zone) };
        ask.get()
    };
    for without in 0..4 {
        assert_eq!(all(&mut world, "x", without, true), "not-allowed", "{without}");
        let address = all(&mut world, &format!("out{without}"), without, false);
        assert_eq!(address, format!("10.0.0.{}", without + 2), "{without}");
    }
    assert_eq!(all(&mut world, "named", 4, true), "10.0.0.8");
    assert_eq!(all(&mut world, "matched", 4, false), "10.0.0.9");
}

#[test]
fn an_empty_selector_takes_everybody() {
    let mut world = rack([selecting("p", "10.0.0.8", |p| p.pod_selector = Some(selector(&[])))]);
    assert_eq!(world.ask("1").on("rack").get(), "10.0.0.8");
    assert_eq!(world.ask("2").on("rack").get(), "full", "a pool that matches is all there is");
}

#[test]
fn namespaces_of_the_subnet_hold_for_its_pools() {
    let mut rack = subnet("rack", &["10.0.0.0/27"]);
    rack.namespaces = vec!["shop".into()];
    let mut world = World::new([rack]);
    world.put(Object::IPPool(pool("p", "rack", &["10.0.0.8"]))).unwrap();
    assert_eq!(world.ask("1").namespace("bank").pool("p").get(), "not-allowed");
    assert_eq!(world.ask("1").namespace("shop").pool("p").get(), "10.0.0.8");
}

#[test]
fn what_an_owner_had_in_a_pool_comes_back_only_while_the_pool_takes_it() {
    let mut world =
        rack([selecting("p", "10.0.0.8/29", |p| p.pod_selector = Some(selector(&[("app", "db")])))]);
    let db = &[("app", "db")];
    assert_eq!(world.ask("1").on("rack").pod_labels(db).get(), "10.0.0.8");
    world.del("1");
    assert_eq!(world.ask("1").on("rack").get(), "10.0.0.2", "without the label it is outside");
    world.del("1");
    assert_eq!(world.ask("1").pool("p").pod_labels(db).get(), "10.0.0.8");
}
