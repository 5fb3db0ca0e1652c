//! The verbs, done by an engine in the same process.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use allotment_core::{Owner, Refusal, Release};
use allotment_engine::{EngineError, Handle, LedgerError};
use allotment_wire::CniCall;
use allotment_wire::cni::{Error, NetConf, code};

use crate::answer;
use crate::implied::Implied;
use crate::metrics::{CniMetrics, NodeMetrics};
use crate::service::{CALL_LIMIT, Verbs};

/// How long a failed commit counts against the node when nothing was tried since. Kubelet starts no pod on a node whose
/// STATUS fails, so that nothing might ever be tried again.
const UNWRITABLE_FOR: Duration = Duration::from_secs(30);

/// Is told how every ADD was decided: for whom, on which network, and why not.
pub type Decided = Box<dyn Fn(&Owner, &str, Option<&Refusal>) + Send + Sync>;

/// Says whether the ledger could be written now, as far as that can be told without writing; asked by every STATUS.
pub type Writable = Box<dyn Fn() -> Result<(), LedgerError> + Send + Sync>;

/// One machine's verbs: every ADD is a request to the engine, every DEL a release.
pub struct EngineVerbs {
    pub(crate) engine: Handle,
    pub(crate) decided: Decided,
    pub(crate) implied: Implied,
    pub(crate) metrics: CniMetrics,
    writable: Writable,
    /// Why the ledger could not be written the last time, and when that was; nothing since it could.
    unwritable: Mutex<Option<(Instant, String)>>,
}

impl Verbs for EngineVerbs {
    async fn add(&self, call: &CniCall, deadline: Instant) -> Result<Value, Error> {
        self.grant(call, deadline).await
    }

    async fn release(&self, call: &CniCall) -> Result<(), Error> {
        release(&self.engine, call).await.map_err(|why| self.failed(why))?;
        self.written();
        Ok(())
    }

    async fn check(&self, call: &CniCall) -> Result<(), Error> {
        self.compare_with_ledger(call).await
    }

    async fn gc(&self, call: &CniCall) -> Result<(), Error> {
        self.release_stale(call).await
    }

    async fn status(&self) -> Result<(), Error> {
        let why = if let Err(why) = self.engine.read(|_, _| ()).await {
            why.to_string()
        } else if let Some((_, why)) = self.unwritable().filter(|(at, _)| at.elapsed() < UNWRITABLE_FOR) {
            format!("the ledger could not be written: {why}")
        } else if let Err(why) = (self.writable)() {
            // Nothing may be asked of a node for hours, and nobody should be sent here only to find it out.
            why.to_string()
        } else {
            return Ok(());
        };
        Err(Error::new(
            code::NOT_AVAILABLE,
            why,
            "see the daemon's log, and whether its disk is full or read-only",
        ))
    }
}

impl EngineVerbs {
    pub fn new(engine: Handle, metrics: &NodeMetrics, decided: Decided, writable: Writable) -> EngineVerbs {
        EngineVerbs {
            engine,
            decided,
            implied: Implied::default(),
            metrics: metrics.cni.clone(),
            writable,
            unwritable: Mutex::new(None),
        }
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
