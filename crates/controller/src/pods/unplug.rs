//! Networks taken out of running pods (K3): the pod's grant is shown without them, and what they had is free once its node says
//! that it is not in use.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use allotment_api::annotation::PodGrant;

use super::open::{Showing, Stage};
use super::{Action, Pods, RETRY, ShownAddress, Uid};
use crate::patch::{self, Shown};
use crate::request::{self, PodView};
use crate::surroundings::Surroundings;

/// VRF and address.
pub(crate) type Dropped = BTreeSet<(String, IpAddr)>;

/// What is left of the grant that a pod shows when it has only what the pod announces; nothing if that is all of it.
pub(super) fn left(uid: &str, view: &PodView, shown: &Shown, around: &Surroundings) -> Option<PodGrant> {
    let mut grant = shown.grant(uid)?;
    let out = request::unannounced(view, around.settings(), &grant);
    for &at in out.iter().rev() {
        grant.attachments.remove(at);
    }
    (!out.is_empty()).then_some(grant)
}

impl Pods {
    /// Shows a pod's grant without what the pod announces no more. `false`: there is no such thing.
    pub(super) fn take_out(&mut self, uid: &Uid, around: &Surroundings, actions: &mut Vec<Action>) -> bool {
        let (Some(open), Some(place)) = (self.open.get_mut(uid), self.places.get(uid)) else { return false };
        let Some(left) = left(uid, &open.view, &open.shown, around) else { return false };
        let patch = patch::left(uid, &open.shown, &left);
        open.stage = Stage::Showing(Showing::Left(left));
        actions.push(Action::TakeOut { uid: Uid::clone(uid), place: place.clone(), patch });
        true
    }

    /// A pod shows another grant than before.
    pub(super) fn note_dropped(&mut self, uid: &Uid, before: &[ShownAddress]) {
        let now = self.shown.get(uid).cloned().unwrap_or_default();
        let is_in =
            |shown: &ShownAddress| now.iter().any(|now| now.address == shown.address && now.vrf == shown.vrf);
        let gone = before.iter().filter(|shown| !is_in(shown));
        let gone: Dropped = gone.map(|shown| (shown.vrf.to_string(), shown.address)).collect();
        if !gone.is_empty() {
            self.dropped.entry(Uid::clone(uid)).or_default().extend(gone);
        }
        let shown = now.iter().map(|shown| (shown.vrf.to_string(), shown.address));
        self.not_dropped(uid, &shown.collect());
    }

    /// These are in the pod's grant, or about to be.
    pub(super) fn not_dropped(&mut self, uid: &Uid, shown: &Dropped) {
        let Some(dropped) = self.dropped.get_mut(uid) else { return };
        dropped.retain(|address| !shown.contains(address));
        if dropped.is_empty() {
            self.dropped.remove(uid);
        }
    }

    /// What running pods are granted no more. Not of those for which something is under way: it may be given to them again.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = (&Uid, &Dropped)> {
        self.dropped.iter().filter(|(uid, _)| !self.open.contains_key(*uid))
    }

    /// What was to be asked for a pod cannot be asked now.
    pub(crate) fn put_off(&mut self, uid: &Uid, now: Instant) {
        let Some(open) = self.open.get_mut(uid) else { return };
        if matches!(open.stage, Stage::Asking(_)) {
            open.stage = Stage::Parked;
            self.asking -= 1;
            self.retry.insert((now + RETRY, Uid::clone(uid)));
        }
    }
}

/// The addresses of a grant.
pub(super) fn addresses(grant: &PodGrant) -> Dropped {
    grant.ips().map(|ip| (ip.vrf.clone(), ip.address)).collect()
}
