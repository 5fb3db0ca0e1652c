//! The words of refusals: what was asked, what stood in the way with counts, what to do next.

use std::fmt::Display;
use std::net::IpAddr;

use super::plan::Planner;
use super::record::NONE;
use super::targets::Drawn;
use super::{Place, State};
use crate::{
    Attachment, Code, Count, Family, Mac, PoolSpec, Refusal, Request, ReservationSpec, SubnetSpec, Timestamp,
    Want,
};

const COOLING: &str = "cooling";

/// Of a list, so many are named; the count says how many there are.
const LISTED_SHOWN: usize = 4;

/// The first few of them, and whether there are more.
fn some<T: Display>(all: impl IntoIterator<Item = T>) -> String {
    let mut all = all.into_iter();
    let mut shown: Vec<String> = all.by_ref().take(LISTED_SHOWN).map(|one| one.to_string()).collect();
    if all.next().is_some() {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

/// One refusal for several targets: the first that waiting could mend, else the first.
pub(super) fn all(refusals: Vec<Refusal>) -> Refusal {
    let best = refusals.iter().position(|refusal| refusal.code == Code::Full).unwrap_or(0);
    let mut refusals = refusals;
    let again = refusals.iter().filter_map(|refusal| refusal.again_ms).min();
    if refusals.is_empty() {
        return Refusal::new(
            Code::Invalid,
            "the request names nothing to draw from",
            "name a subnet or a pool",
        );
    }
    let first = refusals.remove(best);
    if refusals.is_empty() {
        return first;
    }
    let others: Vec<String> = refusals.iter().take(LISTED_SHOWN).map(Refusal::to_string).collect();
    let more = match refusals.len() - others.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let text = format!("{first}; also: {}{more}", others.join("; "));
    if first.code != Code::Full {
        return Refusal::new(first.code, text, first.hint).again(again);
    }
    refusals.insert(0, first);
    in_all(&text, &refusals).again(again)
}

/// Several that are full: their numbers together, and the hint of the first that waiting could mend.
fn in_all(text: &str, refusals: &[Refusal]) -> Refusal {
    let full = || refusals.iter().filter(|refusal| refusal.code == Code::Full);
    let number = |count: &Count| count.value.parse::<u128>().unwrap_or(0);
    let cools =
        |refusal: &&Refusal| refusal.counts.iter().any(|count| count.what == COOLING && number(count) > 0);
    let hint = full().find(cools).or(full().next()).map_or("", |refusal| &refusal.hint);
    let mut sums: Vec<(&str, u128)> = Vec::new();
    for count in full().flat_map(|refusal| &refusal.counts) {
        match sums.iter_mut().find(|(what, _)| *what == count.what) {
            Some((_, sum)) => *sum = sum.saturating_add(number(count)),
            None => sums.push((&count.what, number(count))),
        }
    }
    let refusal = Refusal::new(Code::Full, format!("{text}; in all"), hint);
    sums.into_iter().fold(refusal, |refusal, (what, sum)| refusal.count(what, sum))
}

/// Nothing of a target is left; `regions` is what was drawn from.
pub(super) fn full(planner: &Planner<'_>, target: &Drawn, family: Family, regions: &[u32]) -> Refusal {
    let Planner { state, request, now, .. } = *planner;
    let mut total = 0_u128;
    let (mut held, mut cooling, mut own) = (0, 0, 0_u64);
    for &number in regions {
        let region = state.layout.region(number);
        total = total.saturating_add(region.total);
        held += region.tally.held;
        cooling += state.layout.cooling(&state.store, number, now);
        let inside = |place: &Place| {
            place.vrf == region.vrf
                && region.ranges.iter().any(|&(first, last)| (first..=last).contains(&{ place.key }))
        };
        // What the request itself takes.
        for &place in planner.taken.iter().filter(|place| inside(place)) {
            let record = state.store.record_at(place);
            let record = record.map(|index| state.store.records.get(index));
            own += u64::from(record.is_none_or(|record| !record.state.is_held()));
            cooling -= u64::from(record.is_some_and(|record| region.is_cooling(record, now)));
        }
    }
    let first =
        regions.iter().filter_map(|&number| state.layout.next_free_in(&state.store, number, now)).min();
    let again = first.filter(|_| cooling > 0);
    let hint = match again {
        Some(ms) => {
            format!("the first of them is free again in {} s; or add a subnet or pool behind it", seconds(ms))
        }
        None => "add a subnet or pool behind it, make it larger, or release what is not needed".to_owned(),
    };
    let text = format!("{} no free {family} address for {}", describe(state, target, regions), request.owner);
    let refusal = Refusal::new(Code::Full, text, hint).count("in it", total).count("held", held);
    let refusal = refusal.count(COOLING, cooling).again(again);
    if own > 0 { refusal.count("for its other interfaces", own) } else { refusal }
}

/// What was drawn from, as the subject of a sentence, with its verb.
fn describe(state: &State, target: &Drawn, regions: &[u32]) -> String {
    let name = |pool: u32| format!("`{}`", state.objects.pools.get(pool).spec.name);
    let subnet = &state.objects.subnets.get(target.subnet).spec.name;
    let pools: Vec<u32> = regions.iter().map(|&number| state.layout.region(number).pool).collect();
    match pools[..] {
        [pool] if pool != NONE && pool == target.pool => format!("pool {} has", name(pool)),
        [pool] if pool != NONE => {
            format!("pool {} of subnet `{subnet}`, whose selectors match, has", name(pool))
        }
        [_, _, ..] => {
            let names = some(pools.into_iter().map(name));
            format!("pools {names} of subnet `{subnet}`, whose selectors match, have")
        }
        _ => format!("subnet `{subnet}` has"),
    }
}

fn seconds(ms: u64) -> u64 {
    ms.div_ceil(1000)
}

pub(super) fn unknown(state: &State, request: &Request, kind: &str, name: &str) -> Refusal {
    let (count, names): (usize, Vec<&str>) = if kind == "subnet" {
        let all = || state.objects.subnets.all().map(|(_, subnet)| subnet.spec.name.as_str());
        (all().count(), all().take(10).collect())
    } else {
        let all = || state.objects.pools.all().map(|(_, pool)| pool.spec.name.as_str());
        (all().count(), all().take(10).collect())
    };
    let text = format!("{} asks for {kind} `{name}`, which does not exist", request.owner);
    let hint = if names.is_empty() {
        format!("no {kind} exists yet: make it first")
    } else {
        format!("make it, or name one of: {}", names.join(", "))
    };
    Refusal::new(Code::Unknown, text, hint).count(&format!("{kind}s exist"), count)
}

pub(super) fn not_bound(request: &Request, spec: &SubnetSpec) -> Refusal {
    let Request { owner, namespace, .. } = request;
    let (text, hint) = if namespace.is_empty() {
        let text = format!("subnet `{}` is bound to namespaces, and {owner} is in none", spec.name);
        (text, "use another subnet, or take the subnet's `namespaces` and `namespaceSelector` away")
    } else {
        let text = format!("subnet `{}` is not for namespace `{namespace}` of {owner}", spec.name);
        (text, "add the namespace to the subnet's `namespaces`, or use another subnet")
    };
    Refusal::new(Code::NotAllowed, text, hint).count("namespaces bound by name", spec.namespaces.len())
}

pub(super) fn draining(request: &Request, spec: &SubnetSpec) -> Refusal {
    let text = format!(
        "subnet `{}` is being deleted, and gives nothing to {}, which holds nothing of it",
        spec.name, request.owner
    );
    Refusal::new(Code::NotAllowed, text, "use another subnet, or make it anew under another name")
}

pub(super) fn not_selected(request: &Request, spec: &PoolSpec) -> Refusal {
    let text = format!("the selectors of pool `{}` do not match {}", spec.name, request.owner);
    Refusal::new(Code::NotAllowed, text, "change the labels or the selectors, or use another pool")
}

pub(super) fn no_family(request: &Request, spec: &SubnetSpec, families: &[Family]) -> Refusal {
    let families: Vec<String> = families.iter().map(Family::to_string).collect();
    let text = format!(
        "{} asks for {}, which subnet `{}` does not have",
        request.owner,
        families.join(" or "),
        spec.name
    );
    Refusal::new(Code::Invalid, text, "ask for a family that the subnet has, or give it a second CIDR")
}

pub(super) fn outside(state: &State, request: &Request, targets: &[Drawn], ip: IpAddr) -> Refusal {
    let cidrs = (targets.iter())
        .map(|target| &state.objects.subnets.get(target.subnet).spec)
        .flat_map(|spec| spec.cidrs.iter().map(move |cidr| format!("{cidr} (`{}`)", spec.name)));
    let text =
        format!("{} asks for {ip}, which lies in none of the subnets that it may draw from", request.owner);
    let hint = format!("ask for an address of {}, or name its subnet", some(cidrs));
    Refusal::new(Code::NotAllowed, text, hint).count("subnets looked at", targets.len())
}

/// An address asked for, and nothing else that says where to draw from.
pub(super) fn nowhere(state: &State, request: &Request, vrf: &str, ip: IpAddr) -> Refusal {
    let text = format!("{} asks for {ip}, which lies in no subnet of VRF `{vrf}`", request.owner);
    Refusal::new(Code::Unknown, text, "ask for an address of a subnet, or make a subnet that has it")
        .count("subnets", state.objects.subnets.all().count())
}

pub(super) fn other_family(request: &Request, ip: IpAddr, family: Family) -> Refusal {
    let text = format!("{} asks for {ip} and requires {family}", request.owner);
    Refusal::new(Code::Invalid, text, "ask for an address of that family, or leave the family out")
}

pub(super) fn list_outside(request: &Request, spec: &SubnetSpec, ips: &[IpAddr]) -> Refusal {
    let text = format!(
        "none of the addresses listed for {} ({}) lies in subnet `{}`",
        request.owner,
        some(ips),
        spec.name
    );
    Refusal::new(Code::NotAllowed, text, "list addresses of the subnet, or name theirs")
        .count("listed", ips.len())
}

pub(super) fn list(request: &Request, refusals: Vec<Refusal>) -> Refusal {
    let count = refusals.len();
    let first = all(refusals);
    let text = format!("{} can have none of the addresses listed for it: {}", request.owner, first.text);
    Refusal { code: first.code, text, ..first }.count("tried", count)
}

pub(super) fn not_within(request: &Request, spec: &SubnetSpec, ip: IpAddr) -> Refusal {
    let text = format!("{} asks for {ip}, which the ranges of `{}` leave out", request.owner, spec.name);
    Refusal::new(Code::NotAllowed, text, format!("ask for an address of {}", some(&spec.within)))
}

pub(super) fn nobodys(request: &Request, spec: &SubnetSpec, ip: IpAddr, what: &str) -> Refusal {
    let text = format!("{} asks for {ip}, which is {what} of subnet `{}`", request.owner, spec.name);
    Refusal::new(Code::NotAllowed, text, "ask for another address")
}

pub(super) fn reserved(request: &Request, reservation: &ReservationSpec, ip: IpAddr) -> Refusal {
    let whom = match &reservation.owner {
        Some(owner) => format!("for {owner}"),
        None => format!("for nobody ({})", reservation.reason_line()),
    };
    let text = format!(
        "{} asks for {ip}, which reservation `{}` sets aside {whom}",
        request.owner, reservation.name
    );
    Refusal::new(Code::NotAllowed, text, "ask for another address, or change the reservation")
}

pub(super) fn boundary(state: &State, request: &Request, named: u32, pool: u32, ip: IpAddr) -> Refusal {
    let name = |pool: u32| &state.objects.pools.get(pool).spec.name;
    let text = match (named, pool) {
        (named, NONE) => format!("{} asks for {ip}, which is not in pool `{}`", request.owner, name(named)),
        (_, pool) => format!("{} asks for {ip}, which belongs to pool `{}`", request.owner, name(pool)),
    };
    Refusal::new(Code::NotAllowed, text, "name the pool that has the address, or ask for another address")
}

pub(super) fn taken(state: &State, request: &Request, place: Place, index: u32) -> Refusal {
    let owner = state.store.owner(index);
    let node = state.store.node(index);
    let node = if node.is_empty() { String::new() } else { format!(" on node `{node}`") };
    let text = format!("{} asks for {}, which {owner}{node} holds", request.owner, place.address());
    Refusal::new(Code::Taken, text, "ask for another address, or end its holder first")
}

pub(super) fn shared_mac(request: &Request, place: Place, asked: &[Mac], has: Option<Mac>) -> Refusal {
    let has = has.map_or("no MAC".to_owned(), |mac| format!("MAC {mac}"));
    let asked = match asked {
        [mac] => format!("MAC {mac}"),
        list => format!("one of {} MACs", list.len()),
    };
    let text = format!(
        "{} asks for {asked} at {}, which it shares with a holder that has {has} there",
        request.owner,
        place.address()
    );
    Refusal::new(Code::Invalid, text, "ask for the MAC that the address has, or for none")
}

pub(super) fn held_by_own(state: &State, request: &Request, place: Place, index: u32) -> Refusal {
    let allocation = state.store.allocation(index);
    let holder = allocation.attachments.first().map_or("nobody", |attachment| attachment.holder.as_str());
    let text = format!("{} has {}, which its holder `{holder}` still uses", request.owner, place.address());
    Refusal::new(Code::Taken, text, "it passes on as soon as it is proven that the present holder has ended")
}

pub(super) fn cooling(state: &State, request: &Request, place: Place, index: u32, now: Timestamp) -> Refusal {
    let since = state.store.records.get(index).since;
    let subnet = state.objects.subnet_ranges.find(place.vrf, place.key);
    let cooling_ms = subnet.map_or(0, |subnet| state.objects.subnets.get(subnet).spec.cooling_ms);
    let left_ms = cooling_ms.saturating_sub(now.since(since));
    let left = seconds(left_ms);
    let owner = state.store.owner(index);
    let text = format!("{} asks for {}, which still cools after {owner}", request.owner, place.address());
    Refusal::new(Code::Taken, text, format!("ask again in {left} s, or for another address"))
        .count("seconds left", left)
        .again(Some(left_ms))
}

/// Of an address in a closed block.
pub(super) const UNREAD: &str = "the block of the ledger that it lies in cannot be read";
pub(super) const UNREAD_HINT: &str =
    "the log of whoever loaded the ledger says why; run the version that wrote the block, or restore it";

pub(super) fn closed(request: &Request, place: Place) -> Refusal {
    let text = format!("{} asks for {}: {UNREAD}", request.owner, place.address());
    Refusal::new(Code::Withheld, text, UNREAD_HINT)
}

pub(super) fn recovering(request: &Request, epoch: u64) -> Refusal {
    let text = format!(
        "{} asks for an address while the ledger recovers: it was set back, and not every node has said since which \
         addresses it uses",
        request.owner
    );
    let hint = "it ends by itself once all nodes have; `allot node forget` is for one that is gone for good";
    Refusal::new(Code::Withheld, text, hint).count("is the epoch", epoch)
}

pub(super) fn interface_twice(request: &Request, want: &Want) -> Refusal {
    let Attachment { interface, network, .. } = &want.attachment;
    let text = format!("{} asks twice for interface `{interface}` on network `{network}`", request.owner);
    let hint = "ask once for each interface; one that draws from several subnets names another one in each of its wants";
    Refusal::new(Code::Invalid, text, hint)
}

pub(super) fn other_prefix(
    request: &Request,
    spec: &SubnetSpec,
    cidr: &crate::Cidr,
    ip: IpAddr,
    asked: u8,
) -> Refusal {
    let text = format!(
        "{} asks for {ip} with prefix length {asked}, and subnet `{}` is {cidr}",
        request.owner, spec.name
    );
    Refusal::new(Code::Invalid, text, format!("ask for {ip}, with or without /{}", cidr.prefix()))
}

pub(super) fn twice_in_request(request: &Request, ip: IpAddr) -> Refusal {
    let text = format!("{} asks for {ip} on two interfaces", request.owner);
    Refusal::new(Code::Invalid, text, "ask for each address once")
}

pub(super) fn two_of_a_family(request: &Request, ip: IpAddr, other: IpAddr) -> Refusal {
    let text = format!(
        "{} asks for both {other} and {ip} on one interface, which are of one subnet and family",
        request.owner
    );
    Refusal::new(
        Code::Invalid,
        text,
        "an interface has one address per family of a subnet; ask for one of them",
    )
}

/// The interface has something already, and the request names something else.
pub(super) fn differs(request: &Request, want: &Want, asked: &str, has: &str) -> Refusal {
    let interface = &want.attachment.interface;
    let text =
        format!("{} asks for {asked}, but its interface `{interface}` has {has} already", request.owner);
    Refusal::new(Code::Invalid, text, "release the interface first (DEL), or ask for what it has")
}

pub(super) fn mac_taken(state: &State, request: &Request, mac: Mac, index: u32) -> Refusal {
    let owner = state.store.owner(index);
    let place = state.store.place_of(index);
    let vrf = state.store.vrfs.get(place.vrf);
    let text =
        format!("{} asks for MAC {mac}, which {owner} has ({}, VRF `{vrf}`)", request.owner, place.address());
    Refusal::new(Code::Taken, text, "use another MAC, or end its holder first")
}

pub(super) fn mac_list(request: &Request, refusals: Vec<Refusal>) -> Refusal {
    let count = refusals.len();
    let first = all(refusals);
    let text = format!("{} can have none of the MACs listed for it: {}", request.owner, first.text);
    Refusal { code: first.code, text, ..first }.count("tried", count)
}

pub(super) fn mac_twice(request: &Request, mac: Mac) -> Refusal {
    let text = format!("{} asks for MAC {mac} on two interfaces", request.owner);
    Refusal::new(Code::Invalid, text, "give each interface a MAC of its own")
}
