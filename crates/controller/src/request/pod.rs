//! What a pod wants: interfaces, what is said about each, and one request of them all.

use allotment_api::annotation::PodGrant;
use allotment_core::{Labels, Refusal, Request};
use allotment_wire::cni::Network;

use super::entry::{self, Entry, Place, entries};
use super::nad::{absent, broken};
use super::owner::{Owned, owner_of};
use super::selection::{PRIMARY, Slot, slots};
use super::view::invalid;
use super::want::want;
use super::{Keep, Nad, PodView, Settings, World};

/// What a pod wants of us.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// None of its interfaces has its addresses from here.
    Nothing,
    Wanted(Wanted),
    /// It cannot be followed as it is written.
    Refused(Refusal),
    /// It names `NetworkAttachmentDefinition`s (`namespace/name`) that do not exist: to be read again when they come. The
    /// refusal is there where the pod wants something of us in any case.
    Waits {
        networks: Vec<String>,
        refusal: Option<Refusal>,
    },
}

/// What a pod wants: one decision for all of its interfaces.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub request: Request,
    /// As many as the request's wants, in their order.
    pub interfaces: Vec<Interface>,
}

/// What core need not know of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    pub interface: String,
    /// `namespace/name` of the `NetworkAttachmentDefinition`; empty for the cluster's default network.
    pub network: String,
    /// The `name` in the network's CNI configuration; empty where it is not known.
    pub config: String,
    pub keep: Keep,
}

impl Wanted {
    /// What of it a grant does not have yet: networks added to a running pod (K3). An attachment is the same by network and
    /// interface; what is left over of a network, by its place among the network's uses.
    pub fn beyond(self, grant: &PodGrant) -> Option<Wanted> {
        let Wanted { mut request, interfaces } = self;
        let mut granted: Vec<(&str, &str)> =
            grant.attachments.iter().map(|has| (has.network.as_str(), has.interface.as_str())).collect();
        let mut all: Vec<_> = request.wants.into_iter().zip(interfaces).collect();
        let exact = |(network, interface): (&str, &str), wanted: &Interface| {
            wanted.network == network && wanted.interface == interface
        };
        let by_network = |(network, _): (&str, &str), wanted: &Interface| wanted.network == network;
        for same in [&exact as &dyn Fn((&str, &str), &Interface) -> bool, &by_network] {
            all.retain(|(_, wanted)| {
                let found = granted.iter().position(|&has| same(has, wanted));
                found.map(|at| granted.remove(at)).is_none()
            });
        }
        let (wants, interfaces): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        request.wants = wants;
        (!interfaces.is_empty()).then_some(Wanted { request, interfaces })
    }
}

/// The interfaces that a pod announces, each with the `namespace/name` of its network, which is empty for the cluster's
/// default one.
pub fn interfaces(pod: &PodView, settings: &Settings) -> Result<Vec<(String, String)>, Refusal> {
    Ok(slots(pod, settings)?.into_iter().map(|slot| (slot.interface, slot.network)).collect())
}

/// Those attachments of a grant that the pod announces no more, by place: networks taken out of a running pod (K3). What
/// cannot be read takes nothing out, and nobody takes the first interface out.
pub fn unannounced(pod: &PodView, settings: &Settings, grant: &PodGrant) -> Vec<usize> {
    let Ok(mut slots) = interfaces(pod, settings) else { return Vec::new() };
    let mut left: Vec<usize> = (0..grant.attachments.len()).collect();
    for by_name in [true, false] {
        left.retain(|&at| {
            let has = &grant.attachments[at];
            let same = |(interface, network): &(String, String)| {
                *network == has.network && (!by_name || *interface == has.interface)
            };
            slots.iter().position(same).map(|at| slots.swap_remove(at)).is_none()
        });
    }
    left.retain(|&at| {
        grant.attachments[at].network.contains('/') && grant.attachments[at].interface != PRIMARY
    });
    left
}

