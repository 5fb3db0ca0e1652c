//! What the ledger counts, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Since the ledger was opened.
#[derive(Debug, Default)]
pub struct Counts {
    /// Objects written.
    pub writes: Count,
    /// What they held, packed.
    pub bytes: Count,
    /// Objects that somebody else had written when this process wanted to.
    pub conflicts: Count,
    /// Objects that were lost on the API server and written again from memory.
    pub lost: Count,
    /// How often the ledger was found set back.
    pub set_back: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}
