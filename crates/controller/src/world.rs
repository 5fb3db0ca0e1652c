//! Everything the controller knows, and what follows from it.
//!
//! Inputs from the watches and outcomes of what was done go in; actions come out. A standby takes inputs and gives out
//! nothing, so that it is warm when it leads.

use std::collections::BTreeMap;
use std::time::Instant;

use allotment_core::{Object, ObjectKey};
use jiff::Timestamp;

use crate::execute::Outcome;
use crate::feed::Input;
use crate::objects::{self, Objects};
use crate::pods::{self, Pods};
use crate::request::Settings;
use crate::surroundings::{Affected, Surroundings};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    Pod(pods::Action),
    Object(objects::Action),
}

pub(crate) struct World {
    pub(crate) around: Surroundings,
    pub(crate) pods: Pods,
    pub(crate) objects: Objects,
}

impl World {
    pub(crate) fn new(settings: Settings) -> World {
        World { around: Surroundings::new(settings), pods: Pods::default(), objects: Objects::default() }
    }

    /// Takes in what was told.
    pub(crate) fn input(&mut self, input: Input) {
        let affected = match input {
            Input::Pod(event) => {
                self.pods.event(event, &self.around);
                Affected::Nobody
            }
            Input::Namespace(event) => self.around.namespace(event),
            Input::Network(event) => self.around.network(event),
            Input::Node(event) => self.around.node(event),
            Input::Attachments(event) => self.around.attachments(&event),
            Input::Subnet(event) => self.object(|objects| objects.event(event)),
            Input::Pool(event) => self.object(|objects| objects.event(event)),
            Input::Reservation(event) => self.object(|objects| objects.event(event)),
        };
        self.pods.affected(&affected);
    }

    fn object(&mut self, event: impl FnOnce(&mut Objects)) -> Affected {
        event(&mut self.objects);
        Affected::Nobody
    }

    /// Leads from now on, with these objects in force.
    pub(crate) fn begin(&mut self, in_force: BTreeMap<ObjectKey, Object>) {
        self.pods.begin();
        self.objects.begin(in_force);
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
                if answer.is_ok() {
                    self.objects.touched(now);
                }
                self.pods.answered(&uid, answer, now)
            }
            Outcome::Patched { uid, patched } => self.pods.patched(&uid, patched, &self.around, now),
            Outcome::GivenBack => {
                self.freed(now);
                Vec::new()
            }
            Outcome::Settled(settled) => {
                if self.objects.take(settled, now) {
                    self.pods.waiting.wake();
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

    /// Addresses were released: waiters and refused objects may have their turn.
    pub(crate) fn freed(&mut self, now: Instant) {
        self.pods.waiting.wake();
        self.objects.freed(now);
    }

    /// What is to be done now.
    pub(crate) fn next(&mut self, now: Instant, clock: Timestamp) -> Vec<Action> {
        let mut actions: Vec<Action> =
            self.objects.next(now, clock).into_iter().map(Action::Object).collect();
        if self.is_ready() {
            actions.extend(self.pods.next(&self.around, now).into_iter().map(Action::Pod));
        }
        actions
    }

    /// When `next` has something to do, if nothing happens before.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        self.objects.due().into_iter().chain(self.pods.due(now)).min()
    }
}
