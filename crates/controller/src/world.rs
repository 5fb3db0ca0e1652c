//! Everything the controller knows, and what follows from it.
//!
//! Inputs from the watches and outcomes of what was done go in; actions come out. A standby takes inputs and gives out
//! nothing, so that it is warm when it leads.

use std::collections::BTreeMap;
use std::time::Instant;

use allotment_core::{Object, ObjectKey, ReleaseMode};
use jiff::Timestamp;

use crate::asks::{self, Asks};
use crate::events::{self, Events};
use crate::execute::Outcome;
use crate::feed::Input;
use crate::objects::{self, Objects};
use crate::owners::{self, Owners};
use crate::pods::{self, Pods};
use crate::release::{self, Releases};
use crate::request::Settings;
use crate::surroundings::{Affected, Surroundings};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    Pod(pods::Action),
    Object(objects::Action),
    Ask(asks::Action),
    Event(events::Action),
    Release(release::Action),
    /// Look through what is kept for owners that nobody uses now.
    FindKept,
    /// Nobody needs these any more.
    Free(Vec<owners::Kept>),
}

pub(crate) struct World {
    pub(crate) around: Surroundings,
    pub(crate) pods: Pods,
    pub(crate) objects: Objects,
    pub(crate) owners: Owners,
    asks: Asks,
    events: Events,
    pub(crate) releases: Releases,
    /// Kept addresses are being looked through or freed.
    sweeping: bool,
}

impl World {
    pub(crate) fn new(settings: Settings) -> World {
        World {
            owners: Owners::new(owners::families(&settings)),
            around: Surroundings::new(settings),
            pods: Pods::default(),
            objects: Objects::default(),
            asks: Asks::default(),
            events: Events::default(),
            releases: Releases::default(),
            sweeping: false,
        }
    }

    /// Takes in what was told.
    pub(crate) fn input(&mut self, input: Input) {
        self.releases.input(&input);
        let affected = match input {
            Input::Pod(event) => {
                self.pods.event(event, &self.around);
                Affected::Nobody
            }
            Input::Namespace(event) => self.around.namespace(event),
            Input::Network(event) => self.around.network(event),
            Input::Node(event) => self.around.node(event),
            Input::Attachments(event) => {
                self.asks.event(&event);
                self.around.attachments(&event)
            }
            Input::Subnet(event) => self.object(|objects| objects.event(event)),
            Input::Pool(event) => self.object(|objects| objects.event(event)),
            Input::Reservation(event) => self.object(|objects| objects.event(event)),
            Input::Workload(source, event) => {
                self.owners.event(&source, event);
                Affected::Nobody
            }
        };
        self.pods.affected(&affected);
    }

    fn object(&mut self, event: impl FnOnce(&mut Objects)) -> Affected {
        event(&mut self.objects);
        Affected::Nobody
    }

    /// Leads from now on, with this in the ledger.
    pub(crate) fn begin(&mut self, in_force: BTreeMap<ObjectKey, Object>) {
        self.pods.begin();
        self.objects.begin(in_force);
        self.releases.begin();
        self.asks.begin();
        self.owners.put_off();
        self.sweeping = false;
    }

    /// Whether pods are served: all that they are read against is known, and every object was tried.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_warm() && self.objects.are_settled()
    }

    /// Whether everything has been told once.
    pub(crate) fn is_warm(&self) -> bool {
        self.around.are_known() && self.pods.are_listed()
    }

    /// Takes in what became of an action, and says what follows at once.
    pub(crate) fn outcome(&mut self, outcome: Outcome, now: Instant) -> Vec<Action> {
        let follows = match outcome {
            Outcome::Answered { uid, answer } => {
                if let Ok(grant) = &answer {
                    self.objects.touched(now);
                    self.releases.granted(grant);
                }
                self.pods.answered(&uid, answer, now)
            }
            Outcome::Judged { id, pod } => {
                let actions = self.asks.judged(&id, pod, &self.around, now);
                return actions.into_iter().map(Action::Ask).collect();
            }
            Outcome::AskAnswered { id, answer } => {
                if let Ok(grant) = &answer {
                    self.objects.touched(now);
                    self.releases.granted(grant);
                }
                self.asks.answered(&id, answer.as_ref(), now);
                Vec::new()
            }
            Outcome::AnswersWritten { node, answers } => {
                self.asks.written(&node, answers, now);
                Vec::new()
            }
            Outcome::Patched { uid, patched } => self.pods.patched(&uid, patched, &self.around, now),
            Outcome::GivenBack => {
                self.freed(now);
                Vec::new()
            }
            Outcome::Released(outcome) => {
                if self.releases.outcome(outcome, now) {
                    self.freed(now);
                }
                Vec::new()
            }
            Outcome::FoundKept(kept) => return self.found_kept(kept),
            Outcome::Freed { all } => {
                self.sweeping = false;
                if !all {
                    self.owners.put_off();
                }
                self.freed(now);
                Vec::new()
            }
            Outcome::Settled(settled) => {
                if self.objects.take(settled, now) {
                    self.pods.waiting.wake();
                    self.asks.wake(now);
                }
                Vec::new()
            }
            Outcome::Surveyed(usage) => {
                self.objects.surveyed(usage, now);
                Vec::new()
            }
            Outcome::Written { key, status } => {
                self.objects.written(&key, status, now);
                Vec::new()
            }
            Outcome::Finalized { key, present } => {
                self.objects.finalized(&key, present, now);
                Vec::new()
            }
        };
        follows.into_iter().map(Action::Pod).collect()
    }

    /// What of the kept addresses nobody needs any more is freed.
    fn found_kept(&mut self, kept: Option<Vec<owners::Kept>>) -> Vec<Action> {
        let Some(kept) = kept else {
            self.sweeping = false;
            self.owners.put_off();
            return Vec::new();
        };
        let is_free = |kept: &owners::Kept| {
            self.owners.mode(&kept.owner, kept.attachment.as_ref()) == ReleaseMode::Cool
        };
        let free: Vec<owners::Kept> = kept.into_iter().filter(is_free).collect();
        self.sweeping = !free.is_empty();
        if free.is_empty() { Vec::new() } else { vec![Action::Free(free)] }
    }

    /// Addresses were released: waiters and refused objects may have their turn.
    pub(crate) fn freed(&mut self, now: Instant) {
        self.pods.waiting.wake();
        self.asks.wake(now);
        self.objects.freed(now);
    }

    /// What is to be done now.
    pub(crate) fn next(&mut self, now: Instant, clock: Timestamp) -> Vec<Action> {
        let mut actions: Vec<Action> =
            self.objects.next(now, clock).into_iter().map(Action::Object).collect();
        actions.extend(self.releases.next(&self.owners, now).into_iter().map(Action::Release));
        if !self.sweeping && self.pods.are_listed() && self.owners.take_due() {
            self.sweeping = true;
            actions.push(Action::FindKept);
        }
        if self.is_ready() {
            actions.extend(self.pods.next(&self.around, now).into_iter().map(Action::Pod));
            actions.extend(self.asks.next(now).into_iter().map(Action::Ask));
        }
        let sayings = self.pods.sayings.drain(..).chain(self.objects.sayings.drain(..));
        let sayings = sayings.chain(self.releases.sayings.drain(..));
        actions.extend(sayings.filter_map(|saying| self.events.say(saying, now, clock)).map(Action::Event));
        actions
    }

    /// When `next` has something to do, if nothing happens before.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        [self.objects.due(), self.pods.due(now), self.asks.due(), self.releases.due()]
            .into_iter()
            .flatten()
            .min()
    }
}
