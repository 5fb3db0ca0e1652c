//! Everything the controller knows, and what follows from it.
//!
//! Inputs from the watches and outcomes of what was done go in; actions come out. A standby takes inputs and gives out
//! nothing, so that it is warm when it leads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use allotment_core::{Grant, Object, ObjectKey, ReleaseMode};
use allotment_proof::Version;
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
    FindKept(owners::Look),
    /// Nobody needs these any more.
    Free(Vec<owners::Kept>),
    /// See whether the ledger has what pods show (L6), and only that (L4).
    Compare(pods::Comparison),
    /// Pods show addresses that the ledger knows nothing of: they were lost (L6).
    RaiseEpoch,
}

/// After kept addresses could not be read or freed.
const SWEEP_AGAIN: Duration = Duration::from_secs(3);

/// How far the look through kept addresses is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sweep {
    Idle,
    Running,
    /// It could not be done.
    Again(Instant),
}

/// What is known of the ledger's past.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    /// It was not compared yet with what pods show.
    Unknown,
    Comparing,
    Known,
    /// Pods show what it does not have.
    Lost,
    /// Its epoch is being raised.
    Raising,
}

pub(crate) struct World {
    pub(crate) around: Surroundings,
    pub(crate) pods: Pods,
    pub(crate) objects: Objects,
    pub(crate) owners: Owners,
    asks: Asks,
    events: Events,
    pub(crate) releases: Releases,
    sweep: Sweep,
    past: Past,
}

impl World {
    pub(crate) fn new(settings: Settings) -> World {
        World {
            owners: Owners::new(&settings),
            pods: Pods::default(),
            objects: Objects::default(),
            asks: Asks::default(),
            events: Events::default(),
            releases: Releases::new(settings.clone()),
            around: Surroundings::new(settings),
            sweep: Sweep::Idle,
            past: Past::Unknown,
        }
    }

    /// Takes in what was told.
    pub(crate) fn input(&mut self, input: Input) {
        self.releases.input(&input);
        let affected = match input {
            Input::Pod(event) => {
                self.owners.pods(&event);
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
            Input::Deployment(event) => {
                self.around.deployment(event);
                Affected::Nobody
            }
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
        self.past = Past::Unknown;
        self.pods.begin();
        self.objects.begin(in_force);
        self.releases.begin();
        self.asks.begin();
        self.owners.put_off();
        self.sweep = Sweep::Idle;
    }

    /// Whether pods are served: all that they are read against is known, and every object was tried.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_warm() && self.objects.are_settled() && self.past == Past::Known
    }

    /// Whether everything has been told once.
    pub(crate) fn is_warm(&self) -> bool {
        self.around.are_known() && self.pods.are_listed()
    }

    /// Takes in what became of an action, and says what follows at once.
    pub(crate) fn outcome(&mut self, outcome: Outcome, now: Instant) -> Vec<Action> {
        match outcome {
            Outcome::Answered { uid, answer } => {
                // The watch has shown the pod.
                self.given(answer.as_ref().ok(), Version::default(), now);
                self.pods.answered(&uid, answer, now).into_iter().map(Action::Pod).collect()
            }
            Outcome::Patched { uid, patched } => {
                let follows = self.pods.patched(&uid, patched, &self.around, now);
                follows.into_iter().map(Action::Pod).collect()
            }
            Outcome::Judged { id, pod } => {
                let asks = self.asks.judged(&id, pod, &self.around, now).into_iter();
                asks.filter_map(|action| self.put_off(Action::Ask(action), now)).collect()
            }
            Outcome::FoundKept(kept) => self.found_kept(kept, now).into_iter().collect(),
            outcome => {
                self.done(outcome, now);
                Vec::new()
            }
        }
    }

    /// Takes in what became of an action from which nothing follows at once.
    fn done(&mut self, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::AskAnswered { id, answer, pod_version } => {
                self.given(answer.as_ref().ok(), pod_version, now);
                self.asks.answered(&id, answer.as_ref(), now);
            }
            Outcome::AnswersWritten { node, answers } => self.asks.written(&node, answers, now),
            Outcome::GivenBack => self.freed(now),
            Outcome::Released(outcome) => {
                if self.releases.outcome(outcome, now) {
                    self.freed(now);
                }
            }
            Outcome::Compared(is_lost) => {
                self.past = match is_lost {
                    Some(true) => Past::Lost,
                    Some(false) => Past::Known,
                    None => Past::Unknown,
                };
            }
            Outcome::EpochRaised(raised) => self.epoch_raised(raised),
            Outcome::Freed { all } => {
                self.swept(all, now);
                self.freed(now);
            }
            Outcome::Settled(settled) => {
                if self.objects.take(settled, now) {
                    self.pods.waiting.wake();
                    self.asks.wake(now);
                }
            }
            Outcome::Surveyed(usage) => self.objects.surveyed(usage, now),
            Outcome::Written { key, status } => self.objects.written(&key, status, now),
            Outcome::Finalized { key, present } => self.objects.finalized(&key, present, now),
            Outcome::Answered { .. }
            | Outcome::Patched { .. }
            | Outcome::Judged { .. }
            | Outcome::FoundKept(_) => unreachable!("something follows from it"),
        }
    }

