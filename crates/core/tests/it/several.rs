//! One interface that draws from several subnets at once, as `host-local`'s sets of ranges and `static`'s addresses do.

use std::net::IpAddr;

use allotment_core::{Asked, Code, Order, Refusal, Request, SubnetSpec, Target, Want};

use crate::world::{World, container, subnet};

/// A want for each of the subnets, on the same interface.
fn request(world: &mut World, id: &str, subnets: &[&str]) -> Request {
    let mut request = world.ask(id).request;
    let want = request.wants.remove(0);
    request.wants = subnets
        .iter()
        .map(|name| Want { targets: vec![Target::Subnet((*name).into())], ..want.clone() })
        .collect();
    request
}

fn addresses(world: &mut World, request: &Request) -> Result<Vec<String>, Refusal> {
    let grant = world.grant(request)?;
    Ok(grant.entries.iter().flat_map(|entry| &entry.ips).map(|ip| ip.address.to_string()).collect())
}

#[test]
fn each_gives_one_and_asking_again_the_same() {
    let mut world = World::new([subnet("a", &["10.0.0.0/24"]), subnet("b", &["10.1.0.0/24"])]);
    let both = request(&mut world, "c1", &["a", "b"]);
    assert_eq!(addresses(&mut world, &both).unwrap(), ["10.0.0.2", "10.1.0.2"]);
    assert_eq!(addresses(&mut world, &both).unwrap(), ["10.0.0.2", "10.1.0.2"]);
    assert_eq!(world.del("c1"), 2);
    let other = request(&mut world, "c2", &["b", "a"]);
    assert_eq!(addresses(&mut world, &other).unwrap(), ["10.1.0.3", "10.0.0.3"]);
}

#[test]
fn all_of_them_or_none() {
    let mut world = World::new([subnet("a", &["10.0.0.0/24"]), subnet("tiny", &["10.1.0.0/30"])]);
    let first = request(&mut world, "c1", &["tiny"]);
    addresses(&mut world, &first).unwrap();
    let both = request(&mut world, "c2", &["a", "tiny"]);
    assert_eq!(addresses(&mut world, &both).unwrap_err().code, Code::Full);
    assert!(world.state.owned_by(&container("c2")).is_empty());
}

#[test]
fn without_targets_it_is_asked_twice() {
    let mut world = World::new([subnet("a", &["10.0.0.0/24"])]);
    let mut both = request(&mut world, "c1", &["a", "a"]);
    both.wants[1].targets.clear();
    assert_eq!(addresses(&mut world, &both).unwrap_err().code, Code::Invalid);
}

#[test]
fn several_addresses_of_a_family_in_a_subnet_that_is_all_of_it() {
    let whole = SubnetSpec {
        vrf: "static/lan".into(),
        order: Order::NextAfterLast,
        gateways: Some(Vec::new()),
        cooling_ms: 0,
        ..subnet("static/lan", &["0.0.0.0/0"])
    };
    let mut world = World::new([whole]);
    let ask = |world: &mut World, id: &str, ips: &[&str]| {
        let mut request = request(world, id, &vec!["static/lan"; ips.len()]);
        for (want, ip) in request.wants.iter_mut().zip(ips) {
            want.ips = Asked::Each(vec![ip.parse::<IpAddr>().unwrap()]);
        }
        request
    };
    let first = ask(&mut world, "c1", &["10.0.0.7", "192.0.2.255"]);
    assert_eq!(addresses(&mut world, &first).unwrap(), ["10.0.0.7", "192.0.2.255"]);
    addresses(&mut world, &first).unwrap();
    let clash = ask(&mut world, "c2", &["10.0.0.8", "10.0.0.7"]);
    assert_eq!(addresses(&mut world, &clash).unwrap_err().code, Code::Taken);
    let more = ask(&mut world, "c1", &["10.0.0.7", "10.0.0.9"]);
    assert_eq!(addresses(&mut world, &more).unwrap_err().code, Code::Invalid, "it has others");
    assert_eq!(world.del("c1"), 2);
    let freed = ask(&mut world, "c2", &["10.0.0.8", "10.0.0.7"]);
    assert_eq!(addresses(&mut world, &freed).unwrap(), ["10.0.0.8", "10.0.0.7"]);
}
