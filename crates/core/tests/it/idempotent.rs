//! Asking again, giving back again, and holders that come and go (R1, R5, R6).

use allotment_core::{
    Allocation, AllocationState, Attachment, Netns, Object, Pick, Release, ReleaseMode, Request,
};

use crate::check;
use crate::world::{World, container, reservation, stateful, subnet};

fn rack() -> World {
    World::new([subnet("rack", &["10.0.0.0/24", "fd00::/64"])])
}

fn interface(container_id: &str, interface: &str, network: Option<&str>) -> Release {
    Release::Interface {
        container_id: container_id.to_owned(),
        interface: interface.to_owned(),
        network: network.map(str::to_owned),
    }
}

fn address(address: &str, holder: &str, mode: ReleaseMode) -> Release {
    let (vrf, holder) = ("default".to_owned(), holder.to_owned());
    Release::Address { vrf, address: address.parse().unwrap(), holder, mode }
}

fn netns(inode: u64) -> Netns {
    let path = "/run/netns/x".to_owned();
    Netns { boot: "b".into(), device: 4, inode, cookie: Some(inode * 3), path }
}

/// A request of a pod's interface, in a sandbox.
fn pod(world: &mut World, uid: &str, sandbox: &str) -> Request {
    let mut request = world.ask(sandbox).on("rack").holder(uid).request;
    request.owner = allotment_core::Owner {
        kind: "Pod".into(),
        namespace: "shop".into(),
        name: "cart".into(),
        uid: uid.into(),
    };
    request
}

/// A request of a VM's interface on behalf of one of its pods.
fn vm(world: &mut World, pod: &str, join: bool) -> Request {
    let mut request = world.ask(&format!("sandbox-{pod}")).on("rack").holder(pod).request;
    request.owner = stateful("vm");
    request.owner.kind = "VirtualMachine".into();
    request.wants[0].join = join;
    request
}

fn holders(allocation: &Allocation) -> Vec<&str> {
    allocation.attachments.iter().map(|attachment| attachment.holder.as_str()).collect()
}

#[test]
fn the_same_request_is_answered_the_same_and_changes_nothing() {
    let mut world = rack();
    let request = world.ask("a").on("rack").mac("02:00:00:00:00:01").request;
    let first = world.grant(&request).unwrap();
    let before = check::all(&world.state);
    for later in [0, 1, 1_000_000] {
        world.now += later;
        assert_eq!(world.grant(&request).unwrap(), first);
        assert_eq!(check::all(&world.state), before);
    }
    world.restart();
    assert_eq!(world.grant(&request).unwrap(), first);
}

#[test]
fn what_an_interface_has_does_not_depend_on_what_is_asked_again() {
    let mut world = World::new([subnet("rack", &["10.0.0.0/24"]), subnet("other", &["10.1.0.0/24"])]);
    world.ask("a").on("rack").grant().unwrap();
    assert_eq!(world.ask("a").on("other").get(), "10.0.0.2", "another subnet");
    assert_eq!(world.ask("a").get(), "10.0.0.2", "none");
    assert_eq!(world.ask("a").on("gone").get(), "10.0.0.2", "one that is no more");
    assert_eq!(world.ask("a").on("rack").one_of(&["10.0.0.9"]).get(), "10.0.0.2", "a list");
    assert_eq!(world.ask("a").on("rack").ip(&["10.0.0.2"]).get(), "10.0.0.2");
    assert_eq!(world.ask("a").on("rack").ip(&["10.0.0.9"]).get(), "invalid");
}

#[test]
fn a_new_sandbox_of_the_same_pod_takes_over() {
    let mut world = rack();
    let first = pod(&mut world, "uid-1", "sandbox-1");
    let second = pod(&mut world, "uid-1", "sandbox-2");
    let granted = world.grant(&first).unwrap();
    assert_eq!(world.grant(&second).unwrap().entries[0].ips, granted.entries[0].ips);
    let attachment = &world.at("10.0.0.2").unwrap().attachments[0];
    assert_eq!((attachment.container_id.as_str(), attachment.holder.as_str()), ("sandbox-2", "uid-1"));
    assert_eq!(world.del("sandbox-1"), 0, "the older sandbox frees nothing of the newer");
    assert!(world.state.in_sandbox("sandbox-1").is_empty());
    assert_eq!(world.state.in_sandbox("sandbox-2").len(), 2);
    assert_eq!(world.del("sandbox-2"), 2);
    assert_eq!(world.state_of("10.0.0.2"), Some(AllocationState::Cooling));
}

