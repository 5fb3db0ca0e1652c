//! What objects may not do to each other.

use allotment_core::{Object, ObjectKind, SubnetSpec};

use super::{all, said};
use crate::world::{World, pool, reservation, stateful, subnet};

fn rack() -> World {
    World::new([subnet("rack", &["10.0.0.0/24", "fd00::/64"])])
}

#[test]
fn overlapping_subnets_are_refused_with_both_names() {
    let mut world = rack();
    let error = world.put(Object::Subnet(subnet("other", &["10.1.0.0/24", "fd00::/48"]))).unwrap_err();
    assert_eq!(
        said(&error),
        [
            "Subnet `other`: spec.cidrs[1]",
            "fd00::/48 of `other` overlaps fd00::/64 of subnet `rack` in VRF `default`",
            "choose another CIDR, or another VRF if both networks really are apart",
        ]
    );
    for cidr in ["10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/8", "10.0.0.255/32"] {
        let error = world.put(Object::Subnet(subnet("other", &[cidr]))).unwrap_err();
        assert_eq!(
            error.text,
            format!("{cidr} of `other` overlaps 10.0.0.0/24 of subnet `rack` in VRF `default`")
        );
    }
    for cidr in ["10.0.1.0/24", "9.255.255.0/24", "fd00:0:0:1::/64"] {
        world.put(Object::Subnet(subnet(&cidr.replace(['.', ':', '/'], "-"), &[cidr]))).unwrap();
    }
    let red = SubnetSpec { vrf: "red".into(), ..subnet("red", &["10.0.0.0/24"]) };
    world.put(Object::Subnet(red)).unwrap();
}

#[test]
fn growing_into_another_subnet_is_refused() {
    let mut world = World::new([subnet("a", &["10.0.0.0/25"]), subnet("b", &["10.0.0.128/25"])]);
    let error = world.put(Object::Subnet(subnet("a", &["10.0.0.0/24"]))).unwrap_err();
    assert_eq!(error.text, "10.0.0.0/24 of `a` overlaps 10.0.0.128/25 of subnet `b` in VRF `default`");
    assert_eq!(world.ask("1").on("a").ip(&["10.0.0.200"]).get(), "not-allowed", "the one in force stays");
}

#[test]
fn the_vrf_is_immutable() {
    let mut world = rack();
    let red = SubnetSpec { vrf: "red".into(), ..subnet("rack", &["10.0.0.0/24"]) };
    assert_eq!(
        said(&world.put(Object::Subnet(red)).unwrap_err()),
        [
            "Subnet `rack`: spec.vrf",
            "the VRF is immutable; it is `default`",
            "make a new subnet in the other VRF",
        ]
    );
}

#[test]
fn pools_stay_inside_and_apart() {
    let mut world = rack();
    world.put(Object::IPPool(pool("db", "rack", &["10.0.0.16/28", "fd00::100-fd00::1ff"]))).unwrap();
    assert_eq!(
        said(
            &world
                .put(Object::IPPool(pool("web", "rack", &["10.0.0.32", "10.0.0.31-10.0.0.40"])))
                .unwrap_err()
        )[1],
        "`10.0.0.31-10.0.0.40` overlaps `10.0.0.32` of spec.ranges[0]"
    );
    assert_eq!(
        said(
            &world
                .put(Object::IPPool(pool("web", "rack", &["10.0.0.40", "10.0.0.2-10.0.0.16"])))
                .unwrap_err()
        ),
        [
            "IPPool `web`: spec.ranges[1]",
            "10.0.0.2-10.0.0.16 overlaps pool `db`",
            "pools never overlap; move one of them",
        ]
    );
    for range in ["10.0.0.250-10.0.1.2", "10.0.1.0/24", "10.0.0.0/23", "fd01::/64", "9.255.255.255-10.0.0.3"]
    {
        let error = world.put(Object::IPPool(pool("web", "rack", &[range]))).unwrap_err();
        assert_eq!(error.field, "spec.ranges[0]");
        assert!(
            error.text.ends_with("of the pool lies outside subnet `rack` (10.0.0.0/24, fd00::/64)"),
            "{error}"
        );
    }
    assert_eq!(
        said(&world.put(Object::IPPool(pool("web", "rock", &["10.0.0.40"]))).unwrap_err()),
        [
            "IPPool `web`: spec.subnet",
            "there is no subnet `rock`; there are `rack`",
            "make the subnet first, or name another one",
        ]
    );
    world.put(Object::Subnet(subnet("other", &["10.1.0.0/24"]))).unwrap();
    assert_eq!(
        said(&world.put(Object::IPPool(pool("db", "other", &["10.1.0.40"]))).unwrap_err()),
        [
            "IPPool `db`: spec.subnet",
            "a pool stays in its subnet, which is `rack`",
            "remove the pool and make a new one",
        ]
    );
    world.put(Object::IPPool(pool("db", "rack", &["10.0.0.20-10.0.0.60"]))).unwrap();
    world.put(Object::IPPool(pool("web", "rack", &["10.0.0.16-10.0.0.19"]))).unwrap();
}

