//! After the ledger was set back (L6): every node says what it uses, and what the ledger has lost is taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use allotment_api::annotation::GrantedAttachment;
use allotment_cluster::Pod;
use allotment_core::{Allocation, AllocationState, Attachment, Choice, Owner, Pick, Rule, Timestamp};
use allotment_proof::{Ends, Report, Use};

use super::{Action, read};
use crate::events::{self, Regarding, Saying};
use crate::patch::Shown;
use crate::request::{PodView, Settings, keep_of, owner};

/// How far a recovery is.
#[derive(Default)]
pub(super) struct Recovery {
    /// The epoch that is open; nothing most of the time.
    open: Option<u64>,
    /// A look at the engine's epoch is under way.
    looking: bool,
    raise: Raise,
    /// What the last one that was asked for in this term is above, whether or not the engine has heard of it.
    raised_above: u64,
    /// Inventories to be taken over.
    inventories: BTreeMap<String, BTreeSet<Use>>,
    /// Nodes whose inventory is being taken over, be it one of an earlier epoch.
    adopting: BTreeSet<String>,
    /// The pods have been listed since the epoch began.
    is_listed: bool,
    /// The epoch that is being ended, or was.
    settling: Option<u64>,
    pub(super) sayings: Vec<Saying>,
}

/// Whether a new epoch is to begin: the API server was set back, or an earlier leader has begun what cannot be taken up.
#[derive(Clone, Copy, Default, PartialEq)]
enum Raise {
    #[default]
    No,
    Wanted,
    Asked,
}

impl Recovery {
    pub(super) fn begin(&mut self) {
        let raise = if self.raise == Raise::No { Raise::No } else { Raise::Wanted };
        *self = Recovery { raise, ..Recovery::default() };
    }

    /// The API server shows less than it did: a new epoch is to begin.
    pub(super) fn suspect(&mut self) {
        if self.raise == Raise::No {
            self.raise = Raise::Wanted;
        }
    }

    pub(super) fn round(&mut self, ends: &Ends) -> Vec<Action> {
        let mut actions = Vec::new();
        if !std::mem::replace(&mut self.looking, true) {
            actions.push(Action::LookAtEpoch);
        }
        // What is said under a higher one is said of another recovery: epochs were set back, too, and a clock with them.
        let newest = ends.newest_epoch();
        let known = self.open.map(|open| open.max(self.raised_above));
        if self.raise == Raise::No && known.is_some_and(|known| newest > known) {
            self.raise = Raise::Wanted;
        }
        if self.raise == Raise::Wanted {
            (self.raise, self.raised_above) = (Raise::Asked, newest);
            actions.push(Action::Raise(newest));
        }
        let Some(epoch) = self.open else { return actions };
        if !self.is_listed {
            actions.push(Action::List(epoch));
        }
        for (node, uses) in std::mem::take(&mut self.inventories) {
            if self.adopting.insert(node.clone()) {
                actions.push(Action::Inventory { node, uses });
            } else {
                self.inventories.insert(node, uses);
            }
        }
        let is_done = self.is_listed && self.inventories.is_empty() && self.adopting.is_empty();
        if is_done && self.settling != Some(epoch) && ends.recovering().next().is_none() {
            self.settling = Some(epoch);
            actions.push(Action::Settle(epoch));
        }
        actions
    }

