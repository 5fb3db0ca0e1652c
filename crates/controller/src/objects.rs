//! Subnets, pools and reservations: which of them are in force, and what their status says.
//!
//! ```text
//!   watch ─▶ Declared ──┐
//!                       ├─ steps ─▶ Settle ─▶ engine ─▶ settled: in force, or why not ─▶ status, finalizers
//!   in force (State) ───┘
//! ```
//!
//! The ledger keeps each object's last accepted form (O6): one that overlaps an earlier one, or shrinks below a holder,
//! changes nothing but its own condition. An object goes only with proof, its deletion; a list that lacks it proves
//! nothing.

mod declared;
mod settle;
mod status;
mod steps;
mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use allotment_api::v1alpha1::ObjectStatus;
use allotment_cluster::Event;
use allotment_core::{Object, ObjectError, ObjectKey, ObjectKind};
use allotment_proof::{Address, Lost};
use jiff::Timestamp;

use crate::events::{self, Regarding, Saying};

pub(crate) use self::declared::{Declared, FINALIZER, Kind};
pub(crate) use self::settle::{Settled, settle};
pub(crate) use self::steps::Step;
use self::steps::steps;
pub(crate) use self::survey::AllUsage;
use self::survey::Survey;

/// Between two tries of what was refused: its holders may have left.
const RETRY: Duration = Duration::from_secs(1);

/// After a write that failed.
const WRITE_AGAIN: Duration = Duration::from_secs(3);

/// What is to be done for objects.
#[derive(Debug)]
pub(crate) enum Action {
    Settle(Vec<Step>),
    /// Read how full subnets and pools are.
    Survey,
    WriteStatus {
        key: ObjectKey,
        uid: String,
        status: ObjectStatus,
    },
    /// Our finalizer is to be there, or not.
    Finalize {
        key: ObjectKey,
        uid: String,
        present: bool,
    },
}

/// What came of the last try to bring an object into force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Accepted,
    /// This form is not in force.
    Refused(ObjectError),
    /// It is to go, and cannot.
    Held(ObjectError),
}

impl Verdict {
    /// What people are told of it.
    fn saying(&self, key: &ObjectKey, declared: &Declared) -> Option<Saying> {
        let (reason, about, error) = match self {
            Verdict::Accepted => return None,
            Verdict::Refused(error) => (events::NOT_IN_FORCE, error.field.clone(), error),
            Verdict::Held(error) => (events::STILL_HELD, String::new(), error),
        };
        let kind = match key.kind {
            ObjectKind::Subnet => "Subnet",
            ObjectKind::IPPool => "IPPool",
            ObjectKind::Reservation => "Reservation",
        };
        let regarding = Regarding {
            api_version: "allotment.dev/v1alpha1",
            kind,
            namespace: String::new(),
            name: key.name.clone(),
            uid: declared.uid.clone(),
        };
        let note = format!("{}: {}; hint: {}", error.field, error.text, error.hint);
        Some(Saying { regarding, reason, action: "BringIntoForce", about, note })
    }
}

/// Addresses of a subnet that were granted on nodes that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LostOf {
    count: usize,
    /// The lowest of them, and its node.
    address: IpAddr,
    node: String,
}

#[derive(Default)]
pub(crate) struct Objects {
    declared: BTreeMap<ObjectKey, Declared>,
    listed: BTreeSet<ObjectKind>,
    /// Seen to be deleted.
    gone: BTreeSet<ObjectKey>,
    /// As the engine has it; nothing before it told.
    in_force: Option<BTreeMap<ObjectKey, Object>>,
    verdicts: BTreeMap<ObjectKey, Verdict>,
    survey: Survey,
    /// Whether steps have to be found anew, and whether some are under way.
    dirty: bool,
    settling: bool,
    /// Everything declared was tried at least once.
    settled: bool,
    /// When what was refused is tried again; set once something was freed.
    retry: Option<Instant>,
    settled_at: Option<Instant>,
    /// Writes under way, and those that failed, until when.
    writing: BTreeSet<ObjectKey>,
    finalizing: BTreeSet<ObjectKey>,
    failed: BTreeMap<ObjectKey, Instant>,
    /// What subnets cannot give out because nobody can say that it is used no more (R4).
    lost: BTreeMap<ObjectKey, LostOf>,
    /// Objects whose status may have to be written.
    stale: BTreeSet<ObjectKey>,
    /// To be said in events.
    pub(crate) sayings: Vec<Saying>,
}

impl Objects {
    pub(crate) fn event<K: Kind>(&mut self, event: Event<K>) {
        match event {
            Event::Listed { objects, .. } => {
                self.listed.insert(K::KIND);
                let listed: BTreeSet<ObjectKey> =
                    objects.into_iter().map(|object| self.applied(object)).collect();
                self.declared.retain(|key, _| key.kind != K::KIND || listed.contains(key));
            }
            Event::Applied(object) => drop(self.applied(object)),
            Event::Deleted(object) => {
                let (key, _) = Declared::new(object);
                self.declared.remove(&key);
                self.verdicts.remove(&key);
                self.gone.insert(key);
            }
            Event::Reached(_) => return,
        }
        self.dirty = true;
    }