#[test]
fn what_nobody_gets_is_not_reserved_alone() {
    let mut world = rack();
    let put = |world: &mut World, addresses: &[&str]| {
        world.put(Object::Reservation(reservation("r", "rack", addresses, None))).map_err(|error| error.text)
    };
    for (address, what) in [
        ("10.0.0.1", "the gateway"),
        ("10.0.0.0", "the network address"),
        ("10.0.0.255", "the broadcast address"),
    ] {
        let expect = format!("{address} is {what} of subnet `rack`, which nobody gets anyway");
        assert_eq!(put(&mut world, &["10.0.0.9", address]), Err(expect));
    }
    put(&mut world, &["10.0.0.0/28", "fd00::-fd00::9"]).unwrap();
    // The gateway may come to lie in a reservation that was there before, also across a restart.
    put(&mut world, &["10.0.0.200"]).unwrap();
    let moved = SubnetSpec {
        gateways: Some(vec!["10.0.0.200".parse().unwrap()]),
        ..subnet("rack", &["10.0.0.0/24"])
    };
    world.put(Object::Subnet(moved)).unwrap();
    world.restart();
}

#[test]
fn reservations_stay_inside_and_apart() {
    let mut world = rack();
    world.put(Object::Reservation(reservation("a", "rack", &["10.0.0.16/28"], None))).unwrap();
    let put = |world: &mut World, name: &str, range: &str| {
        said(
            &world
                .put(Object::Reservation(reservation(name, "rack", &["10.0.0.9", range], None)))
                .unwrap_err(),
        )
    };
    assert_eq!(
        put(&mut world, "b", "10.0.0.10-10.0.0.16"),
        [
            "Reservation `b`: spec.addresses[1]",
            "10.0.0.10-10.0.0.16 overlaps reservation `a`",
            "an address is reserved once; move one of them",
        ]
    );
    assert_eq!(
        put(&mut world, "b", "10.0.1.9"),
        [
            "Reservation `b`: spec.addresses[1]",
            "10.0.1.9 of the reservation lies outside subnet `rack` (10.0.0.0/24, fd00::/64)",
            "ranges must lie inside the CIDRs of their subnet",
        ]
    );
    world.put(Object::Subnet(subnet("other", &["10.1.0.0/24"]))).unwrap();
    assert_eq!(
        said(&world.put(Object::Reservation(reservation("a", "other", &["10.1.0.9"], None))).unwrap_err()),
        [
            "Reservation `a`: spec.subnet",
            "a reservation stays in its subnet, which is `rack`",
            "remove the reservation and make a new one",
        ]
    );
}

#[test]
fn a_reservation_over_a_holder_is_for_that_holder_only() {
    let mut world = rack();
    let owner = stateful("db-0");
    world.ask("1").on("rack").owner(owner.clone()).grant().unwrap();
    world.ask("2").on("rack").grant().unwrap();
    let put = |world: &mut World, ranges: &[&str], owner| {
        world.put(Object::Reservation(reservation("r", "rack", ranges, owner)))
    };
    for owner in [None, Some(stateful("db-1"))] {
        assert_eq!(
            said(&put(&mut world, &["10.0.0.9", "10.0.0.0/29"], owner).unwrap_err()),
            [
                "Reservation `r`: spec.addresses[1]",
                "2 addresses, 10.0.0.2 (StatefulSet shop/db-0), 10.0.0.3 (Container 2), are held by others than the \
                 reservation is for",
                "release them first, or reserve other addresses",
            ]
        );
    }
    let before = all(&world);
    put(&mut world, &["10.0.0.2", "fd00::2"], Some(owner)).unwrap();
    assert_eq!(all(&world), before);
    assert_eq!(world.ask("3").on("rack").get(), "10.0.0.4 fd00::4");
    world.del("1");
    world.now += 60_000;
    assert_eq!(world.ask("4").on("rack").get(), "10.0.0.5 fd00::5", "reserved from now on");
    assert!(world.remove(ObjectKind::Reservation, "r").unwrap());
    assert_eq!(world.ask("5").ip(&["10.0.0.2"]).get(), "10.0.0.2 fd00::6");
}

