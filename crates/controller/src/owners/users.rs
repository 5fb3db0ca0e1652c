//! Which pods are there of an owner that outlives them.
//!
//! What its pods run without is theirs no more: a sandbox is made whole before the first container starts, so a pod that runs
//! has asked for all that it wants. Before that nobody can say: the next pod may be about to ask for what the last one had.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use allotment_cluster::{Event, Pod};
use allotment_core::Owner;

use crate::request::{PodView, Settings, owner};

/// Owners that are looked at in one go.
const AT_ONCE: usize = 256;

type Uid = Arc<str>;

/// See the module. Owners are known without their UID, which changes when they are adopted.
#[derive(Default)]
pub(super) struct Users {
    settings: Settings,
    /// Whether each pod runs.
    pods: HashMap<Owner, BTreeMap<Uid, bool>>,
    owners: HashMap<Uid, Owner>,
    /// All of their pods have come to run.
    settled: BTreeSet<Owner>,
}

impl Users {
    pub(super) fn new(settings: Settings) -> Users {
        Users { settings, ..Users::default() }
    }

    pub(super) fn event(&mut self, event: &Event<Pod>) {
        match event {
            Event::Listed { objects, .. } => {
                let there: HashSet<&str> =
                    objects.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
                let gone: Vec<Uid> =
                    self.owners.keys().filter(|uid| !there.contains(&***uid)).cloned().collect();
                for uid in gone {
                    self.forget(&uid);
                }
                for pod in objects {
                    self.seen(pod);
                }
            }
            Event::Applied(pod) => self.seen(pod),
            Event::Deleted(pod) => self.forget(pod.metadata.uid.as_deref().unwrap_or_default()),
            Event::Reached(_) => {}
        }
    }

    fn seen(&mut self, pod: &Pod) {
        let Some(uid) = pod.metadata.uid.as_deref() else { return };
        let owner = if pod.is_finished() { None } else { self.owner(pod) };
        if self.owners.get(uid) != owner.as_ref() {
            self.forget(uid);
        }
        let Some(owner) = owner else { return };
        let uid = Uid::from(uid);
        self.owners.insert(Uid::clone(&uid), owner.clone());
        let before = self.pods.entry(owner.clone()).or_default().insert(uid, pod.is_running());
        if before != Some(pod.is_running()) {
            self.settle(owner);
        }
    }

    /// Of a pod that has what outlives it; nothing for most.
    fn owner(&self, pod: &Pod) -> Option<Owner> {
        pod.metadata.owner_references.as_ref()?;
        let owner = owner(&PodView::new(&pod.metadata, &pod.spec.node_name), &self.settings);
        (owner.kind != "Pod").then(|| without_uid(&owner))
    }

    fn forget(&mut self, uid: &str) {
        let Some(owner) = self.owners.remove(uid) else { return };
        if let Some(pods) = self.pods.get_mut(&owner) {
            pods.remove(uid);
            if pods.is_empty() {
                self.pods.remove(&owner);
            }
        }
        self.settle(owner);
    }

    fn settle(&mut self, owner: Owner) {
        if self.all_run(&owner) {
            self.settled.insert(owner);
        }
    }

    fn all_run(&self, owner: &Owner) -> bool {
        self.pods.get(owner).is_some_and(|pods| pods.values().all(|runs| *runs))
    }

    /// Whether an address of this owner that is in use by nobody is one that its pods run without.
    pub(super) fn run_without(&self, owner: &Owner) -> bool {
        !self.pods.is_empty() && self.all_run(&without_uid(owner))
    }

    /// Owners that may have something that their pods run without, some of them; each once.
    pub(super) fn take_settled(&mut self) -> Vec<Owner> {
        let rest = self.settled.iter().nth(AT_ONCE).cloned();
        let rest = rest.map(|first| self.settled.split_off(&first)).unwrap_or_default();
        std::mem::replace(&mut self.settled, rest).into_iter().collect()
    }

    /// Everybody is about to be looked at.
    pub(super) fn clear_settled(&mut self) {
        self.settled.clear();
    }
}

fn without_uid(owner: &Owner) -> Owner {
    let Owner { kind, namespace, name, .. } = owner.clone();
    Owner { kind, namespace, name, uid: String::new() }
}
