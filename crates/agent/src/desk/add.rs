//! ADD: what it is answered, or what it waits for.

use std::net::IpAddr;

use allotment_api::annotation::GrantedAttachment;
use allotment_api::v1alpha1::Ask;
use allotment_node::Bound;
use allotment_proof::{Address, Attachment, Refused, Source, Ticket};
use allotment_wire::cni::{Error, FamilyWish, code};

use super::{Desk, Looked, Serves};
use crate::answer;
use crate::journal::{Durable, Given};
use crate::matching::{self, PRIMARY};
use crate::pods::{Found, Named};

/// One ADD, from its arrival to its answer.
pub(crate) struct Adding {
    pub(crate) sandbox: String,
    pub(crate) interface: String,
    /// The network's name in its CNI configuration.
    pub(crate) network: String,
    pub(crate) pod: Named,
    /// How the namespace is found again.
    pub(crate) netns: String,
    pub(crate) wish: Wish,
    /// Where addresses have to be.
    pub(crate) bound: Bound,
    ticket: Option<Ticket>,
    /// The id of what was asked of the controller.
    ask: Option<String>,
    /// Its pod was there: if it is not, it is gone.
    was_seen: bool,
}

/// What is asked for where the pod does not say it (K1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) subnets: Vec<String>,
    pub(crate) pools: Vec<String>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) family: FamilyWish,
    pub(crate) mac: Option<String>,
}

/// What is to be done with an ADD.
pub(crate) enum Step {
    /// This is its answer, once it is durable.
    Answer(Box<GrantedAttachment>, Durable),
    Refuse(Error),
    /// Something is missing; in words, for when it does not come in time.
    Wait(String),
}

/// What is known of the pod without looking further.
enum Known {
    Grant {
        uid: String,
        entry: Box<GrantedAttachment>,
        node_uid: String,
    },
    Refusal(Error),
    /// Nothing, and nothing will be known unasked.
    Unannounced {
        uid: String,
    },
    Wait(String),
}

impl Adding {
    pub(crate) fn new(sandbox: &str, interface: &str, network: &str, pod: Named) -> Adding {
        Adding {
            sandbox: sandbox.to_owned(),
            interface: interface.to_owned(),
            network: network.to_owned(),
            pod,
            netns: String::new(),
            wish: Wish::default(),
            bound: Bound::default(),
            ticket: None,
            ask: None,
            was_seen: false,
        }
    }

    /// For people: the pod, the interface and the network.
    fn what(&self) -> String {
        let Named { uid, namespace, name } = &self.pod;
        format!(
            "pod {namespace}/{name} (UID `{uid}`), interface `{}` on network `{}`",
            self.interface, self.network
        )
    }

    /// Whether the addresses are where the configuration wants them.
    fn check(&self, node: &str, entry: &GrantedAttachment) -> Result<(), Error> {
        self.bound.check(&self.what(), node, entry.ips.iter().map(|ip| ip.address))
    }

    fn attachment(&self, uid: &str, entry: &GrantedAttachment) -> Attachment {
        let address = |ip: &allotment_api::annotation::GrantedAddress| Address {
            vrf: ip.vrf.clone(),
            address: ip.address,
        };
        Attachment {
            sandbox: self.sandbox.clone(),
            interface: self.interface.clone(),
            pod: uid.to_owned(),
            netns: self.netns.clone(),
            addresses: entry.ips.iter().map(address).collect(),
        }
    }
}

impl Desk {
    /// The ADD came in.
    pub(crate) fn arrived(&mut self, adding: &mut Adding) {
        adding.ticket = Some(self.book.arrived(&adding.sandbox, &adding.interface));
    }

    /// It is answered, or not going to be.
    pub(crate) fn left(&mut self, adding: &mut Adding) {
        if let Some(ticket) = adding.ticket.take() {
            self.book.left(ticket);
        }
        self.settle(adding);
    }