#[test]
fn what_a_node_tells_later_is_recorded() {
    let mut world = rack();
    let mut request = pod(&mut world, "uid-1", "");
    request.wants[0].attachment.container_id.clear();
    world.grant(&request).unwrap();
    let since = world.at("10.0.0.2").unwrap().since;
    let attachment = &mut request.wants[0].attachment;
    (attachment.container_id, attachment.node) = ("sandbox-1".into(), "node-1".into());
    attachment.netns = Some(netns(7));
    world.now += 1_000;
    world.grant(&request).unwrap();
    let now = world.at("10.0.0.2").unwrap();
    assert_eq!(now.attachments, [request.wants[0].attachment.clone()]);
    assert_eq!((now.since, now.rule.pick), (since, Pick::Fresh), "neither its state nor the rule changed");
    assert_eq!(world.del("sandbox-1"), 2);
}

#[test]
fn giving_back_again_and_before_asking() {
    let mut world = rack();
    assert_eq!(world.del("a"), 0, "before ADD");
    world.ask("a").on("rack").grant().unwrap();
    world.now += 10;
    assert_eq!(world.del("a"), 2);
    let before = check::all(&world.state);
    world.now += 10;
    assert_eq!(world.del("a"), 0, "a second time");
    assert_eq!(check::all(&world.state), before, "it does not cool from the beginning");
}

#[test]
fn a_stripped_del_has_the_interface_alone() {
    let mut world = rack();
    let ask = |world: &mut World| world.ask("a").on("rack").and("n1", "net1").on("rack").grant().unwrap();
    ask(&mut world);
    assert_eq!(world.release(&interface("a", "eth0", Some("another"))), 0);
    assert_eq!(world.release(&interface("a", "eth9", None)), 0);
    assert_eq!(world.release(&interface("b", "eth0", None)), 0);
    assert_eq!(world.release(&interface("", "eth0", None)), 0);
    assert_eq!(world.release(&interface("a", "net1", None)), 2);
    assert_eq!(world.release(&interface("a", "eth0", Some("net"))), 2);
}

#[test]
fn an_owner_named_by_its_container_may_live_in_another_one() {
    let mut world = rack();
    let mut request = world.ask("sandbox").on("rack").request;
    request.owner = container("app");
    world.grant(&request).unwrap();
    world.restart();
    assert_eq!(world.state.in_sandbox("sandbox").len(), 2);
    assert_eq!(world.del("sandbox"), 2);
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
    by_name.wants[0].ips = allotment_core::Asked::Each(vec!["10.0.0.2".parse().unwrap()]);
    assert_eq!(world.grant(&by_name).unwrap_err().code.as_str(), "taken");
    assert_eq!(holders(&world.at("10.0.0.2").unwrap()), ["source", "target"]);
    assert_eq!(world.release(&interface("sandbox-target", "eth0", None)), 2);
    world.grant(&third).unwrap();
    assert_eq!(holders(&world.at("10.0.0.2").unwrap()), ["source", "third"]);
}

#[test]
fn holders_share_one_mac() {
    let mac = |text: &str| allotment_core::MacWant::Asked(text.parse().unwrap());
    let mut world = rack();
    let mut source = vm(&mut world, "source", false);
    source.wants[0].mac = Some(mac("02:00:00:00:00:01"));
    world.grant(&source).unwrap();
    let mut target = vm(&mut world, "target", true);
    assert_eq!(world.grant(&target).unwrap().entries[0].mac, Some("02:00:00:00:00:01".parse().unwrap()));
    target.wants[0].mac = Some(allotment_core::MacWant::Seen("02:00:00:00:00:02".parse().unwrap()));
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
    // Once it is alone it may have its own.
    world.release(&interface("sandbox-source", "eth0", None));
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
    };
    assert_eq!(world.release(&red), 0);
    assert_eq!(world.release(&address("10.0.0.2", "uid-1", ReleaseMode::Cool)), 1);
    assert_eq!(world.release(&address("10.0.0.2", "uid-1", ReleaseMode::Cool)), 0);
    assert_eq!(world.state_of("fd00::2"), Some(AllocationState::Active), "address by address");
}

