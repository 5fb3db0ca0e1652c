//! Several interfaces in one request: all of them, or none.

use allotment_core::{Code, Object, Request, Want};

use super::said;
use crate::world::{World, container, labels, pool, stateful, subnet};

fn two() -> World {
    World::new([subnet("a", &["10.0.0.0/24"]), subnet("tiny", &["10.1.0.0/30"])])
}

#[test]
fn all_interfaces_or_none() {
    let mut world = two();
    assert_eq!(world.ask("1").on("a").and("fast", "net1").on("tiny").get(), "10.0.0.2 + 10.1.0.2");
    let before = crate::check::all(&world.state);
    assert_eq!(world.ask("2").on("a").and("fast", "net1").on("tiny").get(), "full");
    assert_eq!(world.ask("2").on("a").and("fast", "net1").on("nowhere").get(), "unknown");
    assert_eq!(world.ask("2").on("a").and("fast", "net1").on("a").ip(&["10.0.0.2"]).get(), "taken");
    assert_eq!(crate::check::all(&world.state), before, "nothing changed");
    assert_eq!(world.ask("2").on("a").get(), "10.0.0.3", "what the refused one had looked at is free");
}

#[test]
fn the_last_ones_of_a_subnet_go_to_one_request() {
    let mut world = World::new([subnet("s", &["10.0.0.0/29"])]);
    world.ask("0").on("s").grant().unwrap();
    world.del("0");
    world.now += 30_000;
    let ask = world.ask("1").on("s").and("n1", "net1").on("s").and("n2", "net2").on("s").and("n3", "net3");
    assert_eq!(ask.on("s").get(), "10.0.0.3 + 10.0.0.4 + 10.0.0.5 + 10.0.0.6");
    let refusal = world.ask("2").on("s").and("n1", "net1").on("s").refusal();
    assert_eq!(
        said(&refusal),
        [
            "full",
            "subnet `s` has no free IPv4 address for Container 2: 5 in it, 4 held, 0 cooling, 1 for its other interfaces",
            "add a subnet or pool behind it, make it larger, or release what is not needed",
        ]
    );
}

#[test]
fn several_interfaces_take_what_was_released_in_its_order() {
    let mut world = World::new([subnet("s", &["10.0.0.0/29"])]);
    for id in ["1", "2", "3", "4", "5"] {
        world.ask(id).on("s").grant().unwrap();
    }
    for id in ["3", "1", "5", "2", "4"] {
        world.now += 1_000;
        world.del(id);
    }
    world.now += 30_000;
    let ask = world.ask("x").on("s").and("n1", "net1").on("s").and("n2", "net2").on("s").and("n3", "net3");
    assert_eq!(ask.on("s").get(), "10.0.0.4 + 10.0.0.2 + 10.0.0.6 + 10.0.0.3");
}

#[test]
fn several_interfaces_take_what_was_released_while_a_block_was_drained() {
    let mut world = World::new([subnet("s", &["10.0.0.0/29"])]);
    for id in ["1", "2", "3", "4", "5"] {
        world.ask(id).on("s").grant().unwrap();
    }
    for id in ["3", "1"] {
        world.now += 1_000;
        world.del(id);
    }
    world.now += 30_000;
    assert_eq!(world.ask("x").on("s").get(), "10.0.0.4");
    world.del("5");
    world.now += 30_000;
    assert_eq!(world.ask("y").on("s").and("n1", "net1").on("s").get(), "10.0.0.2 + 10.0.0.6");
}

#[test]
fn the_same_network_twice() {
    let mut world = two();
    assert_eq!(world.ask("1").on("a").and("net", "net1").on("a").get(), "10.0.0.2 + 10.0.0.3");
    assert_eq!(
        said(&world.ask("2").on("a").and("net", "eth0").refusal()),
        [
            "invalid",
            "Container 2 asks twice for interface `eth0` on network `net`",
            "ask once for each interface; one that draws from several subnets names another one in each of its wants"
        ]
    );
    assert_eq!(
        said(
            &world.ask("3").on("a").ip(&["10.0.0.9"]).and("net", "net1").on("a").ip(&["10.0.0.9"]).refusal()
        ),
        ["invalid", "Container 3 asks for 10.0.0.9 on two interfaces", "ask for each address once"]
    );
}

#[test]
fn one_interface_names_a_subnet_once() {
    let mut world = two();
    world.put(Object::IPPool(pool("p", "a", &["10.0.0.8/29"]))).unwrap();
    assert_eq!(world.ask("1").on("a").and("net", "eth0").on("tiny").get(), "10.0.0.2 + 10.1.0.2");
    assert_eq!(world.ask("2").on("a").and("net", "eth0").on("a").get(), "invalid");
    assert_eq!(world.ask("2").on("a").and("net", "eth0").on("tiny").pool("p").get(), "invalid");
    assert_eq!(world.ask("2").on("a").ip(&["10.0.0.3"]).and("net", "eth0").on("a").get(), "invalid");
    let both = world.ask("2").on("a").ip(&["10.0.0.4"]).and("net", "eth0").on("a").ip(&["10.0.0.3"]);
    assert_eq!(both.get(), "10.0.0.4 + 10.0.0.3");
    world.restart();
    let again = world.ask("2").on("a").ip(&["10.0.0.3"]).and("net", "eth0").on("a").ip(&["10.0.0.4"]);
    assert_eq!(again.get(), "10.0.0.3 + 10.0.0.4");
}

