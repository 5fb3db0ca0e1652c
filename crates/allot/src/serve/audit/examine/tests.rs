use allotment_core::{Attachment, Choice, Object, Rule, SubnetSpec, Timestamp};

use super::*;
use crate::serve::atlas::Atlas;
use crate::serve::audit::live::Live;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn netns(number: u64) -> Netns {
    Netns {
        boot: "b".to_owned(),
        device: 4,
        inode: number,
        cookie: Some(number),
        path: format!("/run/netns/{number}"),
    }
}

/// `10.0.0.<last>`, active in namespace `last` under a name of its own.
fn held(last: u8) -> Allocation {
    let name = format!("c{last}");
    Allocation {
        vrf: "default".to_owned(),
        address: IpAddr::from([10, 0, 0, last]),
        state: AllocationState::Active,
        owner: Owner {
            kind: "Container".to_owned(),
            name: name.clone(),
            uid: name.clone(),
            ..Owner::default()
        },
        attachments: vec![Attachment {
            holder: name.clone(),
            container_id: name,
            network: "lan".to_owned(),
            interface: "eth0".to_owned(),
            netns: Some(netns(last.into())),
            ..Attachment::default()
        }],
        mac: Some(format!("02:00:00:00:00:{last:02x}").parse().unwrap()),
        rule: Rule { choice: Choice::Network, pick: Pick::Fresh },
        since: NOW,
        outlives_owner: false,
    }
}

fn on_interface(last: u8, namespace: u64) -> LiveAddress {
    LiveAddress {
        address: IpAddr::from([10, 0, 0, last]),
        interface: "eth0".to_owned(),
        netns: netns(namespace),
    }
}

/// Two containers, each with its address on its interface, and a gateway on a bridge in a third namespace.
fn healthy() -> Seen {
    let mut subnet = SubnetSpec::new("lan", vec!["10.0.0.0/24".parse().unwrap()]);
    subnet.exclude = vec!["10.0.0.200-10.0.0.210".parse().unwrap()];
    let live = Live {
        addresses: vec![on_interface(5, 5), on_interface(6, 6), on_interface(1, 77)],
        ..Live::default()
    };
    Seen {
        atlas: [Object::Subnet(subnet)].into_iter().collect(),
        allocations: vec![held(5), held(6)],
        live,
        clock: NOW,
    }
}

/// Plants a fault and names what has to be found: code and address.
fn check(plant: impl FnOnce(&mut Seen), expect: &[(&str, &str)]) {
    let mut seen = healthy();
    plant(&mut seen);
    let found = examine(&seen);
    let about: Vec<_> =
        found.iter().map(|f| (f.finding.code.as_str(), f.finding.address.as_deref().unwrap_or(""))).collect();
    assert_eq!(about, expect);
}

#[test]
fn nothing_is_wrong_where_nothing_is_wrong() {
    check(|_| {}, &[]);
}

#[test]
fn outside_its_subnet() {
    check(
        |seen| seen.atlas = Atlas::default(),
        &[("outside-subnet", "10.0.0.5"), ("outside-subnet", "10.0.0.6")],
    );
    let cooled = |seen: &mut Seen| {
        seen.atlas = Atlas::default();
        seen.live = Live::default();
        seen.allocations.iter_mut().for_each(|allocation| allocation.state = AllocationState::Cooling);
    };
    check(cooled, &[]);
}

#[test]
fn one_address_in_two_namespaces() {
    check(|seen| seen.live.addresses.push(on_interface(5, 9)), &[("doubled", "10.0.0.5")]);
}

#[test]
fn one_interface_with_two_addresses_of_a_family() {
    let plant = |seen: &mut Seen| {
        let mut second = held(7);
        second.attachments = held(6).attachments;
        seen.allocations.push(second);
    };
    check(plant, &[("doubled", "10.0.0.7")]);
    let asked_by_name = |seen: &mut Seen| {
        plant(seen);
        seen.allocations.iter_mut().for_each(|allocation| allocation.rule.pick = Pick::Asked);
    };
    check(asked_by_name, &[]);
}

#[test]
fn one_mac_on_two_interfaces() {
    check(|seen| seen.allocations[1].mac = seen.allocations[0].mac, &[("doubled", "10.0.0.6")]);
}

#[test]
fn two_records_of_one_address() {
    let plant = |seen: &mut Seen| {
        let mut second = held(5);
        second.owner.name = "thief".to_owned();
        second.mac = None;
        second.attachments[0].interface = "eth1".to_owned();
        seen.allocations.push(second);
    };
    check(plant, &[("doubled", "10.0.0.5")]);
}

#[test]
fn live_but_unrecorded() {
    check(|seen| seen.live.addresses.push(on_interface(8, 8)), &[("unrecorded", "10.0.0.8")]);
    check(|seen| seen.allocations[0].state = AllocationState::Cooling, &[("unrecorded", "10.0.0.5")]);
    // Excluded addresses are for others; those of other networks do not concern us.
    check(|seen| seen.live.addresses.push(on_interface(201, 8)), &[]);
    let elsewhere = LiveAddress { address: "192.0.2.1".parse().unwrap(), ..on_interface(8, 8) };
    check(|seen| seen.live.addresses.push(elsewhere), &[]);
}

#[test]
fn active_without_a_namespace() {
    let plant = |seen: &mut Seen| {
        seen.live.gone.insert(netns(5));
        seen.live.addresses.remove(0);
    };
    check(plant, &[("no-namespace", "10.0.0.5")]);
    let without_evidence = |seen: &mut Seen| {
        plant(seen);
        seen.allocations[0].attachments[0].netns = None;
    };
    check(without_evidence, &[]);
    let other_holder_lives = |seen: &mut Seen| {
        plant(seen);
        let second = Attachment { netns: Some(netns(50)), ..seen.allocations[0].attachments[0].clone() };
        seen.allocations[0].attachments.push(Attachment { holder: "c50".to_owned(), ..second });
    };
    check(other_holder_lives, &[]);
}

#[test]
fn a_clock_that_was_set_back_makes_cooling_overdue() {
    let plant = |seen: &mut Seen| {
        seen.allocations[0].state = AllocationState::Cooling;
        seen.live.addresses.remove(0);
        seen.clock = Timestamp(NOW.0 - 3_600_000);
    };
    check(plant, &[("overdue-cooling", "10.0.0.5")]);
    let mut seen = healthy();
    plant(&mut seen);
    assert_eq!(examine(&seen)[0].finding.severity, code::OVERDUE_COOLING.severity);
}