#[test]
fn what_is_kept_returns_to_its_owner_alone() {
    let mut world = rack();
    let ask = |world: &mut World, pod: &str, name: &str| {
        let mut request = world.ask(pod).on("rack").owner(stateful(name)).request;
        request.wants[0].attachment.netns = Some(netns(1));
        world.grant(&request).map(|grant| crate::world::ips(&grant.entries[0]))
    };
    assert_eq!(ask(&mut world, "pod-1", "db-0").unwrap(), "10.0.0.2 fd00::2");
    world.keep("10.0.0.2", "pod-1");
    world.keep("fd00::2", "pod-1");
    assert_eq!(world.state_of("10.0.0.2"), Some(AllocationState::Reserved));
    let kept = check::all(&world.state);
    world.now += 1_000_000;
    assert_eq!(world.release(&address("10.0.0.2", "pod-1", ReleaseMode::Keep)), 0, "a second time");
    // A DEL that comes late, or a sweep, ends no retention; not after a restart either.
    for restarted in [false, true] {
        if restarted {
            world.restart();
        }
        assert_eq!(world.del("pod-1"), 0);
        let sandbox = Release::Sandbox { container_id: "pod-1".into(), netns: netns(1) };
        assert_eq!(world.release(&sandbox), 0);
        assert_eq!(check::all(&world.state), kept);
    }
    assert_eq!(world.ask("x").on("rack").ip(&["10.0.0.2"]).get(), "taken");
    assert_eq!(world.ask("x").on("rack").get(), "10.0.0.3 fd00::3");
    assert_eq!(ask(&mut world, "pod-2", "db-1").unwrap(), "10.0.0.4 fd00::4");
    assert_eq!(ask(&mut world, "pod-3", "db-0").unwrap(), "10.0.0.2 fd00::2");
    let back = world.at("10.0.0.2").unwrap();
    assert_eq!((back.rule.pick, holders(&back)), (Pick::Returned, vec!["pod-3"]));
}

#[test]
fn what_is_kept_can_be_let_go() {
    let mut world = rack();
    world.ask("pod-1").on("rack").owner(stateful("db-0")).grant().unwrap();
    world.keep("10.0.0.2", "pod-1");
    world.now += 5;
    assert_eq!(world.release(&address("10.0.0.2", "pod-1", ReleaseMode::Cool)), 1);
    assert_eq!(world.state_of("10.0.0.2"), Some(AllocationState::Cooling));
    assert_eq!(world.ask("x").on("rack").ip(&["10.0.0.2"]).get(), "taken");
    world.now += 30_000;
    assert_eq!(world.ask("x").on("rack").ip(&["10.0.0.2"]).get(), "10.0.0.2 fd00::3");
}

#[test]
fn an_adopted_owner_has_its_new_uid() {
    let mut world = rack();
    world.ask("pod-1").on("rack").owner(stateful("db-0")).grant().unwrap();
    let mut adopted = stateful("db-0");
    adopted.uid = "another".into();
    assert_eq!(world.ask("pod-1").on("rack").owner(adopted.clone()).get(), "10.0.0.2 fd00::2");
    assert_eq!(world.at("10.0.0.2").unwrap().owner.uid, "another");
    assert_eq!(world.state.owned_by(&stateful("db-0")).len(), 2, "it is the same owner");
}

#[test]
fn of_several_addresses_the_one_had_last_comes_back() {
    let mut world = World::new([subnet("rack", &["10.0.0.0/24"])]);
    for ip in ["10.0.0.9", "10.0.0.5", "10.0.0.7"] {
        world.ask("a").on("rack").ip(&[ip]).grant().unwrap();
        world.now += 1_000;
        world.del("a");
    }
    world.restart();
    assert_eq!(world.ask("a").on("rack").get(), "10.0.0.7");
    assert_eq!(world.at("10.0.0.7").unwrap().rule.pick, Pick::Returned);
    // What is kept for it comes before what merely cools.
    let mut world = World::new([subnet("rack", &["10.0.0.0/24"])]);
    let ask = |world: &mut World, pod: &str, ip: &str| {
        world.ask(pod).on("rack").owner(stateful("db-0")).ip(&[ip]).grant().unwrap();
    };
    ask(&mut world, "pod-1", "10.0.0.9");
    world.keep("10.0.0.9", "pod-1");
    ask(&mut world, "pod-2", "10.0.0.5");
    world.now += 1_000;
    world.del("pod-2");
    assert_eq!(world.ask("pod-3").on("rack").owner(stateful("db-0")).get(), "10.0.0.9");
}

