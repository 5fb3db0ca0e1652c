//! Every bound pod from its binding to the grant that it shows.
//!
//! ```text
//!   watch ─▶ dirty ─▶ read ─┬─ nothing of ours, or granted already ─▶ settled: only its place is remembered
//!                           ├─ something is missing ─▶ parked until that comes
//!                           ├─ Ask the engine ─▶ answered ─▶ Show the grant ─▶ settled
//!                           └─ refused ─▶ Show the refusal (C7) ─▶ waits in order
//! ```
//!
//! Pure: events and outcomes go in, actions come out.

mod open;
mod say;
mod shown;
mod unplug;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_cluster::{Event, Pod, ResourceVersion};
use allotment_core::{Grant, Refusal, Request};
use allotment_engine::EngineError;
use jiff::Timestamp;
use kube::ResourceExt;

use self::open::{Asking, Open, Showing, Stage};
use self::say::{is_not_shown, node_is_late, was_refused};
use self::shown::ShownAddress;
pub(crate) use self::shown::{Comparison, ShownPod};
pub(crate) use self::unplug::Dropped;
use crate::events::Saying;
use crate::patch::{self, Shown};
use crate::request::{self, PodView, Reading, Surge};
use crate::surroundings::{Affected, Surroundings};
use crate::waiting::{Claims, Waiting};

/// A pod's UID.
pub(crate) type Uid = Arc<str>;

/// Requests at the engine at one time. More would only fill its queue, and would no longer come in the order of the pods.
const ASKING: usize = 1024;

/// Between two tries after a failure: the first, and the longest.
const RETRY: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(15);

/// Where a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Box<str>,
    pub(crate) node: Arc<str>,
}

/// What is to be done for a pod.
#[derive(Debug)]
pub(crate) enum Action {
    Ask {
        uid: Uid,
        request: Box<Request>,
    },
    Show {
        uid: Uid,
        place: Place,
        patch: json_patch::Patch,
        /// What the patch shows, if it is a grant.
        grant: Option<Box<Grant>>,
    },
    /// Show a grant without what the pod announces no more.
    TakeOut {
        uid: Uid,
        place: Place,
        patch: json_patch::Patch,
    },
    /// The pod shows another grant than the one given here: what it does not show is given back (L4).
    GiveBack {
        uid: Uid,
        unseen: Vec<(String, std::net::IpAddr)>,
    },
}

/// What became of a patch.
#[derive(Debug)]
pub(crate) enum Patched {
    Done,
    /// The API server did not take it: the pod was no longer what it was when the patch was made, or why. This is it now.
    Changed(Box<Pod>, String),
    Gone,
    Failed(String),
}

#[derive(Default)]
pub(crate) struct Pods {
    places: HashMap<Uid, Place>,
    open: HashMap<Uid, Open>,
    /// To be looked at, the oldest pod first.
    dirty: BTreeSet<(Timestamp, Uid)>,
    /// To be looked at again after a failure.
    retry: BTreeSet<(Instant, Uid)>,
    pub(crate) waiting: Waiting,
    claims: Claims,
    /// Requests at the engine.
    asking: usize,
    listed: bool,
    /// What pods show.
    shown: HashMap<Uid, Arc<[ShownAddress]>>,
    /// What running pods have shown and show no more, and may still use.
    dropped: HashMap<Uid, Dropped>,
    /// Each name once: pods have few nodes and namespaces.
    names: HashSet<Arc<str>>,
    /// To be said in events.
    pub(crate) sayings: Vec<Saying>,
}

impl Pods {
    /// Takes in what the watch says.
    pub(crate) fn event(&mut self, event: Event<Pod>, around: &Surroundings) {
        match event {
            Event::Listed { objects, .. } => {
                self.listed = true;
                let present: HashSet<&str> =
                    objects.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
                let gone: Vec<Uid> =
                    self.places.keys().filter(|uid| !present.contains(&***uid)).cloned().collect();
                for uid in gone {
                    self.forget(&uid);
                }
                // After the API server was set back, versions begin anew.
                for open in self.open.values_mut() {
                    open.version = None;
                }
                for pod in objects {
                    self.applied(&pod, around);
                }
            }
            Event::Applied(pod) => self.applied(&pod, around),
            Event::Deleted(pod) => {
                if let Some(uid) = pod.metadata.uid {
                    self.forget(&Uid::from(uid));
                }
            }
            Event::Reached(_) => {}
        }
    }

