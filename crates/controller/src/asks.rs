//! What nodes ask for that no pod announces (K1).
//!
//! ```text
//!   NodeAttachments.status.asks ─▶ Judge: read the pod ─▶ Ask the engine ─▶ Answer: one write for all of a node
//! ```
//!
//! An ask counts only for a pod that is bound to the node that asks, or for a static pod of that node (K6); a node in bad
//! hands can so ask for its own pods and for nobody else's. An answer goes when its ask has gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_api::v1alpha1::{Answer, Ask, LedgerBlock, NodeAttachments, NodeAttachmentsSpec};
use allotment_cluster::{Event, Pod};
use allotment_core::{Code, Grant, Refusal, Request};
use allotment_engine::EngineError;
use allotment_proof::Version;
use kube::ResourceExt;

use crate::release::version_of;
use crate::request::{self, Interface, PodView};
use crate::surroundings::Surroundings;

/// Asks of one node that are looked at; more than pods can be on a node, with eight interfaces each.
const PER_NODE: usize = 4096;

/// Answers that are about to come are waited for, so that they are written together.
const GATHER: Duration = Duration::from_millis(25);

/// Between two tries after a failure, or of what was refused.
const RETRY: Duration = Duration::from_secs(1);

/// The kubelet, on the mirror of a static pod: the UID that CNI knows it by. Nobody but a kubelet can make a pod that has it.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Which ask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) node: Arc<str>,
    pub(crate) ask: String,
}

#[derive(Debug)]
pub(crate) enum Action {
    /// Read the pod that an ask names.
    Judge { id: Id, namespace: String, name: String },
    Ask {
        id: Id,
        request: Box<Request>,
        /// Of the pod that was read: the watch of pods may not be there yet.
        pod_version: Version,
    },
    Answer {
        node: Arc<str>,
        uid: String,
        answers: Vec<Answer>,
        /// See [`NodeAttachmentsSpec::blocks`](allotment_api::v1alpha1::NodeAttachmentsSpec::blocks).
        blocks: BTreeSet<LedgerBlock>,
    },
}

/// What the nodes ask, and what they were answered.
#[derive(Default)]
pub(crate) struct Asks {
    nodes: HashMap<Arc<str>, NodeAsks>,
    /// Nodes to look at, and when.
    due: BTreeSet<(Instant, Arc<str>)>,
    touched: BTreeSet<Arc<str>>,
}

#[derive(Default)]
struct NodeAsks {
    /// Of the node's object.
    uid: String,
    asks: BTreeMap<String, (Ask, State)>,
    /// What its object says.
    written: Vec<Answer>,
    blocks: BTreeSet<LedgerBlock>,
    writing: bool,
    /// No write before that.
    write_at: Option<Instant>,
}

#[derive(Debug)]
enum State {
    New,
    Judging,
    Asking(Interface),
    /// It failed, or was refused: not before that.
    Answered {
        answer: Option<Box<Answer>>,
        retry: Option<Instant>,
    },
}

impl Asks {
    pub(crate) fn event(&mut self, event: &Event<NodeAttachments>) {
        match event {
            Event::Listed { objects, .. } => {
                let present: BTreeSet<String> = objects.iter().map(ResourceExt::name_any).collect();
                self.nodes.retain(|node, _| present.contains(&**node));
                for object in objects {
                    self.applied(object);
                }
            }
            Event::Applied(object) => self.applied(object),
            Event::Deleted(object) => {
                self.nodes.remove(object.name_any().as_str());
            }
            Event::Reached(_) => {}
        }
    }

    fn applied(&mut self, object: &NodeAttachments) {
        let asks = object.status.as_ref().map_or(&[][..], |status| &status.asks);
        let NodeAttachmentsSpec { answers, blocks, .. } = &object.spec;
        let name = object.name_any();
        if asks.is_empty() && answers.is_empty() && blocks.is_empty() && !self.nodes.contains_key(&*name) {
            return;
        }
        let name: Arc<str> = name.into();
        let node = self.nodes.entry(Arc::clone(&name)).or_default();
        node.uid = object.uid().unwrap_or_default();
        if !node.writing {
            node.written.clone_from(answers);
            node.blocks = blocks.iter().cloned().collect();
        }
        let ids: BTreeSet<&str> = asks.iter().take(PER_NODE).map(|ask| &*ask.id).collect();
        node.asks.retain(|id, _| ids.contains(&**id));
        for ask in asks.iter().take(PER_NODE) {
            let known = node.asks.get(&ask.id).is_some_and(|(known, _)| known == ask);
            if !known {
                // Answered by an earlier leader.
                let mut granted = answers.iter().filter(|answer| answer.grant.is_some());
                let answer = granted.find(|answer| answer.id == ask.id).cloned().map(Box::new);
                let state = match answer {
                    answer @ Some(_) => State::Answered { answer, retry: None },
                    None => State::New,
                };
                node.asks.insert(ask.id.clone(), (ask.clone(), state));
            }
        }
        self.touched.insert(name);
    }

