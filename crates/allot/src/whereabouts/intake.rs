//! What the ledger is to say about the addresses that Whereabouts has given.

use std::collections::BTreeMap;
use std::net::IpAddr;

use allotment_cluster::Pod;
use allotment_controller::Settings;
use allotment_controller::request::{self, PodView};
use allotment_core::{
    Allocation, AllocationState, Attachment, Choice, DEFAULT_VRF, IpRange, Object, ObjectKey, Pick,
    ReservationSpec, Rule, State, SubnetSpec, Timestamp,
};

use super::source::{Entry, Given, Source};
use crate::words::counted;

/// Items of one Reservation; the definitions take no more.
const ITEMS: usize = 256;

/// What is to be taken over.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Addresses of pods that are there.
    pub(super) allocations: Vec<Allocation>,
    /// The rest, set aside for nobody: nothing proves that they are not used.
    pub(super) set_aside: Vec<ReservationSpec>,
    /// Why addresses of pods that are there are among the rest.
    pub(super) notes: Vec<String>,
    /// What contradicts the objects or the ledger.
    pub(super) conflicts: Vec<String>,
    rest: BTreeMap<String, Vec<(IpAddr, String)>>,
}

impl Intake {
    /// Compares what was given with the objects of a file.
    pub(super) fn new(source: &Source, objects: &[Object], settings: &Settings) -> Intake {
        let subnets: Vec<&SubnetSpec> = objects
            .iter()
            .filter_map(|object| match object {
                Object::Subnet(spec) => Some(spec),
                _ => None,
            })
            .collect();
        let (given, twice) = source.given();
        let mut intake = Intake { conflicts: twice, ..Intake::default() };
        for (Given { network, address }, entry) in given {
            let vrf = if network.is_empty() { DEFAULT_VRF } else { &network };
            let is_in = |subnet: &&&SubnetSpec| {
                subnet.vrf == vrf && subnet.cidrs.iter().any(|cidr| cidr.contains(address))
            };
            let Some(subnet) = subnets.iter().find(is_in) else {
                let who = &entry.podref;
                intake.conflicts.push(format!("{address}, given to {who}, lies in no subnet of VRF `{vrf}`"));
                continue;
            };
            intake.take(source, subnet, address, &entry, settings);
        }
        intake.set_aside();
        intake
    }

    fn take(
        &mut self,
        source: &Source,
        subnet: &SubnetSpec,
        address: IpAddr,
        entry: &Entry,
        settings: &Settings,
    ) {
        let (namespace, name) = entry.podref.split_once('/').unwrap_or(("", &entry.podref));
        let pod = source.pods.get(&(namespace.to_owned(), name.to_owned()));
        match pod.map(|pod| allocation(pod, subnet, address, entry, settings)) {
            Some(Ok(allocation)) => return self.allocations.push(allocation),
            Some(Err(why)) => self.notes.push(format!("{address} of pod {}: {why}", entry.podref)),
            None => {}
        }
        self.rest.entry(subnet.name.clone()).or_default().push((address, entry.podref.clone()));
    }

    fn set_aside(&mut self) {
        for (subnet, rest) in std::mem::take(&mut self.rest) {
            let mut addresses: Vec<IpAddr> = rest.iter().map(|(address, _)| *address).collect();
            addresses.sort_unstable();
            let reason = format!(
                "Whereabouts has given {} of it to pods that are not there, such as {}; delete this when nobody uses them",
                counted(addresses.len() as u64, "address"),
                rest[0].1
            );
            for (number, addresses) in runs(&addresses).chunks(ITEMS).enumerate() {
                self.set_aside.push(ReservationSpec {
                    name: name_of(&subnet, number),
                    subnet: subnet.clone(),
                    addresses: addresses.to_vec(),
                    owner: None,
                    reason: reason.clone(),
                });
            }
        }
    }