    /// The engine gave this.
    fn given(&mut self, grant: Option<&Grant>, pod_version: Version, now: Instant) {
        if let Some(grant) = grant {
            self.objects.touched(now);
            self.releases.granted(grant, pod_version);
        }
    }

    fn epoch_raised(&mut self, raised: Result<(), String>) {
        self.past = match raised {
            Ok(()) => {
                self.releases.epoch_raised();
                Past::Known
            }
            Err(error) => {
                tracing::error!(%error, "the ledger was lost, and its epoch cannot be raised; nothing is granted until it is");
                Past::Lost
            }
        };
    }

    /// What of the kept addresses nobody needs any more is freed.
    fn found_kept(&mut self, kept: Option<Vec<owners::Kept>>, now: Instant) -> Option<Action> {
        let found = kept.is_some();
        let is_free = |kept: &owners::Kept| {
            let owners::Kept { owner, attachment, outlives_owner, .. } = kept;
            self.owners.mode(owner, attachment.as_ref(), *outlives_owner) == ReleaseMode::Cool
        };
        let free: Vec<owners::Kept> = kept.into_iter().flatten().filter(is_free).collect();
        if free.is_empty() {
            self.swept(found, now);
            return None;
        }
        Some(Action::Free(free))
    }

    /// Kept addresses were looked through; what was not done is tried again.
    fn swept(&mut self, all: bool, now: Instant) {
        self.sweep = if all { Sweep::Idle } else { Sweep::Again(now + SWEEP_AGAIN) };
    }

    /// Addresses were released: waiters and refused objects may have their turn.
    pub(crate) fn freed(&mut self, now: Instant) {
        self.pods.waiting.wake();
        self.asks.wake(now);
        self.objects.freed(now);
    }

    /// What is to be done now.
    pub(crate) fn next(&mut self, now: Instant, clock: Timestamp) -> Vec<Action> {
        self.releases.unplugged(self.pods.dropped());
        let releases = self.releases.next(&self.owners, now);
        let mut actions: Vec<Action> = releases.into_iter().map(Action::Release).collect();
        if let Some(lost) = self.releases.take_lost() {
            self.objects.lost(lost);
        }
        actions.extend(self.objects.next(now, clock).into_iter().map(Action::Object));
        if self.pods.are_listed()
            && let Some(look) = self.sweeps(now)
        {
            self.sweep = Sweep::Running;
            actions.push(Action::FindKept(look));
        }
        match self.past {
            Past::Unknown if self.is_warm() => {
                self.past = Past::Comparing;
                actions.push(Action::Compare(self.pods.comparison(&self.around, self.asks.blocks())));
            }
            Past::Lost => {
                self.past = Past::Raising;
                actions.push(Action::RaiseEpoch);
            }
            Past::Unknown | Past::Comparing | Past::Known | Past::Raising => {}
        }
        if self.is_ready() {
            let pods = self.pods.next(&self.around, now).into_iter();
            actions.extend(pods.filter_map(|action| self.put_off(Action::Pod(action), now)));
            actions.extend(self.asks(now).into_iter().map(Action::Ask));
        }
        let sayings = self.pods.sayings.drain(..).chain(self.objects.sayings.drain(..));
        let sayings = sayings.chain(self.releases.sayings.drain(..));
        actions.extend(sayings.filter_map(|saying| self.events.say(saying, now, clock)).map(Action::Event));
        actions
    }

    fn asks(&mut self, now: Instant) -> Vec<asks::Action> {
        let mut actions = self.asks.next(now);
        for action in &mut actions {
            if let asks::Action::Answer { node, blocks, .. } = action
                && let Some(known) = self.releases.blocks_on(node)
            {
                *blocks = known;
            }
        }
        actions
    }

    /// What of the kept addresses is to be looked through now. What was not done is found among all of them.
    fn sweeps(&mut self, now: Instant) -> Option<owners::Look> {
        match self.sweep {
            Sweep::Idle => self.owners.take_due(),
            Sweep::Running => None,
            Sweep::Again(at) => (at <= now).then_some(owners::Look::All),
        }
    }

    /// What is asked for a pod waits while something is released that was taken out of it: it could be given the same again.
    fn put_off(&mut self, action: Action, now: Instant) -> Option<Action> {
        let is_free = match &action {
            Action::Pod(pods::Action::Ask { uid, .. }) => self.releases.plugs_in(uid),
            Action::Ask(asks::Action::Ask { request, .. }) => {
                request.wants.iter().all(|want| self.releases.plugs_in(&want.attachment.holder))
            }
            _ => true,
        };
        if is_free {
            return Some(action);
        }
        match action {
            Action::Pod(pods::Action::Ask { uid, .. }) => self.pods.put_off(&uid, now),
            Action::Ask(asks::Action::Ask { id, .. }) => self.asks.put_off(&id, now),
            _ => {}
        }
        None
    }

    /// When `next` has something to do, if nothing happens before.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let sweep = match self.sweep {
            Sweep::Again(at) => Some(at),
            Sweep::Idle | Sweep::Running => None,
        };
        let served = if self.is_ready() { [self.pods.due(now), self.asks.due()] } else { [None, None] };
        [sweep, self.objects.due(), self.releases.due()].into_iter().chain(served).flatten().min()
    }
}
