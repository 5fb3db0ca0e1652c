//! A world with one address: an API server, nodes of one name, a leader.

use std::collections::BTreeSet;

use allotment_proof::{
    Address, Admission, Attachment, Book, Ends, Freed, Held, Identity, PodSeen, Record, Report, Seen, Use,
    Version,
};

pub(crate) const NODE: &str = "node";
pub(crate) const OTHER: &str = "other";

/// What is left out of the rules: each is found to double the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wrong {
    Nothing,
    /// The ADD is answered first and journaled after it.
    AnsweredBeforeJournal,
    /// The report is stored first and the fence written after it.
    PublishedBeforeFence,
    /// A pod that is gone is served.
    ServedGone,
    /// A DEL alone ends an attachment.
    DelAlone,
    /// Addresses on no interface end an attachment, though no DEL came.
    AbsenceAlone,
    /// A look from before the DEL counts.
    OldLook,
    /// Without a journal, `still` is begun empty.
    NotRebuilt,
    /// Without a journal, it is rebuilt while plugins from before are still at work.
    RebuiltTooEarly,
    /// A report that lacks the address proves its end, as of whatever version.
    MissingEntry,
    /// Whoever reports for the node's name is believed.
    AnyMachine,
    /// A grant is served on another node of the same name.
    ServedElsewhere,
    /// A Node object that is gone frees what was on it.
    DeletedNode,
    /// The pods were listed before the blocks were loaded.
    ListedBeforeLoad,
    /// A report lands on a newer one.
    Overwrites,
    /// A report says nothing of what is asked for.
    AsksLeftOut,
    /// A release names the holder, but not which of its grants it is meant for.
    AnyGrant,
    /// While the ledger recovers, what is free in it is given.
    GivenWhileRecovering,
    /// A recovery is over before every node has said what it uses.
    SettledAtOnce,
    /// What a node says it uses is not taken over.
    NotTakenOver,
    /// Only the first report under an epoch has the inventory.
    InventoryOnce,
    /// A report of an epoch that is higher than the leader's counts as one of that.
    LowerEpoch,
    /// A report says nothing of what running pods are granted no more.
    UnpluggedLeftOut,
    /// What was taken out of a pod is granted to it again, whatever is under way.
    PluggedAtOnce,
}

/// What may happen, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that may happen")]
pub(crate) struct May {
    pub(crate) sandboxes: usize,
    pub(crate) agent_crashes: u8,
    pub(crate) journal_losses: u8,
    pub(crate) leader_crashes: u8,
    pub(crate) reboots: u8,
    pub(crate) replacements: u8,
    pub(crate) relists: u8,
    /// The API server's database, from a backup that knows of no pod.
    pub(crate) restores: u8,
    /// ADDs after the DEL of the same sandbox, as for a NIC that is plugged in again.
    pub(crate) readds: u8,
    /// Times that the first pod's grant loses the address while it runs.
    pub(crate) unplugs: u8,
    /// Pod 1 may finish, and its object stays.
    pub(crate) finishes: bool,
    /// The second pod is on the same node.
    pub(crate) is_same_node: bool,
    /// The first pod is a static one: no object, asked for by CNI.
    pub(crate) is_static: bool,
    /// The first pod is granted by another leader while this one starts.
    pub(crate) is_late: bool,
    pub(crate) wrong: Wrong,
}

