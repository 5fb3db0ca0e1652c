//! From the ends of pods to freed addresses (R2–R5, L5).
//!
//! ```text
//!   watches ─▶ read ─▶ proof::Ends ─▶ freed ─▶ look up ─▶ release ─▶ freed in the ledger
//!                          │    ▲                 (engine)
//!                          │    └── survey: what the ledger has, and a version of pods read after it
//!                          └─▶ nodes: which machine, how far to publish ─▶ NodeAttachments.spec
//! ```
//!
//! [`World`](crate::world::World) tells it everything that it is told itself, in the same order, and what the engine gave;
//! what it wants done comes out of [`Releases::next`], and what became of that goes into [`Releases::outcome`].
//!
//! What is absent and must stay so: a rule of proof (they are all in `allotment-proof`), and a release by time.

mod behind;
mod keeping;
mod nodes;
mod read;
mod recover;
mod say;
mod unplug;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use allotment_api::v1alpha1::{LedgerBlock, NodeAttachments};
use allotment_cluster::{Event, Pod};
use allotment_core::{Allocation, Attachment, Grant, Owner, ReleaseMode, Timestamp};
use allotment_proof::{Address, Ends, Freed, Held, Lost, PodSeen, Use, Version};

use self::behind::Behind;
pub use self::keeping::Keeping;
use self::nodes::Nodes;
pub(crate) use self::nodes::Spec;
pub(crate) use self::read::{held, version_of};
use self::recover::Recovery;
use self::say::Patience;
use crate::events::Saying;
use crate::feed::Input;
use crate::owners::Owners;
use crate::request::Settings;

/// Between two looks at what waits for its proof, and before what failed is tried again.
const ROUND: Duration = Duration::from_secs(3);

/// Between two walks through the ledger: they find what an answer lost on its way has left behind.
const SURVEY: Duration = Duration::from_mins(10);

/// Addresses released at once: they share the ledger's writes.
const BATCH: usize = 512;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    /// Walk through the ledger, and read a version of pods after it.
    Survey,
    /// See what the ledger has about these now.
    LookUp(Vec<Freed>),
    Release(Vec<Order>),
    /// Write `NodeAttachments.spec`.
    Write {
        node: String,
        spec: Box<Spec>,
    },
    /// List the pods that have not ended, under this epoch: the watch is behind.
    ListRunning(u64),
    /// See whether the ledger is recovering (L6).
    LookAtEpoch,
    /// Begin a new epoch, above this one.
    Raise(u64),
    /// List the pods anew, under this epoch.
    List(u64),
    /// Read a node's pods, to know what it uses.
    Inventory {
        node: String,
        uses: BTreeSet<Use>,
    },
    /// Take over what a node uses and the ledger lacks.
    Adopt {
        node: String,
        used: Vec<(Use, Allocation)>,
    },
    /// Every node has said what it uses under this epoch.
    Settle(u64),
    /// Nothing of a node that is gone is left.
    Remove {
        node: String,
        uid: String,
        version: Version,
    },
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Surveyed(Option<Survey>),
    LookedUp(Vec<(Freed, Option<Found>)>),
    /// Each with whether the ledger has it no more, for certain.
    Released(Vec<(Freed, bool)>),
    Removed,
    /// UIDs of the pods that have not ended, and as of when; under the epoch that it was asked for in.
    ListedRunning(u64, Option<(Vec<String>, Version)>),
    /// The open epoch, if one is.
    Epoch(Option<u64>),
    EpochUnread,
    Raised(bool),
    /// Under the epoch that it was asked for in.
    Listed(u64, Option<(Vec<Pod>, Version)>),
    Inventoried {
        node: String,
        uses: BTreeSet<Use>,
        pods: Option<Vec<Pod>>,
    },
    /// What is left to be tried again, and what others have.
    Adopted {
        node: String,
        left: BTreeSet<Use>,
        doubled: Vec<(Use, String)>,
    },
    /// Whether this epoch is over.
    Settled(u64, bool),
    /// The version of the object that has it; nothing if it was not written.
    Written {
        node: String,
        spec: Box<Spec>,
        version: Option<Version>,
    },
}

/// What a walk through the ledger found.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) held: Vec<Held>,
    /// Of pods, read after the walk.
    pub(crate) version: Version,
}

