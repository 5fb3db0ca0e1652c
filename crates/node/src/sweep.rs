//! Containers that vanished without a DEL: their network namespace is gone for good (R1).

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use allotment_core::{Allocation, AllocationState, Netns, Release};
use allotment_engine::{EngineError, Handle, Pages};

use crate::metrics::{NodeMetrics, SweepMetrics};
use crate::netns;

/// Time between two looks; a namespace has to be gone in two of them, one after the other.
pub const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// How long one release may take.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);

/// A sandbox in the namespace it was made in.
type Sandbox = (String, Netns);

/// Why ledger and namespaces could not be compared. Nothing follows from it about any of them.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the namespaces of this machine cannot be looked through: {0}")]
    Look(#[from] std::io::Error),
}

/// Looks for attachments whose namespace is gone, and releases them.
pub struct Sweep {
    engine: Handle,
    metrics: SweepMetrics,
    /// What the last pass did not find.
    missing: HashSet<Sandbox>,
}

impl Sweep {
    pub fn new(engine: Handle, metrics: &NodeMetrics) -> Sweep {
        Sweep { engine, metrics: metrics.sweep.clone(), missing: HashSet::new() }
    }

    /// Makes a pass now and then every `every`, for ever: end it by dropping it.
    pub async fn run(mut self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        // Two passes must not come closer together than that, however long one of them took.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.pass().await {
                Ok(_) => {}
                Err(LookError::Engine(EngineError::Stopped)) => return,
                Err(error) => {
                    self.metrics.failures.inc();
                    tracing::warn!(%error, "vanished containers were not looked for this time");
                }
            }
        }
    }

    /// Looks once. Releases what was missing the last time too, and what is of an earlier boot; returns it as it was.
    pub async fn pass(&mut self) -> Result<Vec<Allocation>, LookError> {
        self.metrics.passes.inc();
        let recorded = self.recorded().await?;
        let namespaces: Vec<Netns> = recorded.iter().map(|(_, netns)| netns.clone()).collect();
        let gone = match netns::gone(namespaces).await {
            Ok(gone) => gone,
            Err(error) => {
                // This look saw nothing, so the last one is no longer "the one before".
                self.missing.clear();
                return Err(error.into());
            }
        };
        let mut missing = HashSet::new();
        let mut released = Vec::new();
        for (sandbox, _) in recorded.into_iter().zip(gone).filter(|(_, gone)| *gone) {
            if netns::of_this_boot(&sandbox.1) && !self.missing.contains(&sandbox) {
                missing.insert(sandbox);
                continue;
            }
            released.extend(self.release(sandbox).await?);
        }
        self.missing = missing;
        self.metrics.released.inc_by(released.len() as u64);
        Ok(released)
    }

    /// Every sandbox with an active address and evidence of its namespace.
    async fn recorded(&self) -> Result<Vec<Sandbox>, EngineError> {
        let pages = Pages::new(
            &self.engine,
            |_, _| true,
            |state, place| {
                let allocation = state.at(place)?;
                (allocation.state == AllocationState::Active).then_some(allocation.attachments)
            },
        );
        let mut found = HashSet::new();
        for attachment in pages.collect().await?.into_iter().flatten() {
            if let Some(netns) = attachment.netns
                && !attachment.container_id.is_empty()
            {
                found.insert((attachment.container_id, netns));
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The release names the namespace: what the sandbox was given in another one since it was looked at is not touched.
    async fn release(&self, (container_id, netns): Sandbox) -> Result<Vec<Allocation>, EngineError> {
        let path = netns.path.clone();
        let release = Release::Sandbox { container_id: container_id.clone(), netns };
        let freed = self.engine.release(release, Instant::now() + RELEASE_LIMIT).await?;
        for allocation in &freed {
            tracing::info!(
                address = %allocation.address, vrf = allocation.vrf, owner = %allocation.owner, container_id, netns = path,
                "released: its network namespace is gone and no DEL came"
            );
        }
        Ok(freed)
    }
}
