//! What waits in the queue.

use std::net::IpAddr;
use std::time::Instant;

use allotment_core::{Allocation, Object, ObjectKey, Release, Request, State, Timestamp};
use tokio::sync::oneshot;

use crate::draft::Draft;
use crate::metrics::Metrics;
use crate::{EngineError, History};

pub(crate) enum Item {
    Change(Box<dyn Task>),
    Read(Box<dyn Read>),
    /// Somebody else has written to the ledger.
    Refresh(oneshot::Sender<Result<(), EngineError>>),
    /// What is remembered, from a place on, of an address or of all.
    History(u64, Option<IpAddr>, oneshot::Sender<Result<History, EngineError>>),
}

/// One change that somebody asked for: decided in a batch, perhaps again in another, and answered once.
pub(crate) trait Task: Send {
    /// Whether nobody waits for the answer any more.
    fn is_withdrawn(&self) -> bool;

    fn is_late(&self, now: Instant) -> bool;

    /// What it will ask of the rules: a batch is told to core before it is decided.
    fn subject(&self) -> &dyn Subject;

    /// Decides it on the draft and remembers the outcome.
    fn decide(&mut self, draft: &mut Draft<'_>);

    /// Tells the caller what was decided.
    fn answer(self: Box<Self>, metrics: &Metrics);

    /// Tells the caller that nothing was done.
    fn fail(self: Box<Self>, error: EngineError);
}

/// What somebody asks for.
pub(crate) trait Subject {
    fn request(&self) -> Option<&Request> {
        None
    }

    fn release(&self) -> Option<&Release> {
        None
    }
}

impl Subject for Request {
    fn request(&self) -> Option<&Request> {
        Some(self)
    }
}

impl Subject for Release {
    fn release(&self) -> Option<&Release> {
        Some(self)
    }
}

impl Subject for Vec<Object> {}
impl Subject for ObjectKey {}
impl Subject for Vec<Allocation> {}

/// A [`Task`] made of what is asked for and a function.
pub(crate) struct Ask<S, F, T> {
    pub(crate) subject: S,
    pub(crate) decide: F,
    pub(crate) deadline: Option<Instant>,
    pub(crate) answer: oneshot::Sender<Result<T, EngineError>>,
    pub(crate) decided: Option<Result<T, EngineError>>,
}

impl<S, F, T> Task for Ask<S, F, T>
where
    S: Subject + Send,
    F: FnMut(&mut Draft<'_>, &S) -> Result<T, EngineError> + Send,
    T: Send,
{
    fn is_withdrawn(&self) -> bool {
        self.answer.is_closed()
    }

    fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn subject(&self) -> &dyn Subject {
        &self.subject
    }

    fn decide(&mut self, draft: &mut Draft<'_>) {
        self.decided = Some((self.decide)(draft, &self.subject));
    }

    fn answer(self: Box<Self>, metrics: &Metrics) {
        let decided = self.decided.expect("only what was decided is answered");
        metrics.decided.add(1);
        if let Err(EngineError::Refused(refusal)) = &decided {
            metrics.refused(refusal.code);
        }
        // Whoever went away meanwhile finds it done when they ask again.
        let _ = self.answer.send(decided);
    }

    fn fail(self: Box<Self>, error: EngineError) {
        let _ = self.answer.send(Err(error));
    }
}

/// Looks at the state between two batches.
pub(crate) trait Read: Send {
    /// Looks; `state` is an error while the ledger cannot be read.
    fn read(self: Box<Self>, state: Result<(&State, Timestamp), EngineError>);
}

/// A [`Read`] made of a function.
pub(crate) struct Look<F, T> {
    pub(crate) look: F,
    pub(crate) answer: oneshot::Sender<Result<T, EngineError>>,
}

impl<F, T> Read for Look<F, T>
where
    F: FnOnce(&State, Timestamp) -> T + Send,
    T: Send,
{
    fn read(self: Box<Self>, state: Result<(&State, Timestamp), EngineError>) {
        let Look { look, answer } = *self;
        if !answer.is_closed() {
            let _ = answer.send(state.map(|(state, now)| look(state, now)));
        }
    }
}
