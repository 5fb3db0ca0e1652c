//! How full everything is: looked at after something was given or freed, now and then, and never otherwise.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use allotment_core::{ObjectKey, Usage};

/// Between two looks, under load. People read it.
const EVERY: Duration = Duration::from_secs(3);

pub(crate) type AllUsage = BTreeMap<ObjectKey, Vec<Usage>>;

#[derive(Default)]
pub(super) struct Survey {
    usage: AllUsage,
    is_running: bool,
    due: Option<Instant>,
    /// When the last one was; nothing before the first of a term.
    at: Option<Instant>,
    /// Since it was shown last.
    has_changed: bool,
}

impl Survey {
    pub(super) fn begin(&mut self) {
        (self.is_running, self.due, self.at) = (false, None, None);
    }

    /// Something was given or freed.
    pub(super) fn touch(&mut self, now: Instant) {
        self.due.get_or_insert(self.at.map_or(now, |at| at + EVERY));
    }

    /// Whether to look now.
    pub(super) fn start(&mut self, now: Instant) -> bool {
        let starts = !self.is_running && self.due.is_some_and(|due| due <= now);
        if starts {
            (self.is_running, self.due) = (true, None);
        }
        starts
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.is_running)
    }

    /// Whether anything is known.
    pub(super) fn is_done(&self) -> bool {
        self.at.is_some()
    }

    /// What was seen; nothing when it could not be. Returns whose counts have changed.
    pub(super) fn seen(&mut self, usage: Option<AllUsage>, now: Instant) -> Vec<ObjectKey> {
        self.is_running = false;
        let Some(usage) = usage else {
            self.due = Some(now + EVERY);
            return Vec::new();
        };
        self.at = Some(now);
        let changed = usage.iter().filter(|(key, usage)| self.usage.get(key) != Some(usage));
        let changed: Vec<ObjectKey> = changed.map(|(key, _)| key.clone()).collect();
        // What cools becomes free without anybody doing anything.
        if usage.values().flatten().any(|usage| usage.cooling > 0) {
            self.touch(now);
        }
        self.has_changed |= self.usage != usage;
        self.usage = usage;
        changed
    }

    pub(super) fn of(&self, key: &ObjectKey) -> &[Usage] {
        self.usage.get(key).map_or(&[], Vec::as_slice)
    }

    /// All of it, if it has changed since the last call.
    pub(super) fn take_new(&mut self) -> Option<&AllUsage> {
        std::mem::take(&mut self.has_changed).then_some(&self.usage)
    }
}