    pub(crate) fn are_listed(&self) -> bool {
        self.listed
    }

    /// The pod as it is now.
    pub(crate) fn applied(&mut self, pod: &Pod, around: &Surroundings) {
        let Some(uid) = pod.metadata.uid.as_deref().map(Uid::from) else { return };
        if pod.spec.host_network || pod.spec.node_name.is_empty() {
            return self.forget(&uid);
        }
        self.remember(&uid, pod);
        if pod.is_finished() {
            self.shown.remove(&uid);
            self.dropped.remove(&uid);
            return self.settle(&uid);
        }
        let shown = Shown::on(pod);
        if let Some(grant) = shown.grant(&uid) {
            let before = self.shown.get(&uid).cloned();
            self.shows(&uid, &grant);
            if let Some(before) = before {
                self.note_dropped(&uid, &before);
            }
        }
        if pod.metadata.deletion_timestamp.is_some() {
            return self.settle(&uid);
        }
        let view = PodView::new(&pod.metadata, &pod.spec.node_name);
        if !self.open.contains_key(&uid) && around.are_known() && has_all(&uid, &view, &shown, around) {
            return;
        }
        let created = pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let version = ResourceVersion::of(pod).ok();
        let open = self.open.entry(Uid::clone(&uid)).or_insert_with(|| Open::new(created));
        if version < open.version {
            return;
        }
        open.update(view, shown, version);
        self.dirty.insert((created, uid));
    }

