//! Attachments that have more than they were given (L4).
//!
//! A write on a condition guards an address against two owners, not an owner against two addresses: two processes that both
//! believe to lead can each give one to the same pod, in two blocks. Only one of both is ever shown on the pod.

use std::collections::BTreeMap;
use std::net::IpAddr;

use allotment_core::{Allocation, AllocationState, Attachment, Family, Release, ReleaseMode, Timestamp};
use allotment_engine::{EngineError, Handle, Pages};

/// What a pod shows for one of its attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Showing {
    These(Vec<IpAddr>),
    /// It waits for its grant: nobody has seen anything.
    Nothing,
    /// What a node was answered (K1) is shown by no pod.
    Unknown,
}

/// The same among allocations that are at hand; each with its subnet.
pub(crate) fn doubled_among(
    known: &[(Allocation, String)],
    shown: impl Fn(&Attachment) -> Showing,
) -> Vec<Release> {
    let mut doubles = Doubles::default();
    for (known, subnet) in known {
        doubles.look(known, subnet, &shown);
    }
    doubles.releases()
}

/// Finds the addresses that are held by an attachment and are none of its own, and says how to release them.
///
/// `shown` must have been read after the ledger was. Of what is shown everything stays, and of what is not shown, nothing.
/// Where an attachment waits for its grant, its lowest address of a subnet and family stays.
pub async fn doubled(
    engine: &Handle,
    shown: impl Fn(&Attachment) -> Showing,
) -> Result<Vec<Release>, EngineError> {
    let mut pages = Pages::new(
        engine,
        |_, _| true,
        |state, place| {
            let known = state.at(place).filter(|known| known.state == AllocationState::Active)?;
            let subnet = state.locate(&known.vrf, known.address).map(|located| located.subnet);
            Some((known, subnet.unwrap_or_default()))
        },
    );
    let mut doubles = Doubles::default();
    while let Some(page) = pages.next().await? {
        for (known, subnet) in page.items {
            doubles.look(&known, &subnet, &shown);
        }
    }
    Ok(doubles.releases())
}

/// What was found so far.
#[derive(Default)]
struct Doubles {
    losers: Vec<Release>,
    /// The lowest address of each attachment that is not shown.
    lowest: BTreeMap<Alone, Held>,
}

/// What has one address at most.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alone {
    holder: String,
    network: String,
    interface: String,
    vrf: String,
    subnet: String,
    family: Family,
}

struct Held {
    address: IpAddr,
    since: Timestamp,
}

impl Doubles {
    fn look(&mut self, known: &Allocation, subnet: &str, shown: &impl Fn(&Attachment) -> Showing) {
        for attachment in &known.attachments {
            let held = Held { address: known.address, since: known.since };
            match shown(attachment) {
                Showing::These(shown) if shown.contains(&known.address) => {}
                Showing::These(_) => self.losers.push(release(&known.vrf, &attachment.holder, &held)),
                Showing::Nothing => self.compare(known, attachment, subnet, held),
                Showing::Unknown => {}
            }
        }
    }

    fn compare(&mut self, known: &Allocation, attachment: &Attachment, subnet: &str, held: Held) {
        let alone = Alone {
            holder: attachment.holder.clone(),
            network: attachment.network.clone(),
            interface: attachment.interface.clone(),
            vrf: known.vrf.clone(),
            subnet: subnet.to_owned(),
            family: Family::of(known.address),
        };
        let Some(lowest) = self.lowest.get_mut(&alone) else {
            self.lowest.insert(alone, held);
            return;
        };
        let loser = if held.address < lowest.address { std::mem::replace(lowest, held) } else { held };
        self.losers.push(release(&known.vrf, &attachment.holder, &loser));
    }

    fn releases(self) -> Vec<Release> {
        self.losers
    }
}

/// Of this life only: whoever is given the address meanwhile keeps it.
fn release(vrf: &str, holder: &str, held: &Held) -> Release {
    Release::Address {
        vrf: vrf.to_owned(),
        address: held.address,
        holder: holder.to_owned(),
        mode: ReleaseMode::Cool,
        since: Some(held.since),
    }
}

