//! `NodeAttachments.spec`: for which machine grants are made, and how far an agent is asked to publish.

use std::collections::{BTreeMap, BTreeSet};

use allotment_api::v1alpha1::{Former, NodeAttachments, NodeAttachmentsSpec};
use allotment_cluster::{Event, Node};
use allotment_proof::{Address, Admission, Ends, Version};
use kube::ResourceExt;

use super::recover::Recovery;
use super::{Action, read};

/// What is written of a spec, on the object of this UID, as long as it is in this version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spec {
    pub(crate) uid: String,
    pub(crate) replaces: Version,
    pub(crate) admission: Admission,
    pub(crate) reach: Version,
    pub(crate) epoch: u64,
    /// See [`NodeAttachmentsSpec::recovered`].
    pub(crate) recovered: u64,
    /// The epoch is another than before.
    pub(crate) begins_epoch: bool,
}

impl Spec {
    /// As it stands in the object.
    pub(crate) fn into_object(self) -> NodeAttachmentsSpec {
        let Admission { node_uid, former, forgotten } = self.admission;
        let former =
            former.into_iter().map(|(Address { vrf, address }, node_uid)| Former { vrf, address, node_uid });
        NodeAttachmentsSpec {
            node_uid,
            former: former.collect(),
            forgotten: forgotten.into_iter().collect(),
            reach: if self.reach == Version::default() { String::new() } else { self.reach.to_string() },
            epoch: self.epoch,
            recovered: self.recovered,
            ..NodeAttachmentsSpec::default()
        }
    }
}

/// What the API server has of each node, and what is to be written there.
#[derive(Default)]
pub(super) struct Nodes {
    known: BTreeMap<String, Known>,
    /// UIDs of the Node objects.
    uids: BTreeMap<String, String>,
    /// The Node objects were listed once.
    are_listed: bool,
    dirty: BTreeSet<String>,
    /// A write failed.
    failed: BTreeSet<String>,
    /// The epoch that every agent is to publish under.
    epoch: u64,
    /// No recovery is under way: whatever epoch there was is over.
    is_recovered: bool,
}

/// A `NodeAttachments` object.
#[derive(Default)]
struct Known {
    uid: String,
    version: Version,
    admission: Admission,
    reach: Version,
    epoch: u64,
    recovered: u64,
    /// How far the agent is to be asked to publish.
    wanted: Version,
    is_writing: bool,
}

impl Nodes {
    pub(super) fn node(&mut self, event: &Event<Node>, ends: &mut Ends) {
        match event {
            Event::Listed { objects, .. } => {
                self.are_listed = true;
                let there: BTreeSet<String> = objects.iter().map(ResourceExt::name_any).collect();
                let gone: Vec<String> =
                    self.uids.keys().filter(|name| !there.contains(*name)).cloned().collect();
                for name in gone {
                    self.node_gone(&name, ends);
                }
                for node in objects {
                    self.node_seen(node, ends);
                }
            }
            Event::Applied(node) => self.node_seen(node, ends),
            Event::Deleted(node) => self.node_gone(&node.name_any(), ends),
            Event::Reached(_) => {}
        }
    }

    fn node_seen(&mut self, node: &Node, ends: &mut Ends) {
        let Some((uid, is_out)) = read::node(node) else { return };
        let name = node.name_any();
        ends.node(&name, uid, is_out);
        if self.uids.get(&name).map(String::as_str) != Some(uid) {
            self.uids.insert(name.clone(), uid.to_owned());
            self.dirty.insert(name);
        }
    }

    fn node_gone(&mut self, name: &str, ends: &mut Ends) {
        self.uids.remove(name);
        ends.node_gone(name);
    }

    /// UID of the Node object; empty when it is gone.
    pub(super) fn uid(&self, name: &str) -> &str {
        self.uids.get(name).map_or("", String::as_str)
    }

    /// Returns which reports cannot be, and in which version of their object.
    pub(super) fn attachments(
        &mut self,
        event: &Event<NodeAttachments>,
        ends: &mut Ends,
        recovery: &mut Recovery,
    ) -> Vec<(String, Version)> {
        match event {
            Event::Listed { objects, .. } => {
                let there: BTreeSet<String> = objects.iter().map(ResourceExt::name_any).collect();
                let gone: Vec<String> =
                    self.known.keys().filter(|name| !there.contains(*name)).cloned().collect();
                for name in gone {
                    self.gone(&name, ends);
                }
                objects.iter().filter_map(|object| self.seen(object, ends, recovery)).collect()
            }
            Event::Applied(object) => self.seen(object, ends, recovery).into_iter().collect(),
            Event::Deleted(object) => {
                self.gone(&object.name_any(), ends);
                Vec::new()
            }
            Event::Reached(_) => Vec::new(),
        }
    }

    fn gone(&mut self, name: &str, ends: &mut Ends) {
        self.known.remove(name);
        ends.unreported(name);
    }

