//! What is wrong in one look.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use allotment_core::{Allocation, AllocationState, Family, Netns, Owner, Pick};
use allotment_wire::Finding;

use super::Seen;
use super::code::{self, FindingCode};
use super::live::{LiveAddress, same_netns};
use crate::serve::atlas::Ground;
use crate::serve::rows;

/// The clock may run this far behind the ledger before it is called wrong.
const CLOCK_SLACK_MS: u64 = 1000;

/// A finding, and what it is about, whatever its words.
pub(crate) struct Found {
    pub(crate) finding: Finding,
    netns: Option<Netns>,
}

impl Found {
    pub(crate) fn new(finding: Finding) -> Found {
        Found { finding, netns: None }
    }

    /// What makes it the same in a second look.
    pub(crate) fn about(&self) -> (&str, Option<&str>, Option<&str>, Option<&Netns>) {
        let Finding { code, address, vrf, .. } = &self.finding;
        (code, address.as_deref(), vrf.as_deref(), self.netns.as_ref())
    }
}

pub(crate) fn examine(seen: &Seen) -> Vec<Found> {
    let mut found = Vec::new();
    for allocation in &seen.allocations {
        found.extend(outside_subnet(seen, allocation));
        found.extend(no_namespace(seen, allocation));
        found.extend(overdue_cooling(seen, allocation));
    }
    doubled_records(seen, &mut found);
    let by_address = by_address(&seen.allocations);
    for live in &seen.live.addresses {
        found.extend(unexpected(seen, &by_address, live));
    }
    found
}

fn by_address(allocations: &[Allocation]) -> HashMap<IpAddr, Vec<&Allocation>> {
    let mut map: HashMap<_, Vec<_>> = HashMap::new();
    for allocation in allocations {
        map.entry(allocation.address).or_default().push(allocation);
    }
    map
}

/// A finding about one allocation.
pub(crate) fn about(allocation: &Allocation, code: &FindingCode, text: String, hint: &str) -> Found {
    let finding = Finding {
        severity: code.severity,
        code: code.name.to_owned(),
        address: Some(allocation.address.to_string()),
        vrf: Some(allocation.vrf.clone()),
        owner: Some(rows::owner_row(&allocation.owner)),
        text,
        hint: hint.to_owned(),
    };
    Found::new(finding)
}

fn outside_subnet(seen: &Seen, allocation: &Allocation) -> Option<Found> {
    let Allocation { vrf, address, owner, .. } = allocation;
    if !allocation.state.is_held() || seen.atlas.locate(vrf, *address).is_some() {
        return None;
    }
    let text = format!("{owner} holds it, but no subnet of VRF `{vrf}` has it");
    let hint = "declare a subnet around it, or end its holder";
    Some(about(allocation, &code::OUTSIDE_SUBNET, text, hint))
}

fn no_namespace(seen: &Seen, allocation: &Allocation) -> Option<Found> {
    if allocation.state != AllocationState::Active {
        return None;
    }
    // With two holders, as in a live migration, one of them may be elsewhere.
    let mut evidence =
        allocation.attachments.iter().filter_map(|attachment| attachment.netns.as_ref()).peekable();
    let path = evidence.peek()?.path.clone();
    if !evidence.all(|netns| seen.live.gone.contains(netns)) {
        return None;
    }
    let text = format!("{} has it, but its network namespace {path} is gone", allocation.owner);
    let hint = "the sweep releases it after two looks, 30 s apart; if it stays, see the daemon's log";
    Some(about(allocation, &code::NO_NAMESPACE, text, hint))
}

fn overdue_cooling(seen: &Seen, allocation: &Allocation) -> Option<Found> {
    let ahead = allocation.since.since(seen.clock);
    if allocation.state != AllocationState::Cooling || ahead <= CLOCK_SLACK_MS {
        return None;
    }
    let text = format!(
        "it was released at {}, {} s after what this machine's clock says now: it cools until the clock is there",
        rows::time(allocation.since),
        ahead / 1000
    );
    Some(about(allocation, &code::OVERDUE_COOLING, text, "set the machine's clock right"))
}

