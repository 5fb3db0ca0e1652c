//! Everything that can happen next.

mod agent;
mod leader;
mod recovery;

use allotment_proof::Source;

use crate::world::{Nic, Sandbox, World, Wrong, attachment, pod_name};

type Next = Vec<(&'static str, World)>;

impl World {
    pub(crate) fn steps(&self, next: &mut Next) {
        self.api(next);
        self.restored(next);
        self.leader(next);
        for machine in 0..self.machines.len() {
            self.agent(machine, next);
        }
        for sandbox in 0..self.sandboxes.len() {
            self.sandbox(sandbox, next);
        }
        self.kubelet(next);
    }

    /// Starts sandboxes for pods that are bound, and for a while, not knowing better, for pods that were.
    fn kubelet(&self, next: &mut Next) {
        for (machine, _) in self.machines.iter().enumerate().filter(|(_, machine)| machine.is_on) {
            for pod in 0..2 {
                let count = self.sandboxes.iter().filter(|sandbox| sandbox.pod == pod).count();
                let most = if pod == 0 { self.may.sandboxes } else { 1 };
                let is_known = self.phase(pod).is_some() || (pod == 0 && self.may.is_static);
                if count < most && is_known && self.is_on_node(pod) {
                    let nic = Nic::None;
                    let sandbox = Sandbox { pod, machine, nic, is_there: true, is_deleted: false };
                    self.then(next, "sandbox started", |world| world.sandboxes.push(sandbox));
                }
            }
        }
    }

    fn then(&self, next: &mut Next, step: &'static str, act: impl FnOnce(&mut World)) {
        let mut after = self.clone();
        act(&mut after);
        next.push((step, after));
    }

    fn sandbox(&self, number: usize, next: &mut Next) {
        let sandbox = &self.sandboxes[number];
        let change = |world: &mut World, nic: Nic| world.sandboxes[number].nic = nic;
        match sandbox.nic {
            Nic::None if sandbox.is_there && !sandbox.is_deleted => self.add(number, next),
            Nic::None | Nic::Removed if sandbox.is_there && sandbox.is_deleted && self.may.readds > 0 => {
                self.add(number, next);
            }
            Nic::Answered => {
                self.then(next, "interface up", |world| change(world, Nic::Live));
                self.then(next, "plugin fails", |world| change(world, Nic::Removed));
            }
            Nic::Live if sandbox.is_deleted => {
                self.then(next, "link removed", |world| change(world, Nic::Removed));
            }
            _ => {}
        }
        let machine = &self.machines[sandbox.machine];
        // The runtime calls nothing for a container while a plugin works for it.
        if sandbox.nic != Nic::Answered && !sandbox.is_deleted && machine.book.is_some() {
            self.then(next, "DEL", |world| {
                world.sandboxes[number].is_deleted = true;
                let index = world.sandboxes[number].machine;
                let deletion = world.book(index).delete(&format!("s{number}"), "eth0");
                world.machines[index].keep(&deletion.records);
            });
        }
        if sandbox.is_there && sandbox.nic != Nic::Answered {
            self.then(next, "namespace gone", |world| {
                world.sandboxes[number].is_there = false;
                if world.sandboxes[number].nic == Nic::Live {
                    change(world, Nic::Removed);
                }
            });
        }
    }

    fn add(&self, number: usize, next: &mut Next) {
        let Sandbox { pod, machine: index, .. } = self.sandboxes[number];
        let machine = &self.machines[index];
        if machine.book.is_none() {
            return;
        }
        if !self.is_granted(pod, machine.cursor) {
            return;
        }
        let mut after = self.clone();
        let book = after.machines[index].book.as_mut().unwrap();
        let is_elsewhere = self.wrong(Wrong::ServedElsewhere);
        let node_uid = if is_elsewhere { &machine.uid } else { &self.granted_for[pod] }.clone();
        let source = if self.may.is_static && pod == 0 {
            let Some(id) = self.answer.clone() else { return };
            Source::Ask(id)
        } else if self.wrong(Wrong::ServedGone) {
            book.ask("gone".to_owned(), pod_name(pod));
            Source::Ask("gone".to_owned())
        } else {
            Source::Grant { node_uid }
        };
        let ticket = book.arrived(&format!("s{number}"), "eth0");
        let Ok(records) = book.answer(&ticket, attachment(number, pod), &source) else { return };
        if !self.wrong(Wrong::AnsweredBeforeJournal) {
            after.machines[index].keep(&records);
        }
        after.machines[index].is_asking = false;
        if after.sandboxes[number].is_deleted {
            after.may.readds -= 1;
            after.sandboxes[number].is_deleted = false;
        }
        after.sandboxes[number].nic = Nic::Answered;
        next.push(("ADD answered", after));
    }
}
