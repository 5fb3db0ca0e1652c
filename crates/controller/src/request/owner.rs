//! Whose a pod's addresses are, and how its pods share a list.

use allotment_core::Owner;

use super::{Controller, Identity, PodView, Settings};

/// The kinds that are known without configuration.
const KNOWN: [(&str, &str, Kind); 3] = [
    ("apps", "StatefulSet", Kind::StatefulSet),
    ("kubevirt.io", "VirtualMachineInstance", Kind::VirtualMachine),
    ("kubevirt.io", "VirtualMachine", Kind::VirtualMachine),
];

/// Labels that say which end of a `ReplicaSet`'s name tells it from others of its Deployment or Argo Rollout.
const TEMPLATE_HASHES: [&str; 2] = ["pod-template-hash", "rollouts-pod-template-hash"];

#[derive(Clone, Copy)]
enum Kind {
    StatefulSet,
    VirtualMachine,
}

/// Whose a pod's addresses are.
pub(super) struct Owned {
    pub(super) owner: Owner,
    pub(super) share: Share,
    /// See [`allotment_core::Request::siblings`].
    pub(super) siblings: String,
    /// Another pod of the same owner may have the addresses at the same time (R5).
    pub(super) join: bool,
}

/// What of a list is one pod's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// All of it: there is one pod.
    Whole,
    /// In each family the one at this place, from 0.
    Ordinal(usize),
    /// Any one in each family.
    OneOf,
}

impl Owned {
    fn new(owner: Owner, share: Share) -> Owned {
        Owned { owner, share, siblings: String::new(), join: false }
    }
}

/// Whose a pod's addresses are.
pub fn owner(pod: &PodView, settings: &Settings) -> Owner {
    owner_of(pod, &pod.uid, settings).owner
}

/// Whose the addresses of `pod`, which CNI knows under `uid`, are.
pub(super) fn owner_of(pod: &PodView, uid: &str, settings: &Settings) -> Owned {
    let plain = |share| Owned::new(named("Pod", pod, &pod.name, uid), share);
    // A mirror pod's controller is its node.
    let controller = pod.controller.as_ref().filter(|controller| !is(controller, "", "Node"));
    let Some(controller) = controller else { return plain(Share::Whole) };
    match KNOWN.iter().find(|(group, kind, _)| is(controller, group, kind)) {
        Some((_, _, Kind::VirtualMachine)) => {
            let owner = named("VirtualMachine", pod, &controller.name, &controller.uid);
            return Owned { join: pod.is_migration_target(), ..Owned::new(owner, Share::Whole) };
        }
        Some((_, kind, Kind::StatefulSet)) => return numbered(kind, pod, controller),
        None => {}
    }
    let Some(named_kind) = settings.owners.iter().find(|own| is(controller, &own.group, &own.kind)) else {
        return Owned { siblings: siblings(pod, controller), ..plain(Share::OneOf) };
    };
    let kind = match named_kind.group.as_str() {
        "" => named_kind.kind.clone(),
        group => format!("{}.{group}", named_kind.kind),
    };
    match named_kind.identity {
        Identity::Ordinal => numbered(&kind, pod, controller),
        Identity::Pod => {
            let owned = Owned::new(named(&kind, pod, &pod.name, &controller.uid), Share::OneOf);
            Owned { siblings: siblings(pod, controller), ..owned }
        }
        Identity::Controller => {
            Owned::new(named(&kind, pod, &controller.name, &controller.uid), Share::Whole)
        }
    }
}

fn is(controller: &Controller, group: &str, kind: &str) -> bool {
    controller.group == group && controller.kind == kind
}

fn named(kind: &str, pod: &PodView, name: &str, uid: &str) -> Owner {
    Owner {
        kind: kind.to_owned(),
        namespace: pod.namespace.clone(),
        name: name.to_owned(),
        uid: uid.to_owned(),
    }
}

/// A pod named after its controller and a number; one that is not shares its list like any other.
fn numbered(kind: &str, pod: &PodView, controller: &Controller) -> Owned {
    let ordinal = pod.name.strip_prefix(&controller.name).and_then(|rest| rest.strip_prefix('-'));
    let ordinal = ordinal.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let share = ordinal.and_then(|text| text.parse().ok()).map_or(Share::OneOf, Share::Ordinal);
    Owned::new(named(kind, pod, &pod.name, &controller.uid), share)
}

/// The longest beginning that Kubernetes keeps of a name that it completes, in bytes.
const GENERATED_MAX: usize = 58;

/// What the names of a controller's pods begin with; of a Deployment's or Rollout's, whatever their `ReplicaSet`.
fn siblings(pod: &PodView, controller: &Controller) -> String {
    let mut prefix = format!("{}-", above(pod, controller).unwrap_or(&controller.name));
    prefix.truncate(prefix.floor_char_boundary(GENERATED_MAX));
    prefix
}

/// The name of the Deployment or Rollout that made the pod's `ReplicaSet`.
fn above<'p>(pod: &PodView, controller: &'p Controller) -> Option<&'p str> {
    (TEMPLATE_HASHES.iter().filter_map(|key| pod.labels.get(*key)))
        .filter(|hash| !hash.is_empty())
        .find_map(|hash| controller.name.strip_suffix(hash.as_str())?.strip_suffix('-'))
}

/// The name of the Deployment that a pod is of, if it is of one.
pub fn deployment(pod: &PodView) -> Option<&str> {
    let controller = pod.controller.as_ref().filter(|controller| is(controller, "apps", "ReplicaSet"))?;
    above(pod, controller)
}
