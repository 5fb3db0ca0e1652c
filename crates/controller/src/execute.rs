//! Does what was decided: requests to the engine in their order, writes to the API server a bounded number at a time.

mod compare;
mod ends;
mod engine;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_api::v1alpha1::{Answer, ObjectStatus};
use allotment_cluster::Pod;
use allotment_core::{Grant, ObjectKey, Request, Usage};
use allotment_engine::{EngineError, Handle};
use allotment_proof::Version;
use futures_util::future::poll_immediate;
use kube::Client;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use self::writer::Writer;
use crate::metrics::{Metrics, Written};
use crate::objects::{self, Settled, settle};
use crate::owners::Kept;
use crate::pods::{self, Patched, Uid};
use crate::world::Action;
use crate::{asks, audit, events, release};

/// Writes under way at one time: enough to keep an API server busy, too few to be noticed by its fairness.
const WRITES: usize = 64;

/// Events under way at one time; beyond so many that wait no more are written: they are told, not kept.
const EVENTS: usize = 4;
const EVENTS_WAITING: usize = 1024;

/// A request that has not been decided by then is asked again.
const DECIDE: Duration = Duration::from_secs(10);

/// After the ledger could not be compared with what pods show, or the epoch could not be raised.
const AGAIN: Duration = Duration::from_secs(2);

/// What became of an action.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answered {
        uid: Uid,
        answer: Result<Grant, EngineError>,
    },
    Patched {
        uid: Uid,
        patched: Patched,
    },
    GivenBack,
    Judged {
        id: asks::Id,
        pod: Result<Option<Box<Pod>>, String>,
    },
    AskAnswered {
        id: asks::Id,
        answer: Result<Grant, EngineError>,
        pod_version: Version,
    },
    AnswersWritten {
        node: Arc<str>,
        answers: Result<Vec<Answer>, String>,
    },
    Released(release::Outcome),
    /// What is kept for owners that nobody uses now; nothing when it could not be read.
    FoundKept(Option<Vec<Kept>>),
    /// What nobody needs any more is freed, all of it or not.
    Freed {
        all: bool,
    },
    /// Whether the ledger has lost what pods show; nothing when it could not be seen.
    Compared(Option<bool>),
    EpochRaised(Result<(), String>),
    Settled(Settled),
    Surveyed(Option<BTreeMap<ObjectKey, Vec<Usage>>>),
    Written {
        key: ObjectKey,
        status: Result<ObjectStatus, String>,
    },
    Finalized {
        key: ObjectKey,
        present: Result<bool, String>,
    },
}

/// Works for one term of leadership; what is under way ends with it.
pub(crate) struct Executor {
    writer: Writer,
    handle: Handle,
    writes: Arc<Semaphore>,
    events: Arc<Semaphore>,
    events_waiting: Arc<Semaphore>,
    outcomes: mpsc::UnboundedSender<Outcome>,
    tasks: JoinSet<()>,
}