/// What the ledger has about an address that its holder uses no more.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) owner: Owner,
    pub(crate) attachment: Attachment,
    pub(crate) since: Timestamp,
    pub(crate) outlives_owner: bool,
}

/// To be released: this life of it, and no other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) freed: Freed,
    pub(crate) mode: ReleaseMode,
    pub(crate) since: Timestamp,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a step of its own, and under way or not")]
pub(crate) struct Releases {
    settings: Settings,
    ends: Ends,
    nodes: Nodes,
    leading: bool,
    surveying: bool,
    survey_at: Option<Instant>,
    /// The ledger was looked through in this term.
    is_surveyed: bool,
    /// The walk under way may have passed what somebody else has written since.
    walk_again: bool,
    round_at: Option<Instant>,
    /// Holders that were granted something, or released of it, since the walk began.
    busy: BTreeSet<String>,
    /// Freed, and held for an earlier node of its name as far as the API server knows.
    unsettled: Vec<Freed>,
    found: Vec<(Freed, Found)>,
    /// To be judged anew in the next round.
    failed: Vec<Freed>,
    patience: Patience,
    behind: Behind,
    /// To be said.
    pub(crate) sayings: Vec<Saying>,
    recovery: Recovery,
    lost: Vec<Lost>,
    is_lost_new: bool,
    /// The epoch was looked at in this term.
    is_epoch_known: bool,
    /// To be done at the next turn.
    follows: Vec<Action>,
}

impl Releases {
    pub(crate) fn new(settings: Settings) -> Releases {
        Releases {
            settings,
            ends: Ends::default(),
            nodes: Nodes::default(),
            leading: false,
            surveying: false,
            survey_at: None,
            is_surveyed: false,
            walk_again: false,
            round_at: None,
            busy: BTreeSet::new(),
            unsettled: Vec::new(),
            found: Vec::new(),
            failed: Vec::new(),
            patience: Patience::default(),
            behind: Behind::default(),
            sayings: Vec::new(),
            recovery: Recovery::default(),
            lost: Vec::new(),
            is_lost_new: false,
            is_epoch_known: false,
            follows: Vec::new(),
        }
    }

    /// Takes in what was told, before the rest of the world does.
    pub(crate) fn input(&mut self, input: &Input) {
        match input {
            Input::Pod(event) => self.pod(event),
            Input::Node(event) => self.nodes.node(event, &mut self.ends),
            Input::Attachments(event) => self.attachments(event),
            _ => {}
        }
    }

    fn pod(&mut self, event: &Event<Pod>) {
        match event {
            Event::Listed { objects, version } => {
                let pods = objects.iter().filter_map(read::pod);
                let pods = pods.map(|(uid, _, seen)| (uid.to_owned(), seen));
                if !self.ends.listed(read::version(*version), pods) {
                    tracing::error!(%version, "the API server lists older pods than it showed: it was set back");
                    self.recovery.suspect();
                }
            }
            Event::Applied(pod) => {
                if let Some((uid, version, seen)) = read::pod(pod) {
                    self.ends.seen(uid, version, seen);
                }
            }
            Event::Deleted(pod) => {
                if let Some((uid, version, _)) = read::pod(pod) {
                    self.ends.gone(uid, version);
                }
            }
            Event::Reached(version) => self.ends.reached(read::version(*version)),
        }
    }

    fn attachments(&mut self, event: &Event<NodeAttachments>) {
        for (node, written) in self.nodes.attachments(event, &mut self.ends, &mut self.recovery) {
            self.recovery.suspect();
            tracing::error!(
                node,
                %written,
                "the agent has published as of a version later than its object's: the API server was set back"
            );
        }
    }

    /// Leads from now on.
    pub(crate) fn begin(&mut self) {
        self.leading = true;
        self.surveying = false;
        self.survey_at = None;
        self.is_surveyed = false;
        self.round_at = None;
        self.unsettled.clear();
        self.found.clear();
        self.failed.clear();
        self.follows.clear();
        self.behind = Behind::default();
        self.is_epoch_known = false;
        self.recovery.begin();
        self.ends.again();
        self.nodes.begin();
    }

