//! How long the engine waits for more requests before it commits.
//!
//! A commit costs about the same for one request as for fifty. Callers who were answered just now tend to come back at
//! once: without waiting for them, they and those who queued meanwhile take turns in batches half the size. So the
//! engine waits for as many as it has reason to expect, half a millisecond at most, and stops believing in those who
//! do not come.

use std::time::{Duration, Instant};

use crate::Batch;

/// The longest wait: about one commit on a fast disk.
pub(crate) const LONGEST: Duration = Duration::from_micros(500);

/// Batches that are not waited for, at most, after waiting was in vain.
const DOUBT: u32 = 63;

/// What recent batches say about the next.
#[derive(Debug)]
pub(crate) struct Linger {
    longest: Duration,
    /// How many requests the next batch can have, if everybody who was there comes back.
    expected: usize,
    /// Batches not to wait for, and how many that will be after the next disappointment.
    skip: u32,
    doubt: u32,
}

/// For how many to wait, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) expected: usize,
    pub(crate) until: Instant,
}

impl Linger {
    pub(crate) fn new(longest: Duration) -> Linger {
        Linger { longest, expected: 1, skip: 0, doubt: 0 }
    }

    /// Whether to wait with this many requests in hand.
    pub(crate) fn wait(&mut self, in_hand: usize, now: Instant) -> Option<Wait> {
        if in_hand >= self.expected || self.longest.is_zero() {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        Some(Wait { expected: self.expected, until: now + self.longest })
    }

    /// The wait is over, with this many requests in hand.
    pub(crate) fn waited(&mut self, wait: Wait, in_hand: usize) {
        if in_hand >= wait.expected {
            self.doubt = 0;
        } else {
            self.doubt = (self.doubt * 2 + 1).min(DOUBT);
            self.skip = self.doubt;
        }
    }

    /// A batch is about to be answered, and others queued while it was committed.
    pub(crate) fn answering(&mut self, answered: usize, queued: usize) {
        self.expected = answered + queued;
    }
}

/// How far apart commits begin at least, unless a batch is full: where a commit costs others something, those who ask in
/// quick succession share it. The first after a pause never waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// After a commit of one block or object.
    pub first: Duration,
    /// Longer by this for each more of them.
    pub more: Duration,
    /// But never longer than this; zero: no commit waits.
    pub longest: Duration,
    /// A batch of so many does not wait: it shares enough.
    pub enough: usize,
}

impl Pace {
    /// Until the next commit may begin, from the beginning of this one.
    pub(crate) fn after(self, batch: &Batch) -> Option<Duration> {
        // Counting the blocks is not for nothing.
        (!self.longest.is_zero()).then(|| self.of(batch.blocks().len() + batch.objects.len()))
    }

    fn of(self, written: usize) -> Duration {
        let more = u32::try_from(written.saturating_sub(1)).unwrap_or(u32::MAX);
        self.more.saturating_mul(more).saturating_add(self.first).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_more_waits_longer_but_not_for_ever() {
        let [first, more, longest] = [40, 8, 200].map(Duration::from_millis);
        let pace = Pace { first, more, longest, enough: 1 };
        let of = [0, 1, 2, 16, 21, 22, usize::MAX].map(|written| pace.of(written).as_millis());
        assert_eq!(of, [40, 40, 48, 160, 200, 200, 200]);
        assert_eq!(Pace::default().after(&Batch::default()), None);
    }

    #[test]
    fn a_lone_caller_never_waits() {
        let mut linger = Linger::new(LONGEST);
        for _ in 0..1000 {
            assert_eq!(linger.wait(1, Instant::now()), None);
            linger.answering(1, 0);
        }
    }

    #[test]
    fn two_halves_become_one_batch() {
        let mut linger = Linger::new(LONGEST);
        linger.answering(32, 32);
        let now = Instant::now();
        let wait = linger.wait(32, now).expect("the other half is expected back");
        assert_eq!(wait, Wait { expected: 64, until: now + LONGEST });
        linger.waited(wait, 64);
        linger.answering(64, 0);
        assert_eq!(linger.wait(64, now), None, "all are there");
    }

    #[test]
    fn those_who_do_not_come_back_are_waited_for_ever_less() {
        let mut linger = Linger::new(LONGEST);
        let mut waits = 0;
        for _ in 0..1000 {
            // Somebody new each time, and one more queues during each commit.
            linger.answering(1, 1);
            if let Some(wait) = linger.wait(1, Instant::now()) {
                waits += 1;
                linger.waited(wait, 1);
            }
        }
        assert!((6..25).contains(&waits), "{waits} of 1000");
    }
}