/// What a pod wants of us; `World` is its surroundings.
pub fn read(pod: &PodView, world: World<'_>) -> Reading {
    // The runtime knows a static pod under another UID: what it needs, its node asks for (K6).
    if pod.is_mirror {
        return Reading::Nothing;
    }
    let asks = entry::any(pod);
    let slots = match slots(pod, world.settings) {
        Ok(slots) => slots,
        // What nobody can read is for Multus to complain of, unless the pod means us.
        Err(refusal) if asks => return Reading::Refused(refusal),
        Err(_) => return Reading::Nothing,
    };
    let absent: Vec<String> = (slots.iter())
        .filter(|slot| !slot.network.is_empty() && !world.nads.contains_key(&slot.network))
        .map(|slot| slot.network.clone())
        .collect();
    let served = slots.iter().any(|slot| is_served(slot, world));
    if !absent.is_empty() {
        return Reading::Waits { refusal: (asks || served).then(|| self::absent(&absent)), networks: absent };
    }
    if !asks && !served {
        return Reading::Nothing;
    }
    match wanted(pod, &slots, world) {
        Ok(None) => Reading::Nothing,
        Ok(Some(wanted)) => Reading::Wanted(wanted),
        Err(refusal) => Reading::Refused(refusal),
    }
}

/// Whether the interface's network has its addresses from here, or should have.
fn is_served(slot: &Slot, world: World<'_>) -> bool {
    match world.nads.get(&slot.network) {
        _ if slot.network.is_empty() => world.settings.primary.is_some(),
        Some(Nad::Ours(_) | Nad::Broken(_)) => true,
        Some(Nad::Others(_)) | None => false,
    }
}

fn wanted(pod: &PodView, slots: &[Slot], world: World<'_>) -> Result<Option<Wanted>, Refusal> {
    let entries = entries(pod)?;
    let owned = owner_of(pod, &pod.uid, world.settings);
    let said = assign(&entries, slots)?;
    let mut wanted = Wanted { request: frame(pod, &owned, world), interfaces: Vec::new() };
    for (slot, entry) in slots.iter().zip(said) {
        let network = match network_of(slot, entry, world)? {
            Served::No => continue,
            Served::Unknown => None,
            Served::By(network) => Some(network),
        };
        let want = want(pod, &owned, slot, entry, network, world)?;
        wanted.request.wants.push(want);
        wanted.interfaces.push(Interface {
            interface: slot.interface.clone(),
            network: slot.network.clone(),
            config: network.map(|network| network.name.clone()).unwrap_or_default(),
            keep: entry.map(|entry| entry.keep).unwrap_or_default(),
        });
    }
    Ok((!wanted.interfaces.is_empty()).then_some(wanted))
}

/// The request without its wants.
pub(super) fn frame(pod: &PodView, owned: &Owned, world: World<'_>) -> Request {
    Request {
        owner: owned.owner.clone(),
        namespace: pod.namespace.clone(),
        siblings: owned.siblings.clone(),
        pod_labels: pod.labels.clone(),
        namespace_labels: world.namespace.labels.clone(),
        node_labels: Labels::clone(world.node_labels),
        firm: true,
        ..Request::default()
    }
}

/// For each interface what is said about it: by its own name, else by its network's.
fn assign<'e>(entries: &'e [Entry], slots: &[Slot]) -> Result<Vec<Option<&'e Entry>>, Refusal> {
    let mut by_name: Vec<Option<&Entry>> = vec![None; slots.len()];
    let mut by_network = by_name.clone();
    for entry in entries {
        let (said, uses) = match &entry.place {
            Place::Primary => (&mut by_name, vec![0]),
            Place::Interface(name) => (&mut by_name, positions(slots, |slot| slot.interface == *name)),
            Place::Network(name) => (&mut by_network, positions(slots, |slot| slot.network == *name)),
        };
        if uses.is_empty() {
            return Err(unmatched(entry, slots));
        }
        let fixed = !entry.wish.ips.is_empty() || !entry.macs.is_empty();
        if fixed && uses.len() > 1 {
            let what = format!(
                "it asks for addresses or MACs by name, and the pod has this network {} times",
                uses.len()
            );
            return Err(invalid(&entry.at, what, "say which `interface` they are for, in an entry for each"));
        }
        for at in uses {
            if let Some(other) = said[at].replace(entry) {
                let what = format!("{} says already what interface `{}` gets", other.at, slots[at].interface);
                return Err(invalid(&entry.at, what, "say it in one place"));
            }
        }
    }
    Ok(by_name.into_iter().zip(by_network).map(|(name, network)| name.or(network)).collect())
}

