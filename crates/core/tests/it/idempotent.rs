//! Asking again, giving back again, and holders that come and go (R1, R5, R6).

mod again;
mod holders;
mod retention;
mod torn;

use allotment_core::{
    Allocation, AllocationState, Attachment, Netns, Owner, Pick, Release, ReleaseMode, Request,
};

use crate::check;
use crate::world::{World, container, subnet};

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
    Release::Address { vrf, address: address.parse().unwrap(), holder, mode, since: None }
}

fn netns(inode: u64) -> Netns {
    let path = "/run/netns/x".to_owned();
    Netns { boot: "b".into(), device: 4, inode, cookie: Some(inode * 3), path }
}

/// A request of a pod's interface, in a sandbox.
fn pod(world: &mut World, uid: &str, sandbox: &str) -> Request {
    let mut request = world.ask(sandbox).on("rack").holder(uid).request;
    request.owner =
        Owner { kind: "Pod".into(), namespace: "shop".into(), name: "cart".into(), uid: uid.into() };
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
