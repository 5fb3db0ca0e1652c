//! Taking over what another ledger had.

use allotment_core::{Allocation, AllocationState, Code, Refusal, Timestamp};

use crate::world::{World, subnet};

/// Everything that a world has a record of.
fn all(world: &World) -> Vec<Allocation> {
    let places = world.state.blocks().flat_map(|block| world.state.places(block));
    places.filter_map(|place| world.state.at(place)).collect()
}

fn adopt(world: &mut World, allocations: &[Allocation]) -> Result<usize, Refusal> {
    let mut changed = Vec::new();
    for allocation in allocations {
        world.state.adopt(allocation, Timestamp(world.now), &mut changed)?;
    }
    world.state.settle();
    world.state.assert_consistent();
    Ok(changed.len())
}

fn rack() -> World {
    World::new([subnet("rack-a", &["10.0.0.0/29", "fd00::/64"])])
}

/// One active and one cooling dual-stack container.
fn lived_in() -> World {
    let mut world = rack();
    for id in ["a", "b"] {
        world.ask(id).on("rack-a").grant().unwrap();
    }
    world.del("b");
    world
}

#[test]
fn everything_is_there_and_counts() {
    let exported = all(&lived_in());
    let mut world = rack();
    assert_eq!(adopt(&mut world, &exported), Ok(4));
    assert_eq!(all(&world), exported);
    assert_eq!(adopt(&mut world, &exported), Ok(0), "a second time it is there already");
    // `a` is known, `b`'s address cools, and the next container gets another one.
    assert_eq!(world.ask("a").on("rack-a").get(), "10.0.0.2 fd00::2");
    assert_eq!(world.ask("c").on("rack-a").get(), "10.0.0.4 fd00::4");
    assert_eq!(world.del("a"), 2);
}

#[test]
fn what_contradicts_is_refused() {
    let check = |change: &dyn Fn(&mut Allocation), code: Code| {
        let mut world = lived_in();
        let mut allocation = world.at("10.0.0.2").unwrap();
        allocation.address = "10.0.0.5".parse().unwrap();
        (allocation.owner.uid, allocation.owner.name) = ("x".to_owned(), "x".to_owned());
        change(&mut allocation);
        let before = all(&world);
        assert_eq!(adopt(&mut world, &[allocation]).unwrap_err().code, code);
        assert_eq!(all(&world), before);
    };
    check(&|a| a.address = "10.0.0.2".parse().unwrap(), Code::Taken);
    check(&|a| a.address = "10.9.0.2".parse().unwrap(), Code::Unknown);
    check(&|a| a.vrf = "blue".to_owned(), Code::Unknown);
    check(&|a| a.address = "10.0.0.1".parse().unwrap(), Code::NotAllowed);
    check(&|a| a.attachments.clear(), Code::Invalid);
    // The same interface as the one that has 10.0.0.2.
    check(&|a| (a.owner.uid, a.owner.name) = ("a".to_owned(), "a".to_owned()), Code::Taken);
}

#[test]
fn a_mac_that_somebody_has_is_refused() {
    let mut world = lived_in();
    let mut theirs = world.at("10.0.0.2").unwrap();
    theirs.address = "10.0.0.5".parse().unwrap();
    (theirs.owner.uid, theirs.owner.name) = ("x".to_owned(), "x".to_owned());
    theirs.mac = Some("02:00:00:00:00:01".parse().unwrap());
    assert_eq!(adopt(&mut world, std::slice::from_ref(&theirs)), Ok(1));
    theirs.address = "10.0.0.6".parse().unwrap();
    (theirs.owner.uid, theirs.owner.name) = ("y".to_owned(), "y".to_owned());
    assert_eq!(adopt(&mut world, &[theirs]).unwrap_err().code, Code::Taken);
}

#[test]
fn a_held_address_takes_the_place_of_one_that_cools() {
    let mut world = lived_in();
    let mut theirs = world.at("10.0.0.3").unwrap();
    (theirs.owner.uid, theirs.owner.name) = ("x".to_owned(), "x".to_owned());
    assert_eq!(adopt(&mut world, std::slice::from_ref(&theirs)).unwrap_err().code, Code::Taken);
    theirs.state = AllocationState::Active;
    assert_eq!(adopt(&mut world, &[theirs]), Ok(1));
    assert_eq!(world.state_of("10.0.0.3"), Some(AllocationState::Active));
}

#[test]
fn times_to_come_are_now() {
    let mut theirs = lived_in().at("10.0.0.2").unwrap();
    let mut world = rack();
    theirs.since = Timestamp(world.now + 86_400_000);
    adopt(&mut world, &[theirs]).unwrap();
    assert_eq!(world.state.newest(), Timestamp(world.now));
}
