//! Time, as core sees it: a number that somebody else read off a clock.

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
///
/// The engine hands in the larger of the clock and the newest time in the ledger, so that time never runs backwards
/// under the rules (C8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds from `earlier` to `self`; 0 when `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` moved `ms` milliseconds on.
    #[must_use]
    pub fn plus(self, ms: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }
}
