//! What pods show, and what the ledger has of it: compared once, when a term begins.
//!
//! A grant is in the ledger before it is shown. So what is shown and not there was lost while nobody was there to notice it
//! (L6); and what is there beside what is shown was given by another that believed to lead, and seen by nobody (L4).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use allotment_api::annotation::PodGrant;
use allotment_api::v1alpha1::LedgerBlock;
use allotment_core::{Allocation, AllocationState, Attachment, Owner, State};

use super::{Place, Pods, Uid};
use crate::ledger::Showing;
use crate::request::{self, Reading};
use crate::surroundings::Surroundings;

/// One address that a pod shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShownAddress {
    network: Arc<str>,
    interface: Arc<str>,
    pub(crate) vrf: Arc<str>,
    pub(crate) address: IpAddr,
}

/// A pod with a grant.
#[derive(Clone, Debug)]
pub(crate) struct ShownPod {
    pub(crate) uid: Uid,
    pub(crate) place: Place,
    addresses: Arc<[ShownAddress]>,
}

/// All that pods show, and what those wait for that show nothing yet.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) pods: Vec<ShownPod>,
    /// Holder, network and interface.
    awaited: HashSet<(Uid, String, String)>,
    /// Whose those are.
    owners: Vec<Owner>,
    /// Blocks that are known to have been written, whether or not pods show what they have.
    pub(crate) blocks: BTreeSet<LedgerBlock>,
}

impl Pods {
    /// Remembers what a pod shows.
    pub(super) fn shows(&mut self, uid: &Uid, grant: &PodGrant) {
        let mut addresses = Vec::new();
        for attachment in &grant.attachments {
            let (network, interface) = (self.name(&attachment.network), self.name(&attachment.interface));
            for ip in &attachment.ips {
                let (network, interface) = (Arc::clone(&network), Arc::clone(&interface));
                let vrf = self.name(&ip.vrf);
                addresses.push(ShownAddress { network, interface, vrf, address: ip.address });
            }
        }
        self.shown.insert(Uid::clone(uid), addresses.into());
    }

    /// Everything that is to be compared with the ledger; `blocks` are known to have been written.
    pub(crate) fn comparison(&self, around: &Surroundings, blocks: BTreeSet<LedgerBlock>) -> Comparison {
        let pod = |(uid, addresses): (&Uid, &Arc<[ShownAddress]>)| {
            let (uid, addresses) = (Uid::clone(uid), Arc::clone(addresses));
            Some(ShownPod { place: self.places.get(&uid)?.clone(), uid, addresses })
        };
        let mut comparison =
            Comparison { pods: self.shown.iter().filter_map(pod).collect(), blocks, ..Default::default() };
        for (uid, open) in self.open.iter().filter(|(uid, _)| !self.shown.contains_key(*uid)) {
            let Some(world) = around.of(&open.view) else { continue };
            let Reading::Wanted(wanted) = request::read(&open.view, world) else { continue };
            comparison.owners.push(wanted.request.owner);
            let awaited = wanted.interfaces.into_iter();
            comparison.awaited.extend(awaited.map(|one| (Uid::clone(uid), one.network, one.interface)));
        }
        comparison
    }
}

impl ShownPod {
    /// Whether the ledger has lost something that this pod shows. What others hold by now, or what was taken from it by a
    /// person, is not lost; nor is what nobody can read.
    pub(crate) fn is_lost(&self, state: &State) -> bool {
        self.addresses.iter().any(|shown| {
            let ShownAddress { vrf, address, .. } = shown;
            if state.is_held_by(vrf, *address, &self.uid) || state.is_closed(vrf, *address) {
                return false;
            }
            state.allocation(vrf, *address).is_none_or(|known| {
                let had = known.attachments.iter().any(|attachment| *attachment.holder == *self.uid);
                known.state == AllocationState::Cooling && !had
            })
        })
    }
}

