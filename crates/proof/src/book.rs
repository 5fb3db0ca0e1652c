//! The node's end of the protocol (R2).

mod pods;

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::{Attachment, Identity, Kept, Key, Open, Record};
use crate::{Report, Use, Version};
use pods::Pods;
pub use pods::Seen;

/// What a node knows of its attachments and pods, and what it may answer and publish.
///
/// Methods that return [`Record`]s have taken them in already; what they were asked for may be done once the records are
/// durable, in the order in which they were returned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Book {
    kept: Kept,
    pods: Pods,
    /// ADDs that wait: ticket → what for, and whether a DEL came since.
    waiting: BTreeMap<u32, (Key, bool)>,
    /// id → the pod's UID as CNI has it.
    asks: BTreeMap<String, String>,
    /// Asked for by the controller.
    reach: Version,
    /// The last epoch whose recovery is over.
    recovered: u64,
    /// The last report that is known to be stored, as far as it matters for the next one.
    last: Option<Report>,
    /// An end that is not published yet.
    news: Due,
}

/// An ADD that came in: the right to answer it, as long as no DEL comes for the same interface of the same sandbox.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u32);

/// Where the addresses of an answer come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The grant on the pod, made for the node of this UID.
    Grant { node_uid: String },
    /// The answer to an ask (K1), by its id.
    Ask(String),
}

/// Why an ADD must not be answered with addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// No list of pods that is as new as what was published: try again later.
    NotReady,
    /// The watch has not shown this pod, or shows it no more: try again later.
    Unseen,
    /// The pod has finished.
    Finished,
    /// A DEL came while the ADD waited.
    Deleted,
    /// The grant was made for another node of this name, which may still use the addresses.
    OtherNode,
    /// The ask was withdrawn.
    Withdrawn,
}

/// What a DEL entails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    pub records: Vec<Record>,
    /// Whether ADDs were waiting for the same interface: they are refused now.
    pub is_cancelling: bool,
}

/// An attachment to look at: is its namespace gone for good, and if not and `is_deleted`, are its addresses on no interface?
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    key: Key,
    generation: u32,
    pub netns: String,
    pub addresses: BTreeSet<crate::Address>,
    /// A DEL was seen: addresses that are on no interface have ended.
    pub is_deleted: bool,
    /// Its pod is not there or has finished: its end is awaited.
    pub is_awaited: bool,
}

/// How soon a report is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Due {
    #[default]
    Nothing,
    /// With others, within the batch's time.
    Soon,
    /// At once: a retained address, an ask, or the controller waits (R5).
    Now,
}

/// A report, and what has to be durable before it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub records: Vec<Record>,
    pub report: Report,
}

