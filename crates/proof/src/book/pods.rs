//! What the watch has shown of this node's pods.

use std::collections::{BTreeMap, BTreeSet};

use crate::Version;
use crate::journal::Kept;

/// What matters of a pod that is bound to this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Phase `Succeeded` or `Failed`: for good.
    pub is_finished: bool,
    /// It has a grant, or an answer to what its node asked for it; the end of one without interests nobody.
    pub is_granted: bool,
    /// Its addresses outlive it, and the next holder waits for its end (R5).
    pub is_retained: bool,
}

impl Seen {
    /// Bound and granted.
    pub fn bound() -> Seen {
        Seen { is_granted: true, ..Seen::default() }
    }

    /// Granted and finished.
    pub fn finished() -> Seen {
        Seen { is_finished: true, ..Seen::bound() }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Pods {
    /// What the watch has reached; nothing before the first list.
    version: Option<Version>,
    there: BTreeMap<String, Seen>,
    /// Gone, and attachments of theirs have not ended: whether these are retained.
    leaving: BTreeMap<String, Seen>,
}

impl Pods {
    pub(super) fn version(&self) -> Option<Version> {
        self.version
    }

    pub(super) fn get(&self, pod: &str) -> Option<Seen> {
        self.there.get(pod).copied()
    }

    pub(super) fn forget_version(&mut self) {
        self.version = None;
    }

    pub(super) fn reach(&mut self, version: Version) {
        if let Some(reached) = &mut self.version {
            *reached = version.max(*reached);
        }
    }

    /// Replaces all; returns those whose end it shows.
    pub(super) fn list(
        &mut self,
        version: Version,
        pods: impl IntoIterator<Item = (String, Seen)>,
        kept: &mut Kept,
    ) -> Vec<(String, Seen)> {
        let mut there: BTreeMap<String, Seen> = pods.into_iter().collect();
        if version >= kept.fence {
            kept.finished.retain(|pod| there.contains_key(pod));
        }
        for (pod, seen) in &mut there {
            seen.is_finished |= kept.finished.contains(pod);
        }
        let before = std::mem::replace(&mut self.there, there);
        self.version = Some(version);
        let mut ended = Vec::new();
        for (pod, seen) in before {
            if let Some(now) = self.there.get_mut(&pod) {
                now.is_finished |= seen.is_finished;
                now.is_granted |= seen.is_granted;
                if now.is_finished && !seen.is_finished {
                    ended.push((pod, *now));
                }
            } else {
                self.leaving.insert(pod.clone(), seen);
                ended.push((pod, seen));
            }
        }
        ended
    }

    fn is_news(&self, version: Version) -> bool {
        self.version.is_some_and(|reached| version > reached)
    }

    /// Whether it shows the pod's end.
    pub(super) fn see(&mut self, pod: &str, version: Version, seen: Seen, kept: &Kept) -> bool {
        if !self.is_news(version) {
            return false;
        }
        self.reach(version);
        let before = self.there.get(pod).copied().unwrap_or_default();
        let is_finished = seen.is_finished || before.is_finished || kept.finished.contains(pod);
        let is_granted = seen.is_granted || before.is_granted;
        self.there.insert(pod.to_owned(), Seen { is_finished, is_granted, ..seen });
        is_finished && !before.is_finished
    }

    /// Its node was answered what it asked for it: the pod does not show that.
    pub(super) fn answered(&mut self, pod: &str) {
        if let Some(seen) = self.there.get_mut(pod) {
            seen.is_granted = true;
        }
    }

    /// What it was, if it was there and this is its end.
    pub(super) fn lose(&mut self, pod: &str, version: Version, kept: &mut Kept) -> Option<Seen> {
        if !self.is_news(version) {
            return None;
        }
        self.reach(version);
        kept.finished.remove(pod);
        let seen = self.there.remove(pod)?;
        self.leaving.insert(pod.to_owned(), seen);
        Some(seen)
    }

    /// What is known of a pod whose last attachment ended after it did. Of one that nobody remembers: that it was granted.
    pub(super) fn ended(&self, pod: &str) -> Seen {
        self.there.get(pod).or_else(|| self.leaving.get(pod)).copied().unwrap_or(Seen::bound())
    }

    /// Nothing of it is in use any more.
    pub(super) fn settle(&mut self, pod: &str) {
        self.leaving.remove(pod);
    }

    pub(super) fn finished_since(&self, known: &BTreeSet<String>) -> BTreeSet<String> {
        let finished = self.there.iter().filter(|(pod, seen)| seen.is_finished && !known.contains(*pod));
        finished.map(|(pod, _)| pod.clone()).collect()
    }
}
