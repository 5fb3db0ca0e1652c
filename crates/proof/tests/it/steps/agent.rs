//! What an agent does.

use allotment_proof::{Address, Book, Check, Due, Identity, Key, Record, Report, Use, Version};

use super::Next;
use crate::world::{Nic, Phase, World, Wrong, address, pod_name, seen};

impl World {
    pub(super) fn agent(&self, index: usize, next: &mut Next) {
        let machine = &self.machines[index];
        if !machine.is_on {
            return;
        }
        let Some(book) = &machine.book else {
            return self.agent_starts(index, next);
        };
        if machine.cursor < self.log.len() {
            self.then(next, "agent sees a pod", |world| world.agent_sees(index));
        }
        if self.may.relists > 0 && machine.cursor < self.log.len() {
            self.then(next, "agent lists pods", |world| {
                world.may.relists -= 1;
                world.list(index, world.log.len());
            });
        }
        if book.wants_list() {
            self.then(next, "agent lists pods to reach a version", |world| {
                world.list(index, world.log.len());
            });
        }
        let mut told = self.clone();
        told.book(index).reach(self.reach);
        if told != *self {
            next.push(("agent is asked to reach a version", told));
        }
        if self.may.restores > 0 || self.epochs.epoch > 0 {
            self.agent_recovers(index, next);
        }
        if book.due() != Due::Nothing && machine.put.is_none() {
            self.publishes(index, next);
        }
        self.puts(index, next);
        self.checks(index, next);
        if self.may.agent_crashes > 0 {
            self.then(next, "agent crashes", |world| {
                world.may.agent_crashes -= 1;
                world.stop(index);
            });
        }
        if self.may.reboots > 0 {
            self.then(next, "reboot", |world| {
                world.may.reboots -= 1;
                world.machines[index].boot += 1;
                world.stop(index);
                world.cut(index);
            });
        }
        if self.machines.len() > 1 && index == 0 {
            self.then(next, "old machine switched off", |world| {
                world.machines[0].is_on = false;
                world.stop(0);
                world.cut(0);
            });
        }
        if self.may.is_static {
            self.asks(index, next);
        }
    }

    /// The agent's process ends; what it has sent may still arrive.
    fn stop(&mut self, machine: usize) {
        let machine = &mut self.machines[machine];
        machine.book = None;
        machine.is_asking = false;
        machine.is_looked = false;
        machine.old_put = machine.put.take().or(machine.old_put.take());
    }

    /// Everything that lived on a machine is gone.
    fn cut(&mut self, machine: usize) {
        for sandbox in self.sandboxes.iter_mut().filter(|sandbox| sandbox.machine == machine) {
            sandbox.is_there = false;
            sandbox.nic = if sandbox.nic == Nic::None { Nic::None } else { Nic::Removed };
        }
    }

    pub(super) fn book(&mut self, machine: usize) -> &mut Book {
        self.machines[machine].book.as_mut().unwrap()
    }

    pub(crate) fn wrong(&self, wrong: Wrong) -> bool {
        self.may.wrong == wrong
    }

    fn agent_starts(&self, index: usize, next: &mut Next) {
        let machine = &self.machines[index];
        // What it remembers may be old; without a journal it remembers nothing, and lists consistently.
        let oldest = if machine.journal.is_empty() { self.log.len() } else { 0 };
        for version in oldest..=self.log.len() {
            self.then(next, "agent starts", |world| world.open(index, version));
        }
        if self.may.journal_losses > 0 {
            self.then(next, "journal lost", |world| {
                world.may.journal_losses -= 1;
                world.machines[index].journal.clear();
            });
        }
    }

    fn open(&mut self, index: usize, version: usize) {
        let machine = &mut self.machines[index];
        let boot_id = format!("{}-{}", machine.uid, machine.boot);
        let me = Identity { node_uid: machine.uid.clone(), boot_id };
        let (book, records) = Book::open(&machine.journal, me);
        machine.book = Some(book);
        machine.keep(&records);
        self.list(index, version);
        let mut mine = self.sandboxes.iter().filter(|sandbox| sandbox.machine == index);
        let is_busy = mine.any(|sandbox| sandbox.nic == Nic::Answered);
        if self.wrong(Wrong::NotRebuilt) || self.wrong(Wrong::RebuiltTooEarly) || !is_busy {
            self.rebuild(index);
        }
    }

    fn rebuild(&mut self, index: usize) {
        if self.machines[index].book.as_ref().unwrap().is_rebuilt() {
            return;
        }
        let sandboxes = self.sandboxes.iter().enumerate();
        let lives = sandboxes.filter(|(_, sandbox)| sandbox.machine == index && sandbox.nic == Nic::Live);
        let bare = Address { vrf: String::new(), ..address() };
        let live: Vec<_> =
            lives.map(|(number, _)| (format!("/run/netns/s{number}"), [bare.clone()].into())).collect();
        let live = if self.wrong(Wrong::NotRebuilt) { Vec::new() } else { live };
        let records = self.book(index).rebuilt(live);
        self.machines[index].keep(&records);
    }