impl Book {
    /// Replays a journal and starts in it. With an empty journal see [`Book::rebuilt`].
    pub fn open<'a>(journal: impl IntoIterator<Item = &'a Record>, me: Identity) -> (Book, Vec<Record>) {
        let mut kept = Kept::default();
        for record in journal {
            kept.apply(record);
        }
        let mut book = Book { kept, ..Book::default() };
        let records = book.take_in(vec![Record::Started(me)]);
        (book, records)
    }

    /// Whether the journal tells everything. If not, nothing is published until [`Book::rebuilt`].
    pub fn is_rebuilt(&self) -> bool {
        self.kept.is_rebuilt
    }

    /// The Node object's UID became known, or is another one: the machine stays what it was.
    pub fn identified(&mut self, me: Identity) -> Vec<Record> {
        if me == self.kept.me {
            return Vec::new();
        }
        self.last = None;
        self.take_in(vec![Record::Started(me)])
    }

    /// Without a journal: what lives, by namespace (R3). To be looked at when no main plugin that was started before this
    /// agent is still at work: it may hold an answer that is on no interface yet.
    pub fn rebuilt(
        &mut self,
        live: impl IntoIterator<Item = (String, BTreeSet<crate::Address>)>,
    ) -> Vec<Record> {
        let known: BTreeSet<String> = self.kept.open.values().map(|open| open.netns.clone()).collect();
        let found =
            live.into_iter().filter(|(netns, addresses)| !known.contains(netns) && !addresses.is_empty());
        let mut records: Vec<Record> =
            found.map(|(netns, addresses)| Record::Found { netns, addresses }).collect();
        records.push(Record::Rebuilt);
        self.take_in(records)
    }

    /// The shortest journal that adds up to the same: for rewriting the file.
    pub fn records(&self) -> Vec<Record> {
        self.kept.records()
    }

    /// The watch listed this node's pods. A list older than what was published is no basis for serving; a consistent one
    /// means that the API server was set back: [`Book::is_set_back`].
    pub fn listed(&mut self, version: Version, pods: impl IntoIterator<Item = (String, Seen)>) {
        let was_set_back = self.is_set_back();
        let gone = self.pods.list(version, pods, &mut self.kept);
        for (pod, seen) in gone {
            self.note_end(&pod, seen);
        }
        // Said once: it is listed again and again then, for what the controller wanted to be reached.
        if self.is_set_back() && !was_set_back {
            self.news = Due::Now;
        }
    }

    /// A bound pod was seen, or seen again. What is older than the last list or event is known already.
    pub fn seen(&mut self, pod: &str, version: Version, seen: Seen) {
        let is_new_end = self.pods.see(pod, version, seen, &self.kept);
        if is_new_end {
            self.note_end(pod, seen);
        }
    }

    /// A pod's object is gone.
    pub fn gone(&mut self, pod: &str, version: Version) {
        if let Some(seen) = self.pods.lose(pod, version, &mut self.kept) {
            self.note_end(pod, seen);
        }
    }

    /// A bookmark.
    pub fn reached(&mut self, version: Version) {
        self.pods.reach(version);
    }

    /// Whether the pods listed are older than what was published: the API server was set back (L6), or the list was not
    /// consistent. Nothing is served; what is published says so.
    pub fn is_set_back(&self) -> bool {
        self.pods.version().is_some_and(|version| version < self.kept.fence)
    }

    fn is_ready(&self) -> bool {
        self.pods.version().is_some_and(|version| version >= self.kept.fence)
    }

    /// The controller wants a report as of this version.
    pub fn reach(&mut self, version: Version) {
        self.reach = self.reach.max(version);
    }

    /// Whether what the controller wants is newer than what the watch has shown: a consistent list is wanted, to be given to
    /// [`Book::listed`]. The watch may go on beside it.
    pub fn wants_list(&self) -> bool {
        self.pods.version().is_some_and(|version| version < self.reach)
    }

    /// The epoch was raised: versions begin anew, and the next report has the inventory (L6). The watch has to list again
    /// before anything is served or published.
    pub fn raise(&mut self, epoch: u64) -> Vec<Record> {
        if epoch <= self.kept.epoch {
            return Vec::new();
        }
        self.pods.forget_version();
        self.reach = Version::default();
        self.news = Due::Now;
        self.take_in(vec![Record::Epoch(epoch)])
    }

    /// The recovery under this epoch is over: reports need no inventory any more. Until then each has it, since the one that
    /// follows may be all that the controller ever sees.
    pub fn recovered(&mut self, epoch: u64) {
        self.recovered = self.recovered.max(epoch);
    }

    /// An ADD came in, and may have to wait for its grant.
    pub fn arrived(&mut self, sandbox: &str, interface: &str) -> Ticket {
        let is_free = |number: &u32| !self.waiting.contains_key(number);
        let number = (0..=u32::MAX).find(is_free).expect("fewer ADDs wait than there are numbers");
        self.waiting.insert(number, ((sandbox.to_owned(), interface.to_owned()), false));
        Ticket(number)
    }

    /// The ADD is not going to be answered with addresses.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used once")]
    pub fn left(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket.0);
    }

    /// Whether a DEL came since the ADD did.
    pub fn is_cancelled(&self, ticket: &Ticket) -> bool {
        self.waiting.get(&ticket.0).is_none_or(|(_, is_cancelled)| *is_cancelled)
    }

    /// An ADD is about to be answered with these addresses. The ticket is used up, unless it is refused: then it can be tried
    /// again, or given back with [`Book::left`].
    pub fn answer(
        &mut self,
        ticket: &Ticket,
        attachment: Attachment,
        source: &Source,
    ) -> Result<Vec<Record>, Refused> {
        self.judge(ticket, &attachment, source)?;
        self.waiting.remove(&ticket.0);
        if let Source::Ask(id) = source {
            self.asks.remove(id);
            self.pods.answered(&attachment.pod);
        }
        let key = (attachment.sandbox.clone(), attachment.interface.clone());
        let is_known = self.kept.open.get(&key).is_some_and(|open| {
            !open.is_deleted
                && open.netns == attachment.netns
                && open.pod == attachment.pod
                && attachment.addresses.is_subset(&open.addresses)
        });
        if is_known {
            return Ok(Vec::new());
        }
        Ok(self.take_in(vec![Record::Served(attachment)]))
    }

    /// Whether an ADD was answered for this interface, no DEL came, and it has not ended. Answering it again as it was is no
    /// news: until its end it stands in every report that it matters to.
    pub fn is_served(&self, sandbox: &str, interface: &str) -> bool {
        let key = (sandbox.to_owned(), interface.to_owned());
        self.kept.open.get(&key).is_some_and(|open| !open.is_deleted)
    }

    fn judge(&self, ticket: &Ticket, attachment: &Attachment, source: &Source) -> Result<(), Refused> {
        if self.is_cancelled(ticket) {
            return Err(Refused::Deleted);
        }
        if !self.is_ready() {
            return Err(Refused::NotReady);
        }
        match source {
            Source::Grant { node_uid } => {
                if *node_uid != self.kept.me.node_uid && !self.kept.earlier.contains(node_uid) {
                    return Err(Refused::OtherNode);
                }
                match self.pods.get(&attachment.pod) {
                    None => Err(Refused::Unseen),
                    Some(seen) if seen.is_finished => Err(Refused::Finished),
                    Some(_) => Ok(()),
                }
            }
            // A static pod is not among the node's pods: CNI has another UID for it than the API server (K6). Its ask, and
            // then its attachment, stand in every report until its end.
            Source::Ask(id) => match self.asks.get(id) {
                Some(pod) if *pod == attachment.pod => match self.pods.get(pod) {
                    Some(seen) if seen.is_finished => Err(Refused::Finished),
                    _ => Ok(()),
                },
                _ => Err(Refused::Withdrawn),
            },
        }
    }

    /// What is to be asked of the controller (K1). The id is never used twice, not even by a later process.
    pub fn ask(&mut self, id: String, pod: String) {
        self.asks.insert(id, pod);
        self.news = Due::Now;
    }

    /// Nobody waits for the answer any more: it will not be used.
    pub fn withdraw(&mut self, id: &str) {
        if self.asks.remove(id).is_some() {
            self.news = Due::Now;
        }
    }

    /// A DEL came in. It is answered well, whatever is known.
    pub fn delete(&mut self, sandbox: &str, interface: &str) -> Deletion {
        let key = (sandbox.to_owned(), interface.to_owned());
        let mut is_cancelling = false;
        for (waits_for, is_cancelled) in self.waiting.values_mut() {
            if *waits_for == key && !*is_cancelled {
                *is_cancelled = true;
                is_cancelling = true;
            }
        }
        let is_news = self.kept.open.get(&key).is_some_and(|open| !open.is_deleted);
        let (sandbox, interface) = key;
        let records = if is_news { vec![Record::Deleted { sandbox, interface }] } else { Vec::new() };
        Deletion { records: self.take_in(records), is_cancelling }
    }

    /// What has not ended, to be looked at.
    pub fn checks(&self) -> Vec<Check> {
        self.kept.open.iter().map(|(key, open)| self.check(key, open)).collect()
    }

    /// Of [`Book::checks`] those whose end is awaited, or whose DEL was seen.
    pub fn awaited(&self) -> Vec<Check> {
        let is_meant = |open: &Open| open.is_deleted || !self.is_bound(&open.pod);
        let awaited = self.kept.open.iter().filter(|(_, open)| is_meant(open));
        awaited.map(|(key, open)| self.check(key, open)).collect()
    }

    fn check(&self, key: &Key, open: &Open) -> Check {
        Check {
            key: key.clone(),
            generation: open.generation,
            netns: open.netns.clone(),
            addresses: open.addresses.clone(),
            is_deleted: open.is_deleted,
            is_awaited: !self.is_bound(&open.pod),
        }
    }

    /// Its addresses were on no interface of its namespace, looked at after the check was made. Alone it proves nothing: an
    /// interface may be about to come up; after a DEL it does not.
    pub fn absent(&mut self, check: &Check) -> Vec<Record> {
        if check.is_deleted { self.end(check) } else { Vec::new() }
    }

    /// Its namespace is gone for good.
    pub fn namespace_gone(&mut self, check: &Check) -> Vec<Record> {
        self.end(check)
    }

    fn end(&mut self, check: &Check) -> Vec<Record> {
        let Some(open) = self.kept.open.get(&check.key) else { return Vec::new() };
        if open.generation != check.generation {
            return Vec::new();
        }
        let pod = open.pod.clone();
        let (sandbox, interface) = check.key.clone();
        let records = self.take_in(vec![Record::Ended { sandbox, interface }]);
        if !self.is_bound(&pod) {
            // Whatever is known of the pod: it had this attachment.
            let seen = Seen { is_granted: true, ..self.pods.ended(&pod) };
            self.note_end(&pod, seen);
        }
        records
    }

    /// A report is worth its write when the last attachment of an ended pod has ended, in whichever order.
    fn note_end(&mut self, pod: &str, seen: Seen) {
        if self.kept.open.values().any(|open| open.pod == pod) {
            return;
        }
        self.pods.settle(pod);
        if seen.is_granted {
            self.news = self.news.max(if seen.is_retained { Due::Now } else { Due::Soon });
        }
    }

    /// As of what is published. An older list shows pods that are gone by then, so it shows none to be bound.
    fn is_bound(&self, pod: &str) -> bool {
        self.is_ready() && self.pods.get(pod).is_some_and(|seen| !seen.is_finished)
    }

    /// Whether there is something to publish.
    pub fn due(&self) -> Due {
        let Some(last) = &self.last else { return Due::Now };
        let is_asked = last.as_of < self.reach && !self.wants_list();
        if is_asked || last.epoch < self.kept.epoch { Due::Now } else { self.news }
    }

    /// What to publish now; nothing before pods were listed, and, without a journal, before [`Book::rebuilt`].
    ///
    /// `is_plugged`: whether a pod that is bound may still be served this address on that interface of that sandbox. What it
    /// is granted no more, as of what the watch has reached, it may not.
    pub fn publish(&mut self, is_plugged: impl Fn(&Key, &Use) -> bool) -> Option<Publication> {
        let version = self.pods.version()?;
        if !self.kept.is_rebuilt {
            return None;
        }
        let as_of = version.max(self.kept.fence);
        let finished = self.pods.finished_since(&self.kept.finished);
        let is_news = as_of > self.kept.fence || !finished.is_empty();
        let records = if is_news { vec![Record::Fenced { as_of, finished }] } else { Vec::new() };
        let records = self.take_in(records);
        let is_recovering = self.recovered < self.kept.epoch;
        let inventory = if is_recovering { self.uses(|_, _, _| true) } else { BTreeSet::new() };
        let report = Report {
            node_uid: self.kept.me.node_uid.clone(),
            earlier: self.kept.earlier.clone(),
            boot_id: self.kept.me.boot_id.clone(),
            epoch: self.kept.epoch,
            as_of,
            still: self.uses(|key, open, used| !self.is_bound(&open.pod) || !is_plugged(key, used)),
            unplugs: true,
            inventory,
            asks: self.asks.clone(),
        };
        self.news = Due::Nothing;
        Some(Publication { records, report })
    }

    /// The report is stored.
    pub fn published(&mut self, report: &Report) {
        self.last = Some(Report { inventory: BTreeSet::new(), ..report.clone() });
    }

    /// The report could not be stored: it is due again.
    pub fn not_published(&mut self) {
        self.news = Due::Now;
    }

    fn uses(&self, is_meant: impl Fn(&Key, &Open, &Use) -> bool) -> BTreeSet<Use> {
        let mut uses = BTreeSet::new();
        for (key, open) in &self.kept.open {
            let all =
                open.addresses.iter().map(|address| Use { pod: open.pod.clone(), address: address.clone() });
            uses.extend(all.filter(|used| is_meant(key, open, used)));
        }
        uses
    }

    fn take_in(&mut self, records: Vec<Record>) -> Vec<Record> {
        for record in &records {
            self.kept.apply(record);
        }
        records
    }
}
