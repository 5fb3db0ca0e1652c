//! Makes rows of what core knows.

use allotment_core::{Allocation, AllocationState, Attachment, Choice, Owner, Pick, Rule, Timestamp};
use allotment_wire::{AttachmentRow, IpRow, OwnerRow};

use super::atlas::{Atlas, Region};

/// One address, as it is at `now`.
pub(crate) fn ip_row(allocation: &Allocation, atlas: &Atlas, now: Timestamp) -> IpRow {
    let region = atlas.locate(&allocation.vrf, allocation.address);
    let holder = allocation.attachments.first();
    IpRow {
        address: allocation.address.to_string(),
        subnet: region.map(|region| region.subnet.name.clone()),
        pool: region.and_then(|region| region.pool(allocation.address)).map(|pool| pool.name.clone()),
        vrf: allocation.vrf.clone(),
        state: state(allocation, region, now).to_owned(),
        mac: allocation.mac.map(|mac| mac.to_string()),
        owner: Some(owner_row(&allocation.owner)),
        attachment: holder.map(attachment_row),
        node: holder.and_then(|holder| known(&holder.node)),
        since: Some(time(allocation.since)),
        rule: Some(rule(allocation.rule)),
    }
}

/// `reserved`, `active`, `cooling`, or `free` once the cooling time is over.
pub(crate) fn state(allocation: &Allocation, region: Option<&Region>, now: Timestamp) -> &'static str {
    match allocation.state {
        AllocationState::Reserved => "reserved",
        AllocationState::Active => "active",
        AllocationState::Cooling if cooling_left(allocation, region, now).is_some() => "cooling",
        AllocationState::Cooling => "free",
    }
}

/// Milliseconds until a released address is free again; nothing once it is. Outside every subnet nothing says how long,
/// and nobody can ask for it either.
pub(crate) fn cooling_left(allocation: &Allocation, region: Option<&Region>, now: Timestamp) -> Option<u64> {
    let free_at = allocation.since.plus(region?.subnet.cooling_ms);
    Some(free_at.since(now)).filter(|&left| left > 0)
}

pub(crate) fn owner_row(owner: &Owner) -> OwnerRow {
    OwnerRow {
        kind: owner.kind.clone(),
        namespace: known(&owner.namespace),
        name: owner.name.clone(),
        uid: known(&owner.uid),
    }
}

/// Core writes nothing where nothing is known; a row is null there (O7).
fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn attachment_row(attachment: &Attachment) -> AttachmentRow {
    AttachmentRow {
        container_id: known(&attachment.container_id),
        interface: attachment.interface.clone(),
        network: attachment.network.clone(),
    }
}

/// Where an attachment is, for a sentence; a cluster's default network has no name.
pub(crate) fn on(interface: &str, network: &str) -> String {
    match network {
        "" => format!(" on {interface} of the default network"),
        network => format!(" on {interface} of network `{network}`"),
    }
}

/// RFC 3339 in UTC.
pub(crate) fn time(at: Timestamp) -> String {
    let parsed = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    parsed.map_or_else(|| format!("{} ms after 1970-01-01T00:00:00Z", at.0), |at| format!("{at:.3}"))
}

/// Both halves of a rule by their names, such as `network/fresh`.
fn rule(rule: Rule) -> String {
    let name = |value: Result<serde_json::Value, _>| -> String {
        match value {
            Ok(serde_json::Value::String(name)) => name,
            _ => unreachable!("unit variants are written as their names"),
        }
    };
    format!("{}/{}", name(serde_json::to_value(rule.choice)), name(serde_json::to_value(rule.pick)))
}

/// How the subnet was chosen, or a pool of it, as a clause about the subnet.
pub(crate) fn choice(choice: Choice) -> &'static str {
    match choice {
        Choice::Address => "the address asked for lies in it",
        Choice::Request => "the request named it or a pool of it",
        Choice::Namespace => "the namespace named it or a pool of it",
        Choice::Network => "the network named it or a pool of it",
        Choice::Selector => "its selectors or those of a pool of it matched",
        Choice::Default => "it was the default",
    }
}

/// How the address was picked, as a clause.
pub(crate) fn pick(pick: Pick) -> &'static str {
    match pick {
        Pick::Asked => "it was asked for by name",
        Pick::Listed => "it was the first of the list that could be had",
        Pick::Reservation => "it is reserved for this owner",
        Pick::Returned => "this owner had it before",
        Pick::Fresh => "it was the lowest never used before",
        Pick::Oldest => "it was among those free for longest",
        Pick::Lowest => "it was the lowest free",
        Pick::Hashed => "it comes from a hash of the attachment",
        Pick::Next => "it was the next free after the last handed out",
    }
}

#[cfg(test)]
mod tests {
    use allotment_core::{Object, SubnetSpec};

    use super::*;

    fn allocation(state: AllocationState) -> Allocation {
        Allocation {
            vrf: "default".to_owned(),
            address: "10.0.0.9".parse().unwrap(),
            state,
            owner: Owner { kind: "Container".to_owned(), name: "web".to_owned(), ..Owner::default() },
            attachments: Vec::new(),
            mac: None,
            rule: Rule { choice: Choice::Network, pick: Pick::Fresh },
            since: Timestamp(1_700_000_000_000),
            outlives_owner: false,
        }
    }

    fn atlas() -> Atlas {
        [Object::Subnet(SubnetSpec::new("lan", vec!["10.0.0.0/24".parse().unwrap()]))].into_iter().collect()
    }

    #[test]
    fn unknown_is_null_and_never_absent() {
        let row = ip_row(&allocation(AllocationState::Active), &Atlas::default(), Timestamp(0));
        let json = serde_json::to_value(&row).unwrap();
        for key in ["address", "subnet", "vrf", "state", "mac", "owner", "attachment", "node", "since"] {
            assert!(json.get(key).is_some(), "{key}");
        }
        for key in ["subnet", "mac", "attachment", "node"] {
            assert!(json[key].is_null(), "{key}");
        }
        assert_eq!(json["since"], "2023-11-14T22:13:20.000Z");
        assert_eq!(json["rule"], "network/fresh");
        for key in ["namespace", "uid"] {
            assert_eq!(json["owner"].get(key), Some(&serde_json::Value::Null), "{key}");
        }
    }

    #[test]
    fn a_cooled_address_is_free() {
        let (atlas, cooling) = (atlas(), allocation(AllocationState::Cooling));
        let at = |ms: u64| ip_row(&cooling, &atlas, cooling.since.plus(ms)).state;
        assert_eq!(at(0), "cooling");
        assert_eq!(at(29_999), "cooling");
        assert_eq!(at(30_000), "free");
    }
}
