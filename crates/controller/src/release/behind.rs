//! A watch that does not come by itself to where the ledger was read.
//!
//! Whoever holds something in the ledger and has no pod may have one that the watch has not shown yet, so nothing is judged
//! before the watch has come to a version that was read after the ledger (L5). While nothing happens to pods it says only once
//! a minute how far it is, and a new leader would let everybody wait for that. A list of pods knows at once.

use allotment_proof::{Ends, PodSeen, Version};

use super::Releases;

#[derive(Default)]
pub(super) struct Behind {
    /// Somebody has waited through a whole round.
    has_waited: bool,
    listing: bool,
}

impl Behind {
    /// Whether pods are to be listed now.
    pub(super) fn round(&mut self, ends: &Ends) -> bool {
        let has_waited = std::mem::replace(&mut self.has_waited, ends.is_behind());
        let lists = has_waited && self.has_waited && !self.listing;
        self.listing |= lists;
        lists
    }

    pub(super) fn listed(&mut self) {
        self.listing = false;
    }
}

impl Releases {
    /// Takes in a list of the pods that run, which was asked for under this epoch.
    pub(super) fn listed_running(&mut self, epoch: u64, running: Option<(Vec<String>, Version)>) {
        self.behind.listed();
        let Some((running, version)) = running else { return };
        if epoch == self.ends.epoch() && !self.recovery.is_open() {
            // The watch may have gone further meanwhile, and knows better then.
            let _ = self.ends.listed(version, running.into_iter().map(|uid| (uid, PodSeen::Running)));
        }
    }
}
