//! The controller's end of the protocol (R3, R4, L5, L6).

mod judge;
mod nodes;
mod unplugged;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::{Address, Report, Version};
pub use judge::{Kept, Lost, Waiting};
pub use nodes::Admission;
use nodes::Node;

/// Which holders have ended, and which of their addresses are proved to be free.
///
/// Told what was seen, in the order in which it was seen; one of it is enough for a whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ends {
    epoch: u64,
    /// What the watch of pods has reached; nothing before the first list.
    version: Option<Version>,
    holders: BTreeMap<Name, Holder>,
    nodes: BTreeMap<Name, Node>,
    /// Proved, and nobody has taken it yet.
    proved: BTreeSet<(Name, Address)>,
    /// Holders that no pod was seen for, until the watch has reached the version.
    unseen: BTreeSet<(Version, Name)>,
    vrfs: BTreeSet<Name>,
}

/// A hundred thousand holders are known at once, most of them with one address: names are shared.
type Name = Arc<str>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Holder {
    life: Life,
    held: Vec<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Life {
    /// Its pod is bound and has not finished.
    Bound,
    /// No pod was seen, by a watch that has not reached this version: it may be newer than what was seen.
    Unseen(Version),
    /// Its pod was gone or finished at this version.
    Ended(Version),
}

/// An address of a holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    vrf: Name,
    address: IpAddr,
    node: Name,
    /// Given to the caller to be released.
    is_taken: bool,
    /// Has waited for its node through a whole round.
    is_late: bool,
}

impl Place {
    fn is(&self, address: &Address) -> bool {
        self.address == address.address && *self.vrf == *address.vrf
    }

    fn address(&self) -> Address {
        Address { vrf: self.vrf.to_string(), address: self.address }
    }
}

/// A pod that is bound, as the watch shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PodSeen {
    Running,
    /// Phase `Succeeded` or `Failed`, at the object's resourceVersion.
    Finished(Version),
}

/// One address that the ledger has for one holder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Held {
    pub holder: String,
    pub node: String,
    pub address: Address,
}

/// Proved to be used no more by this holder: to be released, and then told to [`Ends::released`], or, if that failed, to
/// [`Ends::not_released`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Freed {
    pub holder: String,
    pub address: Address,
    /// It was held for an earlier node of this name: [`Ends::spec`] of the name has to be durable before the release, until
    /// [`Ends::is_settled`]. Else the next holder's end would be judged by a machine that it never was on.
    pub former_of: Option<String>,
}

impl Ends {
    /// Everything that is bound, as of a version; whatever is missing is gone.
    ///
    /// Returns whether it can be: a list older than what was seen changes nothing. If it was consistent, the API server was
    /// set back, and the epoch is to be raised (L6).
    #[must_use]
    pub fn listed(&mut self, version: Version, pods: impl IntoIterator<Item = (String, PodSeen)>) -> bool {
        if self.version.is_some_and(|reached| version < reached) {
            return false;
        }
        self.version = Some(version);
        let mut bound: BTreeSet<String> = BTreeSet::new();
        for (pod, seen) in pods {
            match seen {
                PodSeen::Running => {
                    self.bind(&pod);
                    bound.insert(pod);
                }
                PodSeen::Finished(at) => self.end(&pod, at),
            }
        }
        let is_missing =
            |(pod, holder): &(&Name, &Holder)| holder.life == Life::Bound && !bound.contains(&***pod);
        let missing: Vec<Name> =
            self.holders.iter().filter(is_missing).map(|(pod, _)| Name::clone(pod)).collect();
        for pod in missing {
            self.end(&pod, version);
        }
        self.resolve();
        true
    }

    /// A bound pod was added or changed. Like everything that a watch shows, it counts after a list only.
    pub fn seen(&mut self, pod: &str, version: Version, seen: PodSeen) {
        let Some(reached) = self.version else { return };
        self.version = Some(version.max(reached));
        match seen {
            PodSeen::Running => self.bind(pod),
            PodSeen::Finished(at) => self.end(pod, at),
        }
        self.resolve();
    }

    /// A pod's object is gone.
    pub fn gone(&mut self, pod: &str, version: Version) {
        let Some(reached) = self.version else { return };
        self.version = Some(version.max(reached));
        self.end(pod, version);
        self.resolve();
    }

    /// A bookmark.
    pub fn reached(&mut self, version: Version) {
        let Some(reached) = self.version else { return };
        self.version = Some(version.max(reached));
        self.resolve();
    }

    /// What the watch of pods has reached; nothing before the first list.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// Whether there are holders of whom nothing is known before the watch has come further.
    pub fn is_behind(&self) -> bool {
        !self.unseen.is_empty()
    }

