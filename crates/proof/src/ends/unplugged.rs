//! Interfaces that are taken out of pods that run (K3).
//!
//! Once the pod's grant has them no more they are, for the proof, as those of a pod that has ended: the node has to say, as of
//! a version that shows it, that they are not in use. So they are kept under a holder of their own beside the pod.

use super::{Ends, Holder, Kept, Life, Name, Place};
use crate::{Address, Version};

/// Behind the pod's UID, which has no such character.
const MARK: &str = "/unplugged";

fn beside(pod: &str) -> String {
    format!("{pod}{MARK}")
}

/// The pod that a holder is.
pub(super) fn pod_of(holder: &str) -> &str {
    holder.strip_suffix(MARK).unwrap_or(holder)
}

pub(super) fn is_unplugged(holder: &str) -> bool {
    holder.ends_with(MARK)
}

impl Ends {
    /// The grant of a pod has these no more, as of a version of it. Once nothing uses them they are proved to be free, though
    /// the pod runs on.
    pub fn unplugged(&mut self, pod: &str, addresses: &[Address], version: Version) {
        let Some(holder) = self.holders.get_mut(pod).filter(|holder| holder.life == Life::Bound) else {
            return;
        };
        let is_meant = |place: &mut Place| addresses.iter().any(|address| place.is(address));
        let places: Vec<Place> = holder.held.extract_if(.., is_meant).collect();
        if places.is_empty() {
            return;
        }
        self.place_under(&beside(pod), places, Life::Ended(version));
        self.leave_nodes(pod);
        self.judge_holder(&beside(pod));
    }

    /// The pod is about to be granted something: nothing of it counts as unplugged until that is said again.
    ///
    /// Returns whether it can be: not while something of it may be proved to be free, here or by the leader before, since that
    /// could be what it would be granted. Either the proof comes, or the node says that it is in use.
    #[must_use]
    pub fn plugs_in(&mut self, pod: &str) -> bool {
        let key = beside(pod);
        let Some(holder) = self.holders.get(&*key) else { return true };
        let Life::Ended(at) = holder.life else { return false };
        let is_used = |place: &Place| {
            let kept = self.judge(&key, at, place).err();
            !place.is_taken && matches!(kept, Some(Kept::Still { .. } | Kept::Asked { .. } | Kept::InUse))
        };
        if !holder.held.iter().all(is_used) {
            return false;
        }
        let Some((name, holder)) = self.holders.remove_entry(&*key) else { return true };
        for place in &holder.held {
            self.proved.remove(&(Name::clone(&name), place.address()));
        }
        for node in self.nodes.values_mut() {
            node.holders.remove(&name);
        }
        let life = self.holders.get(pod).map_or(holder.life, |pod| pod.life);
        self.place_under(pod, holder.held, life);
        self.judge_holder(pod);
        true
    }

    /// The holder that has an address of a pod: the pod, or what was taken out of it.
    pub(super) fn holder_of(&self, pod: &str, address: &Address) -> Option<Name> {
        let beside = beside(pod);
        [pod, &beside].into_iter().find_map(|name| {
            let (name, holder) = self.holders.get_key_value(name)?;
            holder.held.iter().any(|place| place.is(address)).then(|| Name::clone(name))
        })
    }

    fn place_under(&mut self, name: &str, places: Vec<Place>, life: Life) {
        let name: Name = name.into();
        for place in &places {
            self.nodes.entry(Name::clone(&place.node)).or_default().holders.insert(Name::clone(&name));
        }
        let holder = self.holders.entry(name).or_insert_with(|| Holder { life, held: Vec::new() });
        holder.life = life;
        holder.held.extend(places);
    }

    /// Nodes where a pod has nothing any more.
    fn leave_nodes(&mut self, pod: &str) {
        let held: Vec<Name> = self
            .holders
            .get(pod)
            .map(|holder| holder.held.iter().map(|place| Name::clone(&place.node)).collect())
            .unwrap_or_default();
        for (name, node) in &mut self.nodes {
            if !held.contains(name) {
                node.holders.remove(pod);
            }
        }
    }
}