/// What becomes of the addresses of one interface when nobody needs them any more; what cannot be read keeps nothing.
pub fn keep_of(pod: &PodView, interface: &str, network: &str) -> Keep {
    let entries = entries(pod).unwrap_or_default();
    let slot = Slot { interface: interface.to_owned(), network: network.to_owned(), ..Slot::default() };
    assign_some(&entries, &slot).map(|entry| entry.keep).unwrap_or_default()
}

/// What is said about one interface, whatever else is said; of several the first.
pub(super) fn assign_some<'e>(entries: &'e [Entry], slot: &Slot) -> Option<&'e Entry> {
    let own = entries.iter().find(|entry| match &entry.place {
        Place::Primary => slot.network.is_empty(),
        Place::Interface(name) => slot.interface == *name,
        Place::Network(_) => false,
    });
    own.or_else(|| entries.iter().find(|entry| entry.place == Place::Network(slot.network.clone())))
}

fn positions(slots: &[Slot], is: impl Fn(&Slot) -> bool) -> Vec<usize> {
    slots.iter().enumerate().filter(|(_, slot)| is(slot)).map(|(at, _)| at).collect()
}

fn unmatched(entry: &Entry, slots: &[Slot]) -> Refusal {
    let what = match &entry.place {
        Place::Primary => "the pod has no default network".to_owned(),
        Place::Interface(name) => format!("the pod has no interface `{name}`"),
        Place::Network(name) => format!("the pod has no interface on network `{name}`"),
    };
    let has = slots.iter().map(|slot| match slot.network.as_str() {
        "" => format!("`{}` on the default network", slot.interface),
        network => format!("`{}` on `{network}`", slot.interface),
    });
    let has = has.collect::<Vec<_>>().join(", ");
    invalid(
        &entry.at,
        format!("{what}; it has {has}"),
        "correct `interface` or `network`, or add the network to the pod",
    )
}

/// Whether an interface has its addresses from here.
enum Served<'w> {
    No,
    /// The pod says so; how its network is configured is not known.
    Unknown,
    By(&'w Network),
}

fn network_of<'w>(slot: &Slot, entry: Option<&Entry>, world: World<'w>) -> Result<Served<'w>, Refusal> {
    if slot.network.is_empty() {
        return Ok(match (&world.settings.primary, entry) {
            (Some(network), _) => Served::By(network),
            (None, Some(_)) => Served::Unknown,
            (None, None) => Served::No,
        });
    }
    match (world.nads.get(&slot.network), entry) {
        (Some(Nad::Ours(network)), _) => Ok(Served::By(network)),
        (Some(Nad::Broken(error)), _) => Err(broken(&slot.network, error)),
        (Some(Nad::Others(_)) | None, None) => Ok(Served::No),
        (Some(Nad::Others(kind)), Some(entry)) => {
            let who = if kind.is_empty() { "no IPAM plugin" } else { kind };
            let what = format!("network `{}` has its addresses from `{who}`, not from here", slot.network);
            let hint =
                "remove the entry, or set `ipam.type` of the NetworkAttachmentDefinition to `allotment`";
            Err(invalid(&entry.at, what, hint))
        }
        (None, Some(_)) => Err(absent(std::slice::from_ref(&slot.network))),
    }
}
