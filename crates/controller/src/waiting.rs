//! Pods that were refused, in the order in which they were created.
//!
//! Nobody asks again by a clock: a waiter is asked when something was freed or changed, or when time alone may have mended
//! its refusal, because what stood in its way has cooled. All of them are asked then, the oldest first, so that the order
//! decides among those who want the same, and those who fit elsewhere pass.

mod claims;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub(crate) use self::claims::Claims;

/// Waiters that are being asked at one time: enough to share a commit, too few to keep new pods waiting.
const AT_ONCE: usize = 128;

/// Between the beginnings of two rounds, at least, and for each who is asked: asking ten thousand who cannot be helped must
/// not be all that is done.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_EACH: Duration = Duration::from_micros(200);

/// A place in the queue: when the pod was created, then its UID. A new leader finds the same order.
type Turn = (Timestamp, Arc<str>);

#[derive(Default)]
pub(crate) struct Waiting {
    turns: HashMap<Arc<str>, Timestamp>,
    /// When time alone may have mended a refusal.
    due: BTreeSet<(Instant, Turn)>,
    due_of: BTreeMap<Turn, Instant>,
    /// Those still to be asked in this round.
    todo: BTreeSet<Turn>,
    /// Those asked and not answered yet.
    asked: BTreeSet<Turn>,
    /// Something was freed or changed since the round began.
    woken: bool,
    /// Before that no round begins.
    rest: Option<Instant>,
}

impl Waiting {
    /// A pod that was refused waits, or goes on waiting at its place. `again`: when time alone may have mended it.
    pub(crate) fn refused(&mut self, uid: &Arc<str>, created: Timestamp, again: Option<Instant>) {
        self.forget(uid);
        self.turns.insert(Arc::clone(uid), created);
        let turn = (created, Arc::clone(uid));
        if let Some(again) = again {
            self.due.insert((again, turn.clone()));
            self.due_of.insert(turn, again);
        }
    }

    /// It has what it wanted, or wants nothing any more.
    pub(crate) fn forget(&mut self, uid: &Arc<str>) {
        let Some(created) = self.turns.remove(uid) else { return };
        let turn = (created, Arc::clone(uid));
        if let Some(due) = self.due_of.remove(&turn) {
            self.due.remove(&(due, turn.clone()));
        }
        self.todo.remove(&turn);
        self.asked.remove(&turn);
    }

    pub(crate) fn has(&self, uid: &str) -> bool {
        self.turns.contains_key(uid)
    }

    /// Something was freed, or changed: everybody is asked again.
    pub(crate) fn wake(&mut self) {
        self.woken = true;
    }

    /// Those to be asked now, in order.
    pub(crate) fn next(&mut self, now: Instant) -> Vec<Arc<str>> {
        if self.todo.is_empty() && self.asked.is_empty() && self.rest.is_none_or(|rest| rest <= now) {
            self.begin_round(now);
        }
        let room = AT_ONCE.saturating_sub(self.asked.len());
        let mut next = Vec::new();
        while next.len() < room
            && let Some(turn) = self.todo.pop_first()
        {
            next.push(Arc::clone(&turn.1));
            self.asked.insert(turn);
        }
        next
    }

    fn begin_round(&mut self, now: Instant) {
        if std::mem::take(&mut self.woken) {
            self.todo = self.turns.iter().map(|(uid, created)| (*created, Arc::clone(uid))).collect();
        } else {
            let due = self.due.iter().take_while(|(due, _)| *due <= now);
            self.todo = due.map(|(_, turn)| turn.clone()).collect();
        }
        let size = u32::try_from(self.todo.len()).unwrap_or(u32::MAX);
        self.rest = (size > 0).then(|| now + PAUSE + PAUSE_EACH.saturating_mul(size));
    }

    /// When `next` may have somebody, if nothing happens before.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        if !self.todo.is_empty() || !self.asked.is_empty() || self.turns.is_empty() {
            return None;
        }
        let wanted = if self.woken { Some(now) } else { self.due.first().map(|(due, _)| *due) };
        wanted.map(|wanted| self.rest.map_or(wanted, |rest| rest.max(wanted)))
    }

    pub(crate) fn len(&self) -> usize {
        self.turns.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        waiting: Waiting,
        now: Instant,
    }

    impl World {
        fn new() -> World {
            World { waiting: Waiting::default(), now: Instant::now() }
        }

        fn refuse(&mut self, uid: &str, created: i64, again_secs: Option<u64>) {
            let created = Timestamp::from_second(created).unwrap();
            let again = again_secs.map(|secs| self.now + Duration::from_secs(secs));
            self.waiting.refused(&Arc::from(uid), created, again);
        }

        fn next(&mut self) -> Vec<String> {
            self.waiting.next(self.now).iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn nobody_is_asked_again_for_nothing() {
        let mut world = World::new();
        world.refuse("a", 1, None);
        world.now += Duration::from_hours(1);
        assert_eq!(world.waiting.due(world.now), None);
        assert!(world.next().is_empty());
    }

    #[test]
    fn the_oldest_pod_is_asked_first_whoever_was_refused_first() {
        let mut world = World::new();
        world.refuse("young", 9, None);
        world.refuse("old", 1, None);
        world.waiting.wake();
        assert_eq!(world.next(), ["old", "young"]);
        // They keep their places.
        world.refuse("old", 1, None);
        world.refuse("young", 9, None);
        world.now += Duration::from_secs(1);
        world.waiting.wake();
        assert_eq!(world.next(), ["old", "young"]);
    }

    #[test]
    fn one_whose_address_has_cooled_is_asked_alone() {
        let mut world = World::new();
        world.refuse("a", 1, Some(30));
        world.refuse("b", 2, None);
        assert_eq!(world.waiting.due(world.now), Some(world.now + Duration::from_secs(30)));
        assert!(world.next().is_empty());
        world.now += Duration::from_secs(30);
        assert_eq!(world.next(), ["a"]);
        assert!(world.next().is_empty(), "it is being asked");
    }

    #[test]
    fn what_happens_during_a_round_makes_another_one() {
        let mut world = World::new();
        world.refuse("a", 1, None);
        world.waiting.wake();
        assert_eq!(world.next(), ["a"]);
        world.waiting.wake();
        assert!(world.next().is_empty());
        world.refuse("a", 1, None);
        assert!(world.next().is_empty(), "after a rest");
        world.now = world.waiting.due(world.now).unwrap();
        assert_eq!(world.next(), ["a"]);
    }

    #[test]
    fn a_long_queue_is_asked_in_parts() {
        let mut world = World::new();
        for n in 0..300 {
            world.refuse(&format!("{n:03}"), n, None);
        }
        world.waiting.wake();
        let first = world.next();
        assert_eq!((first.len(), first.last().map(String::as_str)), (AT_ONCE, Some("127")));
        assert!(world.next().is_empty());
        world.waiting.forget(&Arc::from("005"));
        assert_eq!(world.next(), ["128"], "one was granted, another takes its place");
    }

    #[test]
    fn who_is_gone_is_not_asked() {
        let mut world = World::new();
        world.refuse("a", 1, Some(1));
        world.waiting.forget(&Arc::from("a"));
        world.waiting.wake();
        assert!(world.next().is_empty());
        assert_eq!((world.waiting.len(), world.waiting.due(world.now)), (0, None));
    }
}
