//! Holders that come and go: live migration, and proof that one has ended (R1, R5).

use allotment_core::{AllocationState, Asked, MacWant, Netns, Release, ReleaseMode, Request};

use super::{address, holders, interface, netns, pod, rack};
use crate::world::{World, stateful, subnet};

/// A request of a VM's interface on behalf of one of its pods.
fn vm(world: &mut World, pod: &str, join: bool) -> Request {
    let mut request = world.ask(&format!("sandbox-{pod}")).on("rack").holder(pod).request;
    request.owner = stateful("vm");
    request.owner.kind = "VirtualMachine".into();
    request.wants[0].join = join;
    request
}

#[test]
fn a_live_migration_has_two_holders_and_either_may_end_first() {
    for (ends, stays) in [("source", "target"), ("target", "source")] {
        let mut world = rack();
        let request = vm(&mut world, "source", false);
        let granted = world.grant(&request).unwrap();
        let target = vm(&mut world, "target", false);
        let refusal = world.grant(&target).unwrap_err();
        assert_eq!(
            (refusal.to_string().as_str(), refusal.hint.as_str()),
            (
                "VirtualMachine shop/vm has 10.0.0.2, which its holder `source` still uses",
                "it passes on as soon as it is proven that the present holder has ended"
            )
        );
        let target = vm(&mut world, "target", true);
        let since = world.at("10.0.0.2").unwrap().since;
        world.now += 1_000;
        assert_eq!(
            world.grant(&target).unwrap().entries[0].ips[0].address,
            granted.entries[0].ips[0].address
        );
        let both = world.at("10.0.0.2").unwrap();
        assert_eq!((holders(&both), both.since), (vec!["source", "target"], since));
        world.restart();
        assert_eq!(world.grant(&target).unwrap().entries[0].ips.len(), 2);
        assert_eq!(world.release(&interface(&format!("sandbox-{ends}"), "eth0", None)), 2);
        assert_eq!(holders(&world.at("fd00::2").unwrap()), [stays]);
        assert_eq!(world.state_of("fd00::2"), Some(AllocationState::Active));
        world.restart();
        assert_eq!(world.release(&interface(&format!("sandbox-{ends}"), "eth0", None)), 0);
        assert_eq!(world.release(&interface(&format!("sandbox-{stays}"), "eth0", None)), 2);
        assert_eq!(world.state_of("fd00::2"), Some(AllocationState::Cooling));
    }
}

#[test]
fn a_third_holder_does_not_push_the_second_out() {
    let mut world = rack();
    for (pod, join) in [("source", false), ("target", true)] {
        let request = vm(&mut world, pod, join);
        world.grant(&request).unwrap();
    }
    let third = vm(&mut world, "third", true);
    assert_eq!(world.grant(&third).unwrap_err().code.as_str(), "taken");
    let mut by_name = third.clone();
    by_name.wants[0].ips = Asked::Each(vec!["10.0.0.2".parse().unwrap()]);
    assert_eq!(world.grant(&by_name).unwrap_err().code.as_str(), "taken");
    assert_eq!(holders(&world.at("10.0.0.2").unwrap()), ["source", "target"]);
    assert_eq!(world.release(&interface("sandbox-target", "eth0", None)), 2);
    world.grant(&third).unwrap();
    assert_eq!(holders(&world.at("10.0.0.2").unwrap()), ["source", "third"]);
}

#[test]
fn holders_share_one_mac() {
    let mac = |text: &str| MacWant::Asked(text.parse().unwrap());
    let mut world = rack();
    let mut source = vm(&mut world, "source", false);
    source.wants[0].mac = Some(mac("02:00:00:00:00:01"));
    world.grant(&source).unwrap();
    let mut target = vm(&mut world, "target", true);
    assert_eq!(world.grant(&target).unwrap().entries[0].mac, Some("02:00:00:00:00:01".parse().unwrap()));
    target.wants[0].mac = Some(MacWant::Seen("02:00:00:00:00:02".parse().unwrap()));
    assert_eq!(world.grant(&target).unwrap().entries[0].mac, Some("02:00:00:00:00:01".parse().unwrap()));
    target.wants[0].mac = Some(mac("02:00:00:00:00:02"));
    let refusal = world.grant(&target).unwrap_err();
    assert_eq!(
        (refusal.to_string().as_str(), refusal.hint.as_str()),
        (
            "VirtualMachine shop/vm asks for MAC 02:00:00:00:00:02 at 10.0.0.2, which it shares with a holder that has \
             MAC 02:00:00:00:00:01 there",
            "ask for the MAC that the address has, or for none"
        )
    );
    // Once it is alone it goes on with the one they shared, until its interface is seen to have its own.
    world.release(&interface("sandbox-source", "eth0", None));
    assert_eq!(world.at("fd00::2").unwrap().mac, Some("02:00:00:00:00:01".parse().unwrap()));
    assert_eq!(world.grant(&target).unwrap_err().code.as_str(), "invalid");
    target.wants[0].mac = Some(MacWant::Seen("02:00:00:00:00:02".parse().unwrap()));
    world.grant(&target).unwrap();
    assert_eq!(world.at("fd00::2").unwrap().mac, Some("02:00:00:00:00:02".parse().unwrap()));
}