impl May {
    pub(crate) const SMALL: May = May {
        sandboxes: 1,
        agent_crashes: 0,
        journal_losses: 0,
        leader_crashes: 0,
        reboots: 0,
        replacements: 0,
        relists: 0,
        restores: 0,
        readds: 0,
        unplugs: 0,
        finishes: false,
        is_same_node: false,
        is_static: false,
        is_late: false,
        wrong: Wrong::Nothing,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Bound,
    /// It runs, and its grant has the address no more.
    Unplugged,
    Finished,
    Gone,
}

/// The interface that a sandbox's ADD was answered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Nic {
    None,
    /// The plugin holds the answer.
    Answered,
    /// The address is on it.
    Live,
    Removed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sandbox {
    pub(crate) pod: usize,
    pub(crate) machine: usize,
    pub(crate) nic: Nic,
    pub(crate) is_there: bool,
    /// A DEL was called since the ADD.
    pub(crate) is_deleted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is something of its own")]
pub(crate) struct Machine {
    pub(crate) uid: String,
    pub(crate) boot: u8,
    pub(crate) is_on: bool,
    pub(crate) book: Option<Book>,
    pub(crate) journal: Vec<Record>,
    /// How many of the API server's events it has seen.
    pub(crate) cursor: usize,
    /// Versions begin anew.
    pub(crate) must_list: bool,
    /// On its way: the report, and the object's resourceVersion that it replaces.
    pub(crate) put: Option<(Report, u8)>,
    /// The same, sent by the process before.
    pub(crate) old_put: Option<(Report, u8)>,
    /// An interface was looked for and not found, before a DEL.
    pub(crate) is_looked: bool,
    pub(crate) is_asking: bool,
    /// How many asks were made; ids are never used twice.
    pub(crate) asks: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Leader {
    pub(crate) ends: Ends,
    pub(crate) cursor: usize,
    pub(crate) read: u8,
    /// The pods were listed under the open epoch.
    pub(crate) is_listed: bool,
    /// What the node says it uses, to be taken over.
    pub(crate) inventory: Option<BTreeSet<Use>>,
}

/// The ledger's epochs, and what of them stands in the node's object (L6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Epochs {
    pub(crate) epoch: u64,
    pub(crate) settled: u64,
    /// Under which the agent is asked for its inventory.
    pub(crate) asked: u64,
    /// The last one that the agent is told to be over.
    pub(crate) told: u64,
}

impl Epochs {
    pub(crate) fn is_open(self) -> bool {
        self.epoch > self.settled
    }
}

/// Who the ledger says has the address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) pod: usize,
    /// The how manyth grant it is.
    pub(crate) since: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) may: May,
    /// Events of pods; a version is a place in it, from 1.
    pub(crate) log: Vec<(usize, Phase)>,
    pub(crate) ledger: Option<Entry>,
    /// How many grants there were.
    pub(crate) grants: u8,
    pub(crate) node_uid: Option<String>,
    pub(crate) status: Option<Report>,
    /// As it was when the backup was made.
    pub(crate) backup: Option<Report>,
    pub(crate) epochs: Epochs,
    /// resourceVersion of `NodeAttachments`.
    pub(crate) puts: u8,
    pub(crate) spec: Admission,
    pub(crate) reach: Version,
    /// An answer to an ask: its id.
    pub(crate) answer: Option<String>,
    pub(crate) machines: Vec<Machine>,
    pub(crate) sandboxes: Vec<Sandbox>,
    pub(crate) leader: Leader,
    /// Releases on their way to the ledger, the former leader's first; each with the grant that it is meant for.
    pub(crate) releases: [Option<(Freed, u8)>; 2],
    /// The second pod was granted the address.
    pub(crate) is_passed: bool,
    /// The Node that each pod's grant was made for; it stands on the pod.
    pub(crate) granted_for: [String; 2],
}

pub(crate) fn pod_name(pod: usize) -> String {
    ["first", "second"][pod].to_owned()
}

pub(crate) fn address() -> Address {
    Address { vrf: "default".to_owned(), address: "10.0.0.1".parse().unwrap() }
}

