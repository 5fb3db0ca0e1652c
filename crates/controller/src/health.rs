//! Whether the controller lives, is ready and leads: written by its loop, read by whoever asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use allotment_engine::Handle;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::ledger::Keeper;
use crate::metrics::{LedgerMetrics, Metrics};
use crate::world::World;

/// A loop that has not turned for so long is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// What the loop last said of itself.
pub struct Health {
    seen: Mutex<Seen>,
    metrics: Arc<Metrics>,
    /// Engine and ledger of the last term.
    engine: Mutex<Option<(Handle, Keeper)>>,
    leading: watch::Sender<bool>,
}

#[derive(Clone, Copy)]
struct Seen {
    at: Instant,
    stage: Stage,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not everything has been listed yet.
    Listing,
    StandingBy,
    /// It is to lead.
    ReadingLedger,
    /// It leads, and not all objects were tried yet.
    BringingIntoForce,
    Serving,
}

impl Default for Health {
    fn default() -> Health {
        let seen = Seen { at: Instant::now(), stage: Stage::Listing };
        let leading = watch::Sender::new(false);
        Health { seen: Mutex::new(seen), metrics: Arc::default(), engine: Mutex::new(None), leading }
    }
}

impl Health {
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(crate) fn opened(&self, engine: &Handle, keeper: &Keeper) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some((engine.clone(), keeper.clone()));
    }

    /// Engine and ledger of this term, or of the last one.
    pub fn engine(&self) -> Option<(Handle, Keeper)> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The engine, where this process leads and everything declared was tried.
    pub(crate) fn serving(&self) -> Option<Handle> {
        let (engine, _) = self.engine()?;
        (self.seen().stage == Stage::Serving).then_some(engine)
    }

    pub(crate) fn report(&self, world: &World, leading: bool, elected: bool) {
        self.metrics.leads(leading);
        let stage = match (leading, elected) {
            _ if !world.is_warm() => Stage::Listing,
            (true, _) if world.is_ready() => Stage::Serving,
            (true, _) => Stage::BringingIntoForce,
            (false, true) => Stage::ReadingLedger,
            (false, false) => Stage::StandingBy,
        };
        let seen = Seen { at: Instant::now(), stage };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        self.leading.send_if_modified(|was| std::mem::replace(was, self.leads()) != self.leads());
    }

    /// Whether this process leads, as it changes.
    pub(crate) fn leading(&self) -> watch::Receiver<bool> {
        self.leading.subscribe()
    }

    /// Makes it known to whoever collects metrics.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        self.metrics.register(registry);
        registry.register_collector(Box::new(LedgerMetrics(Arc::clone(self))));
    }

    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its loop turns.
    pub fn is_alive(&self) -> bool {
        self.seen().at.elapsed() < STUCK
    }

    /// Whether this process leads.
    pub fn leads(&self) -> bool {
        matches!(self.seen().stage, Stage::BringingIntoForce | Stage::Serving)
    }

    /// What it waits for; nothing when it serves, or could take over at once.
    pub fn unready(&self) -> Option<&'static str> {
        match self.seen().stage {
            Stage::Listing => Some("not everything has been listed yet"),
            Stage::ReadingLedger => Some("leading, but the ledger is not read yet"),
            Stage::BringingIntoForce => Some("leading, but the objects are not in force yet"),
            Stage::StandingBy | Stage::Serving => None,
        }
    }
}