    /// Leads from now on: what was under way belongs to an earlier term.
    pub(crate) fn begin(&mut self) {
        for (name, node) in &mut self.nodes {
            node.writing = false;
            for (_, state) in node.asks.values_mut() {
                if matches!(state, State::Judging | State::Asking(_)) {
                    *state = State::New;
                }
            }
            self.touched.insert(Arc::clone(name));
        }
    }

    /// The blocks that what was answered is in, as far as the nodes' objects say.
    pub(crate) fn blocks(&self) -> BTreeSet<LedgerBlock> {
        self.nodes.values().flat_map(|node| &node.blocks).cloned().collect()
    }

    /// Something was freed or changed: what was refused may be possible now.
    pub(crate) fn wake(&mut self, now: Instant) {
        for (name, node) in &mut self.nodes {
            for (_, state) in node.asks.values_mut() {
                if let State::Answered { answer, retry } = state
                    && answer.as_ref().is_none_or(|answer| answer.grant.is_none())
                {
                    retry.get_or_insert(now + RETRY);
                    self.touched.insert(Arc::clone(name));
                }
            }
        }
    }

    /// What is to be done now.
    pub(crate) fn next(&mut self, now: Instant) -> Vec<Action> {
        while let Some((due, _)) = self.due.first()
            && *due <= now
        {
            let (_, node) = self.due.pop_first().expect("there was a first one");
            self.touched.insert(node);
        }
        let mut actions = Vec::new();
        for name in std::mem::take(&mut self.touched) {
            if let Some(node) = self.nodes.get_mut(&name) {
                let due = node.next(&name, now, &mut actions);
                self.due.extend(due.map(|due| (due, name)));
            }
        }
        actions
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The pod that an ask names was read; nothing when there is none.
    pub(crate) fn judged(
        &mut self,
        id: &Id,
        pod: Result<Option<Box<Pod>>, String>,
        around: &Surroundings,
        now: Instant,
    ) -> Vec<Action> {
        let Some((ask, state)) = self.find(id) else { return Vec::new() };
        let pod = match pod {
            Ok(pod) => pod,
            Err(error) => {
                tracing::debug!(node = %id.node, %error, "the pod of an ask cannot be read; trying again");
                *state = State::Answered { answer: None, retry: Some(now + RETRY) };
                self.touched.insert(Arc::clone(&id.node));
                return Vec::new();
            }
        };
        let pod_version = pod.as_deref().map(version_of).unwrap_or_default();
        let wanted = judge(ask, &id.node, pod.as_deref(), around);
        match wanted {
            Ok(mut wanted) => {
                let interface = wanted.interfaces.pop().unwrap_or_default();
                *state = State::Asking(interface);
                vec![Action::Ask { id: id.clone(), request: Box::new(wanted.request), pod_version }]
            }
            Err(refusal) => {
                self.refuse(id, &refusal, now);
                Vec::new()
            }
        }
    }

    /// What was to be asked of the engine cannot be asked now.
    pub(crate) fn put_off(&mut self, id: &Id, now: Instant) {
        let Some((_, state)) = self.find(id) else { return };
        *state = State::Answered { answer: None, retry: Some(now + RETRY) };
        self.touched.insert(Arc::clone(&id.node));
    }

    /// What the engine decided.
    pub(crate) fn answered(&mut self, id: &Id, decided: Result<&Grant, &EngineError>, now: Instant) {
        let Some((_, state)) = self.find(id) else { return };
        let State::Asking(interface) = state else { return };
        match decided {
            Ok(grant) => {
                let grant = grant.entries.first().map(|entry| request::granted_attachment(interface, entry));
                let answer = Answer { id: id.ask.clone(), grant, refusal: None };
                *state = State::Answered { answer: Some(Box::new(answer)), retry: None };
                self.touched.insert(Arc::clone(&id.node));
            }
            Err(EngineError::Refused(refusal)) => self.refuse(id, refusal, now),
            Err(_) => {
                *state = State::Answered { answer: None, retry: Some(now + RETRY) };
                self.touched.insert(Arc::clone(&id.node));
            }
        }
    }

    /// Answers with a refusal; the same code again changes nothing.
    fn refuse(&mut self, id: &Id, refusal: &Refusal, now: Instant) {
        let retry = refusal.again_ms.map(|ms| now + Duration::from_millis(ms).max(RETRY));
        let Some(node) = self.nodes.get_mut(&id.node) else { return };
        let Some((ask, state)) = node.asks.get_mut(&id.ask) else { return };
        let shown = request::pod_refusal(&ask.pod_uid, refusal);
        let same = |answer: &&Answer| {
            answer.id == id.ask && answer.refusal.as_ref().is_some_and(|old| old.code == shown.code)
        };
        let answer = node.written.iter().find(same).cloned();
        let answer =
            answer.unwrap_or_else(|| Answer { id: id.ask.clone(), grant: None, refusal: Some(shown) });
        *state = State::Answered { answer: Some(Box::new(answer)), retry };
        self.touched.insert(Arc::clone(&id.node));
    }

    /// What became of a write; with what was written.
    pub(crate) fn written(&mut self, node: &Arc<str>, answers: Result<Vec<Answer>, String>, now: Instant) {
        let Some(known) = self.nodes.get_mut(node) else { return };
        known.writing = false;
        match answers {
            Ok(answers) => known.written = answers,
            Err(error) => {
                tracing::debug!(%node, %error, "answers cannot be written; trying again");
                known.write_at = Some(now + RETRY);
            }
        }
        self.touched.insert(Arc::clone(node));
    }

    fn find(&mut self, id: &Id) -> Option<(&Ask, &mut State)> {
        self.nodes.get_mut(&id.node)?.asks.get_mut(&id.ask).map(|(ask, state)| (&*ask, state))
    }
}

impl NodeAsks {
    /// What is to be done for this node, and when to look again.
    fn next(&mut self, name: &Arc<str>, now: Instant, actions: &mut Vec<Action>) -> Option<Instant> {
        let mut due = None;
        let mut soon = |at: Instant| due = Some(due.map_or(at, |due: Instant| due.min(at)));
        let mut is_busy = false;
        for (id, (ask, state)) in &mut self.asks {
            if let State::Answered { retry: Some(retry), .. } = state {
                if *retry > now {
                    soon(*retry);
                    continue;
                }
                *state = State::New;
            }
            if matches!(state, State::New) {
                *state = State::Judging;
                let id = Id { node: Arc::clone(name), ask: id.clone() };
                actions.push(Action::Judge { id, namespace: ask.namespace.clone(), name: ask.name.clone() });
            }
            is_busy |= matches!(state, State::Judging | State::Asking(_));
        }
        let answers = self.answers();
        if answers == self.written || self.writing {
            self.write_at = self.write_at.filter(|_| self.writing);
            return due;
        }
        let write_at = *self.write_at.get_or_insert(if is_busy { now + GATHER } else { now });
        if write_at > now {
            soon(write_at);
        } else {
            self.write_at = None;
            self.writing = true;
            self.blocks.extend(answers.iter().flat_map(blocks_of));
            let (uid, blocks) = (self.uid.clone(), self.blocks.clone());
            actions.push(Action::Answer { node: Arc::clone(name), uid, answers, blocks });
        }
        due
    }