    /// Tries all of it on a copy of what is there. What is there already is no conflict.
    pub(super) fn check(&mut self, objects: &[Object], mut copy: State, now: Timestamp) {
        let mut new = Vec::new();
        for object in objects {
            let key = object.key();
            match copy.object(&key) {
                Some(here) if here == *object => {}
                Some(_) => self.conflicts.push(format!("{key} is in force in another form")),
                None => new.push(object.clone()),
            }
        }
        self.conflicts.extend(copy.put_all(new).iter().map(ToString::to_string));
        let mut changed = Vec::new();
        for allocation in &self.allocations {
            if let Err(refusal) = copy.adopt(allocation, now, &mut changed) {
                self.conflicts.push(refusal.to_string());
            }
        }
        copy.settle();
        for reservation in &self.set_aside {
            if let Err(error) = copy.put(Object::Reservation(reservation.clone())) {
                self.conflicts.push(error.to_string());
            }
        }
    }
}

/// The first Reservation of a subnet also keeps everybody out while addresses are taken over.
pub(super) fn name_of(subnet: &str, number: usize) -> String {
    if number == 0 { format!("whereabouts-{subnet}") } else { format!("whereabouts-{subnet}-{}", number + 1) }
}

/// Everything of a subnet, for nobody.
pub(super) fn closed(subnet: &SubnetSpec) -> Object {
    Object::Reservation(ReservationSpec {
        name: name_of(&subnet.name, 0),
        subnet: subnet.name.clone(),
        addresses: subnet.cidrs.iter().map(|&cidr| cidr.into()).collect(),
        owner: None,
        reason: "addresses are being taken over from Whereabouts".to_owned(),
    })
}

/// The key of what [`closed`] makes.
pub(super) fn closed_key(subnet: &SubnetSpec) -> ObjectKey {
    closed(subnet).key()
}

/// As if the pod had been granted the address.
fn allocation(
    pod: &Pod,
    subnet: &SubnetSpec,
    address: IpAddr,
    entry: &Entry,
    settings: &Settings,
) -> Result<Allocation, String> {
    let view = PodView::new(&pod.metadata, &pod.spec.node_name);
    if view.is_mirror {
        return Err("a static pod, which its node knows under another UID".to_owned());
    }
    if view.node.is_empty() {
        return Err("it is on no node".to_owned());
    }
    let interfaces = request::interfaces(&view, settings).map_err(|refusal| refusal.to_string())?;
    let found = interfaces.into_iter().find(|(interface, _)| *interface == entry.ifname);
    let Some((interface, network)) = found else {
        return Err(format!("its annotations announce no interface `{}`", entry.ifname));
    };
    let attachment = Attachment {
        holder: view.uid.clone(),
        network,
        interface,
        node: view.node.clone(),
        ..Attachment::default()
    };
    Ok(Allocation {
        vrf: subnet.vrf.clone(),
        address,
        state: AllocationState::Active,
        owner: request::owner(&view, settings),
        attachments: vec![attachment],
        mac: None,
        rule: Rule { choice: Choice::Network, pick: Pick::Returned },
        // The time of the ledger is the engine's to know.
        since: Timestamp(u64::MAX),
        outlives_owner: false,
    })
}

/// Sorted addresses as ranges.
fn runs(addresses: &[IpAddr]) -> Vec<IpRange> {
    let mut runs: Vec<(IpAddr, IpAddr)> = Vec::new();
    for &address in addresses {
        match runs.last_mut() {
            Some((_, last)) if is_next(*last, address) => *last = address,
            _ => runs.push((address, address)),
        }
    }
    runs.into_iter().filter_map(|(first, last)| IpRange::new(first, last).ok()).collect()
}

