//! All that the agent knows, and what follows from it. No call here waits for anything: watches, namespaces and the API
//! server are others' matter, who tell what they saw and do what is said.

mod add;
mod object;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use allotment_api::v1alpha1::{Answer, Ask};
use allotment_cluster::{Event, Pod, ResourceVersion};
use allotment_proof::{Book, Check, Due, Identity, Record, Version};

use crate::journal::{Durable, Found, Given, Journal, Line};
use crate::pods::{Known, Pods};
pub(crate) use add::{Adding, Step, Wish};
pub(crate) use object::Publication;

/// (sandbox, interface)
pub(crate) type Key = (String, String);

pub(crate) struct Desk {
    /// The node's name.
    node: String,
    me: Identity,
    identity: Looked,
    /// UIDs that grants name and that are not this node's, as far as was looked.
    strangers: HashSet<String>,
    book: Book,
    pods: Pods,
    /// Versions begin anew: nothing is served before there is a list.
    is_stale: bool,
    given: BTreeMap<Key, Given>,
    asks: BTreeMap<String, Ask>,
    answers: HashMap<String, Answer>,
    /// Makes asks of this process unlike those of any other.
    process: u64,
    asked: u64,
    object: object::Object,
    journal: Journal,
    /// Something came about that others wait for.
    has_news: bool,
    serves: Serves,
}

/// Which ADDs are served.
#[derive(Debug, PartialEq, Eq)]
enum Serves {
    All,
    /// The agent is about to stop: nobody waits any longer.
    Ready,
    /// The node is given up.
    None,
}

/// Whether the Node object was read.
#[derive(Debug, PartialEq, Eq)]
enum Looked {
    /// Not since the start: what the journal says of it may be of an earlier one.
    Never,
    Done,
    /// A grant names another UID than it had.
    Doubted(String),
}

impl Desk {
    /// Starts from what a journal has; `process` is a number that no other process has had.
    pub(crate) fn new(node: &str, boot_id: &str, found: Found, process: u64) -> Desk {
        let Found { journal, lines, is_damaged } = found;
        let mut given = BTreeMap::new();
        let mut records = Vec::new();
        for mut line in lines {
            track(&mut given, &line);
            records.append(&mut line.records);
        }
        // What is damaged does not tell everything: what lives is looked for as if there were no journal.
        records.retain(|record| !is_damaged || *record != Record::Rebuilt);
        let last = records.iter().rev().find_map(|record| match record {
            Record::Started(me) => Some(me.node_uid.clone()),
            _ => None,
        });
        let me = Identity { node_uid: last.unwrap_or_default(), boot_id: boot_id.to_owned() };
        let (book, started) = Book::open(&records, me.clone());
        given.retain(|(sandbox, interface), _| book.is_served(sandbox, interface));
        let mut desk = Desk {
            node: node.to_owned(),
            me,
            identity: Looked::Never,
            strangers: HashSet::new(),
            book,
            pods: Pods::default(),
            is_stale: false,
            given,
            asks: BTreeMap::new(),
            answers: HashMap::new(),
            process,
            asked: 0,
            object: object::Object::default(),
            journal,
            has_news: false,
            serves: Serves::All,
        };
        desk.write(started, None);
        desk
    }

    /// Hands records to the journal, in the order in which they came about.
    fn write(&mut self, records: Vec<Record>, given: Option<Given>) -> Durable {
        let line = Line { records, given };
        track(&mut self.given, &line);
        let durable = self.journal.append(&line);
        if self.journal.wants_rewrite() {
            let rules = Line { records: self.book.records(), given: None };
            let given =
                self.given.values().map(|given| Line { records: Vec::new(), given: Some(given.clone()) });
            let lines: Vec<Line> = std::iter::once(rules).chain(given).collect();
            self.journal.rewrite(&lines);
        }
        durable
    }

    /// From now on no ADD waits.
    pub(crate) fn drain(&mut self) {
        if self.serves == Serves::All {
            self.serves = Serves::Ready;
        }
    }

    /// From now on nothing new is served.
    pub(crate) fn retire(&mut self) {
        self.serves = Serves::None;
    }

    /// Addresses of ours that are in use on this node; nothing while that is not known. Of what was found without a journal those
    /// that a pod shows are ours.
    pub(crate) fn in_use(&self) -> Option<BTreeSet<IpAddr>> {
        let is_known = self.book.is_rebuilt() && self.pods.version().is_some();
        let checks = is_known.then(|| self.book.checks())?;
        let shown: HashSet<IpAddr> = self.pods.shown().collect();
        let addresses = checks.iter().flat_map(|check| &check.addresses);
        let ours = addresses.filter(|address| !address.vrf.is_empty() || shown.contains(&address.address));
        Some(ours.map(|address| address.address).collect())
    }

    /// Whether others have to look again since this was called the last time.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// The Node object was read.
    pub(crate) fn identified(&mut self, node_uid: &str) {
        let me = Identity { node_uid: node_uid.to_owned(), ..self.me.clone() };
        if !self.me.node_uid.is_empty() && self.me.node_uid != node_uid {
            tracing::info!(
                node = self.node,
                before = self.me.node_uid,
                now = node_uid,
                "the Node object is another one"
            );
        }
        let records = self.book.identified(me.clone());
        self.me = me;
        if let Looked::Doubted(stranger) = std::mem::replace(&mut self.identity, Looked::Done) {
            self.strangers.insert(stranger);
        }
        self.write(records, None);
    }