    /// What is to be done now. To be asked again after every change.
    pub(crate) fn step(&mut self, adding: &mut Adding) -> Step {
        match self.decide(adding) {
            Step::Wait(why) if self.serves != Serves::All => {
                Step::Refuse(answer::later(format!("the agent is about to stop, and {why}")))
            }
            step => step,
        }
    }

    fn decide(&mut self, adding: &mut Adding) -> Step {
        if self.serves == Serves::None {
            return Step::Refuse(answer::later("Allotment is being taken off this node".to_owned()));
        }
        let Some(ticket) = &adding.ticket else { return Step::Wait("the call has ended".to_owned()) };
        if self.book.is_cancelled(ticket) {
            return Step::Refuse(answer::later(format!(
                "a DEL came for the same interface: {}",
                adding.what()
            )));
        }
        if let Some(given) = self.given(&adding.sandbox, &adding.interface)
            && given.network == adding.network
            && (adding.pod.uid.is_empty() || given.pod == adding.pod.uid)
        {
            let entry = Box::new(given.entry.clone());
            if let Err(error) = adding.check(&self.node, &entry) {
                return Step::Refuse(error);
            }
            return Step::Answer(entry, self.write(Vec::new(), None));
        }
        let is_seen = matches!(self.pods.find(&adding.pod), Found::Pod(_));
        if adding.was_seen && !is_seen {
            return Step::Refuse(answer::later(format!("the pod was deleted: {}", adding.what())));
        }
        adding.was_seen = is_seen;
        match self.known(adding) {
            Known::Grant { uid, entry, node_uid } => {
                self.serve(adding, &uid, entry, &Source::Grant { node_uid })
            }
            Known::Refusal(error) => Step::Refuse(error),
            Known::Wait(why) => Step::Wait(why),
            Known::Unannounced { uid } => self.ask(adding, &uid),
        }
    }

    fn known(&self, adding: &Adding) -> Known {
        let what = adding.what();
        let pod = match self.pods.find(&adding.pod) {
            Found::Pod(pod) => pod,
            Found::Static(_) => return Known::Unannounced { uid: adding.pod.uid.clone() },
            Found::Unseen => {
                let seen = match self.pods.version() {
                    Some(version) => format!("the watch of the node's pods is at version {version}"),
                    None => "no pod has been seen yet: the API server has not answered".to_owned(),
                };
                return Known::Wait(format!("{what} is not among the pods of node `{}`; {seen}", self.node));
            }
        };
        if let Some(grant) = &pod.grant {
            let taken = self.taken(adding, &pod.uid);
            let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
            if let Some(entry) =
                matching::find(&grant.attachments, &adding.network, &adding.interface, &taken)
            {
                let (uid, node_uid) = (pod.uid.clone(), grant.node_uid.clone());
                return Known::Grant { uid, entry: Box::new(entry.clone()), node_uid };
            }
        }
        if let Some(refusal) = &pod.refusal {
            return Known::Refusal(answer::refused(refusal));
        }
        let is_announced = if adding.interface == PRIMARY { pod.announces_primary } else { pod.has_networks };
        if is_announced && pod.grant.is_none() {
            let odd = pod.odd.as_ref().map(|odd| format!(", and {odd}")).unwrap_or_default();
            return Known::Wait(format!("{what} has no grant yet: the controller has not decided{odd}"));
        }
        Known::Unannounced { uid: pod.uid.clone() }
    }

    /// The entries that other interfaces of the sandbox were given.
    fn taken(&self, adding: &Adding, uid: &str) -> Vec<String> {
        let first = (adding.sandbox.clone(), String::new());
        let of_sandbox = self.given.range(first..).take_while(|((sandbox, _), _)| *sandbox == adding.sandbox);
        let others = of_sandbox.filter(|(_, given)| given.interface != adding.interface && given.pod == uid);
        others.map(|(_, given)| given.entry.interface.clone()).collect()
    }