    /// The engine gave these addresses. Their holder may be gone already. `pod_version` is that of a pod which somebody else
    /// than the watch has shown: no end is proved before the watch has come there (R3).
    pub(crate) fn granted(&mut self, grant: &Grant, pod_version: Version) {
        let known_at = self.ends.version().unwrap_or_default().max(pod_version);
        for entry in &grant.entries {
            self.busy.insert(entry.attachment.holder.clone());
            for ip in &entry.ips {
                self.ends.allocated(read::held(&entry.attachment, &ip.vrf, ip.address), known_at);
            }
        }
    }

    /// This leader has begun an epoch itself: nobody was told anything under it before.
    pub(crate) fn epoch_raised(&mut self) {
        self.is_epoch_known = true;
    }

    /// Somebody else has written to the ledger, such as the leader before, who did not know yet: what it holds has to be
    /// looked through again, or the ends of those holders would be missed until the next walk.
    pub(crate) fn others_wrote(&mut self, now: Instant) {
        self.walk_again = self.surveying;
        let soon = now + ROUND;
        self.survey_at = self.survey_at.map(|at| at.min(soon));
    }

    /// What is to be done now. `owners` knows whose addresses are kept.
    pub(crate) fn next(&mut self, owners: &Owners, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.leading {
            return actions;
        }
        actions.append(&mut self.follows);
        if !self.surveying && self.survey_at.is_none_or(|at| at <= now) {
            self.surveying = true;
            self.busy.clear();
            actions.push(Action::Survey);
        }
        if self.round_at.is_none_or(|at| at <= now) {
            self.round(now, &mut actions);
        }
        let (unsettled, freed): (Vec<Freed>, Vec<Freed>) =
            self.ends.take().into_iter().partition(|freed| freed.former_of.is_some());
        self.unsettled.extend(unsettled);
        let settled = self.settled();
        let freed: Vec<Freed> = freed.into_iter().chain(settled).collect();
        actions.extend(freed.chunks(BATCH).map(|freed| Action::LookUp(freed.to_vec())));
        actions.extend(self.nodes.writes(&self.ends));
        let order = |(freed, found): (Freed, Found)| {
            let mode = owners.mode(&found.owner, Some(&found.attachment), found.outlives_owner);
            Order { freed, mode, since: found.since }
        };
        let orders: Vec<Order> = self.found.drain(..).map(order).collect();
        actions.extend(orders.chunks(BATCH).map(|orders| Action::Release(orders.to_vec())));
        actions
    }

    /// What no spec holds for an earlier node any more; for the rest it is written now.
    fn settled(&mut self) -> Vec<Freed> {
        let mut settled = Vec::new();
        for freed in std::mem::take(&mut self.unsettled) {
            let name = freed.former_of.as_deref().unwrap_or_default();
            if self.ends.is_settled(name, &freed.address) {
                settled.push(freed);
            } else {
                self.nodes.touch(name);
                self.unsettled.push(freed);
            }
        }
        settled
    }

    fn round(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.round_at = Some(now + ROUND);
        for freed in std::mem::take(&mut self.failed) {
            self.ends.not_released(&freed);
        }
        for (node, version) in self.ends.round() {
            self.nodes.reach(&node, version);
        }
        self.nodes.retry();
        actions.extend(self.recovery.round(&self.ends));
        // In a recovery they are listed anyway.
        if !self.recovery.is_open() && self.behind.round(&self.ends) {
            actions.push(Action::ListRunning(self.ends.epoch()));
        }
        if self.is_surveyed {
            actions.extend(self.nodes.removals(&self.ends));
        }
        let lost = std::mem::replace(&mut self.lost, self.ends.lost());
        self.is_lost_new = !lost.is_empty() || !self.lost.is_empty();
        self.sayings.extend(self.patience.look(&self.ends.waiting(), &self.nodes, now));
        self.sayings.append(&mut self.recovery.sayings);
    }

    /// When `next` has something to do, if nothing happens before.
    pub(crate) fn due(&self) -> Option<Instant> {
        let survey = if self.surveying { None } else { self.survey_at };
        survey.into_iter().chain(self.round_at).min()
    }