    /// The engine's epoch, as far as it is open. Returns one that begins now.
    pub(super) fn looked(&mut self, open: Option<u64>, is_first: bool) -> Option<u64> {
        self.looking = false;
        if open == self.open {
            return None;
        }
        self.open = open;
        self.is_listed = false;
        self.inventories.clear();
        if let Some(epoch) = open {
            // What an earlier leader was told it has not passed on: everybody is asked again.
            self.raise = if is_first { Raise::Wanted } else { Raise::No };
            tracing::warn!(
                epoch,
                "the ledger was set back: what is free in it stays so until every node has said what it uses"
            );
        } else {
            tracing::info!("the ledger has recovered: every node has said what it uses");
        }
        open
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// This epoch is the open one: what was begun under another proves nothing.
    pub(super) fn is_in(&self, epoch: u64) -> bool {
        self.open == Some(epoch)
    }

    pub(super) fn unread(&mut self) {
        self.looking = false;
    }

    pub(super) fn raised(&mut self, is_done: bool) {
        self.raise = if is_done { Raise::No } else { Raise::Wanted };
    }

    pub(super) fn listed(&mut self) {
        self.is_listed = true;
    }

    /// An epoch that is over is seen to be so at the next look.
    pub(super) fn settled(&mut self, epoch: u64, is_done: bool) {
        if !is_done && self.settling == Some(epoch) {
            self.settling = None;
        }
    }

    /// An agent's report under the open epoch.
    pub(super) fn reported(&mut self, node: &str, report: &Report) {
        if self.open == Some(report.epoch) && !report.inventory.is_empty() {
            self.inventories.insert(node.to_owned(), report.inventory.clone());
        }
    }

    /// What a node uses was compared with the ledger. `doubled`: what others have there.
    pub(super) fn adopted(&mut self, node: &str, uid: &str, left: BTreeSet<Use>, doubled: &[(Use, String)]) {
        self.adopting.remove(node);
        if !left.is_empty() {
            self.inventories.entry(node.to_owned()).or_insert(left);
        }
        for (used, why) in doubled {
            let address = used.address.address;
            tracing::error!(node, %address, pod = used.pod, why, "an address in use is not its pod's in the ledger");
            self.sayings.push(Saying {
                regarding: Regarding {
                    api_version: "v1",
                    kind: "Node",
                    namespace: String::new(),
                    name: node.to_owned(),
                    uid: uid.to_owned(),
                },
                reason: events::ADDRESS_DOUBLED,
                action: "Recover",
                about: address.to_string(),
                note: format!(
                    "pod {} uses {address} here, and the ledger has it otherwise: {why}; delete one of the two pods",
                    used.pod
                ),
            });
        }
    }
}

/// What the ledger is to say about addresses that a node uses, from what its pods show. Of a pod that is gone only its UID is
/// known.
pub(super) fn allocations(
    node: &str,
    uses: &BTreeSet<Use>,
    pods: &[Pod],
    settings: &Settings,
) -> Vec<(Use, Allocation)> {
    let by_uid: BTreeMap<&str, &Pod> =
        pods.iter().filter_map(|pod| Some((pod.metadata.uid.as_deref()?, pod))).collect();
    let one = |used: &Use| {
        let pod = by_uid.get(used.pod.as_str());
        let view = pod.map(|pod| PodView::new(&pod.metadata, &pod.spec.node_name));
        let owner = view.as_ref().map_or_else(
            || Owner {
                kind: "Pod".to_owned(),
                uid: used.pod.clone(),
                name: used.pod.clone(),
                ..Owner::default()
            },
            |view| owner(view, settings),
        );
        let shown = pod.and_then(|pod| granted(pod, &used.pod, used.address.address)).unwrap_or_default();
        let keep = view.map(|view| keep_of(&view, &shown.interface, &shown.network)).unwrap_or_default();
        let attachment = Attachment {
            holder: used.pod.clone(),
            network: shown.network,
            interface: shown.interface,
            node: node.to_owned(),
            ..Attachment::default()
        };
        let allocation = Allocation {
            vrf: used.address.vrf.clone(),
            address: used.address.address,
            state: AllocationState::Active,
            outlives_owner: keep.outlives(&owner),
            owner,
            attachments: vec![attachment],
            mac: shown.mac,
            rule: Rule { choice: Choice::Address, pick: Pick::Asked },
            // The time of the ledger is the engine's to know.
            since: Timestamp(u64::MAX),
        };
        (used.clone(), allocation)
    };
    uses.iter().map(one).collect()
}

fn granted(pod: &Pod, uid: &str, address: IpAddr) -> Option<GrantedAttachment> {
    let grant = Shown::on(pod).grant(uid)?;
    grant.attachments.into_iter().find(|given| given.ips.iter().any(|ip| ip.address == address))
}

/// The pods of a list, in the words of the release protocol.
pub(super) fn seen(pods: &[Pod]) -> Vec<(String, allotment_proof::PodSeen)> {
    pods.iter().filter_map(read::pod).map(|(uid, _, seen)| (uid.to_owned(), seen)).collect()
}