#[test]
fn what_an_owner_had_before_it_cooled_is_its_until_another_takes_it() {
    let mut world = World::new([subnet("rack", &["10.0.0.0/29"])]);
    world.ask("a").on("rack").grant().unwrap();
    world.del("a");
    world.now += 1_000_000;
    assert_eq!(world.ask("a").on("rack").get(), "10.0.0.2", "free, but it had it last");
    world.del("a");
    world.now += 30_000;
    for id in ["1", "2", "3", "4", "5"] {
        world.ask(id).on("rack").grant().unwrap();
    }
    assert_eq!(world.ask("a").on("rack").get(), "full");
}

#[test]
fn retention_is_stronger_than_the_order_of_subnets() {
    let mut world = World::new([subnet("a", &["10.0.0.0/30"]), subnet("b", &["10.1.0.0/24"])]);
    world.ask("x").on("a").grant().unwrap();
    let ask = |world: &mut World, pod: &str| world.ask(pod).on("a").on("b").owner(stateful("db-0")).get();
    assert_eq!(ask(&mut world, "pod-1"), "10.1.0.2");
    world.keep("10.1.0.2", "pod-1");
    world.del("x");
    world.now += 30_000;
    assert_eq!(ask(&mut world, "pod-2"), "10.1.0.2");
    let refused = world.ask("pod-3").on("a").on("b").owner(stateful("db-0")).refusal();
    assert_eq!(
        refused.code.as_str(),
        "taken",
        "nor does its next pod get a second one while the first lives"
    );
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

#[test]
fn interfaces_of_one_sandbox_end_one_by_one_or_together() {
    let mut world = rack();
    let mut request = pod(&mut world, "uid-1", "sandbox-1");
    let mut more = request.wants[0].clone();
    more.attachment = Attachment { interface: "net1".into(), ..more.attachment };
    request.wants.push(more);
    for want in &mut request.wants {
        want.attachment.netns = Some(netns(7));
    }
    world.grant(&request).unwrap();
    assert_eq!(world.release(&interface("sandbox-1", "net1", None)), 2);
    assert_eq!(world.grant(&request).unwrap().entries[1].ips[0].address.to_string(), "10.0.0.3");
    let sandbox = Release::Sandbox { container_id: "sandbox-1".into(), netns: netns(7) };
    assert_eq!(world.release(&sandbox), 4);
}

#[test]
fn a_reserved_address_goes_back_to_its_reservation() {
    let mut world = rack();
    let db = Some(stateful("db-0"));
    world.put(Object::Reservation(reservation("db", "rack", &["10.0.0.9"], db))).unwrap();
    let ask = |world: &mut World, pod: &str| world.ask(pod).on("rack").owner(stateful("db-0")).get();
    assert_eq!(ask(&mut world, "pod-1"), "10.0.0.9 fd00::2");
    world.del("pod-1");
    assert_eq!(ask(&mut world, "pod-2"), "10.0.0.9 fd00::2");
    world.del("pod-2");
    world.now += 60_000;
    assert_eq!(world.ask("x").on("rack").get(), "10.0.0.2 fd00::3");
    assert_eq!(ask(&mut world, "pod-3"), "10.0.0.9 fd00::2");
}

#[test]
fn time_never_runs_backwards() {
    let mut world = World::new([subnet("s", &["10.0.0.0/30"])]);
    world.ask("a").on("s").grant().unwrap();
    world.now += 10_000;
    world.del("a");
    let since = world.at("10.0.0.2").unwrap().since;
    world.now -= 10_000;
    assert_eq!(world.ask("b").on("s").get(), "full");
    world.ask("a").on("s").grant().unwrap();
    assert!(world.at("10.0.0.2").unwrap().since >= since);
    world.del("a");
    world.now += 39_999;
    assert_eq!(world.ask("b").on("s").get(), "full");
    world.now += 1;
    assert_eq!(world.ask("b").on("s").get(), "10.0.0.2");
}