impl Comparison {
    /// What of it the ledger has lost. Nothing is ever taken out of a block, so one that is not there was lost whole.
    pub(crate) fn missed(&self, state: &State) -> Comparison {
        let pods = self.pods.iter().filter(|pod| pod.is_lost(state)).cloned().collect();
        let is_lost = |block: &&LedgerBlock| {
            let known = state.block_of(&block.vrf, block.base);
            let has_any = known.is_some_and(|known| state.places(known).next().is_some());
            !has_any && !state.is_closed(&block.vrf, block.base)
        };
        let blocks = self.blocks.iter().filter(is_lost).cloned().collect();
        Comparison { pods, blocks, ..Comparison::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.blocks.is_empty()
    }

    /// What those have that show nothing yet. One that was given two addresses is to be asked for with one of them.
    pub(crate) fn awaited(&self, state: &State) -> Vec<(Allocation, String)> {
        let held = self.owners.iter().flat_map(|owner| state.owned_by(owner));
        held.filter(|known| known.state == AllocationState::Active)
            .map(|known| {
                let subnet = state.locate(&known.vrf, known.address).map(|located| located.subnet);
                (known, subnet.unwrap_or_default())
            })
            .collect()
    }

    /// What is known of attachments, by holder.
    pub(crate) fn showing(&self) -> impl Fn(&Attachment) -> Showing {
        let shown: HashMap<&str, &[ShownAddress]> =
            self.pods.iter().map(|pod| (&*pod.uid, &*pod.addresses)).collect();
        let awaited = &self.awaited;
        move |attachment| {
            let Attachment { holder, network, interface, .. } = attachment;
            let its = |shown: &&ShownAddress| *shown.network == **network && *shown.interface == **interface;
            let shown = shown.get(holder.as_str()).copied().unwrap_or_default().iter().filter(its);
            let shown: Vec<IpAddr> = shown.map(|shown| shown.address).collect();
            if !shown.is_empty() {
                Showing::These(shown)
            } else if awaited.contains(&(holder.as_str().into(), network.clone(), interface.clone())) {
                Showing::Nothing
            } else {
                Showing::Unknown
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use allotment_core::{
        Asked, Object, Owner, Release, ReleaseMode, Request, SubnetSpec, Target, Timestamp, Want,
    };

    use super::*;

    fn shown(uid: &str, address: &str) -> ShownPod {
        let name = Arc::<str>::from("");
        let address = ShownAddress {
            network: Arc::clone(&name),
            interface: "eth0".into(),
            vrf: "default".into(),
            address: address.parse().unwrap(),
        };
        let place = Place { namespace: Arc::clone(&name), name: "".into(), node: name };
        ShownPod { uid: uid.into(), place, addresses: [address].into() }
    }

    fn empty() -> State {
        let mut state = State::new();
        let cidrs = vec!["10.0.0.0/16".parse().unwrap()];
        state.put(Object::Subnet(SubnetSpec { cooling_ms: 0, ..SubnetSpec::new("s", cidrs) })).unwrap();
        state
    }

    fn owner(uid: &str) -> Owner {
        Owner { kind: "Pod".into(), name: uid.into(), uid: uid.into(), ..Owner::default() }
    }

    fn give(state: &mut State, uid: &str, address: &str) {
        let attachment = Attachment { holder: uid.into(), interface: "eth0".into(), ..Attachment::default() };
        let want = Want {
            attachment,
            targets: vec![Target::Subnet("s".into())],
            ips: Asked::Each(vec![address.parse().unwrap()]),
            ..Want::default()
        };
        let request = Request { owner: owner(uid), wants: vec![want], ..Request::default() };
        let plan = state.plan(&request, Timestamp(1)).unwrap();
        state.apply(&plan, &mut Vec::new());
    }

    /// 10.0.0.2 is `a`'s, 10.0.0.3 was `b`'s, 10.0.0.4 was `c`'s and is `d`'s.
    fn ledger() -> State {
        let mut state = empty();
        let end = |state: &mut State, uid: &str, address: &str| {
            let (vrf, address) = ("default".to_owned(), address.parse().unwrap());
            let release =
                Release::Address { vrf, address, holder: uid.into(), mode: ReleaseMode::Cool, since: None };
            state.release(&release, Timestamp(2), &mut Vec::new());
        };
        give(&mut state, "a", "10.0.0.2");
        give(&mut state, "b", "10.0.0.3");
        end(&mut state, "b", "10.0.0.3");
        give(&mut state, "c", "10.0.0.4");
        end(&mut state, "c", "10.0.0.4");
        give(&mut state, "d", "10.0.0.4");
        state.close("default", "10.0.7.0".parse().unwrap());
        state.settle();
        state
    }

    #[test]
    fn l6_what_is_shown_and_has_no_record_of_it_was_lost() {
        let state = ledger();
        for (uid, address, is_lost, why) in [
            ("a", "10.0.0.2", false, "it has it"),
            ("x", "10.0.0.9", true, "there is no record"),
            ("x", "10.0.0.3", true, "the record is an older one"),
            ("b", "10.0.0.3", false, "a person has taken it away"),
            ("c", "10.0.0.4", false, "a person has taken it away, and another has it"),
            ("x", "10.0.7.1", false, "nobody can read what the ledger has there"),
        ] {
            assert_eq!(shown(uid, address).is_lost(&state), is_lost, "{why}");
        }
    }

    #[test]
    fn l4_of_two_that_nobody_has_seen_one_stays_for_whoever_is_asked_for() {
        let (mut state, mut other) = (empty(), empty());
        give(&mut state, "a", "10.0.0.2");
        give(&mut state, "b", "10.0.0.3");
        // Two leaders, each of whom knew nothing of the other.
        give(&mut other, "a", "10.0.1.9");
        let places: Vec<_> = other.blocks().flat_map(|block| other.places(block)).collect();
        for place in places {
            let mut record = Vec::new();
            other.write_record(place, &mut record);
            state.load("default", place.address(), &record).unwrap();
        }
        state.settle();
        let awaited = |uid: &str| Comparison {
            awaited: [(uid.into(), String::new(), "eth0".to_owned())].into(),
            owners: vec![owner(uid)],
            ..Comparison::default()
        };
        let extra = |comparison: &Comparison| {
            crate::ledger::doubled_among(&comparison.awaited(&state), comparison.showing())
        };
        let found = extra(&awaited("a"));
        let [Release::Address { address, holder, .. }] = &found[..] else { panic!("{found:?}") };
        assert_eq!((address.to_string().as_str(), holder.as_str()), ("10.0.1.9", "a"));
        assert_eq!(extra(&awaited("b")), []);
    }
}