    fn agent_sees(&mut self, index: usize) {
        let (pod, phase) = self.log[self.machines[index].cursor];
        self.machines[index].cursor += 1;
        let at = Version(self.machines[index].cursor as u64);
        let is_on_node = self.is_on_node(pod);
        let book = self.book(index);
        match phase {
            _ if !is_on_node => {}
            Phase::Gone => book.gone(&pod_name(pod), at),
            phase => book.seen(&pod_name(pod), at, seen(phase)),
        }
    }

    fn publishes(&self, index: usize, next: &mut Next) {
        let mut after = self.clone();
        let cursor = self.machines[index].cursor;
        let is_plugged = |_: &Key, used: &Use| {
            let pod = usize::from(used.pod == pod_name(1));
            self.wrong(Wrong::UnpluggedLeftOut) || used.pod.is_empty() || self.is_granted(pod, cursor)
        };
        let Some(publication) = after.book(index).publish(is_plugged) else {
            let mut mine = self.sandboxes.iter().filter(|sandbox| sandbox.machine == index);
            if !mine.any(|sandbox| sandbox.nic == Nic::Answered) {
                self.then(next, "what lives is found", |world| world.rebuild(index));
            }
            return;
        };
        if !self.wrong(Wrong::PublishedBeforeFence) {
            after.machines[index].keep(&publication.records);
        }
        after.machines[index].put = Some((publication.report, self.puts));
        next.push(("fence durable, report sent", after));
    }

    fn puts(&self, index: usize, next: &mut Next) {
        let machine = &self.machines[index];
        if let Some((report, base)) = &machine.put {
            self.then(next, "report stored", |world| {
                world.machines[index].put = None;
                if world.store(report, *base) {
                    world.book(index).published(report);
                } else {
                    world.book(index).not_published();
                }
            });
        }
        if let Some((report, base)) = &machine.old_put {
            self.then(next, "former agent's report stored", |world| {
                world.machines[index].old_put = None;
                world.store(report, *base);
            });
        }
    }

    fn store(&mut self, report: &Report, base: u8) -> bool {
        if base != self.puts && !self.wrong(Wrong::Overwrites) {
            return false;
        }
        self.puts += 1;
        self.status = Some(report.clone());
        true
    }

    fn checks(&self, index: usize, next: &mut Next) {
        let book = self.machines[index].book.as_ref().unwrap();
        for check in book.checks() {
            let number: usize = check.netns.trim_start_matches("/run/netns/s").parse().unwrap();
            let sandbox = &self.sandboxes[number];
            let is_absent = sandbox.nic != Nic::Live;
            let keep = |world: &mut World, end: &dyn Fn(&mut Book, &Check) -> Vec<Record>| {
                let records = end(world.book(index), &check);
                world.machines[index].keep(&records);
            };
            if !sandbox.is_there {
                self.then(next, "namespace seen to be gone", |world| {
                    keep(world, &|book, check| book.namespace_gone(check));
                });
            } else if is_absent && check.is_deleted {
                self.then(next, "address seen on no interface", |world| {
                    keep(world, &|book, check| book.absent(check));
                });
            }
            if self.wrong(Wrong::OldLook) && is_absent && !self.machines[index].is_looked {
                self.then(next, "looked", |world| world.machines[index].is_looked = true);
            }
            let is_wrong = (self.wrong(Wrong::DelAlone) && check.is_deleted)
                || (self.wrong(Wrong::AbsenceAlone) && is_absent)
                || (self.wrong(Wrong::OldLook) && check.is_deleted && self.machines[index].is_looked);
            if is_wrong {
                self.then(next, "ended without proof", |world| {
                    keep(world, &|book, check| book.namespace_gone(check));
                });
            }
        }
    }

    fn asks(&self, index: usize, next: &mut Next) {
        let machine = &self.machines[index];
        let is_wanted = self
            .sandboxes
            .iter()
            .any(|sandbox| sandbox.pod == 0 && sandbox.nic == Nic::None && sandbox.is_there);
        if !machine.is_asking && machine.asks < 2 && is_wanted {
            self.then(next, "ask", |world| {
                let machine = &mut world.machines[index];
                machine.is_asking = true;
                machine.asks += 1;
                let id = machine.asks.to_string();
                world.book(index).ask(id, pod_name(0));
            });
        }
        if machine.is_asking {
            self.then(next, "ask given up", |world| {
                let machine = &mut world.machines[index];
                machine.is_asking = false;
                let id = machine.asks.to_string();
                world.book(index).withdraw(&id);
            });
        }
    }
}
