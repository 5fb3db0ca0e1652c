//! What is known of nodes: the Node object, the agent's report, and which machine the ledger's addresses are on (R3, R4).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Ends, Name, Place};
use crate::{Address, Report, Use, Version};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Node {
    /// The Node object, if there is one.
    object: Option<Object>,
    pub(super) heard: Option<Heard>,
    /// UID of the Node that grants are made for.
    pub(super) admitted: Option<String>,
    /// What earlier nodes of this name were granted and are not proved to have given up: address → that node's UID.
    pub(super) former: BTreeMap<Address, String>,
    /// Those of them that are proved, and are to go from there before they are released.
    pub(super) settling: BTreeSet<Address>,
    /// UIDs that a person says are gone for good.
    pub(super) forgotten: BTreeSet<String>,
    /// Who the ledger has on a node of this name.
    pub(super) holders: BTreeSet<Name>,
}

/// What counts of an agent's last report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Heard {
    pub(super) node_uid: String,
    earlier: BTreeSet<String>,
    pub(super) epoch: u64,
    pub(super) as_of: Version,
    pub(super) unplugs: bool,
    still: BTreeMap<IpAddr, BTreeSet<String>>,
    asking: BTreeSet<String>,
}

impl Heard {
    /// Whether it is made on the machine that was the Node of this UID.
    pub(super) fn speaks_for(&self, node_uid: &str) -> bool {
        self.node_uid == node_uid || self.earlier.contains(node_uid)
    }

    /// An address without a VRF, found in a namespace, stands for all.
    pub(super) fn has_still(&self, place: &Place) -> bool {
        self.still.get(&place.address).is_some_and(|vrfs| vrfs.contains("") || vrfs.contains(&*place.vrf))
    }

    pub(super) fn is_asking(&self, pod: &str) -> bool {
        self.asking.contains(pod)
    }
}

impl From<Report> for Heard {
    fn from(report: Report) -> Heard {
        let Report { node_uid, earlier, epoch, as_of, still, unplugs, asks, .. } = report;
        let mut used: BTreeMap<IpAddr, BTreeSet<String>> = BTreeMap::new();
        for Use { address, .. } in still {
            used.entry(address.address).or_default().insert(address.vrf);
        }
        Heard { node_uid, earlier, epoch, as_of, unplugs, still: used, asking: asks.into_values().collect() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Object {
    uid: String,
    is_out_of_service: bool,
}

/// Which machine the grants for a node's name are made for; kept in `NodeAttachments.spec`, and durable before it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Admission {
    /// UID of the Node.
    pub node_uid: String,
    /// Addresses granted for earlier Nodes of this name: address → UID of that Node.
    pub former: BTreeMap<Address, String>,
    /// UIDs of Nodes that a person says are gone for good (`allot node forget`).
    pub forgotten: BTreeSet<String>,
}

impl Node {
    /// Whether an agent is to be heard there.
    pub(super) fn is_expected(&self) -> bool {
        let Some(admitted) = &self.admitted else { return false };
        let is_out =
            self.object.as_ref().is_some_and(|object| object.is_out_of_service && object.uid == *admitted);
        !is_out && !self.forgotten.contains(admitted)
    }

    /// The Node that an address was granted for.
    pub(super) fn machine(&self, place: &Place) -> Option<&str> {
        let former = if self.former.is_empty() { None } else { self.former.get(&place.address()) };
        former.or(self.admitted.as_ref()).map(String::as_str)
    }

    /// What `former` has to become.
    fn unsettled(&self) -> BTreeMap<Address, String> {
        let stays = |(address, _): &(&Address, &String)| !self.settling.contains(*address);
        self.former.iter().filter(stays).map(|(address, uid)| (address.clone(), uid.clone())).collect()
    }

    /// Whether a machine is out of use by a person's word: the out-of-service taint, or `allot node forget` (R4).
    pub(super) fn is_written_off(&self, machine: &str) -> bool {
        let is_out = |object: &Object| object.is_out_of_service && object.uid == machine;
        self.object.as_ref().is_some_and(is_out) || self.forgotten.contains(machine)
    }

    /// Whether the machine's agent has published, but not as of this version.
    pub(super) fn is_behind(&self, place: &Place, at: Version) -> bool {
        let Some(machine) = self.machine(place) else { return false };
        self.heard.as_ref().is_some_and(|report| report.speaks_for(machine) && report.as_of < at)
    }

    pub(super) fn is_there(&self, machine: &str) -> bool {
        self.object.as_ref().is_some_and(|object| object.uid == machine)
    }
}

impl Ends {
    /// A Node object was seen.
    pub fn node(&mut self, name: &str, uid: &str, is_out_of_service: bool) {
        let object = Object { uid: uid.to_owned(), is_out_of_service };
        self.nodes.entry(name.into()).or_default().object = Some(object);
        self.judge_node(name);
    }

    /// A Node object is gone. That alone proves nothing (R4).
    pub fn node_gone(&mut self, name: &str) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.object = None;
        }
    }