    fn seen(
        &mut self,
        object: &NodeAttachments,
        ends: &mut Ends,
        recovery: &mut Recovery,
    ) -> Option<(String, Version)> {
        let (name, version) = (object.name_any(), read::version_of(object));
        let known = self.known.entry(name.clone()).or_default();
        let uid = object.uid().unwrap_or_default();
        if known.uid != uid {
            *known = Known { uid, wanted: known.wanted, ..Known::default() };
        }
        // What was written here may be answered before the watch tells of what was there before it.
        if version >= known.version {
            known.version = version;
            known.admission = admission(&object.spec);
            (known.epoch, known.recovered) = (object.spec.epoch, object.spec.recovered);
            known.reach = object.spec.reach.parse().map(Version).unwrap_or_default();
            // An object that was lost and made anew says nothing; what was known stays, and is written again.
            if !known.admission.node_uid.is_empty() {
                ends.admitted(&name, known.admission.clone());
            }
            self.dirty.insert(name.clone());
        }
        let status = object.status.as_ref().filter(|status| !status.node_uid.is_empty())?;
        let Some(report) = read::report(status) else {
            tracing::warn!(node = name, as_of = status.as_of, "the agent's report cannot be read");
            return None;
        };
        recovery.reported(&name, &report);
        (!ends.reported(&name, report, version)).then_some((name, version))
    }

    /// Leads from now on: what was under way belongs to an earlier term.
    pub(super) fn begin(&mut self) {
        self.is_recovered = false;
        for (name, known) in &mut self.known {
            known.is_writing = false;
            self.dirty.insert(name.clone());
        }
    }

    pub(super) fn touch(&mut self, name: &str) {
        self.dirty.insert(name.to_owned());
    }

    /// A node is to be asked to reach a version.
    pub(super) fn reach(&mut self, name: &str, version: Version) {
        if let Some(known) = self.known.get_mut(name)
            && known.wanted < version
        {
            known.wanted = version;
            self.dirty.insert(name.to_owned());
        }
    }

    /// Every agent is to publish under this epoch. What was asked before was asked in other versions.
    pub(super) fn raise(&mut self, epoch: u64) {
        self.epoch = self.epoch.max(epoch);
        for (name, known) in &mut self.known {
            (known.wanted, known.reach) = (Version::default(), Version::default());
            self.dirty.insert(name.clone());
        }
    }

    /// Whether a recovery is under way, as far as the ledger says.
    pub(super) fn recovering(&mut self, is_under_way: bool) {
        if self.is_recovered == is_under_way {
            self.is_recovered = !is_under_way;
            self.dirty.extend(self.known.keys().cloned());
        }
    }

    pub(super) fn retry(&mut self) {
        self.dirty.append(&mut self.failed);
    }

    /// What is to be written now.
    pub(super) fn writes(&mut self, ends: &Ends) -> Vec<Action> {
        let mut writes = Vec::new();
        for name in std::mem::take(&mut self.dirty) {
            let Some(known) = self.known.get_mut(&name) else { continue };
            if known.is_writing {
                // Its outcome touches it again.
                continue;
            }
            let wanted = ends.admission(&name).or_else(|| ends.spec(&name));
            let admission = wanted.unwrap_or_else(|| known.admission.clone());
            let reach = known.wanted.max(known.reach);
            let epoch = self.epoch.max(known.epoch);
            let recovered = if self.is_recovered { epoch } else { known.recovered };
            let is_same = admission == known.admission && reach == known.reach;
            if is_same && (epoch, recovered) == (known.epoch, known.recovered) {
                continue;
            }
            known.is_writing = true;
            let (uid, replaces) = (known.uid.clone(), known.version);
            let begins_epoch = epoch > known.epoch;
            let spec = Spec { uid, replaces, admission, reach, epoch, recovered, begins_epoch };
            writes.push(Action::Write { node: name, spec: Box::new(spec) });
        }
        writes
    }

    /// What became of a write: the version of the object, if it was done.
    pub(super) fn written(&mut self, name: &str, spec: Spec, version: Option<Version>, ends: &mut Ends) {
        let Some(known) = self.known.get_mut(name).filter(|known| known.uid == spec.uid) else { return };
        known.is_writing = false;
        let Some(version) = version else {
            self.failed.insert(name.to_owned());
            return;
        };
        if version >= known.version {
            known.version = version;
            known.admission = spec.admission;
            (known.reach, known.epoch, known.recovered) = (spec.reach, spec.epoch, spec.recovered);
            ends.admitted(name, known.admission.clone());
        }
        self.dirty.insert(name.to_owned());
    }

    /// Objects of nodes that are gone, and of which the ledger, which has been looked through, has nothing. Before the nodes
    /// were listed each of them looks gone.
    pub(super) fn removals(&self, ends: &Ends) -> Vec<Action> {
        let is_over = |name: &String| self.are_listed && !self.uids.contains_key(name) && ends.is_over(name);
        let over = self.known.iter().filter(|(name, known)| !known.is_writing && is_over(name));
        over.map(|(name, known)| Action::Remove {
            node: name.clone(),
            uid: known.uid.clone(),
            version: known.version,
        })
        .collect()
    }
}

fn admission(spec: &NodeAttachmentsSpec) -> Admission {
    let former = spec.former.iter().map(|former| {
        let Former { vrf, address, node_uid } = former.clone();
        (Address { vrf, address }, node_uid)
    });
    Admission {
        node_uid: spec.node_uid.clone(),
        former: former.collect(),
        forgotten: spec.forgotten.iter().cloned().collect(),
    }
}
