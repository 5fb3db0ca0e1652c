//! Whose a pod's addresses are, and how its pods share a list.

use allotment_core::Owner;

use super::{Controller, Identity, PodView, Settings};

/// The kinds that are known without configuration.
const KNOWN: [(&str, &str, Kind); 3] = [
    ("apps", "StatefulSet", Kind::StatefulSet),
    ("kubevirt.io", "VirtualMachineInstance", Kind::VirtualMachine),
    ("kubevirt.io", "VirtualMachine", Kind::VirtualMachine),
];

#[derive(Clone, Copy)]
enum Kind {
    StatefulSet,
    VirtualMachine,
}

/// Whose a pod's addresses are.
pub(super) struct Owned {
    pub(super) owner: Owner,
    pub(super) share: Share,
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

/// Whose the addresses of `pod`, which CNI knows under `uid`, are.
pub(super) fn owner_of(pod: &PodView, uid: &str, settings: &Settings) -> Owned {
    let plain = |share| {
        let owner = named("Pod", pod, &pod.name, uid);
        Owned { owner, share, join: false }
    };
    // A mirror pod's controller is its node.
    let controller = pod.controller.as_ref().filter(|controller| !is(controller, "", "Node"));
    let Some(controller) = controller else { return plain(Share::Whole) };
    match KNOWN.iter().find(|(group, kind, _)| is(controller, group, kind)) {
        Some((_, _, Kind::VirtualMachine)) => {
            let owner = named("VirtualMachine", pod, &controller.name, &controller.uid);
            return Owned { owner, share: Share::Whole, join: pod.is_migration_target() };
        }
        Some((_, kind, Kind::StatefulSet)) => return numbered(kind, pod, controller),
        None => {}
    }
    let Some(named_kind) = settings.owners.iter().find(|own| is(controller, &own.group, &own.kind)) else {
        return plain(Share::OneOf);
    };
    let kind = match named_kind.group.as_str() {
        "" => named_kind.kind.clone(),
        group => format!("{}.{group}", named_kind.kind),
    };
    match named_kind.identity {
        Identity::Ordinal => numbered(&kind, pod, controller),
        Identity::Pod => {
            let owner = named(&kind, pod, &pod.name, &controller.uid);
            Owned { owner, share: Share::OneOf, join: false }
        }
        Identity::Controller => {
            let owner = named(&kind, pod, &controller.name, &controller.uid);
            Owned { owner, share: Share::Whole, join: false }
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
    Owned { owner: named(kind, pod, &pod.name, &controller.uid), share, join: false }
}
