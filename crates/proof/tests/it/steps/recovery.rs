//! The ledger is set back, and recovers (L6).
//!
//! What is restored is the world as it was when it began: nobody had the address yet. Whoever restores it, the leader learns of
//! it before it does anything else; what notices it is tested elsewhere.

use allotment_proof::{PodSeen, Version};

use super::Next;
use crate::world::{Epochs, Phase, World, Wrong, address, held, pod_name};

/// Epochs are times of clocks, so they are far apart, and a later one may be lower.
const FIRST: u64 = 200;
const LATER: [u64; 2] = [100, 300];

impl World {
    pub(super) fn restored(&self, next: &mut Next) {
        // The second pod, if it has the address, is on a node that nobody asks here.
        if self.may.restores == 0 || self.is_passed {
            return;
        }
        let epochs = if self.epochs.epoch == 0 { vec![FIRST] } else { LATER.to_vec() };
        for epoch in epochs {
            self.then(next, "etcd restored", |world| world.restore(epoch));
        }
    }

    fn restore(&mut self, epoch: u64) {
        self.may.restores -= 1;
        self.log.clear();
        self.ledger = None;
        self.answer = None;
        self.reach = Version::default();
        (self.status, self.puts) = (self.backup.clone(), 0);
        self.epochs = Epochs { epoch, ..Epochs::default() };
        self.start_leader();
    }

    /// Another epoch begins: whatever was said under this one may be of another one of its number.
    pub(crate) fn raise(&mut self, above: u64) {
        self.epochs.epoch = self.epochs.epoch.max(above) + 1;
        self.leader.ends.raise(self.epochs.epoch);
        self.leader.is_listed = false;
        self.leader.inventory = None;
    }

    /// What the report that was just read means for the recovery.
    pub(crate) fn heard_inventory(&mut self) {
        let Some(report) = &self.status else { return };
        if !self.epochs.is_open() {
            return;
        }
        if report.epoch > self.epochs.epoch && !self.wrong(Wrong::LowerEpoch) {
            return self.raise(report.epoch);
        }
        if report.epoch == self.epochs.epoch && !report.inventory.is_empty() {
            self.leader.inventory = Some(report.inventory.clone());
        }
    }

    pub(super) fn recovers(&self, next: &mut Next) {
        if !self.epochs.is_open() {
            return;
        }
        if self.epochs.asked != self.epochs.epoch {
            self.then(next, "node asked for its inventory", |world| world.epochs.asked = world.epochs.epoch);
        }
        if !self.leader.is_listed {
            self.then(next, "leader lists pods", World::leader_lists);
        }
        if self.leader.inventory.is_some() {
            self.then(next, "inventory taken over", World::adopt);
        }
        let is_outstanding =
            self.leader.ends.recovering().next().is_some() && !self.wrong(Wrong::SettledAtOnce);
        if self.leader.is_listed && self.leader.inventory.is_none() && !is_outstanding {
            self.then(next, "recovery over", |world| {
                world.epochs.settled = world.epochs.epoch;
                world.epochs.told = world.epochs.epoch;
            });
        }
    }

    fn leader_lists(&mut self) {
        let listed = self.listed(self.log.len()).into_iter().map(|(pod, phase, at)| {
            let seen = if phase == Phase::Finished { PodSeen::Finished(at) } else { PodSeen::Running };
            (pod_name(pod), seen)
        });
        if self.leader.ends.listed(self.version(), listed) {
            self.leader.cursor = self.log.len();
            self.leader.is_listed = true;
        }
    }

    fn adopt(&mut self) {
        let uses = self.leader.inventory.take().unwrap_or_default();
        if self.wrong(Wrong::NotTakenOver) || self.ledger.is_some() {
            return;
        }
        if let Some(used) = uses.into_iter().find(|used| used.address == address()) {
            let pod = usize::from(used.pod != pod_name(0));
            self.enter(pod);
            let known_at = self.leader.ends.version().unwrap_or_default();
            self.leader.ends.allocated(held(pod, true), known_at);
        }
    }

    /// What its own object tells the agent.
    pub(super) fn agent_recovers(&self, index: usize, next: &mut Next) {
        let mut told = self.clone();
        let records = told.book(index).raise(self.epochs.asked);
        if !records.is_empty() {
            told.machines[index].keep(&records);
            told.machines[index].must_list = true;
        }
        told.book(index).recovered(self.epochs.told);
        if self.wrong(Wrong::InventoryOnce)
            && self.status.as_ref().is_some_and(|report| report.epoch == self.epochs.asked)
        {
            told.book(index).recovered(self.epochs.asked);
        }
        if told != *self {
            next.push(("agent reads its object", told));
        }
        let machine = &self.machines[index];
        if machine.must_list || machine.cursor > self.log.len() {
            self.then(next, "agent lists pods anew", |world| {
                world.machines[index].must_list = false;
                world.list(index, world.log.len());
            });
        }
    }

    /// Whether nobody gets what they do not have already.
    pub(super) fn is_withheld(&self) -> bool {
        self.epochs.is_open() && !self.wrong(Wrong::GivenWhileRecovering)
    }
}