impl Executor {
    pub(crate) fn new(
        client: Client,
        handle: Handle,
        outcomes: mpsc::UnboundedSender<Outcome>,
        metrics: Arc<Metrics>,
    ) -> Executor {
        Executor {
            writer: Writer::new(client, metrics),
            handle,
            writes: Arc::new(Semaphore::new(WRITES)),
            events: Arc::new(Semaphore::new(EVENTS)),
            events_waiting: Arc::new(Semaphore::new(EVENTS_WAITING)),
            outcomes,
            tasks: JoinSet::new(),
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Finishes what is under way, then stops the engine.
    pub(crate) async fn finish(mut self) {
        while self.tasks.join_next().await.is_some() {}
        self.handle.stop().await;
    }

    /// Begins an action. Requests are in the engine's queue when this returns, so that it sees them in their order.
    pub(crate) async fn start(&mut self, action: Action) {
        while self.tasks.try_join_next().is_some() {}
        match action {
            Action::Pod(action) => self.start_pod(action).await,
            Action::Object(action) => self.start_object(action),
            Action::Ask(action) => self.start_ask(action).await,
            Action::Event(event) => self.start_event(event),
            Action::Compare(shown) => {
                let shown = Arc::new(shown);
                let (handle, all) = (self.handle.clone(), Arc::clone(&shown));
                self.spawn(async move {
                    compare::give_back(&handle, &all).await;
                    Outcome::GivenBack
                });
                let handle = self.handle.clone();
                self.write(async move |writer| {
                    let compared = compare::compare(&handle, &writer, shown).await;
                    if let Err(error) = &compared {
                        tracing::warn!(
                            error,
                            "the ledger was not compared with what pods show; it is tried again"
                        );
                        tokio::time::sleep(AGAIN).await;
                    }
                    Outcome::Compared(compared.ok())
                });
            }
            Action::RaiseEpoch => {
                let (client, handle) = (self.writer.client(), self.handle.clone());
                self.spawn(async move {
                    let raised = engine::raise_epoch(client, &handle).await;
                    if raised.is_err() {
                        tokio::time::sleep(AGAIN).await;
                    }
                    Outcome::EpochRaised(raised)
                });
            }
            Action::Release(action) => self.start_release(action),
            Action::FindKept(look) => {
                let handle = self.handle.clone();
                self.spawn(async move { Outcome::FoundKept(engine::find_kept(&handle, look).await.ok()) });
            }
            Action::Free(kept) => {
                let handle = self.handle.clone();
                self.spawn(async move { Outcome::Freed { all: engine::free(&handle, kept).await } });
            }
        }
    }

    async fn start_pod(&mut self, action: pods::Action) {
        match action {
            pods::Action::Ask { uid, request } => {
                self.ask(*request, move |answer| Outcome::Answered { uid, answer }).await;
            }
            pods::Action::Show { uid, place, patch, grant } => self.write(async move |writer| {
                let what = if grant.is_some() { Written::Grant } else { Written::Refusal };
                let patched = writer.show(&uid, &place, patch, what).await;
                if let (Patched::Done, Some(grant)) = (&patched, grant) {
                    audit::granted(&grant);
                }
                Outcome::Patched { uid, patched }
            }),
            pods::Action::TakeOut { uid, place, patch } => self.write(async move |writer| {
                let patched = writer.show(&uid, &place, patch, Written::Grant).await;
                Outcome::Patched { uid, patched }
            }),
            pods::Action::GiveBack { uid, unseen } => {
                let handle = self.handle.clone();
                self.spawn(async move {
                    engine::give_back(&handle, &uid, unseen).await;
                    Outcome::GivenBack
                });
            }
        }
    }

    async fn start_ask(&mut self, action: asks::Action) {
        match action {
            asks::Action::Judge { id, namespace, name } => self.write(async move |writer| {
                let pod = writer.pod(&namespace, &name).await;
                let pod = pod.map(|pod| pod.map(Box::new)).map_err(|failure| failure.to_string());
                Outcome::Judged { id, pod }
            }),
            asks::Action::Ask { id, request, pod_version } => {
                let outcome = move |answer: Result<Grant, EngineError>| {
                    if let Ok(grant) = &answer {
                        audit::granted(grant);
                    }
                    Outcome::AskAnswered { id, answer, pod_version }
                };
                self.ask(*request, outcome).await;
            }
            asks::Action::Answer { node, uid, answers, blocks } => self.write(async move |writer| {
                let written = writer.answers(&node, &uid, &answers, &blocks).await;
                let answers = written.map(|()| answers).map_err(|failure| failure.to_string());
                Outcome::AnswersWritten { node, answers }
            }),
        }
    }

    fn start_object(&mut self, action: objects::Action) {
        let handle = self.handle.clone();
        match action {
            objects::Action::Settle(steps) => {
                self.spawn(async move { Outcome::Settled(settle(&handle, steps).await) });
            }
            objects::Action::Survey => {
                self.spawn(async move { Outcome::Surveyed(handle.read(engine::usage).await.ok()) });
            }
            objects::Action::WriteStatus { key, uid, status } => self.write(async move |writer| {
                let written = writer.status(&key, &uid, &status).await;
                Outcome::Written {
                    key,
                    status: written.map(|()| status).map_err(|failure| failure.to_string()),
                }
            }),
            objects::Action::Finalize { key, uid, present } => self.write(async move |writer| {
                let done = writer.finalize(&key, &uid, present).await;
                Outcome::Finalized {
                    key,
                    present: done.map(|()| present).map_err(|failure| failure.to_string()),
                }
            }),
        }
    }

    fn start_release(&mut self, action: release::Action) {
        let handle = self.handle.clone();
        match action {
            release::Action::Survey => self.write(async move |writer| {
                Outcome::Released(release::Outcome::Surveyed(ends::survey(&handle, &writer).await))
            }),
            release::Action::LookUp(freed) => {
                self.spawn(async move { Outcome::Released(ends::look_up(&handle, freed).await) });
            }
            release::Action::Release(orders) => {
                self.spawn(async move { Outcome::Released(ends::release(&handle, orders).await) });
            }
            release::Action::Write { node, spec } => self.write(async move |writer| {
                let version = ends::written(writer.spec(&node, &spec).await, &node);
                Outcome::Released(release::Outcome::Written { node, spec, version })
            }),
            release::Action::LookAtEpoch => self.spawn(async move {
                let open = handle.read(|state, _| state.recovering()).await;
                Outcome::Released(open.map_or(release::Outcome::EpochUnread, release::Outcome::Epoch))
            }),
            release::Action::Raise(above) => self.write(async move |writer| {
                Outcome::Released(release::Outcome::Raised(ends::raise(&writer, above).await))
            }),
            release::Action::Settle(epoch) => self.write(async move |writer| {
                Outcome::Released(release::Outcome::Settled(epoch, ends::settle(&writer, epoch).await))
            }),
            release::Action::List(epoch) => self.write(async move |writer| {
                Outcome::Released(release::Outcome::Listed(epoch, writer.pods(None).await.ok()))
            }),
            release::Action::ListRunning(epoch) => self.write(async move |writer| {
                let running = writer.running_pods().await.ok();
                Outcome::Released(release::Outcome::ListedRunning(epoch, running))
            }),
            release::Action::Inventory { node, uses } => self.write(async move |writer| {
                let pods = writer.pods(Some(&node)).await.ok().map(|(pods, _)| pods);
                Outcome::Released(release::Outcome::Inventoried { node, uses, pods })
            }),
            release::Action::Adopt { node, used } => {
                self.spawn(async move { Outcome::Released(ends::adopt(&handle, node, used).await) });
            }
            release::Action::Remove { node, uid, version } => self.write(async move |writer| {
                let done = writer.remove_attachments(&node, uid, version).await;
                if let Err(failure) = done {
                    tracing::debug!(node, %failure, "what a node that is gone has left was not removed");
                }
                Outcome::Released(release::Outcome::Removed)
            }),
        }
    }

    fn start_event(&mut self, event: events::Action) {
        let Ok(place) = Arc::clone(&self.events_waiting).try_acquire_owned() else { return };
        let (writer, events) = (self.writer.clone(), Arc::clone(&self.events));
        self.tasks.spawn(async move {
            let _turn = events.acquire().await;
            if let Err(failure) = writer.event(event).await {
                tracing::debug!(%failure, "an event was not written");
            }
            drop(place);
        });
    }

    /// Asks the engine. The request is in its queue when this returns.
    async fn ask(
        &mut self,
        request: Request,
        outcome: impl FnOnce(Result<Grant, EngineError>) -> Outcome + Send + 'static,
    ) {
        let handle = self.handle.clone();
        let deadline = Instant::now() + DECIDE;
        let mut asked = Box::pin(async move { handle.allocate(request, deadline).await });
        match poll_immediate(&mut asked).await {
            // Nobody listens once the term is over.
            Some(answer) => drop(self.outcomes.send(outcome(answer))),
            None => self.spawn(async move { outcome(asked.await) }),
        }
    }

    /// A write to the API server, when its turn comes.
    fn write<F: Future<Output = Outcome> + Send>(
        &mut self,
        write: impl FnOnce(Writer) -> F + Send + 'static,
    ) {
        let (writer, turns) = (self.writer.clone(), Arc::clone(&self.writes));
        self.spawn(async move {
            let _turn = turns.acquire().await;
            write(writer).await
        });
    }

    fn spawn(&mut self, work: impl Future<Output = Outcome> + Send + 'static) {
        let outcomes = self.outcomes.clone();
        self.tasks.spawn(async move { drop(outcomes.send(work.await)) });
    }
}