    /// What its object is to say.
    fn answers(&self) -> Vec<Answer> {
        let answers = self.asks.iter().filter_map(|(id, (_, state))| match state {
            State::Answered { answer: Some(answer), .. } => Some((**answer).clone()),
            // Asked again; until it is answered anew, what was written stays.
            State::New | State::Judging | State::Asking(_) | State::Answered { answer: None, .. } => {
                self.written.iter().find(|answer| answer.id == *id).cloned()
            }
        });
        answers.collect()
    }
}

fn blocks_of(answer: &Answer) -> impl Iterator<Item = LedgerBlock> {
    let ips = answer.grant.iter().flat_map(|grant| &grant.ips);
    ips.map(|ip| LedgerBlock::with(&ip.vrf, ip.address))
}

/// Whether an ask may be followed, and what it comes to.
fn judge(
    ask: &Ask,
    node: &str,
    pod: Option<&Pod>,
    around: &Surroundings,
) -> Result<request::Wanted, Refusal> {
    let named = || format!("node `{node}` asks for pod {}/{}", ask.namespace, ask.name);
    let refused =
        |code, what: &str, hint: &str| Err(Refusal::new(code, format!("{}, {what}", named()), hint));
    let hint = "the runtime asks again as soon as the pod is there";
    let Some(pod) = pod else { return refused(Code::Unknown, "which does not exist", hint) };
    let annotation = |key: &str| pod.metadata.annotations.as_ref().and_then(|all| all.get(key));
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let is_static = annotation(MIRROR) == Some(&ask.pod_uid);
    if uid != ask.pod_uid && !is_static {
        return refused(Code::Unknown, "which is another one by now", hint);
    }
    if pod.spec.node_name != node {
        let hint = "only the node that a pod is bound to may ask for it; look into that node";
        return refused(Code::NotAllowed, "which is not bound to it", hint);
    }
    if pod.is_finished() || pod.spec.host_network {
        return refused(Code::Invalid, "which needs no addresses", "let its runtime remove the sandbox");
    }
    let view = PodView::new(&pod.metadata, node);
    let Some(world) = around.of(&view) else {
        return refused(Code::Unknown, "whose namespace is gone", hint);
    };
    request::read_ask(ask, &view, world)
}

#[cfg(test)]
mod tests;