#[test]
fn a_reservation_over_a_cooling_address_waits() {
    let mut world = rack();
    world.ask("1").on("rack").grant().unwrap();
    world.del("1");
    let db = Some(stateful("db-0"));
    world.put(Object::Reservation(reservation("r", "rack", &["10.0.0.2"], db))).unwrap();
    let ask = |world: &mut World, id: &str| world.ask(id).ip(&["10.0.0.2"]).owner(stateful("db-0")).get();
    assert_eq!(ask(&mut world, "2"), "taken", "it cools after another");
    assert_eq!(world.ask("1").on("rack").get(), "10.0.0.3 fd00::2", "whose it no longer is");
    world.now += 30_000;
    assert_eq!(ask(&mut world, "2"), "10.0.0.2 fd00::3");
}

#[test]
fn what_others_need_is_not_removed() {
    let mut world = rack();
    world.put(Object::IPPool(pool("p", "rack", &["10.0.0.16/28"]))).unwrap();
    world.put(Object::Reservation(reservation("r", "rack", &["10.0.0.9"], None))).unwrap();
    world.ask("1").pool("p").grant().unwrap();
    let refused = |world: &mut World| said(&world.remove(ObjectKind::Subnet, "rack").unwrap_err());
    assert_eq!(
        refused(&mut world),
        ["Subnet `rack`: metadata.name", "1 pool is part of it, `p`", "remove its pools first",]
    );
    assert!(world.remove(ObjectKind::IPPool, "p").unwrap(), "a pool goes at any time");
    assert_eq!(
        refused(&mut world)[1..],
        ["1 reservation is made in it, `r`", "remove its reservations first"]
    );
    assert!(world.remove(ObjectKind::Reservation, "r").unwrap());
    assert_eq!(
        refused(&mut world)[1..],
        [
            "2 addresses, 10.0.0.16 (Container 1), fd00::2 (Container 1), are still held in it",
            "it stays in force until they are released; end their owners first",
        ]
    );
    world.del("1");
    assert!(world.remove(ObjectKind::Subnet, "rack").unwrap(), "what cools holds nothing up");
    for kind in [ObjectKind::Subnet, ObjectKind::IPPool, ObjectKind::Reservation] {
        assert!(!world.remove(kind, "rack").unwrap(), "there is none");
    }
}

#[test]
fn checking_changes_nothing() {
    let mut world = rack();
    world.ask("1").on("rack").grant().unwrap();
    let (objects, records): (Vec<Object>, _) = (world.state.objects().collect(), all(&world));
    world.state.check(&Object::IPPool(pool("p", "rack", &["10.0.0.16/28"]))).unwrap();
    world.state.check(&Object::Subnet(subnet("rack", &["10.0.0.0/16", "fd00::/64"]))).unwrap();
    assert!(world.state.check(&Object::Subnet(subnet("rack", &["10.0.0.128/25"]))).is_err());
    assert_eq!((world.state.objects().collect::<Vec<_>>(), all(&world)), (objects, records));
}

#[test]
fn objects_come_back_as_they_were_put() {
    let mut world = rack();
    let put = [
        Object::IPPool(pool("p", "rack", &["10.0.0.16/28"])),
        Object::Reservation(reservation("r", "rack", &["10.0.0.9"], Some(stateful("db-0")))),
        Object::Subnet(subnet("a", &["10.1.0.0/24"])),
    ];
    for object in &put {
        world.put(object.clone()).unwrap();
        assert_eq!(world.state.object(&object.key()).as_ref(), Some(object));
    }
    let names: Vec<String> = world.state.objects().map(|object| object.key().to_string()).collect();
    assert_eq!(names, ["Subnet `a`", "Subnet `rack`", "IPPool `p`", "Reservation `r`"]);
}