    fn serve(
        &mut self,
        adding: &mut Adding,
        uid: &str,
        entry: Box<GrantedAttachment>,
        source: &Source,
    ) -> Step {
        if let Err(error) = adding.check(&self.node, &entry) {
            return Step::Refuse(error);
        }
        let ticket = adding.ticket.as_ref().expect("a step is only made with a ticket");
        let attachment = adding.attachment(uid, &entry);
        let refused = match self.book.answer(ticket, attachment, source) {
            Ok(records) => {
                adding.ticket = None;
                self.settle(adding);
                let given = Given {
                    sandbox: adding.sandbox.clone(),
                    interface: adding.interface.clone(),
                    pod: uid.to_owned(),
                    network: adding.network.clone(),
                    entry: (*entry).clone(),
                };
                let durable = self.write(records, Some(given));
                return Step::Answer(entry, durable);
            }
            Err(refused) => refused,
        };
        let what = adding.what();
        match refused {
            Refused::NotReady => Step::Wait(format!(
                "{what} cannot be served yet: the API server has shown no pods that are as new as what was published"
            )),
            Refused::Unseen => {
                Step::Wait(format!("{what} is not among the pods of node `{}` any more", self.node))
            }
            Refused::Finished => Step::Refuse(Error::new(
                code::NOT_ALLOWED,
                format!("{what}: the pod has finished"),
                "nothing: a pod that has finished gets no addresses again",
            )),
            Refused::Deleted => {
                Step::Refuse(answer::later(format!("a DEL came for the same interface: {what}")))
            }
            Refused::OtherNode => self.doubted(source, &what),
            Refused::Withdrawn => {
                Step::Refuse(answer::later(format!("what was asked for was withdrawn: {what}")))
            }
        }
    }

    /// What was asked, if anything, is not waited for any more.
    fn settle(&mut self, adding: &mut Adding) {
        let Some(id) = adding.ask.take() else { return };
        self.book.withdraw(&id);
        self.asks.remove(&id);
        self.answers.remove(&id);
        self.has_news = true;
    }

    /// The grant is for a node of another UID: either the Node object is a new one, or the pod is another machine's.
    fn doubted(&mut self, source: &Source, what: &str) -> Step {
        let Source::Grant { node_uid } = source else { return Step::Wait(what.to_owned()) };
        if node_uid.is_empty() {
            return Step::Wait(format!(
                "{what} has a grant that names no node; the controller has to be newer"
            ));
        }
        if self.identity == Looked::Done && !self.strangers.contains(node_uid) {
            self.identity = Looked::Doubted(node_uid.clone());
            self.has_news = true;
        }
        Step::Wait(format!(
            "{what} has a grant for the node with UID `{node_uid}`, and node `{}` has UID `{}`",
            self.node, self.me.node_uid
        ))
    }

    /// Asks the controller, once, and looks for its answer (K1).
    fn ask(&mut self, adding: &mut Adding, uid: &str) -> Step {
        let what = adding.what();
        let Some(id) = adding.ask.clone() else {
            self.asked += 1;
            let id = format!("{:016x}-{}", self.process, self.asked);
            let Wish { subnets, pools, ips, family, mac } = adding.wish.clone();
            let [family, family_policy] = family.words().map(str::to_owned);
            let ask = Ask {
                id: id.clone(),
                namespace: adding.pod.namespace.clone(),
                name: adding.pod.name.clone(),
                pod_uid: uid.to_owned(),
                interface: adding.interface.clone(),
                network: adding.network.clone(),
                subnets,
                pools,
                ips,
                family,
                family_policy,
                mac,
            };
            self.asks.insert(id.clone(), ask);
            self.book.ask(id.clone(), uid.to_owned());
            adding.ask = Some(id);
            self.has_news = true;
            return Step::Wait(format!("{what}: the controller has not answered what was asked for it"));
        };
        let Some(answer) = self.answers.get(&id).cloned() else {
            return Step::Wait(format!("{what}: the controller has not answered what was asked for it"));
        };
        match (answer.grant, answer.refusal) {
            (Some(entry), _) => self.serve(adding, uid, Box::new(entry), &Source::Ask(id)),
            (None, Some(refusal)) => Step::Refuse(answer::refused(&refusal)),
            (None, None) => Step::Wait(format!("{what}: the controller's answer says nothing")),
        }
    }
}