    /// The epoch that versions are of.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    fn bind(&mut self, pod: &str) {
        match self.holders.get_mut(pod) {
            // Finished is for good, whatever a status says later.
            Some(Holder { life: Life::Ended(_), .. }) => {}
            Some(holder) => holder.life = Life::Bound,
            None => {
                self.holders.insert(pod.into(), Holder { life: Life::Bound, held: Vec::new() });
            }
        }
    }

    fn end(&mut self, pod: &str, version: Version) {
        let Some(holder) = self.holders.get_mut(pod) else { return };
        if holder.held.is_empty() {
            self.holders.remove(pod);
            return;
        }
        if !matches!(holder.life, Life::Ended(_)) {
            holder.life = Life::Ended(version);
            self.judge_holder(pod);
        }
    }

    /// Holders whose pod the watch would have shown by now have none.
    fn resolve(&mut self) {
        let Some(version) = self.version else { return };
        while let Some((since, _)) = self.unseen.first()
            && *since <= version
        {
            let Some((since, pod)) = self.unseen.pop_first() else { return };
            if self.holders.get(&pod).is_some_and(|holder| holder.life == Life::Unseen(since)) {
                self.end(&pod, version);
            }
        }
    }

    /// The ledger has these addresses. `known_at` is a version of pods that is no older than the record: for the leader's own
    /// grants what its watch has reached, for blocks that were loaded a version read after that (L5).
    pub fn allocated(&mut self, held: Held, known_at: Version) {
        let Held { holder: pod, node, address } = held;
        if let Some(had) = self.holder_of(&pod, &address).filter(|had| unplugged::is_unplugged(had)) {
            self.forget(&had, &address);
        }
        let pod = self.holders.get_key_value(&*pod).map_or_else(|| pod.into(), |(pod, _)| Name::clone(pod));
        let node =
            self.nodes.get_key_value(&*node).map_or_else(|| node.into(), |(node, _)| Name::clone(node));
        let vrf = self.vrf(&address.vrf);
        self.nodes.entry(Name::clone(&node)).or_default().holders.insert(Name::clone(&pod));
        let holder = self
            .holders
            .entry(Name::clone(&pod))
            .or_insert_with(|| Holder { life: Life::Unseen(known_at), held: Vec::with_capacity(1) });
        if let Life::Unseen(since) | Life::Ended(since) = holder.life
            && known_at >= since
        {
            holder.life = Life::Unseen(known_at);
            self.unseen.insert((known_at, Name::clone(&pod)));
        }
        holder.held.retain(|place| !place.is(&address));
        holder.held.reserve_exact(1);
        holder.held.push(Place { vrf, address: address.address, node, is_taken: false, is_late: false });
        self.proved.remove(&(Name::clone(&pod), address));
        self.resolve();
        self.judge_holder(&pod);
    }

    fn vrf(&mut self, vrf: &str) -> Name {
        if let Some(known) = self.vrfs.get(vrf) {
            return Name::clone(known);
        }
        let vrf: Name = vrf.into();
        self.vrfs.insert(Name::clone(&vrf));
        vrf
    }

    /// The ledger has the address for this holder no more.
    pub fn released(&mut self, pod: &str, address: &Address) {
        match self.holder_of(pod, address) {
            Some(holder) => self.forget(&holder, address),
            None => drop(self.proved.remove(&(pod.into(), address.clone()))),
        }
    }

    fn forget(&mut self, pod: &str, address: &Address) {
        self.proved.remove(&(pod.into(), address.clone()));
        let Some(holder) = self.holders.get_mut(pod) else { return };
        let Some(at) = holder.held.iter().position(|place| place.is(address)) else { return };
        let place = holder.held.swap_remove(at);
        let is_on_node = holder.held.iter().any(|other| other.node == place.node);
        if holder.held.is_empty() && holder.life != Life::Bound {
            self.holders.remove(pod);
        }
        if let Some(node) = self.nodes.get_mut(&place.node) {
            node.former.remove(address);
            node.settling.remove(address);
            if !is_on_node {
                node.holders.remove(pod);
            }
        }
    }

    /// Everything that the ledger has, as a walk through it found it, and a version of pods that was read after the walk (L5).
    /// Holders that are `busy` were granted something or released of it since the walk began: they stay as they are.
    pub fn surveyed(&mut self, held: Vec<Held>, known_at: Version, busy: &BTreeSet<String>) {
        let mut found: BTreeMap<String, Vec<Held>> = BTreeMap::new();
        for held in held {
            found.entry(held.holder.clone()).or_default().push(held);
        }
        let mut stale = Vec::new();
        for (name, holder) in &self.holders {
            let pod = unplugged::pod_of(name);
            if busy.contains(pod) {
                continue;
            }
            let known = found.get(pod).map_or(&[][..], Vec::as_slice);
            let is_found = |place: &Place| known.iter().any(|held| place.is(&held.address));
            let lost = holder.held.iter().filter(|place| !is_found(place));
            stale.extend(lost.map(|place| (Name::clone(name), place.address())));
        }
        for (name, address) in stale {
            self.forget(&name, &address);
        }
        for held in found.into_values().flatten().filter(|held| !busy.contains(&held.holder)) {
            if self.holder_of(&held.holder, &held.address).is_none() {
                self.allocated(held, known_at);
            }
        }
    }

    /// What is proved since the last call.
    pub fn take(&mut self) -> Vec<Freed> {
        let proved = std::mem::take(&mut self.proved);
        let mut freed = Vec::with_capacity(proved.len());
        for (holder, address) in proved {
            let of = self.holders.get_mut(&holder);
            let Some(place) = of.and_then(|of| of.held.iter_mut().find(|place| place.is(&address))) else {
                continue;
            };
            place.is_taken = true;
            let name = Name::clone(&place.node);
            let node = self.nodes.get_mut(&name);
            let former = node.filter(|node| node.former.contains_key(&address));
            let former_of = former.map(|node| {
                node.settling.insert(address.clone());
                name.to_string()
            });
            freed.push(Freed { holder: unplugged::pod_of(&holder).to_owned(), address, former_of });
        }
        freed
    }

    /// It could not be released, or nobody knows: it is judged anew, since the holder may have asked again meanwhile.
    pub fn not_released(&mut self, freed: &Freed) {
        let Some(holder) = self.holder_of(&freed.holder, &freed.address) else { return };
        for place in self.holders.get_mut(&holder).into_iter().flat_map(|holder| &mut holder.held) {
            place.is_taken &= !place.is(&freed.address);
        }
        self.judge_holder(&holder);
    }

    /// What was taken and not heard of again is judged anew: whoever took it is no more.
    pub fn again(&mut self) {
        let mut ended = Vec::new();
        for (pod, holder) in &mut self.holders {
            for place in &mut holder.held {
                place.is_taken = false;
            }
            if matches!(holder.life, Life::Ended(_)) {
                ended.push(Name::clone(pod));
            }
        }
        for pod in ended {
            self.judge_holder(&pod);
        }
    }

    /// An agent's report. `written` is the resourceVersion of the object that carries it.
    ///
    /// Returns whether it can be: a report as of a later version than its own is from before the API server was set back,
    /// and proves nothing; the epoch is to be raised (L6).
    #[must_use]
    pub fn reported(&mut self, node: &str, report: Report, written: Version) -> bool {
        if report.as_of > written {
            self.nodes.entry(node.into()).or_default().heard = None;
            return false;
        }
        self.nodes.entry(node.into()).or_default().heard = Some(report.into());
        self.judge_node(node);
        true
    }

    /// To be called every few seconds. Returns which nodes are to be asked to reach which version: those whose report is older
    /// than the end of a holder that was waiting in the round before already. Most agents publish by themselves before that.
    pub fn round(&mut self) -> BTreeMap<String, Version> {
        let mut wanted: BTreeMap<String, Version> = BTreeMap::new();
        for holder in self.holders.values_mut() {
            let Life::Ended(at) = holder.life else { continue };
            for place in &mut holder.held {
                let node = self.nodes.get(&place.node);
                if place.is_taken || !node.is_some_and(|node| node.is_behind(place, at)) {
                    continue;
                }
                if place.is_late {
                    let version = wanted.entry(place.node.to_string()).or_default();
                    *version = at.max(*version);
                }
                place.is_late = true;
            }
        }
        wanted
    }

    /// Nothing that was known of versions holds any more (L6): only reports under this epoch prove anything, and only about
    /// what a list shows that comes after this call.
    pub fn raise(&mut self, epoch: u64) {
        if epoch <= self.epoch {
            return;
        }
        self.epoch = epoch;
        self.version = None;
        self.proved.clear();
        self.unseen.clear();
        for (pod, holder) in &mut self.holders {
            holder.life = Life::Unseen(Version::default());
            self.unseen.insert((Version::default(), Name::clone(pod)));
            for place in &mut holder.held {
                place.is_taken = false;
                place.is_late = false;
            }
        }
    }

    /// The newest epoch that any report is of. One above the leader's own means that epochs were set back, too: what is said
    /// under it is said of another recovery, and another epoch has to begin above it (L6).
    pub fn newest_epoch(&self) -> u64 {
        let heard = self.nodes.values().filter_map(|node| node.heard.as_ref());
        heard.map(|report| report.epoch).max().unwrap_or_default()
    }

    /// The nodes whose full inventory under this epoch is outstanding: free addresses cool until there is none (L6).
    pub fn recovering(&self) -> impl Iterator<Item = &str> {
        let is_behind = |node: &Node| {
            node.is_expected() && node.heard.as_ref().is_none_or(|report| report.epoch != self.epoch)
        };
        self.nodes.iter().filter(move |(_, node)| is_behind(node)).map(|(name, _)| &**name)
    }
}
