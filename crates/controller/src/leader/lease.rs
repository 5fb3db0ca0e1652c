//! The rules of leadership, without clock and without I/O.

use std::time::{Duration, Instant};

/// What was read of the lease, and when this content was seen first: clocks of other machines do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Empty: nobody.
    pub(super) holder: String,
    /// For how long it is valid without being renewed.
    pub(super) duration: Duration,
    pub(super) version: String,
    pub(super) at: Instant,
}

/// What is to be done about the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nobody has it, or whoever has it does not renew it: take it.
    Acquire,
    /// It is ours: renew it.
    Renew,
    /// It is another's, until then at least.
    Wait(Instant),
    /// We led, and another has it now.
    Yield,
}

/// A leader stays one until it reads that another is: a slow renewal proves nothing, and the ledger's own conditions guard
/// the addresses.
pub(super) fn decide(seen: Option<&Seen>, me: &str, leading: bool, now: Instant) -> Step {
    let Some(seen) = seen else { return Step::Acquire };
    if seen.holder == me {
        return Step::Renew;
    }
    if seen.holder.is_empty() {
        return Step::Acquire;
    }
    if leading {
        return Step::Yield;
    }
    let end = seen.at + seen.duration;
    if now >= end { Step::Acquire } else { Step::Wait(end) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(4);

    fn seen(holder: &str, at: Instant) -> Seen {
        Seen { holder: holder.to_owned(), duration: DURATION, version: "1".to_owned(), at }
    }

    #[test]
    fn a_free_lease_is_taken() {
        let now = Instant::now();
        for leading in [false, true] {
            assert_eq!(decide(None, "me", leading, now), Step::Acquire);
            assert_eq!(decide(Some(&seen("", now)), "me", leading, now), Step::Acquire);
        }
    }

    #[test]
    fn ones_own_is_renewed_however_old() {
        let now = Instant::now();
        for leading in [false, true] {
            assert_eq!(decide(Some(&seen("me", now)), "me", leading, now + 100 * DURATION), Step::Renew);
        }
    }

    #[test]
    fn anothers_is_waited_for_until_it_has_run_out() {
        let now = Instant::now();
        let theirs = seen("other", now);
        assert_eq!(decide(Some(&theirs), "me", false, now), Step::Wait(now + DURATION));
        assert_eq!(decide(Some(&theirs), "me", false, now + DURATION), Step::Acquire);
    }

    #[test]
    fn a_leader_yields_only_to_a_name_it_has_read() {
        let now = Instant::now();
        // Even one that has run out: whoever took it may be writing.
        assert_eq!(decide(Some(&seen("other", now)), "me", true, now + 100 * DURATION), Step::Yield);
    }
}