    fn applied<K: Kind>(&mut self, object: K) -> ObjectKey {
        let (key, declared) = Declared::new(object);
        self.gone.remove(&key);
        self.stale.insert(key.clone());
        let is_other = |old: &Declared| old.object != declared.object || old.deleting != declared.deleting;
        if self.declared.get(&key).is_none_or(is_other) {
            // What was said of another form says nothing of this one: its status waits until it was tried.
            self.verdicts.remove(&key);
        }
        self.declared.insert(key.clone(), declared);
        key
    }

    /// Leads from now on, with these objects in force.
    pub(crate) fn begin(&mut self, in_force: BTreeMap<ObjectKey, Object>) {
        self.in_force = Some(in_force);
        self.verdicts.clear();
        self.writing.clear();
        self.finalizing.clear();
        self.failed.clear();
        (self.dirty, self.settling, self.settled) = (true, false, false);
        self.survey.begin();
        self.stale = self.declared.keys().cloned().collect();
    }

    /// Addresses of ended pods whose node is gone: their subnets say so.
    pub(crate) fn lost(&mut self, lost: &[Lost]) {
        let mut found: BTreeMap<ObjectKey, LostOf> = BTreeMap::new();
        for Lost { address: Address { vrf, address }, node } in lost {
            let has = |object: &&Object| match object {
                Object::Subnet(spec) => {
                    spec.vrf == *vrf && spec.cidrs.iter().any(|cidr| cidr.contains(*address))
                }
                Object::IPPool(_) | Object::Reservation(_) => false,
            };
            let Some(subnet) = self.in_force.iter().flat_map(BTreeMap::values).find(has) else { continue };
            let one = LostOf { count: 1, address: *address, node: node.clone() };
            let add = |known: &mut LostOf| {
                known.count += 1;
                // The lowest, so that it is the same as long as nothing changes.
                if *address < known.address {
                    (known.address, known.node) = (*address, node.clone());
                }
            };
            found.entry(subnet.key()).and_modify(add).or_insert(one);
        }
        let changed = |key: &&ObjectKey| found.get(key) != self.lost.get(key);
        self.stale.extend(found.keys().chain(self.lost.keys()).filter(changed).cloned());
        self.lost = found;
    }

    /// Whether everything declared has been tried, so that pods can be served.
    pub(crate) fn are_settled(&self) -> bool {
        self.settled
    }

    /// Addresses were freed: what was refused may be possible now.
    pub(crate) fn freed(&mut self, now: Instant) {
        if self.verdicts.values().any(|verdict| *verdict != Verdict::Accepted) {
            self.retry.get_or_insert(self.settled_at.map_or(now, |at| at + RETRY));
        }
        self.touched(now);
    }

    /// Addresses were given or freed: the counts have changed.
    pub(crate) fn touched(&mut self, now: Instant) {
        self.survey.touch(now);
    }

    /// What is to be done now.
    pub(crate) fn next(&mut self, now: Instant, clock: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(in_force) = &self.in_force else { return actions };
        if self.retry.is_some_and(|retry| retry <= now) {
            (self.retry, self.dirty) = (None, true);
        }
        if self.listed.len() == 3 && self.dirty && !self.settling {
            self.dirty = false;
            let steps = steps(in_force, &self.declared, &self.gone);
            if steps.is_empty() {
                self.take(Settled::default(), now);
            } else {
                self.settling = true;
                actions.push(Action::Settle(steps));
            }
        }
        if self.settled && self.survey.start(now) {
            actions.push(Action::Survey);
        }
        // Without its counts, a status that an earlier leader wrote would be written anew.
        if self.settled && self.survey.is_done() {
            self.write(now, clock, &mut actions);
        }
        actions
    }

    fn write(&mut self, now: Instant, clock: Timestamp, actions: &mut Vec<Action>) {
        let waits = |failed: &BTreeMap<ObjectKey, Instant>, key: &ObjectKey| {
            failed.get(key).is_some_and(|until| *until > now)
        };
        self.failed.retain(|_, until| *until > now);
        for key in std::mem::take(&mut self.stale) {
            let Some(declared) = self.declared.get(&key) else { continue };
            if waits(&self.failed, &key) || self.writing.contains(&key) || self.finalizing.contains(&key) {
                self.stale.insert(key);
                continue;
            }
            let is_in_force = self.in_force.as_ref().is_some_and(|all| all.contains_key(&key));
            let wants_finalizer = !declared.deleting || is_in_force;
            if wants_finalizer != declared.finalizer && !(wants_finalizer && declared.deleting) {
                self.finalizing.insert(key.clone());
                let uid = declared.uid.clone();
                actions.push(Action::Finalize { key: key.clone(), uid, present: wants_finalizer });
            }
            let Some(verdict) = self.verdicts.get(&key) else { continue };
            let status = {
                let seen =
                    status::Seen { is_in_force, usage: self.survey.of(&key), lost: self.lost.get(&key) };
                status::of(declared, verdict, &seen, clock)
            };
            let is_leaving = declared.deleting && !is_in_force;
            if status != declared.status && !is_leaving {
                self.writing.insert(key.clone());
                actions.push(Action::WriteStatus { key, uid: declared.uid.clone(), status });
            }
        }
    }

