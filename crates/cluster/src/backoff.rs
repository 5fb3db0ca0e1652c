//! Waiting longer after each failure.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_millis(100);

/// However many failures there were: an API server that is back should not wait for us.
const LAST: Duration = Duration::from_secs(5);

/// How long to wait before the next try.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It worked: the next failure is the first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// It failed: the time to wait, half of it by chance, so that a thousand nodes do not come back at one moment.
    pub fn failed(&mut self) -> Duration {
        let limit = FIRST.saturating_mul(1 << self.failures.min(16)).min(LAST);
        self.failures = self.failures.saturating_add(1);
        limit / 2 + spread(limit / 2)
    }

    /// Waits after a failure.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.failed()).await;
    }
}

/// A time between nothing and `most`, by chance.
pub(crate) fn spread(most: Duration) -> Duration {
    // Every RandomState has keys of its own, which is chance enough for this.
    let [a, b, ..] = RandomState::new().hash_one(0).to_le_bytes();
    most * u32::from(u16::from_le_bytes([a, b])) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_a_limit_and_starts_over() {
        let mut backoff = Backoff::default();
        for failure in 0..100 {
            let limit = FIRST.saturating_mul(1 << failure.min(10)).min(LAST);
            let wait = backoff.failed();
            assert!((limit / 2..=limit).contains(&wait), "{failure}: {wait:?}");
        }
        backoff.reset();
        assert!(backoff.failed() <= FIRST);
    }

    #[test]
    fn chance_spreads() {
        let most = Duration::from_mins(1);
        let times: Vec<Duration> = (0..200).map(|_| spread(most)).collect();
        assert!(times.iter().all(|time| *time <= most));
        assert!(times.iter().any(|time| *time < most / 3) && times.iter().any(|time| *time > most * 2 / 3));
    }
}
