//! What people and the API server do, and the leader.

use allotment_proof::{PodSeen, Version};

use super::Next;
use crate::world::{Entry, NODE, Phase, World, Wrong, address, held, pod_name};

impl World {
    pub(super) fn api(&self, next: &mut Next) {
        let phase = self.phase(0);
        if matches!(phase, Some(Phase::Bound | Phase::Unplugged | Phase::Finished)) {
            self.then(next, "pod deleted", |world| world.log.push((0, Phase::Gone)));
        }
        if phase == Some(Phase::Bound) && self.may.finishes {
            self.then(next, "pod finished", |world| world.log.push((0, Phase::Finished)));
        }
        if phase == Some(Phase::Bound) && self.may.unplugs > 0 {
            self.then(next, "taken out of the pod", |world| {
                world.may.unplugs -= 1;
                world.log.push((0, Phase::Unplugged));
            });
        }
        if self.may.is_late && phase.is_none() && self.ledger.is_none() && !self.is_withheld() {
            self.then(next, "another leader grants the first pod", |world| {
                world.may.is_late = false;
                world.log.push((0, Phase::Bound));
                world.enter(0);
            });
        }
        if self.may.replacements > 0 {
            self.then(next, "node replaced under its name", |world| {
                world.may.replacements -= 1;
                world.node_uid = Some("n1".to_owned());
                world.boot_machine("n1");
                world.show_node();
            });
        }
        if self.machines.len() > 1 && !self.spec.forgotten.contains("n0") && !self.machines[0].is_on {
            self.then(next, "a person forgets the old node", |world| {
                world.spec.forgotten.insert("n0".to_owned());
                let spec = world.spec.clone();
                world.leader.ends.admitted(NODE, spec);
            });
        }
    }

    pub(super) fn leader(&self, next: &mut Next) {
        let ends = &self.leader.ends;
        if self.leader.cursor < self.log.len() {
            self.then(next, "leader sees a pod", World::leader_sees);
        }
        if self.leader.read < self.puts {
            self.then(next, "leader reads the report", World::read_status);
        }
        if let Some(admission) = ends.admission(NODE) {
            self.then(next, "node admitted", |world| {
                world.spec = admission.clone();
                world.leader.ends.admitted(NODE, admission);
            });
        }
        self.releases(next);
        self.recovers(next);
        if self.wrong(Wrong::DeletedNode)
            && self.node_uid.as_deref() != Some("n0")
            && self.phase(0) == Some(Phase::Gone)
        {
            self.then(next, "freed because its node is deleted", |world| world.ledger = None);
        }
        let mut after = self.clone();
        let wanted = after.leader.ends.round();
        if after != *self {
            after.reach = wanted.get(NODE).copied().unwrap_or_default().max(self.reach);
            next.push(("round", after));
        } else if let Some(version) = wanted.get(NODE)
            && *version > self.reach
        {
            after.reach = *version;
            next.push(("node asked to reach a version", after));
        }
        if self.may.leader_crashes > 0 {
            self.then(next, "leader replaced", |world| {
                world.may.leader_crashes -= 1;
                world.releases.swap(0, 1);
                world.releases[1] = None;
                world.start_leader();
            });
        }
        self.grants(next);
    }

    fn releases(&self, next: &mut Next) {
        let mut after = self.clone();
        if let Some(freed) = after.leader.ends.take().into_iter().next()
            && let Some(entry) = &self.ledger
            && self.releases[1].is_none()
        {
            if let Some(spec) = freed.former_of.as_ref().and_then(|name| after.leader.ends.spec(name)) {
                after.spec = spec.clone();
                after.leader.ends.admitted(NODE, spec);
            }
            after.releases[1] = Some((freed, entry.since));
            next.push(("release decided", after));
        }
        for (index, release) in self.releases.iter().enumerate() {
            let Some((freed, since)) = release else { continue };
            self.then(next, ["former leader's release committed", "release committed"][index], |world| {
                world.releases[index] = None;
                let is_meant = |entry: &Entry| {
                    pod_name(entry.pod) == freed.holder
                        && (entry.since == *since || world.wrong(Wrong::AnyGrant))
                };
                if world.ledger.as_ref().is_some_and(is_meant) {
                    world.ledger = None;
                }
                if index == 1 {
                    world.leader.ends.released(&freed.holder, &freed.address);
                }
            });
        }
    }

    /// The ledger has the address for this pod.
    pub(super) fn enter(&mut self, pod: usize) {
        self.grants += 1;
        self.ledger = Some(Entry { pod, since: self.grants });
    }

    /// The first pod wants it again: it is granted what the ledger has for it, or what it finds free.
    fn plugs_in(&self, next: &mut Next) {
        let is_its = self.ledger.as_ref().is_none_or(|entry| entry.pod == 0);
        if self.phase(0) != Some(Phase::Unplugged) || self.leader.cursor < self.log.len() || !is_its {
            return;
        }
        let mut after = self.clone();
        if after.leader.ends.plugs_in(&pod_name(0)) || self.wrong(Wrong::PluggedAtOnce) {
            if after.ledger.is_none() {
                after.enter(0);
            }
            let known_at = after.leader.ends.version().unwrap_or_default();
            after.leader.ends.allocated(held(0, true), known_at);
            after.log.push((0, Phase::Bound));
            next.push(("plugged in again", after));
        }
    }

    fn grants(&self, next: &mut Next) {
        self.plugs_in(next);
        let ends = &self.leader.ends;
        if let Some(entry) = &self.ledger {
            if ends.why(&pod_name(entry.pod), &address()).is_none() {
                self.then(next, "leader reads a block of another's", World::load);
            }
            return;
        }
        if self.releases[1].is_some() || self.is_withheld() {
            return;
        }
        let known_at = ends.version().unwrap_or_default();
        if self.phase(1).is_none() && !self.is_passed && (!self.may.is_same_node || ends.admits(NODE)) {
            self.then(next, "granted to the second pod", |world| {
                world.log.push((1, Phase::Bound));
                world.is_passed = true;
                world.enter(1);
                let machine = world.leader.ends.machine(NODE).unwrap_or_default();
                machine.clone_into(&mut world.granted_for[1]);
                let is_on_node = world.is_on_node(1);
                // Nobody is granted anything before he was seen.
                let known_at = world.version();
                world.leader.ends.allocated(held(1, is_on_node), known_at);
            });
        }
        let status = self.status.as_ref();
        let asked = status.and_then(|report| report.asks.keys().next());
        if let Some(id) = asked
            && self.leader.read == self.puts
            && self.answer.as_ref() != Some(id)
        {
            self.then(next, "ask answered", |world| {
                world.enter(0);
                world.answer = Some(id.clone());
                world.leader.ends.allocated(held(0, true), known_at);
            });
        }
    }

    fn leader_sees(&mut self) {
        let (pod, phase) = self.log[self.leader.cursor];
        self.leader.cursor += 1;
        let at = Version(self.leader.cursor as u64);
        let ends = &mut self.leader.ends;
        match phase {
            Phase::Unplugged => {
                ends.seen(&pod_name(pod), at, PodSeen::Running);
                ends.unplugged(&pod_name(pod), &[address()], at);
            }
            Phase::Bound => ends.seen(&pod_name(pod), at, PodSeen::Running),
            Phase::Finished => ends.seen(&pod_name(pod), at, PodSeen::Finished(at)),
            Phase::Gone => ends.gone(&pod_name(pod), at),
        }
    }
}
