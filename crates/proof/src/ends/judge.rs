//! Whether an address of an ended holder is proved to be free, and if not, what keeps it.

use std::collections::BTreeMap;
use std::fmt;

use super::{Ends, Life, Name, Place, unplugged};
use crate::{Address, Version};

/// What keeps an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kept {
    /// Its pod is bound and has not finished.
    InUse,
    /// The watch of pods has not reached what the ledger was written after.
    Unseen,
    /// No agent has published for this node.
    Silent { node: String },
    /// The agent has not published under this epoch (L6).
    Epoch { node: String },
    /// The node that has it is gone, and another one has its name, or none has: nobody can say that it is used no more.
    Lost { node: String, node_uid: String },
    /// The agent's last report is from before the pod's end.
    Behind { node: String, as_of: Version, wanted: Version },
    /// The agent lists it: DEL has not come, or the address is still on an interface.
    Still { node: String },
    /// CNI is asking for it again.
    Asked { node: String },
    /// It is being released.
    Taken,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kept::InUse => f.write_str("its pod is bound and has not finished"),
            Kept::Unseen => f.write_str("the controller's watch of pods is behind its ledger"),
            Kept::Silent { node } => write!(f, "no agent has published for node `{node}`"),
            Kept::Epoch { node } => {
                write!(
                    f,
                    "the agent of node `{node}` has not published its inventory since the recovery began"
                )
            }
            Kept::Lost { node, node_uid } => write!(
                f,
                "it was granted on node `{node}` (uid {node_uid}), which is gone; nobody can say that nothing uses it there"
            ),
            Kept::Behind { node, as_of, wanted } => write!(
                f,
                "the agent of node `{node}` has published as of version {as_of} of the pods, and that this one has ended was \
                 seen at {wanted}: it has to publish once more"
            ),
            Kept::Still { node } => write!(
                f,
                "the agent of node `{node}` says it is still in use: no DEL came, or the address is still on an interface"
            ),
            Kept::Asked { node } => write!(f, "the runtime of node `{node}` is asking for it"),
            Kept::Taken => f.write_str("it is being released"),
        }
    }
}

impl Ends {
    /// What keeps an address of a holder; nothing if the ledger is not known to have it.
    pub fn why(&self, pod: &str, address: &Address) -> Option<Kept> {
        let name = self.holder_of(pod, address)?;
        let holder = self.holders.get(&name)?;
        let place = holder.held.iter().find(|place| place.is(address))?;
        Some(match holder.life {
            Life::Bound => Kept::InUse,
            Life::Unseen(_) => Kept::Unseen,
            Life::Ended(_) if place.is_taken => Kept::Taken,
            Life::Ended(at) => self.judge(&name, at, place).err().unwrap_or(Kept::Taken),
        })
    }

    /// R3 and R4; `holder` is a pod, or what was taken out of one.
    pub(super) fn judge(&self, holder: &str, at: Version, place: &Place) -> Result<(), Kept> {
        let name = || place.node.to_string();
        let Some(node) = self.nodes.get(&place.node) else { return Err(Kept::Silent { node: name() }) };
        let Some(machine) = node.machine(place) else { return Err(Kept::Silent { node: name() }) };
        if node.is_written_off(machine) {
            return Ok(());
        }
        let lost = || Kept::Lost { node: name(), node_uid: machine.to_owned() };
        let Some(report) = &node.heard else {
            return Err(if node.is_there(machine) { Kept::Silent { node: name() } } else { lost() });
        };
        if !report.speaks_for(machine) {
            return Err(lost());
        }
        if report.epoch < self.epoch {
            return Err(Kept::Epoch { node: name() });
        }
        // What it says it still uses it used after any version, so that is the better reason.
        if report.has_still(place) {
            return Err(Kept::Still { node: name() });
        }
        if report.as_of < at {
            let is_there = node.is_there(&report.node_uid);
            let behind = Kept::Behind { node: name(), as_of: report.as_of, wanted: at };
            return Err(if is_there { behind } else { lost() });
        }
        if unplugged::is_unplugged(holder) && !report.unplugs {
            return Err(Kept::InUse);
        }
        if report.is_asking(unplugged::pod_of(holder)) {
            return Err(Kept::Asked { node: name() });
        }
        Ok(())
    }

    /// Takes up what is proved of an ended holder.
    pub(super) fn judge_holder(&mut self, pod: &str) {
        let Some((pod, holder)) = self.holders.get_key_value(pod) else { return };
        let Life::Ended(at) = holder.life else { return };
        let open = holder.held.iter().filter(|place| !place.is_taken);
        let judged: Vec<(bool, Address)> =
            open.map(|place| (self.judge(pod, at, place).is_ok(), place.address())).collect();
        let pod = Name::clone(pod);
        for (is_proved, address) in judged {
            let entry = (Name::clone(&pod), address);
            if is_proved {
                self.proved.insert(entry);
            } else {
                self.proved.remove(&entry);
            }
        }
    }

    pub(super) fn judge_node(&mut self, name: &str) {
        let Some(node) = self.nodes.get(name) else { return };
        let is_ended =
            |pod: &&Name| self.holders.get(*pod).is_some_and(|holder| matches!(holder.life, Life::Ended(_)));
        let ended: Vec<Name> = node.holders.iter().filter(is_ended).cloned().collect();
        for pod in ended {
            self.judge_holder(&pod);
        }
    }

    /// What stays held until a person says that its machine is gone for good, for a condition and a metric.
    pub fn lost(&self) -> Vec<Lost> {
        let mut lost = Vec::new();
        for (pod, holder) in &self.holders {
            let Life::Ended(at) = holder.life else { continue };
            for place in holder.held.iter().filter(|place| !place.is_taken) {
                if let Err(Kept::Lost { node, .. }) = self.judge(pod, at, place) {
                    lost.push(Lost { address: place.address(), node });
                }
            }
        }
        lost
    }

    /// What ended holders are waiting for, by node: how many addresses, and of one of them whose it is and what keeps it.
    pub fn waiting(&self) -> BTreeMap<&str, Waiting> {
        let mut waiting: BTreeMap<&str, Waiting> = BTreeMap::new();
        for (pod, holder) in &self.holders {
            let Life::Ended(at) = holder.life else { continue };
            for place in holder.held.iter().filter(|place| !place.is_taken) {
                let Err(kept) = self.judge(pod, at, place) else { continue };
                let first = || Waiting {
                    count: 0,
                    holder: unplugged::pod_of(pod).to_owned(),
                    address: place.address(),
                    kept,
                };
                waiting.entry(&place.node).or_insert_with(first).count += 1;
            }
        }
        waiting
    }
}

/// An address of an ended holder on a machine that is gone: nobody can say that it is used no more (R4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub address: Address,
    pub node: String,
}

/// Addresses of ended holders that are not proved to be free, all on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub count: usize,
    /// One of them.
    pub address: Address,
    pub holder: String,
    pub kept: Kept,
}