    /// Whether the Node object has to be read: at the start, and when a grant is for a node of another UID.
    pub(crate) fn wants_identity(&self) -> bool {
        self.identity != Looked::Done
    }

    /// What the watch of the node's pods shows.
    pub(crate) fn pod_event(&mut self, event: Event<Pod>) {
        match event {
            Event::Listed { objects, version } => self.pods_listed(&objects, version),
            Event::Applied(pod) => {
                let Some(version) = self.news(&pod) else { return };
                if pod.spec.host_network {
                    return self.book.reached(version);
                }
                let known = Known::new(&pod);
                self.book.seen(&known.uid, version, known.seen());
                self.pods.put(known);
            }
            Event::Deleted(pod) => {
                let Some(version) = self.news(&pod) else { return };
                let uid = pod.metadata.uid.unwrap_or_default();
                self.book.gone(&uid, version);
                self.pods.remove(&uid);
            }
            Event::Reached(version) => {
                if self.pods.reach(version) {
                    self.book.reached(Version(version.number()));
                }
            }
        }
    }

    /// A list, by the watch or because more was wanted than the watch had shown.
    pub(crate) fn pods_listed(&mut self, pods: &[Pod], version: ResourceVersion) {
        let known: Vec<Known> = pods.iter().filter(|pod| !pod.spec.host_network).map(Known::new).collect();
        let seen = known.iter().map(|pod| (pod.uid.clone(), pod.seen()));
        self.book.listed(Version(version.number()), seen);
        if self.book.is_set_back() {
            tracing::warn!(%version, "the API server is behind what was published: nothing new is served");
        }
        self.pods.list(version, known);
        self.is_stale = false;
    }

    /// The version of a pod, if a list has not told it already.
    fn news(&mut self, pod: &Pod) -> Option<Version> {
        let version = ResourceVersion::of(pod).ok()?;
        self.pods.reach(version).then_some(Version(version.number()))
    }

    /// Whether the pods have to be listed, beside the watch.
    pub(crate) fn wants_list(&self) -> bool {
        self.pods.version().is_some() && (self.is_stale || self.book.wants_list())
    }

    /// A DEL. It is answered well, whatever is known, once it is durable.
    pub(crate) fn delete(&mut self, sandbox: &str, interface: &str) -> Option<Durable> {
        let deletion = self.book.delete(sandbox, interface);
        (!deletion.records.is_empty()).then(|| self.write(deletion.records, None))
    }

    /// What an interface of a sandbox was given.
    pub(crate) fn given(&self, sandbox: &str, interface: &str) -> Option<&Given> {
        self.given.get(&(sandbox.to_owned(), interface.to_owned()))
    }

    /// The interfaces on a network, by its name in the CNI configuration.
    pub(crate) fn on_network(&self, network: &str) -> Vec<Key> {
        let of = self.given.iter().filter(|(_, given)| given.network == network);
        of.map(|(key, _)| key.clone()).collect()
    }

    /// Attachments whose end is awaited: a DEL came, or their pod is gone or has finished.
    pub(crate) fn checks(&self) -> Vec<Check> {
        self.book.awaited()
    }

    /// None of its addresses is on an interface of its namespace.
    pub(crate) fn absent(&mut self, check: &Check) {
        let records = self.book.absent(check);
        self.write(records, None);
    }

    /// Its namespace is gone for good.
    pub(crate) fn namespace_gone(&mut self, check: &Check) {
        let records = self.book.namespace_gone(check);
        self.write(records, None);
    }

    /// Whether what lives has to be looked for, because there was no journal or it was damaged.
    pub(crate) fn wants_rebuild(&self) -> bool {
        !self.book.is_rebuilt()
    }

    /// What lives, by namespace.
    pub(crate) fn rebuilt(&mut self, live: Vec<(String, BTreeSet<allotment_proof::Address>)>) {
        let records = self.book.rebuilt(live);
        self.write(records, None);
    }

    /// How soon there is something to publish; nothing while it could not be.
    pub(crate) fn due(&self) -> Due {
        if self.identity != Looked::Never
            && self.object.is_seen()
            && self.pods.version().is_some()
            && !self.is_stale
        {
            if self.book.is_rebuilt() { self.book.due() } else { Due::Nothing }
        } else {
            Due::Nothing
        }
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            pods: self.pods.len(),
            served: self.given.len(),
            ending: self.checks().len(),
            asks: self.asks.len(),
            journal: self.journal.length(),
        }
    }
}

/// For the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) pods: usize,
    pub(crate) served: usize,
    pub(crate) ending: usize,
    pub(crate) asks: usize,
    /// Bytes.
    pub(crate) journal: u64,
}

/// Keeps in step what interfaces were given with what the records say of them.
fn track(given: &mut BTreeMap<Key, Given>, line: &Line) {
    for record in &line.records {
        if let Record::Deleted { sandbox, interface } | Record::Ended { sandbox, interface } = record {
            given.remove(&(sandbox.clone(), interface.clone()));
        }
    }
    if let Some(new) = &line.given {
        given.insert((new.sandbox.clone(), new.interface.clone()), new.clone());
    }
}

#[cfg(test)]
mod tests;