impl World {
    /// The first pod is bound and granted, an agent runs, the leader has seen both.
    pub(crate) fn new(may: May) -> World {
        let mut world = World {
            may,
            log: vec![(0, Phase::Bound)],
            ledger: Some(Entry { pod: 0, since: 1 }),
            grants: 1,
            node_uid: Some("n0".to_owned()),
            status: None,
            backup: None,
            epochs: Epochs::default(),
            puts: 0,
            spec: Admission { node_uid: "n0".to_owned(), ..Admission::default() },
            reach: Version::default(),
            answer: None,
            machines: Vec::new(),
            sandboxes: Vec::new(),
            leader: Leader::default(),
            releases: [None, None],
            is_passed: false,
            granted_for: ["n0".to_owned(), String::new()],
        };
        if may.is_static || may.is_late {
            world.log.clear();
            world.ledger = None;
        }
        world.boot_machine("n0");
        let machine = &mut world.machines[0];
        let publication = machine.book.as_mut().unwrap().publish(|_, _| true).unwrap();
        machine.book.as_mut().unwrap().published(&publication.report);
        machine.keep(&publication.records);
        world.status = Some(publication.report);
        world.backup = world.status.clone().map(|report| Report { as_of: Version::default(), ..report });
        world.start_leader();
        world
    }

    pub(crate) fn boot_machine(&mut self, uid: &str) {
        let me = Identity { node_uid: uid.to_owned(), boot_id: format!("{uid}-0") };
        let (book, journal) = Book::open(&[], me);
        let mut machine = Machine {
            uid: uid.to_owned(),
            boot: 0,
            is_on: true,
            book: Some(book),
            journal,
            cursor: 0,
            must_list: false,
            put: None,
            old_put: None,
            is_looked: false,
            is_asking: false,
            asks: 0,
        };
        let records = machine.book.as_mut().unwrap().rebuilt(Vec::new());
        machine.keep(&records);
        self.machines.push(machine);
        let last = self.machines.len() - 1;
        self.list(last, self.log.len());
    }

    pub(crate) fn version(&self) -> Version {
        Version(self.log.len() as u64)
    }

    pub(crate) fn phase(&self, pod: usize) -> Option<Phase> {
        self.log.iter().rev().find(|(of, _)| *of == pod).map(|(_, phase)| *phase)
    }

    /// Pods that the API server had then, with the version of their last change.
    pub(crate) fn listed(&self, version: usize) -> Vec<(usize, Phase, Version)> {
        let last = |pod| {
            let at = self.log[..version].iter().rposition(|(of, _)| *of == pod)?;
            Some((pod, self.log[at].1, Version(at as u64 + 1)))
        };
        [0, 1].into_iter().filter_map(last).filter(|(_, phase, _)| *phase != Phase::Gone).collect()
    }

    /// Whether the pod's grant has the address, as far as an agent has seen.
    pub(crate) fn is_granted(&self, pod: usize, seen: usize) -> bool {
        // It may have seen more than a server that was restored has.
        let seen = self.log.get(..seen).unwrap_or(&self.log);
        let last = seen.iter().rev().find(|(of, _)| *of == pod);
        last.is_none_or(|(_, phase)| *phase != Phase::Unplugged)
    }

    pub(crate) fn is_on_node(&self, pod: usize) -> bool {
        pod == 0 || self.may.is_same_node
    }

    /// The agent takes in a list of pods as of a version.
    pub(crate) fn list(&mut self, machine: usize, version: usize) {
        let pods = self.listed(version).into_iter().filter(|(pod, ..)| self.is_on_node(*pod));
        let pods: Vec<(String, Seen)> = pods.map(|(pod, phase, _)| (pod_name(pod), seen(phase))).collect();
        let machine = &mut self.machines[machine];
        machine.cursor = version;
        machine.book.as_mut().unwrap().listed(Version(version as u64), pods);
    }