#[cfg(test)]
mod tests {
    use allotment_core::{Choice, Owner, Pick, Rule};

    use super::*;

    fn held(address: &str, holders: &[&str]) -> Allocation {
        let attachment = |holder: &&str| Attachment {
            holder: (*holder).to_owned(),
            interface: "eth0".to_owned(),
            ..Attachment::default()
        };
        Allocation {
            vrf: "default".to_owned(),
            address: address.parse().unwrap(),
            state: AllocationState::Active,
            owner: Owner { kind: "Pod".to_owned(), uid: holders[0].to_owned(), ..Owner::default() },
            attachments: holders.iter().map(attachment).collect(),
            mac: None,
            rule: Rule { choice: Choice::Default, pick: Pick::Fresh },
            since: Timestamp(7),
            outlives_owner: false,
        }
    }

    /// Address and holder of what is released, where `a` shows these addresses.
    fn losers(known: &[(Allocation, &str)], shown: Option<&[&str]>) -> Vec<String> {
        let mut doubles = Doubles::default();
        let shown = |attachment: &Attachment| match shown {
            _ if attachment.holder == "c" => Showing::Unknown,
            Some(shown) if attachment.holder == "a" => {
                Showing::These(shown.iter().map(|address| address.parse().unwrap()).collect())
            }
            _ => Showing::Nothing,
        };
        for (known, subnet) in known {
            doubles.look(known, subnet, &shown);
        }
        let text = |release| match release {
            Release::Address { address, holder, since: Some(Timestamp(7)), .. } => {
                format!("{address} {holder}")
            }
            other => panic!("{other:?}"),
        };
        let mut losers: Vec<String> = doubles.releases().into_iter().map(text).collect();
        losers.sort();
        losers
    }

    #[test]
    fn l4_the_shown_one_stays() {
        let known = [
            (held("10.0.0.5", &["a"]), "s"),
            (held("10.0.1.5", &["a"]), "s"),
            (held("10.0.0.6", &["b"]), "s"),
        ];
        assert_eq!(losers(&known, Some(&["10.0.1.5"])), ["10.0.0.5 a"]);
        assert_eq!(losers(&known, Some(&["10.0.0.5"])), ["10.0.1.5 a"]);
        // What it shows is elsewhere: neither was ever shown.
        assert_eq!(losers(&known, Some(&["10.0.9.9"])), ["10.0.0.5 a", "10.0.1.5 a"]);
        assert_eq!(losers(&known, Some(&["10.0.0.5", "10.0.1.5"])), [""; 0]);
    }

    #[test]
    fn l4_where_none_is_shown_the_lowest_stays() {
        let known = [
            (held("10.0.1.5", &["a"]), "s"),
            (held("10.0.0.5", &["a"]), "s"),
            (held("10.0.2.5", &["a"]), "s"),
            (held("fd00::5", &["a"]), "s"),
            (held("10.1.0.5", &["a"]), "t"),
        ];
        assert_eq!(losers(&known, None), ["10.0.1.5 a", "10.0.2.5 a"], "one per subnet and family");
        let answered = [(held("10.0.1.5", &["c"]), "s"), (held("10.0.0.5", &["c"]), "s")];
        assert_eq!(losers(&answered, None), [""; 0], "nobody knows which of both its node was told");
    }

    #[test]
    fn l4_of_two_holders_each_is_looked_at() {
        let known = [(held("10.0.0.5", &["b", "a"]), "s"), (held("10.0.1.5", &["a"]), "s")];
        assert_eq!(losers(&known, Some(&["10.0.0.5"])), ["10.0.1.5 a"]);
        assert_eq!(losers(&known, Some(&["10.0.1.5"])), ["10.0.0.5 a"], "the other one stays");
        assert_eq!(losers(&known, None), ["10.0.1.5 a"]);
    }
}