fn is_next(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => u32::from(one).checked_add(1) == Some(other.into()),
        (IpAddr::V6(one), IpAddr::V6(other)) => u128::from(one).checked_add(1) == Some(other.into()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn source(entries: &[(u32, &str, &str)]) -> Source {
        let allocations: BTreeMap<String, Value> = entries
            .iter()
            .map(|(place, pod, interface)| (place.to_string(), json!({"podref": pod, "ifname": interface})))
            .collect();
        let pod = |name: &str, node: &str| {
            json!({"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": node},
                "metadata": {"namespace": "a", "name": name, "uid": format!("uid-{name}"),
                             "annotations": {"k8s.v1.cni.cncf.io/networks": "lan"}}})
        };
        let pool = json!({"apiVersion": "whereabouts.cni.cncf.io/v1alpha1", "kind": "IPPool",
            "metadata": {"name": "10.0.0.0-16"}, "spec": {"range": "10.0.0.0/16", "allocations": allocations}});
        let mut source = Source::default();
        for object in [pool, pod("there", "n1"), pod("nowhere", "")] {
            source.add(object).unwrap();
        }
        source
    }

    fn intake(entries: &[(u32, &str, &str)]) -> Intake {
        let subnet = SubnetSpec::new("rack", vec!["10.0.0.0/16".parse().unwrap()]);
        Intake::new(&source(entries), &[Object::Subnet(subnet)], &Settings::default())
    }

    #[test]
    fn whose_address_it_is() {
        let intake = intake(&[(5, "a/there", "net1")]);
        let [allocation] = &intake.allocations[..] else { panic!("{intake:?}") };
        assert_eq!(allocation.address.to_string(), "10.0.0.5");
        let attachment = &allocation.attachments[0];
        assert_eq!(
            (&*attachment.holder, &*attachment.network, &*attachment.interface, &*attachment.node),
            ("uid-there", "a/lan", "net1", "n1")
        );
        assert!(intake.set_aside.is_empty() && intake.notes.is_empty() && intake.conflicts.is_empty());
    }

    #[test]
    fn what_nobody_can_be_given_is_set_aside_with_its_reason() {
        let intake =
            intake(&[(5, "a/there", "net9"), (6, "a/nowhere", "net1"), (7, "a/gone", "net1"), (9, "x", "")]);
        assert!(intake.allocations.is_empty());
        assert_eq!(
            intake.notes,
            [
                "10.0.0.5 of pod a/there: its annotations announce no interface `net9`",
                "10.0.0.6 of pod a/nowhere: it is on no node",
            ]
        );
        let [aside] = &intake.set_aside[..] else { panic!("{intake:?}") };
        let ranges: Vec<String> = aside.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(
            (aside.name.as_str(), ranges),
            ("whereabouts-rack", vec!["10.0.0.5-10.0.0.7".to_owned(), "10.0.0.9".to_owned()])
        );
    }

    #[test]
    fn many_are_several_reservations_of_what_one_may_have() {
        let entries: Vec<(u32, &str, &str)> = (1..=600).map(|place| (place * 2, "a/gone", "net1")).collect();
        let intake = intake(&entries);
        let sizes: Vec<(&str, usize)> =
            intake.set_aside.iter().map(|aside| (aside.name.as_str(), aside.addresses.len())).collect();
        assert_eq!(
            sizes,
            [("whereabouts-rack", 256), ("whereabouts-rack-2", 256), ("whereabouts-rack-3", 88)]
        );
    }

    #[test]
    fn what_contradicts_is_named_and_nothing_is_taken() {
        let mut intake = intake(&[(5, "a/there", "net1")]);
        let subnet = |cidr: &str| Object::Subnet(SubnetSpec::new("rack", vec![cidr.parse().unwrap()]));
        let mut here = State::new();
        here.put(subnet("10.0.0.0/24")).unwrap();
        intake.check(&[subnet("10.0.0.0/16")], here, Timestamp(1));
        assert_eq!(intake.conflicts, ["Subnet `rack` is in force in another form"]);
        let outside = intake_outside();
        assert_eq!(outside.conflicts, ["10.0.0.5, given to a/there, lies in no subnet of VRF `default`"]);
    }

    fn intake_outside() -> Intake {
        Intake::new(&source(&[(5, "a/there", "net1")]), &[], &Settings::default())
    }
}