#[test]
fn a_holder_that_joins_nobody_is_the_first() {
    let mut world = rack();
    let request = vm(&mut world, "target", true);
    world.grant(&request).unwrap();
    assert_eq!(holders(&world.at("10.0.0.2").unwrap()), ["target"]);
}

#[test]
fn proof_about_another_holder_releases_nothing() {
    let mut world = rack();
    let request = pod(&mut world, "uid-1", "sandbox-1");
    world.grant(&request).unwrap();
    for (place, holder) in
        [("10.0.0.2", "uid-2"), ("10.0.0.2", ""), ("10.0.0.3", "uid-1"), ("192.0.2.1", "uid-1")]
    {
        for mode in [ReleaseMode::Cool, ReleaseMode::Keep] {
            assert_eq!(world.release(&address(place, holder, mode)), 0, "{place} {holder}");
        }
    }
    let red = Release::Address {
        vrf: "red".into(),
        address: "10.0.0.2".parse().unwrap(),
        holder: "uid-1".into(),
        mode: ReleaseMode::Cool,
        since: None,
    };
    assert_eq!(world.release(&red), 0);
    assert_eq!(world.release(&address("10.0.0.2", "uid-1", ReleaseMode::Cool)), 1);
    assert_eq!(world.release(&address("10.0.0.2", "uid-1", ReleaseMode::Cool)), 0);
    assert_eq!(world.state_of("fd00::2"), Some(AllocationState::Active), "address by address");
}

#[test]
fn proof_about_an_earlier_life_of_the_same_holder_releases_nothing() {
    let mut world = World::new([subnet("rack", &["10.0.0.0/24"])]);
    let request = pod(&mut world, "uid-1", "sandbox-1");
    let mut lives = Vec::new();
    for _ in 0..2 {
        world.now += 1000;
        world.grant(&request).unwrap();
        let Release::Address { vrf, address, holder, mode, .. } =
            address("10.0.0.2", "uid-1", ReleaseMode::Cool)
        else {
            unreachable!("it is one address")
        };
        let since = Some(world.at("10.0.0.2").unwrap().since);
        lives.push(Release::Address { vrf, address, holder, mode, since });
        world.now += 1000;
        if lives.len() == 1 {
            assert_eq!(world.release(&lives[0]), 1);
        }
    }
    assert_eq!(world.release(&lives[0]), 0, "the proof was about the first");
    assert_eq!(world.release(&lives[1]), 1);
}

#[test]
fn a_sandbox_ends_with_its_own_namespace_only() {
    let mut world = rack();
    let mut request = pod(&mut world, "uid-1", "sandbox-1");
    request.wants[0].attachment.netns = Some(netns(7));
    world.grant(&request).unwrap();
    let sandbox = |netns: Netns| Release::Sandbox { container_id: "sandbox-1".into(), netns };
    let others = [
        netns(8),
        Netns { boot: "c".into(), ..netns(7) },
        Netns { cookie: Some(1), ..netns(7) },
        Netns { cookie: None, ..netns(7) },
        Netns { device: 5, ..netns(7) },
        Netns { path: "/run/netns/y".into(), ..netns(7) },
    ];
    for other in others {
        assert_eq!(world.release(&sandbox(other.clone())), 0, "{other:?}");
    }
    let other = Release::Sandbox { container_id: "sandbox-2".into(), netns: netns(7) };
    assert_eq!(world.release(&other), 0);
    world.restart();
    assert_eq!(world.release(&sandbox(netns(7))), 2);
    // Without evidence there is nothing to compare.
    let request = pod(&mut world, "uid-2", "sandbox-1");
    world.grant(&request).unwrap();
    assert_eq!(world.release(&sandbox(netns(7))), 0);
}

#[test]
fn of_two_holders_a_sandbox_ends_its_own() {
    let mut world = rack();
    for (pod, inode, join) in [("source", 1, false), ("target", 2, true)] {
        let mut request = vm(&mut world, pod, join);
        request.wants[0].attachment.netns = Some(netns(inode));
        world.grant(&request).unwrap();
    }
    let sandbox = |id: &str, inode| Release::Sandbox { container_id: id.to_owned(), netns: netns(inode) };
    assert_eq!(world.release(&sandbox("sandbox-target", 1)), 0);
    assert_eq!(world.release(&sandbox("sandbox-target", 2)), 2);
    assert_eq!(holders(&world.at("10.0.0.2").unwrap()), ["source"]);
    assert_eq!(world.release(&sandbox("sandbox-source", 1)), 2);
}

#[test]
fn two_holders_end_by_proof() {
    let mut world = rack();
    for (pod, join) in [("source", false), ("target", true)] {
        let request = vm(&mut world, pod, join);
        world.grant(&request).unwrap();
    }
    assert_eq!(world.release(&address("10.0.0.2", "other", ReleaseMode::Keep)), 0);
    assert_eq!(world.release(&address("10.0.0.2", "source", ReleaseMode::Keep)), 1);
    assert_eq!(holders(&world.at("10.0.0.2").unwrap()), ["target"], "somebody still uses it");
    assert_eq!(world.release(&address("10.0.0.2", "target", ReleaseMode::Keep)), 1);
    assert_eq!(world.state_of("10.0.0.2"), Some(AllocationState::Reserved));
    assert_eq!(holders(&world.at("fd00::2").unwrap()), ["source", "target"]);
}