/// One interface with two addresses of a family in one subnet, one MAC on two interfaces, one address in two records.
fn doubled_records(seen: &Seen, found: &mut Vec<Found>) {
    type Interface<'a> = (&'a str, &'a str, &'a str);
    let mut records = HashMap::new();
    let mut addresses: HashMap<(Interface<'_>, &str, Family), &Allocation> = HashMap::new();
    let mut macs = BTreeMap::new();
    for allocation in seen.allocations.iter().filter(|allocation| allocation.state.is_held()) {
        let Allocation { vrf, address, owner, .. } = allocation;
        if let Some(other) = records.insert((vrf, address), owner) {
            let text = format!("{owner} and {other} both have a record of it");
            found.push(about(allocation, &code::DOUBLED, text, "report this: the ledger must not allow it"));
        }
        let subnet = seen.atlas.locate(vrf, *address).map_or("", |region| region.subnet.name.as_str());
        for held in &allocation.attachments {
            let interface = (held.holder.as_str(), held.network.as_str(), held.interface.as_str());
            if let Some(mac) = allocation.mac
                && let Some((other, on)) = macs.insert((vrf, mac), (owner, interface))
                && on != interface
                && other.key() != owner.key()
            {
                let text = format!("{owner} and {other} have the same MAC {mac}");
                found.push(about(allocation, &code::DOUBLED, text, "end one of the two and start it again"));
            }
            // A static configuration of one machine may ask for several by name (invariant 3).
            if allocation.rule.pick != Pick::Asked
                && let Some(other) = addresses.insert((interface, subnet, Family::of(*address)), allocation)
            {
                let text = format!(
                    "{} of {owner} has it and {}, two of one family in subnet `{subnet}`",
                    held.interface, other.address
                );
                found.push(about(allocation, &code::DOUBLED, text, "end its holder and start it again"));
            }
        }
    }
}

/// A live address of one of our subnets that the ledger does not have there.
fn unexpected(seen: &Seen, records: &HashMap<IpAddr, Vec<&Allocation>>, live: &LiveAddress) -> Option<Found> {
    let LiveAddress { address, interface, netns } = live;
    // Gateways, and what was kept out of our hands, are other people's business.
    let vrf = seen.atlas.vrfs().find(|vrf| {
        seen.atlas.locate(vrf, *address).is_some_and(|region| region.ground(*address) == Ground::Free)
    });
    let records = records.get(address).map_or(&[][..], Vec::as_slice);
    let active = || records.iter().filter(|record| record.state == AllocationState::Active);
    let is_here = |record: &&&Allocation| {
        record
            .attachments
            .iter()
            .any(|held| held.netns.as_ref().is_none_or(|recorded| same_netns(recorded, netns)))
    };
    if active().any(|record| is_here(&record)) {
        return None;
    }
    if let Some(record) = active().next() {
        let text = format!("it is on {interface} in {}, but {} has it elsewhere", netns.path, record.owner);
        let hint = "find out who gave it that address, and take it away from one of the two";
        let found = about(record, &code::DOUBLED, text, hint);
        return Some(Found { netns: Some(netns.clone()), ..found });
    }
    let vrf = vrf?;
    let last = records.iter().find(|record| record.vrf == vrf).map(|record| &record.owner);
    let had = last.map_or_else(String::new, |owner: &Owner| format!("; {owner} had it last"));
    let finding = Finding {
        severity: code::UNRECORDED.severity,
        code: code::UNRECORDED.name.to_owned(),
        address: Some(address.to_string()),
        vrf: Some(vrf.to_owned()),
        owner: last.map(rows::owner_row),
        text: format!("it is on {interface} in {}, but the ledger gives it to nobody{had}", netns.path),
        hint: "end what uses it, or exclude it from the subnet".to_owned(),
    };
    Some(Found { finding, netns: Some(netns.clone()) })
}

#[cfg(test)]
mod tests;
