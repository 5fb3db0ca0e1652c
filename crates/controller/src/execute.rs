//! Does what was decided: requests to the engine in their order, writes to the API server a bounded number at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_api::v1alpha1::{Answer, IPPool, NodeAttachments, ObjectStatus, Reservation, Subnet};
use allotment_cluster::Pod;
use allotment_core::{
    Allocation, AllocationState, Grant, Object, ObjectKey, ObjectKind, Release, ReleaseMode, Request, State,
    Timestamp, Usage,
};
use allotment_engine::{EngineError, Handle, Pages};
use futures_util::future::{join_all, poll_immediate};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::asks;
use crate::kubernetes::{FIELD_MANAGER, code};
use crate::objects::{self, FINALIZER, Settled, settle};
use crate::owners::Kept;
use crate::pods::{self, Patched, Place, Uid};
use crate::release;
use crate::world::Action;

/// Writes under way at one time: enough to keep an API server busy, too few to be noticed by its fairness.
const WRITES: usize = 64;

/// A request that has not been decided by then is asked again.
const DECIDE: Duration = Duration::from_secs(10);

/// A write that has not been answered by then is tried again.
const ANSWER: Duration = Duration::from_secs(30);

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
    client: Client,
    handle: Handle,
    writes: Arc<Semaphore>,
    outcomes: mpsc::UnboundedSender<Outcome>,
    tasks: JoinSet<()>,
}

impl Executor {
    pub(crate) fn new(client: Client, handle: Handle, outcomes: mpsc::UnboundedSender<Outcome>) -> Executor {
        Executor { client, handle, writes: Arc::new(Semaphore::new(WRITES)), outcomes, tasks: JoinSet::new() }
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
            Action::Release(action) => match action {},
            Action::FindKept => {
                let pages = Pages::new(&self.handle, |_, _| true, |state, place| kept(state.at(place)?));
                self.spawn(async move { Outcome::FoundKept(pages.collect().await.ok()) });
            }
            Action::Free(kept) => {
                let handle = self.handle.clone();
                self.spawn(async move { Outcome::Freed { all: free(&handle, kept).await } });
            }
        }
    }

    async fn start_pod(&mut self, action: pods::Action) {
        match action {
            pods::Action::Ask { uid, request } => {
                self.ask(*request, move |answer| Outcome::Answered { uid, answer }).await;
            }
            pods::Action::Show { uid, place, patch, .. } => {
                let client = self.client.clone();
                self.write(async move {
                    let patched = show(client, &uid, &place, patch).await;
                    Outcome::Patched { uid, patched }
                });
            }
            pods::Action::GiveBack { uid, unseen } => {
                let handle = self.handle.clone();
                self.spawn(async move {
                    for (vrf, address) in unseen {
                        let holder = uid.to_string();
                        let release = Release::Address { vrf, address, holder, mode: ReleaseMode::Cool, since: None };
                        // What is not released now is found unshown at the next start.
                        if let Err(error) = handle.release(release, Instant::now() + DECIDE).await {
                            tracing::warn!(%uid, %address, %error, "an address that was never shown was not given back");
                        }
                    }
                    Outcome::GivenBack
                });
            }
            pods::Action::Say { .. } => {}
        }
    }

    async fn start_ask(&mut self, action: asks::Action) {
        match action {
            asks::Action::Judge { id, namespace, name } => {
                let api: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
                self.write(async move {
                    let read = timeout(ANSWER, api.get_opt(&name)).await;
                    let read =
                        read.map_err(|_| slow()).and_then(|read| read.map_err(|error| error.to_string()));
                    Outcome::Judged { id, pod: read.map(|pod| pod.map(Box::new)) }
                });
            }
            asks::Action::Ask { id, request } => {
                self.ask(*request, move |answer| Outcome::AskAnswered { id, answer }).await;
            }
            asks::Action::Answer { node, uid, answers } => {
                let api: Api<NodeAttachments> = Api::all(self.client.clone());
                self.write(async move {
                    // The UID keeps it from another object of this name.
                    let patch = json!({"metadata": {"uid": uid}, "spec": {"answers": answers}});
                    let params = PatchParams {
                        field_manager: Some(FIELD_MANAGER.to_owned()),
                        ..PatchParams::default()
                    };
                    let patch = Patch::Merge(patch);
                    let written = timeout(ANSWER, api.patch_metadata(&node, &params, &patch)).await;
                    let written =
                        written.map_err(|_| slow()).and_then(|done| done.map_err(|error| error.to_string()));
                    Outcome::AnswersWritten { node, answers: written.map(|_| answers) }
                });
            }
        }
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
            Some(answer) => self.tell(outcome(answer)),
            None => self.spawn(async move { outcome(asked.await) }),
        }
    }

    fn start_object(&mut self, action: objects::Action) {
        let (client, handle) = (self.client.clone(), self.handle.clone());
        match action {
            objects::Action::Settle(steps) => {
                self.spawn(async move { Outcome::Settled(settle(&handle, steps).await) });
            }
            objects::Action::Survey => {
                self.spawn(async move { Outcome::Surveyed(handle.read(usage).await.ok()) });
            }
            objects::Action::WriteStatus { key, uid, status } => self.write(async move {
                let status =
                    write_status(client, &key, &uid, status).await.map_err(|error| error.to_string());
                Outcome::Written { key, status }
            }),
            objects::Action::Finalize { key, uid, present } => self.write(async move {
                let done = finalize(client, &key, &uid, present).await;
                Outcome::Finalized { key, present: done.map(|()| present).map_err(|error| error.to_string()) }
            }),
        }
    }

    /// A write to the API server, when its turn comes.
    fn write(&mut self, write: impl Future<Output = Outcome> + Send + 'static) {
        let writes = Arc::clone(&self.writes);
        self.spawn(async move {
            let _turn = writes.acquire().await;
            write.await
        });
    }

    fn spawn(&mut self, work: impl Future<Output = Outcome> + Send + 'static) {
        let outcomes = self.outcomes.clone();
        self.tasks.spawn(async move {
            // Nobody listens once the term is over.
            let _ = outcomes.send(work.await);
        });
    }

    fn tell(&self, outcome: Outcome) {
        let _ = self.outcomes.send(outcome);
    }
}

