//! A pod for which something is still to be done.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use allotment_api::annotation::{GrantedAttachment, PodGrant, PodRefusal};
use allotment_cluster::ResourceVersion;
use allotment_core::{Grant, Want};
use jiff::Timestamp;

use super::{Action, Uid};
use crate::patch::Shown;
use crate::request::{self, Interface, PodView, Reading, Surge, Wanted, pod_grant};
use crate::surroundings::Surroundings;

/// A new node's agent has that long to publish before a pod is told that it waits for it.
const NODE_PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Open {
    pub(super) created: Timestamp,
    pub(super) view: PodView,
    pub(super) shown: Shown,
    /// Which version of the pod this is.
    pub(super) version: Option<ResourceVersion>,
    pub(super) stage: Stage,
    /// What the engine was asked for last, where that is more than one.
    pub(super) wants: Vec<Want>,
    /// What it wants, as of a version of its surroundings. Only of one that waits: it is asked again whenever something is
    /// freed, and its annotations may be long.
    pub(super) read: Option<(u64, Reading)>,
    /// It has changed while something was under way for it.
    pub(super) again: bool,
    pub(super) failures: u32,
    /// Since when nothing but its node keeps it from being served, and whether that was said.
    unready: Option<(Instant, bool)>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Stage {
    /// Nothing is under way.
    Parked,
    /// The engine was asked.
    Asking(Asking),
    /// A patch is under way.
    Showing(Showing),
}

/// What the engine was asked for, and what the grant says besides.
#[derive(Debug, PartialEq)]
pub(super) struct Asking {
    pub(super) interfaces: Vec<Interface>,
    /// The node that the pod is on, of those that had its name.
    pub(super) node_uid: String,
    pub(super) retained: bool,
    /// The Deployment's list is too short for how it replaces its pods.
    pub(super) surge: Option<Surge>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Showing {
    /// What was given now, without what the pod had before.
    Grant(PodGrant),
    Refusal(PodRefusal),
    /// What is left of the grant: the pod announces the rest no more.
    Left(PodGrant),
}

impl Open {
    pub(super) fn new(created: Timestamp) -> Open {
        Open {
            created,
            view: PodView::default(),
            shown: Shown::default(),
            version: None,
            stage: Stage::Parked,
            wants: Vec::new(),
            read: None,
            again: false,
            failures: 0,
            unready: None,
        }
    }

    pub(super) fn update(&mut self, view: PodView, shown: Shown, version: Option<ResourceVersion>) {
        if self.view != view {
            self.read = None;
        }
        (self.view, self.shown, self.version) = (view, shown, version);
        self.failures = 0;
    }

    /// What it wants, read anew only where something has changed.
    pub(super) fn reading(&mut self, around: &Surroundings, waits: bool) -> Option<Reading> {
        let version = around.version();
        if let Some((at, reading)) = &self.read
            && *at == version
        {
            return Some(reading.clone());
        }
        let reading = request::read(&self.view, around.of(&self.view)?);
        self.read = waits.then(|| (version, reading.clone()));
        Some(reading)
    }

    /// Whether its node's agent is so late that it is to be said now. Once it is said, it is no more.
    pub(super) fn node_is_late(&mut self, now: Instant) -> bool {
        let (since, said) = self.unready.get_or_insert((now, false));
        let is_late = !*said && now >= *since + NODE_PATIENCE;
        *said |= is_late;
        is_late
    }

    /// When it has to be said; nothing once it was.
    pub(super) fn node_is_late_at(&self) -> Option<Instant> {
        self.unready.filter(|(_, said)| !said).map(|(since, _)| since + NODE_PATIENCE)
    }

    /// What of its wants the pod's grant does not have: what was granted is never derived again (K3).
    pub(super) fn missing(&self, uid: &str, wanted: Wanted) -> Option<Wanted> {
        match self.shown.grant(uid) {
            Some(grant) => wanted.beyond(&grant),
            None => Some(wanted),
        }
    }

    /// What the pod has shown so far, and what was given now.
    pub(super) fn whole(&self, uid: &str, given: &PodGrant) -> PodGrant {
        let mut whole = given.clone();
        if let Some(shown) = self.shown.grant(uid) {
            whole.attachments.splice(0..0, shown.attachments);
        }
        whole
    }
}

impl Asking {
    /// What was given now.
    pub(super) fn given(&self, uid: &str, grant: &Grant) -> PodGrant {
        let mut given = pod_grant(uid, &self.interfaces, grant);
        given.node_uid.clone_from(&self.node_uid);
        given.retained = self.retained;
        given
    }
}

/// Whether both have the same interface.
pub(super) fn meet(shown: &PodGrant, given: &PodGrant) -> bool {
    let mut all = shown.attachments.iter();
    all.any(|shown| {
        let is_it =
            |given: &GrantedAttachment| given.interface == shown.interface && given.network == shown.network;
        given.attachments.iter().any(is_it)
    })
}

/// What was given and is not in the grant that the pod shows instead. Nobody has seen it.
pub(super) fn unseen(uid: &Uid, given: &PodGrant, shown: &PodGrant) -> Option<Action> {
    let addresses = |grant: &PodGrant| -> Vec<(String, IpAddr)> {
        grant.ips().map(|ip| (ip.vrf.clone(), ip.address)).collect()
    };
    let seen = addresses(shown);
    let unseen: Vec<_> = addresses(given).into_iter().filter(|address| !seen.contains(address)).collect();
    (!unseen.is_empty()).then(|| Action::GiveBack { uid: Uid::clone(uid), unseen })
}
