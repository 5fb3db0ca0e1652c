//! What a pod wants: interfaces, what is said about each, and one request of them all.

use allotment_core::{
    Asked, Attachment, Choice, Family, FamilyWant, Labels, MacWant, Refusal, Request, Target, Want,
};
use allotment_wire::cni::{self, AskedIp, FamilyWish, Field, Network, Wish};

use super::entry::{self, Entry, Place, entries};
use super::fixed::{addresses, asked, mac};
use super::nad::{absent, broken};
use super::owner::{Owned, Share, owner_of};
use super::selection::{Slot, slots};
use super::view::{invalid, words};
use super::{Keep, Nad, PodView, World};

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
        let Some(network) = network_of(slot, entry, world)? else { continue };
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
        pod_labels: pod.labels.clone(),
        namespace_labels: world.namespace.labels.clone(),
        node_labels: Labels::clone(world.node_labels),
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

/// The configuration that counts for an interface (nothing: it is not known), or nothing where its addresses are not our
/// matter.
#[expect(clippy::option_option, reason = "whether it is ours, and what is known of it, are two questions")]
fn network_of<'w>(
    slot: &Slot,
    entry: Option<&Entry>,
    world: World<'w>,
) -> Result<Option<Option<&'w Network>>, Refusal> {
    if slot.network.is_empty() {
        let primary = world.settings.primary.as_ref();
        return Ok((primary.is_some() || entry.is_some()).then_some(primary));
    }
    match (world.nads.get(&slot.network), entry) {
        (Some(Nad::Ours(network)), _) => Ok(Some(Some(network))),
        (Some(Nad::Broken(error)), _) => Err(broken(&slot.network, error)),
        (Some(Nad::Others(_)) | None, None) => Ok(None),
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

pub(super) fn want(
    pod: &PodView,
    owned: &Owned,
    slot: &Slot,
    entry: Option<&Entry>,
    network: Option<&Network>,
    world: World<'_>,
) -> Result<Want, Refusal> {
    let none = Wish::default();
    let (args, args_mac) = match network {
        Some(network) => args(slot, network)?,
        None => (Wish::default(), None),
    };
    let own = entry.map_or(&none, |entry| &entry.wish);
    let network = network.map_or(&none, |network| &network.wish);
    let (targets, source) = targets(slot, [own, &args, network], world)?;
    let family =
        [own, &args, network].into_iter().map(|wish| wish.family).find(|&family| family != FamilyWish::All);
    Ok(Want {
        attachment: Attachment {
            holder: pod.uid.clone(),
            network: slot.network.clone(),
            interface: slot.interface.clone(),
            node: pod.node.clone(),
            ..Attachment::default()
        },
        targets,
        source,
        ips: ips(owned, slot, entry, &args.ips, &network.ips)?,
        family: family.map_or(FamilyWant::All, to_family),
        mac: mac_of(owned, slot, entry, args_mac)?,
        join: owned.join,
    })
}

/// What the network's `args.cni` and the attachment's `cni-args` ask for.
fn args(slot: &Slot, network: &Network) -> Result<(Wish, Option<allotment_core::Mac>), Refusal> {
    let args = network.args_with(slot.args.as_ref());
    let field = Field::named("cni-args", &args);
    let read = || Ok((Wish::read(&field)?, field.one("mac", |mac| mac.parse())?));
    read().map_err(|error: cni::Error| invalid(&slot.at, error.msg, "correct what `cni-args` asks for"))
}

/// Subnets and pools: the pod's, else the attachment's, else the namespace's for the cluster's default network, else the
/// network's.
fn targets(
    slot: &Slot,
    wishes: [&Wish; 3],
    world: World<'_>,
) -> Result<(Vec<Target>, Option<Choice>), Refusal> {
    let [own, args, network] = wishes.map(|wish| {
        let subnets = wish.subnets.iter().cloned().map(Target::Subnet);
        subnets.chain(wish.pools.iter().cloned().map(Target::Pool)).collect::<Vec<_>>()
    });
    let namespace = match &world.namespace.subnets {
        Some(text) if slot.network.is_empty() => {
            let at = format!("annotation `{}` of the namespace", allotment_api::annotation::SUBNETS);
            words(&at, text)?.into_iter().map(Target::Subnet).collect()
        }
        _ => Vec::new(),
    };
    let all = [
        (own, Choice::Request),
        (args, Choice::Request),
        (namespace, Choice::Namespace),
        (network, Choice::Network),
    ];
    let found = all.into_iter().find(|(targets, _)| !targets.is_empty());
    Ok(found.map_or((Vec::new(), None), |(targets, choice)| (targets, Some(choice))))
}

/// Addresses by name: the pod's, else the attachment's, else the network's, whose list all share that use it.
fn ips(
    owned: &Owned,
    slot: &Slot,
    entry: Option<&Entry>,
    args: &[AskedIp],
    network: &[AskedIp],
) -> Result<Asked, Refusal> {
    let own = entry.map_or(&[][..], |entry| &entry.wish.ips);
    if let (Some(entry), false, false) = (entry, own.is_empty(), slot.ips.is_empty())
        && addresses(own) != addresses(&slot.ips)
    {
        let what =
            format!("it asks for other addresses than {}, whose `ips` are given to the plugin", slot.at);
        return Err(invalid(&entry.at, what, "ask for addresses in one place"));
    }
    let attachment = if slot.ips.is_empty() { args } else { &slot.ips };
    match (entry, own.is_empty(), attachment.is_empty()) {
        (Some(entry), false, _) => asked(owned, &entry.at, own),
        (_, _, false) if owned.share == Share::Whole => Ok(Asked::Each(addresses(attachment))),
        (_, _, false) => Ok(Asked::OneOf(addresses(attachment))),
        _ if network.is_empty() => Ok(Asked::Nothing),
        _ => Ok(Asked::OneOf(addresses(network))),
    }
}

fn mac_of(
    owned: &Owned,
    slot: &Slot,
    entry: Option<&Entry>,
    args: Option<allotment_core::Mac>,
) -> Result<Option<MacWant>, Refusal> {
    let own = match entry {
        Some(entry) => mac(owned, &entry.at, &entry.macs)?.map(|want| (entry, want)),
        None => None,
    };
    match (own, slot.mac) {
        (Some((entry, want)), Some(other)) if want != MacWant::Asked(other) => {
            let what = format!(
                "it asks for another MAC than {}, whose `mac` {other} is given to the plugin",
                slot.at
            );
            Err(invalid(&entry.at, what, "ask for the MAC in one place"))
        }
        (Some((_, want)), _) => Ok(Some(want)),
        (None, mac) => Ok(mac.or(args).map(MacWant::Asked)),
    }
}

pub(super) fn to_family(family: FamilyWish) -> FamilyWant {
    let core = |family| match family {
        cni::Family::V4 => Family::V4,
        cni::Family::V6 => Family::V6,
    };
    match family {
        FamilyWish::All => FamilyWant::All,
        FamilyWish::Require(family) => FamilyWant::Require(core(family)),
        FamilyWish::Prefer(family) => FamilyWant::Prefer(core(family)),
    }
}
