//! What one interface wants: where from, which addresses, which MAC, each from the first place that says something.

use allotment_core::{Asked, Attachment, Choice, Family, FamilyWant, Mac, MacWant, Refusal, Target, Want};
use allotment_wire::cni::{self, AskedIp, FamilyWish, Field, Network, Wish};

use super::entry::Entry;
use super::fixed::{addresses, asked, mac};
use super::owner::{Owned, Share};
use super::selection::Slot;
use super::view::{invalid, words};
use super::{PodView, World};

/// `entry` is what the pod's annotations say about the interface, `network` the configuration of its network.
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
        prefixes: prefixes([own, &args, network], slot),
        family: family.map_or(FamilyWant::All, to_family),
        mac: mac_of(owned, slot, entry, args_mac)?,
        join: owned.join,
        outlives_owner: entry.is_some_and(|entry| entry.keep.outlives(&owned.owner)),
    })
}

/// What the network's `args.cni` and the attachment's `cni-args` ask for.
fn args(slot: &Slot, network: &Network) -> Result<(Wish, Option<Mac>), Refusal> {
    let args = network.args_with(slot.args.as_ref());
    let field = Field::named("cni-args", &args);
    let read = || Ok((Wish::read(&field)?, field.one("mac", Field::parse)?));
    read().map_err(|error: cni::Error| invalid(&slot.at, error.msg, "correct what `cni-args` asks for"))
}

/// Subnets and pools: the pod's, else the attachment's, else the namespace's and the network's. On the cluster's default
/// network the namespace chooses. Any other network was made for the subnets that its definition names, and the namespace
/// chooses where it names none.
fn targets(
    slot: &Slot,
    wishes: [&Wish; 3],
    world: World<'_>,
) -> Result<(Vec<Target>, Option<Choice>), Refusal> {
    let [own, args, network] = wishes.map(|wish| {
        let subnets = wish.subnets.iter().cloned().map(Target::Subnet);
        subnets.chain(wish.pools.iter().cloned().map(Target::Pool)).collect::<Vec<_>>()
    });
    let has_chosen = !own.is_empty() || !args.is_empty() || !slot.network.is_empty() && !network.is_empty();
    let namespace = match &world.namespace.subnets {
        Some(text) if !has_chosen => {
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

/// The prefix lengths that are given with any of the addresses; those of addresses that others replace are never looked at.
fn prefixes(wishes: [&Wish; 3], slot: &Slot) -> Vec<(std::net::IpAddr, u8)> {
    let all = wishes.into_iter().flat_map(|wish| &wish.ips).chain(&slot.ips);
    all.filter_map(|ip| Some((ip.address, ip.prefix?))).collect()
}

fn mac_of(
    owned: &Owned,
    slot: &Slot,
    entry: Option<&Entry>,
    args: Option<Mac>,
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
