//! The verbs of CNI (SPEC 1.1.0, section 4), done by the engine.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use allotment_core::{Owner, Refusal, Release};
use allotment_engine::{EngineError, Handle};
use allotment_wire::cni::{Error, NetConf, Version, code};
use allotment_wire::{CniCall, Command};

use crate::answer;
use crate::implied::Implied;
use crate::metrics::NodeMetrics;
use crate::pending::Pending;

/// How long a call may take here. Planning and committing take milliseconds; whoever waits longer is better told so, and
/// kubelet tries again.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);

/// How long a failed commit counts against the node when nothing was tried since. Kubelet starts no pod on a node whose
/// STATUS fails, so that nothing might ever be tried again.
const UNWRITABLE_FOR: Duration = Duration::from_secs(30);

/// How often the folder of waiting releases is looked at when no ADD does.
const PENDING_EVERY: Duration = Duration::from_secs(1);

/// What every call ends with: a result for ADD, nothing for the others, or CNI's error.
pub(crate) type Answer = Result<Option<Value>, Error>;

/// Is told how every ADD was decided: for whom, on which network, and why not.
pub type Decided = Box<dyn Fn(&Owner, &str, Option<&Refusal>) + Send + Sync>;

/// Answers the plugin's calls.
pub struct CniService {
    pub(crate) engine: Handle,
    pub(crate) decided: Decided,
    pub(crate) implied: Implied,
    pending: Pending,
    pub(crate) metrics: NodeMetrics,
    draining: AtomicBool,
    /// Why the ledger could not be written the last time, and when that was; nothing since it could.
    unwritable: Mutex<Option<(Instant, String)>>,
}

impl CniService {
    /// `socket` is where it will be served: the folder of waiting releases is beside it.
    pub fn new(
        engine: Handle,
        socket: &Path,
        metrics: &NodeMetrics,
        decided: Decided,
    ) -> io::Result<Arc<CniService>> {
        Ok(Arc::new(CniService {
            engine,
            decided,
            implied: Implied::default(),
            pending: Pending::beside(socket, metrics.pending.clone())?,
            metrics: metrics.clone(),
            draining: AtomicBool::new(false),
            unwritable: Mutex::new(None),
        }))
    }