fn slow() -> String {
    format!("no answer within {} s", ANSWER.as_secs())
}

async fn show(client: Client, uid: &str, place: &Place, patch: json_patch::Patch) -> Patched {
    let api: Api<Pod> = Api::namespaced(client, &place.namespace);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::<()>::Json(patch);
    let answer = timeout(ANSWER, api.patch_metadata(&place.name, &params, &patch)).await;
    let error = match answer {
        Ok(Ok(_)) => return Patched::Done,
        Ok(Err(error)) => error,
        Err(_) => return Patched::Failed(slow()),
    };
    match code(&error) {
        Some(404) => Patched::Gone,
        // What it tests does not hold (422), or somebody wrote at the same moment (409).
        Some(409 | 422) => match timeout(ANSWER, api.get_opt(&place.name)).await {
            Ok(Ok(Some(pod))) if pod.metadata.uid.as_deref() == Some(uid) => Patched::Changed(Box::new(pod)),
            Ok(Ok(_)) => Patched::Gone,
            Ok(Err(error)) => Patched::Failed(error.to_string()),
            Err(_) => Patched::Failed(error.to_string()),
        },
        _ => Patched::Failed(error.to_string()),
    }
}

/// An address that is reserved for its owner and in use by nobody.
fn kept(allocation: Allocation) -> Option<Kept> {
    let Allocation { vrf, address, state, owner, attachments, .. } = allocation;
    let attachment = attachments.into_iter().next();
    (state == AllocationState::Reserved).then_some(Kept { vrf, address, owner, attachment })
}

/// Frees kept addresses. Whether all of them are.
async fn free(handle: &Handle, kept: Vec<Kept>) -> bool {
    let deadline = Instant::now() + DECIDE;
    let releases = kept.into_iter().map(async |Kept { vrf, address, owner, attachment }| {
        let holder = attachment.map(|attachment| attachment.holder).unwrap_or_default();
        let release = Release::Address { vrf, address, holder, mode: ReleaseMode::Cool, since: None };
        tracing::info!(%address, %owner, "freed: its owner is gone, or no longer needs it");
        handle.release(release, deadline).await.is_ok()
    });
    join_all(releases).await.into_iter().all(|freed| freed)
}

/// How full subnets and pools are.
fn usage(state: &State, now: Timestamp) -> BTreeMap<ObjectKey, Vec<Usage>> {
    let used = |object: Object| match &object {
        Object::Subnet(spec) => Some((object.key(), state.subnet_usage(&spec.name, now))),
        Object::IPPool(spec) => Some((object.key(), state.pool_usage(&spec.name, now))),
        Object::Reservation(_) => None,
    };
    state.objects().filter_map(used).collect()
}

async fn write_status(
    client: Client,
    key: &ObjectKey,
    uid: &str,
    status: ObjectStatus,
) -> Result<ObjectStatus, kube::Error> {
    let fields = json!({ "status": status });
    apply(client, key, uid, fields, true).await?;
    Ok(status)
}

async fn finalize(client: Client, key: &ObjectKey, uid: &str, present: bool) -> Result<(), kube::Error> {
    let finalizers: &[&str] = if present { &[FINALIZER] } else { &[] };
    let done = apply(client, key, uid, json!({ "metadata": { "finalizers": finalizers } }), false).await;
    match done {
        // It went meanwhile, which is what is wanted where the finalizer is taken away.
        Err(error) if !present && matches!(code(&error), Some(404 | 409)) => Ok(()),
        done => done,
    }
}

/// Server-side apply of our own fields. The UID keeps it from making an object anew that has gone.
async fn apply(
    client: Client,
    key: &ObjectKey,
    uid: &str,
    fields: serde_json::Value,
    is_status: bool,
) -> Result<(), kube::Error> {
    match key.kind {
        ObjectKind::Subnet => apply_as::<Subnet>(client, &key.name, uid, fields, is_status).await,
        ObjectKind::IPPool => apply_as::<IPPool>(client, &key.name, uid, fields, is_status).await,
        ObjectKind::Reservation => apply_as::<Reservation>(client, &key.name, uid, fields, is_status).await,
    }
}

async fn apply_as<K>(
    client: Client,
    name: &str,
    uid: &str,
    mut fields: serde_json::Value,
    is_status: bool,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    fields["apiVersion"] = json!(K::api_version(&()));
    fields["kind"] = json!(K::kind(&()));
    fields["metadata"]["name"] = json!(name);
    fields["metadata"]["uid"] = json!(uid);
    let api: Api<K> = Api::all(client);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    if is_status {
        api.patch_status(name, &params, &Patch::Apply(fields)).await?;
    } else {
        api.patch_metadata(name, &params, &Patch::Apply(fields)).await?;
    }
    Ok(())
}
