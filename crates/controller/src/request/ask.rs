//! What a node asks for in a pod's name (K1).

use allotment_api::v1alpha1::Ask;
use allotment_core::{Mac, Refusal};
use allotment_wire::cni::{self, AskedIp, FamilyWish, Field, Network, Wish};

use super::entry::entries;
use super::owner::owner_of;
use super::pod::{assign_some, frame};
use super::selection::{PRIMARY, Slot, illegal_interface, slots};
use super::view::invalid;
use super::want::want;
use super::{Interface, Nad, PodView, Wanted, World};

/// The request of an [`Ask`]. `pod` is the one that it names, bound to the node that asks.
pub fn read_ask(ask: &Ask, pod: &PodView, world: World<'_>) -> Result<Wanted, Refusal> {
    let at = format!("interface `{}` on network `{}`", ask.interface, ask.network);
    if let Some(why) = illegal_interface(&ask.interface) {
        return Err(invalid(&at, why, "name the interface as Linux takes it"));
    }
    // What a node says counts for pods that are bound to it, and for no other pod under their names. Only a static pod's
    // UID is the runtime's own (K6).
    if !pod.is_mirror && ask.pod_uid != pod.uid {
        let what = format!("pod {}/{} has UID {}, not {}", pod.namespace, pod.name, pod.uid, ask.pod_uid);
        return Err(invalid(&at, what, "nothing: the runtime ends what it has of an older pod"));
    }
    let mac = match ask.mac.as_deref().filter(|mac| !mac.is_empty()) {
        Some(text) => {
            Some(text.parse::<Mac>().map_err(|why| invalid(&at, why, "correct the MAC that is asked for"))?)
        }
        None => None,
    };
    let slot = Slot {
        interface: ask.interface.clone(),
        network: network(ask, pod, world),
        at,
        ips: ask.ips.iter().map(|&address| AskedIp { address, prefix: None }).collect(),
        mac,
        args: None,
    };
    let pod = PodView { uid: ask.pod_uid.clone(), ..pod.clone() };
    let owned = owner_of(&pod, &ask.pod_uid, world.settings);
    let entries = entries(&pod)?;
    let entry = assign_some(&entries, &slot);
    let family = family(ask).map_err(|error| invalid(&slot.at, error.msg, error.details))?;
    let wish = Wish { subnets: ask.subnets.clone(), pools: ask.pools.clone(), family, ..Wish::default() };
    let asked = Network { name: ask.network.clone(), wish, ..Network::default() };
    let mut request = frame(&pod, &owned, world);
    request.wants.push(want(&pod, &owned, &slot, entry, Some(&asked), world)?);
    let interface = Interface {
        interface: slot.interface,
        network: slot.network,
        config: ask.network.clone(),
        keep: entry.map(|entry| entry.keep).unwrap_or_default(),
    };
    Ok(Wanted { request, interfaces: vec![interface] })
}

/// Which families are wanted, by the words of the `ipam` section.
fn family(ask: &Ask) -> Result<FamilyWish, cni::Error> {
    let keys = [("family", &ask.family), ("familyPolicy", &ask.family_policy)];
    let said: serde_json::Map<_, _> = (keys.into_iter())
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| (key.to_owned(), text.as_str().into()))
        .collect();
    Ok(Wish::read(&Field::named("ask", &said.into()))?.family)
}

/// The network's key: that of the announced network under this configuration, nothing for the default network, else the
/// configuration's own name.
fn network(ask: &Ask, pod: &PodView, world: World<'_>) -> String {
    let announced = slots(pod, world.settings).unwrap_or_default();
    let is_called = |slot: &&Slot| match world.nads.get(&slot.network) {
        Some(Nad::Ours(network)) => network.name == ask.network,
        _ => false,
    };
    let named: Vec<&Slot> = announced.iter().filter(is_called).collect();
    let found = named.iter().find(|slot| slot.interface == ask.interface).or(named.first());
    match found {
        Some(slot) => slot.network.clone(),
        None if ask.interface == PRIMARY => String::new(),
        None => ask.network.clone(),
    }
}