    /// `NodeAttachments.spec` was read, or was written durably: what it says now is what counts.
    pub fn admitted(&mut self, name: &str, admission: Admission) {
        let node = self.nodes.entry(name.into()).or_default();
        let Admission { node_uid, former, forgotten } = admission;
        node.admitted = (!node_uid.is_empty()).then_some(node_uid).or(node.admitted.take());
        node.settling.retain(|address| former.contains_key(address));
        node.former = former;
        node.forgotten.extend(forgotten);
        self.judge_node(name);
    }

    /// The `NodeAttachments` object is gone: no report, no proof. What its spec said stays known, and is wanted back.
    pub fn unreported(&mut self, name: &str) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.heard = None;
        }
    }

    /// Whether a pod on this node may be granted anything: its agent has published for the Node that is there, and that Node
    /// was admitted (R3).
    pub fn admits(&self, name: &str) -> bool {
        self.nodes.get(name).is_some_and(|node| {
            let admitted = node.admitted.as_deref();
            let object = node.object.as_ref().map(|object| object.uid.as_str());
            let reported = node.heard.as_ref().map(|report| report.node_uid.as_str());
            admitted.is_some() && admitted == object && admitted == reported
        })
    }

    /// UID of the Node that grants for this name are made for.
    pub fn machine(&self, name: &str) -> Option<&str> {
        self.nodes.get(name)?.admitted.as_deref()
    }

    /// What is to be written to `NodeAttachments.spec` before anything can be granted on this node: an agent has published for
    /// the Node that is there, and another Node of this name was admitted before, or none.
    ///
    /// What the ledger has on that other one stays with it, unless the agent's journal shows that it is the same machine.
    pub fn admission(&self, name: &str) -> Option<Admission> {
        let node = self.nodes.get(name)?;
        let report = node.heard.as_ref()?;
        let uid = &node.object.as_ref()?.uid;
        if report.node_uid != *uid || node.admitted.as_ref() == Some(uid) {
            return None;
        }
        let mut former = node.unsettled();
        if let Some(before) = node.admitted.as_ref().filter(|before| !report.earlier.contains(*before)) {
            for address in self.addresses_on(name) {
                former.entry(address).or_insert_with(|| before.clone());
            }
        }
        Some(Admission { node_uid: uid.clone(), former, forgotten: node.forgotten.clone() })
    }

    /// What the ledger has on nodes of this name, as far as it was told.
    pub fn addresses_on<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Address> + 'a {
        let holders = self.nodes.get(name).into_iter().flat_map(|node| &node.holders);
        let held = holders.filter_map(|pod| self.holders.get(pod)).flat_map(|holder| &holder.held);
        held.filter(move |place| *place.node == *name).map(Place::address)
    }

    /// What `NodeAttachments.spec` of a name has to say, as things are.
    pub fn spec(&self, name: &str) -> Option<Admission> {
        let node = self.nodes.get(name)?;
        let (former, forgotten) = (node.unsettled(), node.forgotten.clone());
        Some(Admission { node_uid: node.admitted.clone()?, former, forgotten })
    }

    /// Whether a freed address can be released: it is held for no earlier node of the name any more, durably.
    pub fn is_settled(&self, name: &str, address: &Address) -> bool {
        self.nodes.get(name).is_none_or(|node| !node.former.contains_key(address))
    }

    /// Whether the ledger has nothing on a name whose Node object is gone: its `NodeAttachments` can go.
    pub fn is_over(&self, name: &str) -> bool {
        self.nodes.get(name).is_some_and(|node| node.object.is_none() && node.holders.is_empty())
    }
}
