//! What every daemon does alike when CNI calls (SPEC 1.1.0, section 4): which calls may begin, DELs that have to wait, and
//! the form of errors. What the verbs come to is [`Verbs`]' matter.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use allotment_wire::cni::{Error, Version, code};
use allotment_wire::{CniCall, Command};

use crate::answer;
use crate::metrics::NodeMetrics;
use crate::pending::Pending;

/// How long a call may take here. Planning and committing take milliseconds; whoever waits longer is better told so, and
/// kubelet tries again.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);

/// What every call ends with: a result for ADD, nothing for the others, or CNI's error.
pub(crate) type Answer = Result<Option<Value>, Error>;

/// What CNI's verbs come to in one kind of daemon.
pub trait Verbs: Send + Sync + 'static {
    /// How long an ADD may take.
    const ADD_LIMIT: Duration = CALL_LIMIT;

    /// ADD: the result, once it is durable. The same attachment again gets the same. An error leaves nothing behind.
    fn add(&self, call: &CniCall, deadline: Instant) -> impl Future<Output = Result<Value, Error>> + Send;

    /// DEL of one interface of one sandbox: success when nothing is held afterwards. An error means that it cannot be done
    /// now; it is kept then, and done later.
    fn release(&self, call: &CniCall) -> impl Future<Output = Result<(), Error>> + Send;

    /// CHECK: an error when what is recorded is not what the call says.
    fn check(&self, call: &CniCall) -> impl Future<Output = Result<(), Error>> + Send;

    /// GC: releases what the call's list lacks.
    fn gc(&self, call: &CniCall) -> impl Future<Output = Result<(), Error>> + Send;

    /// STATUS: why no ADD at all can work, and what to do. An error takes the whole node out of service.
    fn status(&self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Answers the plugin's calls.
pub struct CniService<V> {
    verbs: Arc<V>,
    pending: Pending,
    metrics: NodeMetrics,
    draining: AtomicBool,
}

impl<V: Verbs> CniService<V> {
    /// `socket` is where it will be served: the folder of waiting releases is beside it.
    pub fn new(verbs: V, socket: &Path, metrics: &NodeMetrics) -> io::Result<Arc<CniService<V>>> {
        Ok(Arc::new(CniService {
            verbs: Arc::new(verbs),
            pending: Pending::beside(socket, metrics.pending.clone())?,
            metrics: metrics.clone(),
            draining: AtomicBool::new(false),
        }))
    }

    /// From now on no ADD is begun, and STATUS says so: the daemon is about to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Does what waits in `pending-del`, now and whenever a look finds a file, for ever: end it by dropping it. An ADD looks
    /// there for itself, so nothing depends on how often this does.
    pub async fn follow_pending(&self, every: Duration) {
        let mut complained = false;
        loop {
            match self.replay_pending().await {
                Ok(()) => complained = false,
                Err(why) if !complained => {
                    tracing::warn!(error = %why.msg, "waiting releases cannot be done yet");
                    complained = true;
                }
                Err(_) => {}
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Answers one call.
    pub async fn call(self: &Arc<Self>, call: CniCall) -> Answer {
        let began = Instant::now();
        let command = call.command;
        let version =
            call.config.get("cniVersion").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let answer = match command {
            Command::Add => self.add(&call).await.map(Some),
            Command::Del => self.del(call).await.map(|()| None),
            Command::Check => self.verbs.check(&call).await.map(|()| None),
            Command::Gc => self.verbs.gc(&call).await.map(|()| None),
            Command::Status => self.status().await.map(|()| None),
        };
        self.metrics.cni.count(command, answer.as_ref().err().map_or(0, |error| error.code), began.elapsed());
        answer.map_err(|error| Error { cni_version: version.unwrap_or(Version::V1_1_0).to_string(), ..error })
    }

    /// An ADD may begin, but not while stopping, and not before what waits is released, as that may be of the same container.
    async fn add(&self, call: &CniCall) -> Result<Value, Error> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(answer::later(
                "the daemon is draining: it finishes what it has begun and then stops",
            ));
        }
        let deadline = Instant::now() + V::ADD_LIMIT;
        match tokio::time::timeout_at(deadline.into(), self.replay_pending()).await {
            Ok(done) => done?,
            Err(_) => {
                return Err(answer::later("releases that came while nobody could do them are not done yet"));
            }
        }
        self.verbs.add(call, deadline).await
    }

    /// Does what waits in `pending-del` now.
    pub async fn replay_pending(&self) -> Result<(), Error> {
        let replayed = self.pending.replay(|call| {
            let verbs = Arc::clone(&self.verbs);
            async move { verbs.release(&call).await }
        });
        replayed.await.map_err(|error| answer::later(error.to_string()))
    }

    /// Releases one interface of one sandbox. Success whenever nothing is held afterwards or will be as soon as it can be
    /// done: an error would stop the main plugin and leave the pod behind.
    ///
    /// Runs to its end even if the caller goes away.
    async fn del(self: &Arc<Self>, call: CniCall) -> Result<(), Error> {
        let service = Arc::clone(self);
        let task = tokio::spawn(async move {
            let Err(why) = service.verbs.release(&call).await else { return Ok(()) };
            match service.pending.keep(&call) {
                Ok(()) => {
                    tracing::warn!(
                        error = why.msg,
                        container_id = call.container_id,
                        "a DEL has to wait and is kept"
                    );
                    Ok(())
                }
                Err(error) => {
                    let msg = format!("{}; nor can the release be kept for later: {error}", why.msg);
                    Err(Error { msg, ..why })
                }
            }
        });
        task.await.unwrap_or_else(|error| Err(answer::later(format!("the release broke off: {error}"))))
    }

    /// Fails only where no ADD can work.
    async fn status(&self) -> Result<(), Error> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Error::new(code::NOT_AVAILABLE, "the daemon is about to stop", answer::LATER));
        }
        self.verbs.status().await
    }
}
