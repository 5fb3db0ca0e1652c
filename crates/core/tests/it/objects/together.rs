//! Objects that come into force together: what counts is how they stand in the end.

use allotment_core::{Object, State};

use crate::check;
use crate::world::{World, pool, reservation, stateful, subnet};

/// What is refused, as `name: text`.
fn put(world: &mut World, objects: Vec<Object>) -> Vec<String> {
    let before = check::all(&world.state);
    let errors = world.put_all(objects);
    assert_eq!(check::all(&world.state), before, "records stay");
    errors.into_iter().map(|error| format!("{}: {}", error.object.name, error.text)).collect()
}

fn sub(name: &str, cidr: &str) -> Object {
    Object::Subnet(subnet(name, &[cidr]))
}

fn part(name: &str, subnet: &str, range: &str) -> Object {
    Object::IPPool(pool(name, subnet, &[range]))
}

const NOTHING: [&str; 0] = [];

#[test]
fn subnets_swap_their_cidrs() {
    let mut world = World::new([subnet("a", &["10.0.0.0/24"]), subnet("b", &["10.0.1.0/24"])]);
    let swapped = || vec![sub("a", "10.0.1.0/24"), sub("b", "10.0.0.0/24")];
    assert_eq!(put(&mut world, swapped()), NOTHING);
    assert_eq!(world.ask("1").on("a").get(), "10.0.1.2");
    assert_eq!(world.ask("2").on("b").get(), "10.0.0.2");
    world.restart();
    // Now both have holders, who stay where they are.
    let errors = put(&mut world, vec![sub("a", "10.0.0.0/24"), sub("b", "10.0.1.0/24")]);
    assert_eq!(
        errors,
        [
            "a: 1 address, 10.0.1.2 (Container 1), is held outside the new CIDRs",
            "b: 1 address, 10.0.0.2 (Container 2), is held outside the new CIDRs",
        ]
    );
    assert_eq!(world.ask("3").on("a").get(), "10.0.1.3", "what was in force stays");
}

#[test]
fn a_subnet_moves_with_its_pool_and_reservation() {
    let mut world = World::new([subnet("a", &["10.0.0.0/24"])]);
    let objects = |net: &str| {
        let kept = reservation("r", "a", &[&format!("{net}.9")], Some(stateful("db-0")));
        vec![
            sub("a", &format!("{net}.0/24")),
            part("p", "a", &format!("{net}.16/28")),
            Object::Reservation(kept),
        ]
    };
    assert_eq!(put(&mut world, objects("10.0.0")), NOTHING);
    assert_eq!(put(&mut world, objects("10.7.0")), NOTHING);
    assert_eq!(world.ask("1").pool("p").get(), "10.7.0.16");
    assert_eq!(world.ask("2").on("a").ip(&["10.7.0.9"]).get(), "not-allowed", "reserved there now");
    world.restart();
    // A pool that is left behind stops its subnet; so does one that stands in the wrong place, and is told.
    let errors = put(&mut world, vec![sub("a", "10.8.0.0/24")]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let errors = put(&mut world, vec![sub("a", "10.7.0.0/23"), part("p", "a", "10.9.0.0/28")]);
    assert_eq!(errors, ["p: 10.9.0.0-10.9.0.15 of the pool lies outside subnet `a` (10.7.0.0/23)"]);
    assert_eq!(world.ask("3").on("a").entry().ips[0].prefix, 23, "the subnet itself could change");
}

#[test]
fn pools_swap_their_ranges() {
    let mut world = World::new([subnet("a", &["10.0.0.0/24"])]);
    let pools = |p: &str, q: &str| vec![part("p", "a", p), part("q", "a", q)];
    assert_eq!(put(&mut world, pools("10.0.0.16/28", "10.0.0.32/28")), NOTHING);
    assert_eq!(world.ask("1").pool("p").get(), "10.0.0.16");
    assert_eq!(put(&mut world, pools("10.0.0.32/28", "10.0.0.16/28")), NOTHING);
    assert_eq!(world.ask("2").pool("q").get(), "10.0.0.17", "who was there stays there");
    assert_eq!(world.ask("3").pool("p").get(), "10.0.0.32");
}

#[test]
fn of_two_that_exclude_each_other_the_first_comes_and_one_bad_object_hides_no_other() {
    let mut world = World::new([subnet("old", &["10.0.0.0/24"])]);
    // `b` would have to give way to `a`, but `a` cannot be: it has its chance then.
    let errors = put(
        &mut world,
        vec![
            sub("a", "10.0.0.0/16"),
            sub("b", "10.0.1.0/24"),
            sub("c", "10.0.1.0/25"),
            part("p", "b", "10.0.1.64/28"),
        ],
    );
    assert_eq!(
        errors,
        [
            "a: 10.0.0.0/16 of `a` overlaps 10.0.0.0/24 of subnet `old` in VRF `default`",
            "c: 10.0.1.0/25 of `c` overlaps 10.0.1.0/24 of subnet `b` in VRF `default`",
        ]
    );
    assert_eq!(world.ask("1").pool("p").get(), "10.0.1.64");
}

/// Three subnets, each in one of four places, with holders or without: every edit of where they are.
#[test]
fn every_edit_of_three_subnets() {
    let places = ["10.0.0.0/30", "10.0.0.4/30", "10.0.0.8/30", "10.0.0.12/30"];
    let names = ["a", "b", "c"];
    let choices: Vec<[usize; 3]> = (0..64).map(|n| [n & 3, n >> 2 & 3, n >> 4]).collect();
    let apart = |at: &[usize; 3]| at[0] != at[1] && at[0] != at[2] && at[1] != at[2];
    let objects =
        |at: &[usize; 3]| names.iter().zip(at).map(|(name, &at)| sub(name, places[at])).collect::<Vec<_>>();
    for from in &[[0, 1, 2], [2, 0, 3]] {
        for held in 0..8 {
            for to in &choices {
                let mut world = World { state: State::new(), now: 1_000_000 };
                assert_eq!(put(&mut world, objects(from)), NOTHING);
                for (number, name) in names.iter().enumerate().filter(|(number, _)| held >> number & 1 == 1) {
                    world.ask(&number.to_string()).on(name).grant().unwrap();
                }
                let stays = |number: usize| held >> number & 1 == 0 || from[number] == to[number];
                let possible = apart(to) && (0..3).all(stays);
                let errors = world.put_all(objects(to));
                assert_eq!(errors.is_empty(), possible, "{from:?} {held:03b} {to:?}: {errors:?}");
                for object in objects(to) {
                    let refused = errors.iter().any(|error| error.object == object.key());
                    assert_eq!(world.state.object(&object.key()) != Some(object.clone()), refused);
                    assert!(!refused || world.state.check(&object).is_err(), "what can be, is");
                }
            }
        }
    }
}