#[test]
fn an_interface_that_comes_later_leaves_the_first_alone() {
    let mut world = two();
    world.ask("1").on("a").grant().unwrap();
    let since = world.at("10.0.0.2").unwrap().since;
    world.now += 5_000;
    assert_eq!(world.ask("1").on("a").and("fast", "net1").on("tiny").get(), "10.0.0.2 + 10.1.0.2");
    assert_eq!(world.at("10.0.0.2").unwrap().since, since, "its state did not change");
}

#[test]
fn each_interface_gets_its_own_back() {
    let mut world = World::new([subnet("a", &["10.0.0.0/24"])]);
    let ask = |world: &mut World, swapped: bool| {
        let (one, other) =
            if swapped { (("n1", "net1"), ("net", "eth0")) } else { (("net", "eth0"), ("n1", "net1")) };
        let mut ask = world.ask("c").owner(stateful("db-0")).on("a").and(other.0, other.1).on("a");
        (ask.request.wants[0].attachment.network, ask.request.wants[0].attachment.interface) =
            (one.0.into(), one.1.into());
        ask.get()
    };
    assert_eq!(ask(&mut world, false), "10.0.0.2 + 10.0.0.3");
    for interface in ["eth0", "net1"] {
        let (container_id, interface) = ("c".to_owned(), interface.to_owned());
        let release = allotment_core::Release::Interface { container_id, interface, network: None };
        assert_eq!(world.release(&release), 1);
        world.now += 1;
    }
    assert_eq!(ask(&mut world, true), "10.0.0.3 + 10.0.0.2", "in whichever order they are asked for");
}

#[test]
fn pools_and_rest_are_counted_apart() {
    let mut world = World::new([subnet("s", &["10.0.0.0/29"])]);
    world.put(Object::IPPool(pool("p", "s", &["10.0.0.2-10.0.0.3"]))).unwrap();
    assert_eq!(world.ask("1").pool("p").and("n1", "net1").on("s").get(), "10.0.0.2 + 10.0.0.4");
    let refusal = world.ask("2").pool("p").and("n1", "net1").on("s").and("n2", "net2").pool("p").refusal();
    assert_eq!(
        refusal.to_string(),
        "pool `p` has no free IPv4 address for Container 2: 2 in it, 1 held, 0 cooling, 1 for its other interfaces"
    );
}

/// What a request of this owner with this many interfaces is refused for.
fn refused(change: impl Fn(&mut Request)) -> [String; 3] {
    let mut world = two();
    let mut request = world.ask("1").on("a").request;
    change(&mut request);
    let refusal = world.grant(&request).unwrap_err();
    assert_eq!(refusal.code, Code::Invalid);
    said(&refusal)
}

#[test]
fn requests_that_contradict_themselves() {
    let text = |change: &dyn Fn(&mut Request)| refused(change)[1].clone();
    assert_eq!(text(&|r| r.wants.clear()), "Container 1 asks for 0 interfaces; 1 to 256 can be asked");
    let many = |r: &mut Request| r.wants = vec![Want::default(); 257];
    assert_eq!(text(&many), "Container 1 asks for 257 interfaces; 1 to 256 can be asked");
    assert_eq!(text(&|r| r.owner.kind.clear()), "the owner has no kind, or neither name nor uid");
    let nameless = |r: &mut Request| (r.owner.name, r.owner.uid) = (String::new(), String::new());
    assert_eq!(text(&nameless), "the owner has no kind, or neither name nor uid");
    assert_eq!(
        text(&|r| r.owner.uid.clear()),
        "Container 1 has no uid, which is what tells it from others of its name"
    );
    let machine = |r: &mut Request| (r.owner.kind, r.owner.name) = ("Machine".into(), String::new());
    assert_eq!(text(&machine), "a Machine without a name cannot be told from others");
    assert_eq!(
        text(&|r| r.wants[0].attachment.holder.clear()),
        "interface `eth0` of Container 1 has no holder"
    );
    let long = "x".repeat(4097);
    assert_eq!(
        text(&|r| r.owner.name.clone_from(&long)),
        "the owner's name has 4097 bytes, and 4096 are the most that is recorded"
    );
    assert_eq!(
        text(&|r| r.wants[0].attachment.node.clone_from(&long)),
        "the node's name has 4097 bytes, and 4096 are the most that is recorded"
    );
    let fits = "x".repeat(4096);
    let mut world = two();
    let mut request = world.ask("1").on("a").request;
    request.owner.name.clone_from(&fits);
    request.wants[0].attachment.container_id.clone_from(&fits);
    request.pod_labels = labels(&[("a", &fits)]);
    world.grant(&request).unwrap();
    world.restart();
    assert_eq!(world.state.owned_by(&container("1"))[0].owner.name, fits);
}
