//! What the engine counts; the daemon shows it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use allotment_core::Code;

/// Counters since the engine was opened. They are read while they change: each is right, together they may be a
/// moment apart.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests, releases and object changes that were decided.
    pub decided: Counter,
    /// Refusals, in the order of [`Code::ALL`].
    refusals: [Counter; Code::ALL.len()],
    /// Turned away because the queue was full.
    pub busy: Counter,
    /// Not decided because the deadline had passed.
    pub late: Counter,
    /// Not decided because nobody waited for the answer any more.
    pub withdrawn: Counter,
    /// Commits that reached the ledger.
    pub commits: Counter,
    /// Commits planned again because somebody else had written.
    pub conflicts: Counter,
    /// Commits that failed.
    pub failures: Counter,
    /// Decisions in each commit.
    pub batch: Histogram<BATCH_BUCKETS>,
    /// How long each commit took, in microseconds.
    pub commit_micros: Histogram<MICROS_BUCKETS>,
    /// How many wait in the queue now.
    pub(crate) queued: AtomicUsize,
}

/// Buckets of [`Metrics::batch`]: up to 1, 2, 4, … 1024 decisions.
pub const BATCH_BUCKETS: usize = 11;

/// Buckets of [`Metrics::commit_micros`]: up to 1, 2, 4, … 2^23 µs (8.4 s).
pub const MICROS_BUCKETS: usize = 24;

impl Metrics {
    /// How many wait in the queue now.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Refusals with this code.
    pub fn refusals(&self, code: Code) -> u64 {
        self.refusals[place(code)].get()
    }

    pub(crate) fn refused(&self, code: Code) {
        self.refusals[place(code)].add(1);
    }

    pub(crate) fn committed(&self, decisions: usize, took: Duration) {
        self.commits.add(1);
        self.batch.observe(decisions as u64);
        self.commit_micros.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}

fn place(code: Code) -> usize {
    Code::ALL.iter().position(|&other| other == code).expect("every code is in the list of all")
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}

/// How often values fell under each power of two.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    buckets: [Counter; N],
    above: Counter,
    sum: Counter,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Histogram {
            buckets: std::array::from_fn(|_| Counter::default()),
            above: Counter::default(),
            sum: Counter::default(),
        }
    }
}

impl<const N: usize> Histogram<N> {
    pub(crate) fn observe(&self, value: u64) {
        let bucket = (0..N).find(|&bucket| value <= 1 << bucket);
        bucket.map_or(&self.above, |bucket| &self.buckets[bucket]).add(1);
        self.sum.add(value);
    }

    /// The upper bounds, and how many values fell at or under each but above the one before; the last is for those
    /// above all bounds.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        let bounded = self.buckets.iter().enumerate().map(|(bucket, count)| (Some(1 << bucket), count.get()));
        bounded.chain([(None, self.above.get())])
    }

    pub fn count(&self) -> u64 {
        self.buckets().map(|(_, count)| count).sum()
    }

    /// The sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_the_first_bucket_that_holds_them() {
        let histogram = Histogram::<3>::default();
        for value in [0, 1, 2, 3, 4, 5, 100] {
            histogram.observe(value);
        }
        assert_eq!(
            histogram.buckets().collect::<Vec<_>>(),
            [(Some(1), 2), (Some(2), 1), (Some(4), 2), (None, 2)]
        );
        assert_eq!((histogram.count(), histogram.sum()), (7, 115));
    }

    #[test]
    fn every_code_has_its_counter() {
        let metrics = Metrics::default();
        for code in Code::ALL {
            metrics.refused(code);
            assert_eq!(metrics.refusals(code), 1);
        }
    }
}