    /// From now on no ADD is begun, and STATUS says so: the daemon is about to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Does what waits in `pending-del`, now and whenever a file comes, for ever: end it by dropping it. An ADD looks there
    /// for itself, so nothing depends on how often this does.
    pub async fn follow_pending(&self) {
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
            tokio::time::sleep(PENDING_EVERY).await;
        }
    }

    /// Answers one call.
    pub async fn call(self: &Arc<Self>, call: CniCall) -> Answer {
        let began = Instant::now();
        let command = call.command;
        let version =
            call.config.get("cniVersion").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let answer = match command {
            Command::Add => self.add(&call).await,
            Command::Del => self.del(call).await,
            Command::Check => self.check(&call).await,
            Command::Gc => self.gc(&call).await,
            Command::Status => self.status().await,
        };
        self.metrics.cni.count(command, answer.as_ref().err().map_or(0, |error| error.code), began.elapsed());
        answer.map_err(|error| Error { cni_version: version.unwrap_or(Version::V1_1_0).to_string(), ..error })
    }

    /// Whether an ADD may begin: not while stopping, and not before what waits is released, as that may be of the same
    /// container.
    pub(crate) async fn admit_add(&self, deadline: Instant) -> Result<(), Error> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(answer::later(
                "the daemon is draining: it finishes what it has begun and then stops",
            ));
        }
        match tokio::time::timeout_at(deadline.into(), self.replay_pending()).await {
            Ok(done) => done,
            Err(_) => Err(answer::later("releases that came while nobody could do them are not done yet")),
        }
    }

    /// Does what waits in `pending-del` now.
    pub async fn replay_pending(&self) -> Result<(), Error> {
        let replayed = self.pending.replay(|call| {
            let engine = self.engine.clone();
            async move { release(&engine, &call).await }
        });
        match replayed.await {
            Ok(0) => Ok(()),
            Ok(_) => {
                self.written();
                Ok(())
            }
            Err(error) => Err(answer::later(error.to_string())),
        }
    }

    /// Releases one interface of one sandbox. Success whenever nothing is held afterwards or will be as soon as the engine
    /// can: an error would stop the main plugin and leave the pod behind.
    ///
    /// Runs to its end even if the caller goes away.
    async fn del(self: &Arc<Self>, call: CniCall) -> Answer {
        let service = self.clone();
        let task = tokio::spawn(async move {
            let Err(why) = release(&service.engine, &call).await else {
                service.written();
                return Ok(None);
            };
            let why = service.failed(why);
            match service.pending.keep(&call) {
                Ok(()) => {
                    tracing::warn!(
                        error = why.msg,
                        container_id = call.container_id,
                        "a DEL has to wait and is kept"
                    );
                    Ok(None)
                }
                Err(error) => {
                    let msg = format!("{}; nor can the release be kept for later: {error}", why.msg);
                    Err(Error { msg, ..why })
                }
            }
        });
        task.await.unwrap_or_else(|error| Err(answer::later(format!("the release broke off: {error}"))))
    }

    /// Fails only where no ADD can work: an error takes the whole node out of service. A full subnet is no reason.
    async fn status(&self) -> Answer {
        let why = if self.draining.load(Ordering::Relaxed) {
            "the daemon is about to stop".to_owned()
        } else if let Err(why) = self.engine.read(|_, _| ()).await {
            why.to_string()
        } else if let Some((_, why)) = self.unwritable().filter(|(at, _)| at.elapsed() < UNWRITABLE_FOR) {
            format!("the ledger could not be written: {why}")
        } else {
            return Ok(None);
        };
        Err(Error::new(
            code::NOT_AVAILABLE,
            why,
            "see the daemon's log, and whether its disk is full or read-only",
        ))
    }

    /// What the runtime is told when the engine did not do it.
    pub(crate) fn failed(&self, why: EngineError) -> Error {
        if let EngineError::Ledger(text) = &why {
            *self.lock() = Some((Instant::now(), text.clone()));
        }
        answer::failed(why)
    }

    /// The ledger was written, or nothing had to be.
    pub(crate) fn written(&self) {
        *self.lock() = None;
    }

    fn unwritable(&self) -> Option<(Instant, String)> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        // A poisoned lock guards a value that is whole.
        self.unwritable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// DEL needs neither the `ipam` section nor the namespace, and is content with an empty configuration.
async fn release(engine: &Handle, call: &CniCall) -> Result<(), EngineError> {
    let network = match NetConf::network(&call.config) {
        Some(network) => Some(network.to_owned()),
        None => match unnamed(engine, call).await? {
            Some(network) => Some(network),
            None => return Ok(()),
        },
    };
    let release = Release::Interface {
        container_id: call.container_id.clone(),
        interface: call.ifname.clone(),
        network,
    };
    for freed in engine.release(release, Instant::now() + CALL_LIMIT).await? {
        tracing::debug!(
            address = %freed.address, vrf = freed.vrf, container_id = call.container_id, interface = call.ifname, "released"
        );
    }
    Ok(())
}

/// The network that a DEL means whose configuration names none: the one that has this interface. Where several do, nothing
/// tells which of them has ended, and an address that is still in use must not be given to somebody else: they end with
/// their namespace, or by a DEL that names them.
async fn unnamed(engine: &Handle, call: &CniCall) -> Result<Option<String>, EngineError> {
    let (id, interface) = (call.container_id.clone(), call.ifname.clone());
    let networks = engine.read(move |state, _| {
        let of_sandbox = state.in_sandbox(&id).into_iter().flat_map(|allocation| allocation.attachments);
        of_sandbox
            .filter(|attachment| attachment.container_id == id && attachment.interface == interface)
            .map(|attachment| attachment.network)
            .collect::<BTreeSet<String>>()
    });
    let mut networks = networks.await?;
    if networks.len() > 1 {
        tracing::warn!(
            container_id = call.container_id,
            interface = call.ifname,
            networks = networks.into_iter().collect::<Vec<_>>().join(", "),
            "a DEL without the network's name could mean several: none is released until it is named or the namespace is gone"
        );
        return Ok(None);
    }
    Ok(networks.pop_first())
}