    /// A new leader: the ledger first, then a consistent list (L5).
    pub(crate) fn start_leader(&mut self) {
        self.leader = Leader { cursor: self.log.len(), ..Leader::default() };
        self.load();
        let listed = self.listed(self.log.len()).into_iter().map(|(pod, phase, at)| {
            let seen = if phase == Phase::Finished { PodSeen::Finished(at) } else { PodSeen::Running };
            (pod_name(pod), seen)
        });
        assert!(self.leader.ends.listed(self.version(), listed));
        // A standby has seen it as well.
        if self.phase(0) == Some(Phase::Unplugged) {
            self.leader.ends.unplugged(&pod_name(0), &[address()], self.version());
        }
        self.leader.ends.admitted(NODE, self.spec.clone());
        self.show_node();
        if self.epochs.is_open() {
            // What an earlier leader was told it has not passed on: everybody is asked again.
            self.raise(0);
        }
        self.read_status();
    }

    /// The leader takes in what the ledger has, and a version read after it.
    pub(crate) fn load(&mut self) {
        let seen = self.leader.ends.version().unwrap_or_default();
        let known_at = if self.may.wrong == Wrong::ListedBeforeLoad { seen } else { self.version() };
        if let Some(entry) = &self.ledger {
            let held = held(entry.pod, self.is_on_node(entry.pod));
            self.leader.ends.allocated(held, known_at);
        }
    }

    pub(crate) fn show_node(&mut self) {
        match &self.node_uid {
            Some(uid) => self.leader.ends.node(NODE, uid, false),
            None => self.leader.ends.node_gone(NODE),
        }
    }

    pub(crate) fn read_status(&mut self) {
        self.leader.read = self.puts;
        let Some(mut report) = self.status.clone() else { return };
        let mut written = self.version();
        match self.may.wrong {
            Wrong::MissingEntry => {
                written = Version(u64::MAX);
                report.as_of = written;
            }
            Wrong::AnyMachine => {
                report.earlier.insert("n0".to_owned());
            }
            Wrong::AsksLeftOut => report.asks.clear(),
            Wrong::LowerEpoch => report.epoch = report.epoch.min(self.epochs.epoch),
            _ => {}
        }
        if self.leader.ends.reported(NODE, report, written) {
            self.heard_inventory();
        } else {
            // As of a version that the API server has not come to: it was set back.
            assert!(self.epochs.epoch > 0, "nobody restored anything");
            self.raise(0);
        }
    }

    pub(crate) fn is_doubled(&self) -> bool {
        let mut users = BTreeSet::new();
        let live = self.sandboxes.iter().filter(|sandbox| matches!(sandbox.nic, Nic::Answered | Nic::Live));
        // Sandboxes of one pod on one machine follow each other; the runtime sees to that.
        users.extend(live.map(|sandbox| (sandbox.pod, sandbox.machine)));
        if self.is_passed && !self.may.is_same_node {
            users.insert((1, usize::MAX));
        }
        users.len() > 1
    }

    /// The address has come back from the first pod, which ended or never asked.
    pub(crate) fn is_freed(&self) -> bool {
        self.ledger.as_ref().is_none_or(|entry| entry.pod != 0)
    }
}

pub(crate) fn seen(phase: Phase) -> Seen {
    if phase == Phase::Finished { Seen::finished() } else { Seen::bound() }
}

pub(crate) fn held(pod: usize, is_on_node: bool) -> Held {
    let node = if is_on_node { NODE } else { OTHER };
    Held { holder: pod_name(pod), node: node.to_owned(), address: address() }
}

pub(crate) fn attachment(sandbox: usize, pod: usize) -> Attachment {
    Attachment {
        sandbox: format!("s{sandbox}"),
        interface: "eth0".to_owned(),
        pod: pod_name(pod),
        netns: format!("/run/netns/s{sandbox}"),
        addresses: [address()].into(),
    }
}

impl Machine {
    /// Appends to the journal, in its shortest form.
    pub(crate) fn keep(&mut self, records: &[Record]) {
        self.journal.extend_from_slice(records);
        let me = Identity { node_uid: self.uid.clone(), boot_id: format!("{}-{}", self.uid, self.boot) };
        self.journal = Book::open(&self.journal, me).0.records();
    }
}