    /// Takes in what became of an action. `true`: there are more addresses to be had, so that waiters may have their turn.
    pub(crate) fn outcome(&mut self, outcome: Outcome, now: Instant) -> bool {
        match outcome {
            Outcome::Surveyed(survey) => {
                self.surveying = false;
                let is_done = survey.is_some() && !std::mem::take(&mut self.walk_again);
                self.survey_at = Some(now + if is_done { SURVEY } else { ROUND });
                if let Some(Survey { held, version }) = survey {
                    self.is_surveyed = true;
                    self.ends.surveyed(held, version, &self.busy);
                }
                false
            }
            Outcome::LookedUp(looked_up) => {
                for (freed, found) in looked_up {
                    match found {
                        Some(found) => self.found.push((freed, found)),
                        None => self.ends.released(&freed.holder, &freed.address),
                    }
                }
                false
            }
            Outcome::Released(released) => {
                let mut any = false;
                for (freed, is_released) in released {
                    self.busy.insert(freed.holder.clone());
                    if is_released {
                        any = true;
                        self.ends.released(&freed.holder, &freed.address);
                    } else {
                        self.failed.push(freed);
                    }
                }
                any
            }
            Outcome::Written { node, spec, version } => {
                self.nodes.written(&node, *spec, version, &mut self.ends);
                false
            }
            Outcome::Removed => false,
            Outcome::ListedRunning(epoch, running) => {
                self.behind.listed();
                if let Some((running, version)) = running
                    && epoch == self.ends.epoch()
                    && !self.recovery.is_open()
                {
                    // The watch may have gone further meanwhile, and knows better then.
                    let _ = self.ends.listed(version, running.into_iter().map(|uid| (uid, PodSeen::Running)));
                }
                false
            }
            outcome => self.recovering(outcome, now),
        }
    }

    /// What became of the steps of a recovery (L6). `true`: it is over, and what was withheld can be had.
    fn recovering(&mut self, outcome: Outcome, now: Instant) -> bool {
        let was_open = self.recovery.is_open();
        match outcome {
            Outcome::EpochUnread => self.recovery.unread(),
            Outcome::Epoch(open) => {
                self.nodes.recovering(open.is_some());
                let is_first = !std::mem::replace(&mut self.is_epoch_known, true);
                if let Some(epoch) = self.recovery.looked(open, is_first) {
                    self.ends.raise(epoch);
                    self.nodes.raise(epoch);
                }
            }
            Outcome::Raised(is_done) => self.recovery.raised(is_done),
            Outcome::Listed(epoch, Some((pods, version)))
                if self.recovery.is_in(epoch) && self.ends.listed(version, recover::seen(&pods)) =>
            {
                self.recovery.listed();
            }
            Outcome::Inventoried { node, uses, pods: Some(pods) } => {
                let used = recover::allocations(&node, &uses, &pods, &self.settings);
                self.follows.push(Action::Adopt { node, used });
            }
            Outcome::Inventoried { node, uses, pods: None } => {
                self.recovery.adopted(&node, "", uses, &[]);
            }
            Outcome::Adopted { node, left, doubled } => {
                let uid = self.nodes.uid(&node).to_owned();
                self.recovery.adopted(&node, &uid, left, &doubled);
                self.survey_at = Some(now);
            }
            Outcome::Settled(epoch, is_done) => self.recovery.settled(epoch, is_done),
            _ => {}
        }
        was_open && !self.recovery.is_open()
    }

    /// The blocks of everything that the ledger has on a node; nothing before that was looked through.
    pub(crate) fn blocks_on(&self, node: &str) -> Option<BTreeSet<LedgerBlock>> {
        let is_known = self.is_surveyed && !self.recovery.is_open();
        let block = |held: Address| LedgerBlock::with(&held.vrf, held.address);
        is_known.then(|| self.ends.addresses_on(node).map(block).collect())
    }

    /// How many addresses of ended holders wait for the proof of a node that is gone (R4), as of the last round.
    pub(crate) fn lost(&self) -> usize {
        self.lost.len()
    }

    /// Those addresses; once after each round, and not while there are none.
    pub(crate) fn take_lost(&mut self) -> Option<&[Lost]> {
        std::mem::take(&mut self.is_lost_new).then_some(&self.lost)
    }
}

#[cfg(test)]
mod tests;
