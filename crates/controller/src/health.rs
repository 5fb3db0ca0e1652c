//! Whether the controller lives, is ready and leads: written by its loop, read by whoever asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use allotment_engine::Handle;
use prometheus_client::registry::Registry;

use crate::metrics::Metrics;
use crate::world::World;

/// A loop that has not turned for so long is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// What the loop last said of itself.
pub struct Health {
    seen: Mutex<Seen>,
    metrics: Arc<Metrics>,
    /// The engine of the last term.
    engine: Mutex<Option<Handle>>,
}

#[derive(Clone, Copy)]
struct Seen {
    at: Instant,
    warm: bool,
    elected: bool,
    leading: bool,
    ready: bool,
}

impl Default for Health {
    fn default() -> Health {
        let seen = Seen { at: Instant::now(), warm: false, elected: false, leading: false, ready: false };
        Health { seen: Mutex::new(seen), metrics: Arc::default(), engine: Mutex::new(None) }
    }
}

impl Health {
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(crate) fn opened(&self, engine: &Handle) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some(engine.clone());
    }

    /// The engine of this term, or of the last one.
    pub fn engine(&self) -> Option<Handle> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn report(&self, world: &mut World, leading: bool, elected: bool) {
        self.metrics.report(world, leading);
        let seen =
            Seen { at: Instant::now(), warm: world.is_warm(), elected, leading, ready: world.is_ready() };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// Makes it known to whoever collects metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
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
        self.seen().leading
    }

    /// What it waits for; nothing when it serves, or could take over at once.
    pub fn unready(&self) -> Option<&'static str> {
        let seen = self.seen();
        if !seen.warm {
            Some("not everything has been listed yet")
        } else if seen.elected && !seen.leading {
            Some("leading, but the ledger is not read yet")
        } else if seen.leading && !seen.ready {
            Some("leading, but the objects are not in force yet")
        } else {
            None
        }
    }
}