    fn remember(&mut self, uid: &Uid, pod: &Pod) {
        let node = self.name(&pod.spec.node_name);
        if let Some(place) = self.places.get_mut(uid) {
            place.node = node;
            return;
        }
        let namespace = self.name(&pod.namespace().unwrap_or_default());
        self.places.insert(Uid::clone(uid), Place { namespace, name: pod.name_any().into(), node });
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(name) = self.names.get(name) {
            return Arc::clone(name);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    fn forget(&mut self, uid: &Uid) {
        self.settle(uid);
        self.shown.remove(uid);
        self.dropped.remove(uid);
        self.places.remove(uid);
    }

    /// Nothing is left to be done for it.
    fn settle(&mut self, uid: &Uid) {
        self.waiting.forget(uid);
        if self.claims.forget(uid) {
            self.waiting.wake();
        }
        if let Some(open) = self.open.remove(uid) {
            self.dirty.remove(&(open.created, Uid::clone(uid)));
            if matches!(open.stage, Stage::Asking(_)) {
                self.asking -= 1;
            }
        }
    }

    /// Something that pods are read against has changed.
    pub(crate) fn affected(&mut self, affected: &Affected) {
        let is_meant = |open: &Open| match affected {
            Affected::Nobody => false,
            Affected::Node(node) => *open.view.node == **node,
            Affected::Everybody => true,
        };
        let meant = self.open.iter().filter(|(_, open)| open.stage == Stage::Parked && is_meant(open));
        self.dirty.extend(meant.map(|(uid, open)| (open.created, Uid::clone(uid))));
    }

    /// Leads from now on: whatever is not settled is looked at. What was under way belongs to an earlier term.
    pub(crate) fn begin(&mut self) {
        self.asking = 0;
        self.retry.clear();
        (self.waiting, self.claims) = (Waiting::default(), Claims::default());
        for (uid, open) in &mut self.open {
            open.stage = Stage::Parked;
            self.dirty.insert((open.created, Uid::clone(uid)));
        }
    }

    /// What is to be done now.
    pub(crate) fn next(&mut self, around: &Surroundings, now: Instant) -> Vec<Action> {
        while let Some((due, uid)) = self.retry.first()
            && *due <= now
        {
            let uid = Uid::clone(uid);
            self.retry.pop_first();
            self.touch(&uid);
        }
        for uid in self.waiting.next(now) {
            self.touch(&uid);
        }
        let mut actions = Vec::new();
        while self.asking < ASKING
            && let Some((_, uid)) = self.dirty.pop_first()
        {
            self.look_at(&uid, around, now, &mut actions);
        }
        actions
    }

    fn touch(&mut self, uid: &Uid) {
        if let Some(open) = self.open.get(uid) {
            self.dirty.insert((open.created, Uid::clone(uid)));
        }
    }

    /// When `next` has something to do, if nothing happens before.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let retry = self.retry.first().map(|(due, _)| *due);
        retry.into_iter().chain(self.waiting.due(now)).min()
    }

    /// A waiter that is not asked now leaves the queue: what it lacks brings it back, and the others do not wait for that.
    fn look_at(&mut self, uid: &Uid, around: &Surroundings, now: Instant, actions: &mut Vec<Action>) {
        let Some(open) = self.open.get_mut(uid) else { return };
        if open.stage != Stage::Parked {
            open.again = true;
            return self.waiting.forget(uid);
        }
        if around.of(&open.view).is_none() || self.take_out(uid, around, actions) {
            return self.waiting.forget(uid);
        }
        let (Some(open), Some(place)) = (self.open.get_mut(uid), self.places.get(uid)) else { return };
        let Some(reading) = open.reading(around, self.waiting.has(uid)) else {
            return self.waiting.forget(uid);
        };
        match reading {
            Reading::Nothing => self.settle(uid),
            Reading::Waits { refusal: None, .. } => self.waiting.forget(uid),
            Reading::Waits { refusal: Some(refusal), .. } | Reading::Refused(refusal) => {
                self.refuse(uid, &refusal, now, actions);
            }
            Reading::Wanted(wanted) => {
                let Some(missing) = open.missing(uid, wanted) else { return self.settle(uid) };
                let Some(node) = around.serving(&open.view.node) else {
                    if open.node_is_late(now) {
                        self.sayings.push(node_is_late(uid, place));
                    }
                    self.retry.extend(open.node_is_late_at().map(|due| (due, Uid::clone(uid))));
                    return self.waiting.forget(uid);
                };
                let node_uid = node.to_owned();
                if let Some(refusal) = self.claims.before(uid, &missing.request.wants, now) {
                    return self.refuse(uid, &refusal, now, actions);
                }
                let retained = missing.request.owner.kind != "Pod";
                let request = Box::new(missing.request);
                if request.wants.len() > 1 {
                    open.wants.clone_from(&request.wants);
                }
                let interfaces = missing.interfaces;
                let rollout = around.rollout(&open.view);
                let surge = rollout.and_then(|rollout| Surge::of(&request.wants, rollout));
                open.stage = Stage::Asking(Asking { interfaces, node_uid, retained, surge });
                self.asking += 1;
                actions.push(Action::Ask { uid: Uid::clone(uid), request });
            }
        }
    }

    /// What the engine decided.
    pub(crate) fn answered(
        &mut self,
        uid: &Uid,
        answer: Result<Grant, EngineError>,
        now: Instant,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(open) = self.open.get_mut(uid) else { return actions };
        let Stage::Asking(asking) = std::mem::replace(&mut open.stage, Stage::Parked) else {
            return actions;
        };
        self.asking -= 1;
        match answer {
            Ok(grant) => {
                self.waiting.forget(uid);
                let given = asking.given(uid, &grant);
                // Another controller was faster, as the watch told meanwhile.
                if let Some(shown) = open.shown.grant(uid).filter(|shown| open::meet(shown, &given)) {
                    actions.extend(open::unseen(uid, &given, &shown));
                    self.look_again(uid);
                    return actions;
                }
                let patch = patch::grant(uid, &open.shown, &open.whole(uid, &given));
                open.stage = Stage::Showing(Showing::Grant(given));
                let place = self.places.get(uid).expect("an open pod has its place").clone();
                let grant = Some(Box::new(grant));
                actions.push(Action::Show { uid: Uid::clone(uid), place, patch, grant });
            }
            // The pod is another one meanwhile.
            Err(_) if open.again => self.look_again(uid),
            Err(EngineError::Refused(refusal)) => {
                let refusal = match asking.surge {
                    Some(surge) => surge.explain(refusal),
                    None => refusal,
                };
                self.refuse(uid, &refusal, now, &mut actions);
            }
            Err(error) => {
                tracing::debug!(%uid, %error, "a pod's request failed; it is asked again");
                self.fail(uid, now);
            }
        }
        actions
    }

    fn refuse(&mut self, uid: &Uid, refusal: &Refusal, now: Instant, actions: &mut Vec<Action>) {
        let Some(open) = self.open.get_mut(uid) else { return };
        self.claims.refused(uid, &open.wants, refusal, now);
        let again = refusal.again_ms.map(|ms| now + Duration::from_millis(ms).max(RETRY));
        self.waiting.refused(uid, open.created, again);
        let said = open.shown.refusal(uid);
        if said.is_some_and(|said| said.code == refusal.code.as_str()) {
            return;
        }
        let shown = request::pod_refusal(uid, refusal);
        let patch = patch::refusal(uid, &open.shown, &shown);
        open.stage = Stage::Showing(Showing::Refusal(shown));
        let place = self.places.get(uid).expect("an open pod has its place");
        self.sayings.push(was_refused(uid, place, refusal));
        actions.push(Action::Show { uid: Uid::clone(uid), place: place.clone(), patch, grant: None });
    }

    /// What became of a patch.
    pub(crate) fn patched(
        &mut self,
        uid: &Uid,
        patched: Patched,
        around: &Surroundings,
        now: Instant,
    ) -> Vec<Action> {
        let Some(open) = self.open.get_mut(uid) else { return Vec::new() };
        let Stage::Showing(showing) = std::mem::replace(&mut open.stage, Stage::Parked) else {
            return Vec::new();
        };
        match patched {
            Patched::Done => {
                match showing {
                    // The watch may be late.
                    Showing::Refusal(refusal) => open.shown.refused(&refusal),
                    Showing::Grant(given) => {
                        let is_over = !open.again;
                        self.not_dropped(uid, &unplug::addresses(&given));
                        if is_over {
                            self.settle(uid);
                            return Vec::new();
                        }
                    }
                    Showing::Left(left) => {
                        open.shown.granted(&left);
                        open.again = true;
                    }
                }
                if self.open.get(uid).is_some_and(|open| open.again) {
                    self.look_again(uid);
                }
            }
            Patched::Gone => self.settle(uid),
            Patched::Changed(pod, error) => {
                // What was seen already does not explain it: something else keeps the patch from being accepted.
                if ResourceVersion::of(&*pod).ok() <= open.version && !open.again {
                    self.sayings.extend(self.places.get(uid).map(|place| is_not_shown(uid, place, &error)));
                    self.fail(uid, now);
                    return Vec::new();
                }
                let back = match showing {
                    Showing::Grant(given) => {
                        Shown::on(&pod).grant(uid).and_then(|shown| open::unseen(uid, &given, &shown))
                    }
                    Showing::Refusal(_) | Showing::Left(_) => None,
                };
                self.applied(&pod, around);
                self.look_again(uid);
                return back.into_iter().collect();
            }
            Patched::Failed(error) => {
                tracing::debug!(%uid, %error, "a pod's patch failed; it is tried again");
                self.fail(uid, now);
            }
        }
        Vec::new()
    }

    fn look_again(&mut self, uid: &Uid) {
        if let Some(open) = self.open.get_mut(uid) {
            open.again = false;
        }
        self.touch(uid);
    }

    fn fail(&mut self, uid: &Uid, now: Instant) {
        // It comes back by itself.
        self.waiting.forget(uid);
        let Some(open) = self.open.get_mut(uid) else { return };
        let wait = RETRY.saturating_mul(1 << open.failures.min(16)).min(RETRY_LONGEST);
        open.failures += 1;
        open.again = false;
        self.retry.insert((now + wait, Uid::clone(uid)));
    }

    /// Pods that are not settled.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn known(&self) -> usize {
        self.places.len()
    }
}

/// Whether a pod has everything that it wants, as far as it can be read now.
fn has_all(uid: &str, view: &PodView, shown: &Shown, around: &Surroundings) -> bool {
    let Some(grant) = shown.grant(uid) else { return false };
    let Some(world) = around.of(view) else { return false };
    if unplug::left(uid, view, shown, around).is_some() {
        return false;
    }
    match request::read(view, world) {
        Reading::Nothing => true,
        Reading::Wanted(wanted) => wanted.beyond(&grant).is_none(),
        Reading::Refused(_) | Reading::Waits { .. } => false,
    }
}

#[cfg(test)]
mod tests;
