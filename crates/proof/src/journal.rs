//! What a node remembers durably.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Address, Version};

/// Who an agent speaks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// UID of the Node object.
    pub node_uid: String,
    /// The kernel's boot id.
    pub boot_id: String,
}

/// An interface that an ADD is answered for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attachment {
    /// `CNI_CONTAINERID`.
    pub sandbox: String,
    /// `CNI_IFNAME`.
    pub interface: String,
    /// The pod's UID as CNI has it.
    pub pod: String,
    /// How the agent finds the network namespace again; opaque here.
    pub netns: String,
    pub addresses: BTreeSet<Address>,
}

/// One line of the journal. What it allows may be done once it is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The agent started: a boot id other than before ends everything older.
    Started(Identity),
    /// An ADD is about to be answered.
    Served(Attachment),
    /// A DEL came.
    Deleted { sandbox: String, interface: String },
    /// Nothing of it is in use any more.
    Ended { sandbox: String, interface: String },
    /// A report is about to be published: no pod that was gone by then is ever served again, nor are these, which have
    /// finished since the last one and are still there.
    Fenced { as_of: Version, finished: BTreeSet<String> },
    /// A journal was lost: these namespaces lived, with these addresses.
    Found { netns: String, addresses: BTreeSet<Address> },
    /// Versions begin anew (L6).
    Epoch(u64),
    /// What lived without a journal is all in it now.
    Rebuilt,
}

/// An attachment that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Open {
    pub(crate) pod: String,
    pub(crate) netns: String,
    pub(crate) addresses: BTreeSet<Address>,
    /// No DEL is to come: one was seen since the last ADD, or nobody knows the sandbox.
    pub(crate) is_deleted: bool,
    /// Counts changes, so that a look at an earlier state of it ends nothing.
    pub(crate) generation: u32,
}

/// (sandbox, interface); of what was found without a journal ("", namespace).
pub type Key = (String, String);

/// What the journal's records add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Kept {
    pub(crate) me: Identity,
    pub(crate) earlier: BTreeSet<String>,
    pub(crate) epoch: u64,
    /// No report was published as of a later version.
    pub(crate) fence: Version,
    /// Pods that finished by then and whose object was still there.
    pub(crate) finished: BTreeSet<String>,
    pub(crate) open: BTreeMap<Key, Open>,
    pub(crate) is_rebuilt: bool,
}

impl Kept {
    /// Replays records, or takes another one in.
    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Started(me) => {
                if !self.me.boot_id.is_empty() && self.me.boot_id != me.boot_id {
                    self.open.clear();
                }
                if !self.me.node_uid.is_empty() && self.me.node_uid != me.node_uid {
                    self.earlier.insert(std::mem::take(&mut self.me.node_uid));
                }
                self.me = me.clone();
            }
            Record::Served(attachment) => self.serve(attachment),
            Record::Deleted { sandbox, interface } => {
                if let Some(open) = self.open.get_mut(&(sandbox.clone(), interface.clone())) {
                    open.is_deleted = true;
                    open.generation += 1;
                }
            }
            Record::Ended { sandbox, interface } => {
                self.open.remove(&(sandbox.clone(), interface.clone()));
            }
            Record::Fenced { as_of, finished } => {
                self.fence = self.fence.max(*as_of);
                self.finished.extend(finished.iter().cloned());
            }
            Record::Found { netns, addresses } => {
                let open = Open {
                    pod: String::new(),
                    netns: netns.clone(),
                    addresses: addresses.clone(),
                    is_deleted: true,
                    generation: 0,
                };
                self.open.insert((String::new(), netns.clone()), open);
            }
            Record::Epoch(epoch) => {
                self.epoch = *epoch;
                self.fence = Version::default();
            }
            Record::Rebuilt => self.is_rebuilt = true,
        }
    }

    fn serve(&mut self, attachment: &Attachment) {
        let key = (attachment.sandbox.clone(), attachment.interface.clone());
        let before = self.open.remove(&key);
        let mut addresses = attachment.addresses.clone();
        let mut generation = 0;
        if let Some(before) = before {
            // What it had before and has not ended may still be on the link.
            addresses.extend(before.addresses);
            generation = before.generation + 1;
        }
        let open = Open {
            pod: attachment.pod.clone(),
            netns: attachment.netns.clone(),
            addresses,
            is_deleted: false,
            generation,
        };
        self.open.insert(key, open);
    }

    /// The shortest journal that adds up to the same.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self
            .earlier
            .iter()
            .map(|uid| Record::Started(Identity { node_uid: uid.clone(), boot_id: self.me.boot_id.clone() }))
            .collect();
        records.push(Record::Started(self.me.clone()));
        if self.epoch > 0 {
            records.push(Record::Epoch(self.epoch));
        }
        records.push(Record::Fenced { as_of: self.fence, finished: self.finished.clone() });
        for ((sandbox, interface), open) in &self.open {
            let addresses = open.addresses.clone();
            if sandbox.is_empty() {
                records.push(Record::Found { netns: open.netns.clone(), addresses });
                continue;
            }
            records.push(Record::Served(Attachment {
                sandbox: sandbox.clone(),
                interface: interface.clone(),
                pod: open.pod.clone(),
                netns: open.netns.clone(),
                addresses,
            }));
            if open.is_deleted {
                records.push(Record::Deleted { sandbox: sandbox.clone(), interface: interface.clone() });
            }
        }
        if self.is_rebuilt {
            records.push(Record::Rebuilt);
        }
        records
    }
}
