//! Owners that outlive their pods: which of them are still there, and what becomes of their addresses (R6).
//!
//! A `StatefulSet`'s ordinal, a virtual machine and whatever the configuration names keep their addresses over delete,
//! reschedule and node change. They are freed when the owner goes, or is scaled down below the ordinal, unless it says
//! `keep`. What it says of being scaled down is read from its template. Once it is gone there is none, so what it says of
//! that is recorded with each address when it is given, and survives a controller that was away when the owner went. As long
//! as it is not known what there is, everything is kept.
//!
//! What an owner's present pods run without is freed, too: its network or its static address has changed.

mod users;
mod workload;

use std::collections::{BTreeMap, HashMap};

use allotment_cluster::{Event, Pod};
use allotment_core::{Attachment, Owner, ReleaseMode, Timestamp};
use kube::ResourceExt;

use self::users::Users;
pub(crate) use self::workload::{Family, Source, Workload, families};
use crate::request::{Fate, Identity, PodView, Settings, keep_of};

/// A workload, as far as it matters to its pods' addresses.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    uid: String,
    /// The ordinals that it has; nothing where it has none.
    ordinals: Option<std::ops::Range<u64>>,
    /// What its pods are made from: it says what is kept.
    template: PodView,
}

/// All that is known of one source of owners: by namespace and name.
type Workloads = HashMap<(String, String), Known>;

/// Which owners are there.
pub(crate) struct Owners {
    families: Vec<Family>,
    /// By source; nothing before it was listed.
    known: BTreeMap<Source, Workloads>,
    users: Users,
    /// An owner has gone or shrunk: what is kept has to be looked through.
    due: bool,
}

/// What of the kept addresses is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    All,
    /// What these owners have.
    Of(Vec<Owner>),
}

impl Owners {
    pub(crate) fn new(settings: &Settings) -> Owners {
        Owners {
            families: families(settings),
            known: BTreeMap::new(),
            users: Users::new(settings.clone()),
            due: false,
        }
    }

    /// Takes in what the watch of pods says.
    pub(crate) fn pods(&mut self, event: &Event<Pod>) {
        self.users.event(event);
    }

    pub(crate) fn event(&mut self, source: &Source, event: Event<Workload>) {
        let key = |workload: &Workload| (workload.namespace().unwrap_or_default(), workload.name_any());
        match event {
            Event::Listed { objects, .. } => {
                let listed = objects.into_iter().map(|workload| (key(&workload), workload.into_known()));
                self.known.insert(source.clone(), listed.collect());
                self.due = true;
            }
            Event::Applied(workload) => {
                let (key, known) = (key(&workload), workload.into_known());
                let all = self.known.entry(source.clone()).or_default();
                let ordinals = known.ordinals.clone();
                let old = all.insert(key, known);
                self.due |= old.is_some_and(|old| old.ordinals != ordinals);
            }
            Event::Deleted(workload) => {
                self.known.entry(source.clone()).or_default().remove(&key(&workload));
                self.due = true;
            }
            Event::Reached(_) => {}
        }
    }

    /// What becomes of an address that nobody uses now. `outlives_owner`: it was to stay when the owner is gone.
    pub(crate) fn mode(
        &self,
        owner: &Owner,
        attachment: Option<&Attachment>,
        outlives_owner: bool,
    ) -> ReleaseMode {
        match self.fate(owner, attachment, outlives_owner) {
            Fate::Keep => ReleaseMode::Keep,
            Fate::Free => ReleaseMode::Cool,
        }
    }

    fn fate(&self, owner: &Owner, attachment: Option<&Attachment>, outlives_owner: bool) -> Fate {
        if self.users.run_without(owner) {
            return Fate::Free;
        }
        let without_owner = if outlives_owner { Fate::Keep } else { Fate::Free };
        let Some(family) = self.families.iter().find(|family| family.kind == owner.kind) else {
            return without_owner;
        };
        let mut last_known = None;
        for source in &family.sources {
            // What is not listed yet may be there.
            let Some(all) = self.known.get(source) else { return Fate::Keep };
            last_known = last_known.or_else(|| find(all, owner, family.identity));
        }
        let Some(known) = last_known else { return without_owner };
        let is_wanted = match (&known.ordinals, ordinal(&owner.name)) {
            (Some(ordinals), Some((_, ordinal))) if family.identity == Identity::Ordinal => {
                ordinals.contains(&ordinal)
            }
            _ => true,
        };
        if is_wanted {
            return Fate::Keep;
        }
        let (interface, network) =
            attachment.map_or(("", ""), |attachment| (&*attachment.interface, &*attachment.network));
        keep_of(&known.template, interface, network).on_scale_down
    }

    /// What of the kept addresses has to be looked at now; once.
    pub(crate) fn take_due(&mut self) -> Option<Look> {
        if std::mem::take(&mut self.due) {
            self.users.clear_settled();
            return Some(Look::All);
        }
        let owners = self.users.take_settled();
        (!owners.is_empty()).then_some(Look::Of(owners))
    }

    pub(crate) fn put_off(&mut self) {
        self.due = true;
    }
}

fn find<'a>(all: &'a Workloads, owner: &Owner, identity: Identity) -> Option<&'a Known> {
    let by_name = |name: &str| all.get(&(owner.namespace.clone(), name.to_owned()));
    match identity {
        Identity::Controller => by_name(&owner.name),
        Identity::Ordinal => by_name(ordinal(&owner.name)?.0),
        // The pod's name does not tell its controller's.
        Identity::Pod => all.values().find(|known| known.uid == owner.uid),
    }
}

/// The controller's name and the ordinal of a pod's name such as `db-0`.
fn ordinal(name: &str) -> Option<(&str, u64)> {
    let (controller, ordinal) = name.rsplit_once('-')?;
    Some((controller, ordinal.parse().ok()?))
}

/// An address that is kept for nobody who uses it now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) vrf: String,
    pub(crate) address: std::net::IpAddr,
    pub(crate) owner: Owner,
    /// Who used it last.
    pub(crate) attachment: Option<Attachment>,
    /// Since when; who has it since later is another.
    pub(crate) since: Timestamp,
    pub(crate) outlives_owner: bool,
}

#[cfg(test)]
mod tests;