    /// When `next` has something to do, if nothing happens before.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.in_force.as_ref()?;
        let survey = self.survey.due().filter(|_| self.settled);
        [self.retry, survey].into_iter().flatten().chain(self.failed.values().copied()).min()
    }

    /// What came of steps. `true`: something came into force or went.
    pub(crate) fn take(&mut self, settled: Settled, now: Instant) -> bool {
        self.settling = false;
        self.settled_at = Some(now);
        let changed = !settled.done.is_empty();
        let in_force = self.in_force.get_or_insert_default();
        for step in settled.done {
            self.stale.insert(step.key());
            match step {
                Step::Put(object) => {
                    self.verdicts.insert(object.key(), Verdict::Accepted);
                    in_force.insert(object.key(), *object);
                }
                Step::Drain(object) => {
                    in_force.insert(object.key(), *object);
                }
                Step::Remove(key) => {
                    in_force.remove(&key);
                    self.gone.remove(&key);
                }
            }
        }
        for (step, error) in settled.blocked {
            let verdict = match step {
                Step::Remove(_) => Verdict::Held(error),
                Step::Put(_) | Step::Drain(_) => Verdict::Refused(error),
            };
            let key = step.key();
            self.stale.insert(key.clone());
            if let Some(declared) = self.declared.get(&key)
                && self.verdicts.get(&key) != Some(&verdict)
            {
                self.sayings.extend(verdict.saying(&key, declared));
            }
            self.verdicts.insert(key, verdict);
        }
        if let Some(error) = settled.failed {
            tracing::warn!(%error, "objects cannot be brought into force now; trying again");
            self.retry = Some(now + RETRY);
            return changed;
        }
        // What needs no step is in force as it is.
        for (key, declared) in &self.declared {
            if !declared.deleting && in_force.get(key) == Some(&declared.object) {
                let old = self.verdicts.insert(key.clone(), Verdict::Accepted);
                if old != Some(Verdict::Accepted) {
                    self.stale.insert(key.clone());
                }
            }
        }
        if !std::mem::replace(&mut self.settled, true) || changed {
            self.touched(now);
        }
        changed
    }

    /// How full everything is; nothing when it could not be seen.
    pub(crate) fn surveyed(&mut self, usage: Option<AllUsage>, now: Instant) {
        self.stale.extend(self.survey.seen(usage, now));
    }

    /// What became of writing a status; with what was written.
    pub(crate) fn written(&mut self, key: &ObjectKey, status: Result<ObjectStatus, String>, now: Instant) {
        self.writing.remove(key);
        match (status, self.declared.get_mut(key)) {
            (Ok(status), Some(declared)) => declared.status = status,
            (Ok(_), None) => {}
            (Err(error), _) => self.write_failed(key, &error, now),
        }
    }

    /// What became of a finalizer: whether it is there now.
    pub(crate) fn finalized(&mut self, key: &ObjectKey, present: Result<bool, String>, now: Instant) {
        self.finalizing.remove(key);
        match (present, self.declared.get_mut(key)) {
            (Ok(present), Some(declared)) => declared.finalizer = present,
            (Ok(_), None) => {}
            (Err(error), _) => self.write_failed(key, &error, now),
        }
    }

    fn write_failed(&mut self, key: &ObjectKey, error: &str, now: Instant) {
        tracing::debug!(object = %key, %error, "an object cannot be written; trying again");
        self.failed.insert(key.clone(), now + WRITE_AGAIN);
        self.stale.insert(key.clone());
    }

    /// How many objects are not in force as they are declared.
    pub(crate) fn problems(&self) -> usize {
        self.verdicts.values().filter(|verdict| matches!(verdict, Verdict::Refused(_))).count()
    }

    /// Objects in force that nobody declares, other than by a deletion that we saw.
    pub(crate) fn undeclared(&self) -> usize {
        let in_force = self.in_force.iter().flat_map(BTreeMap::keys);
        in_force.filter(|key| !self.declared.contains_key(key)).count()
    }

    /// How full everything is, if that has changed since the last call.
    pub(crate) fn new_usage(&mut self) -> Option<&AllUsage> {
        self.survey.take_new()
    }
}

#[cfg(test)]
mod tests;
