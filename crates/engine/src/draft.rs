//! One batch in the making: what it does to the state, and how that is undone.

use std::collections::BTreeMap;

use allotment_core::{
    Allocation, Grant, Object, ObjectError, ObjectKey, Place, Refusal, Release, Request, State, Timestamp,
};

use crate::task::Subject;
use crate::{Batch, EngineError};

/// The state with a batch applied that is not committed yet.
pub(crate) struct Draft<'a> {
    state: &'a mut State,
    batch: Batch,
    /// The objects as they were, in the order of their changes.
    before: Vec<(ObjectKey, Option<Object>)>,
}

/// How to put the objects back.
#[derive(Default)]
pub(crate) struct Undo(Vec<(ObjectKey, Option<Object>)>);

impl<'a> Draft<'a> {
    pub(crate) fn new(state: &'a mut State, now: Timestamp) -> Draft<'a> {
        Draft { state, batch: Batch { at: now, ..Batch::default() }, before: Vec::new() }
    }

    /// Whether the state is still what the ledger has.
    pub(crate) fn is_clean(&self) -> bool {
        self.batch.is_empty()
    }

    pub(crate) fn finish(self) -> (Batch, Undo) {
        (self.batch, Undo(self.before))
    }

    /// Lets the state ask for the memory that the next decisions will read.
    pub(crate) fn announce<'s>(&self, subjects: impl Iterator<Item = &'s dyn Subject> + Clone) {
        self.state.warm_requests(subjects.clone().filter_map(|subject| subject.request()));
        self.state.warm_releases(subjects.filter_map(|subject| subject.release()));
    }

    pub(crate) fn allocate(&mut self, request: &Request) -> Result<Grant, Refusal> {
        let plan = self.state.plan(request, self.batch.at)?;
        self.state.apply(&plan, &mut self.batch.places);
        Ok(self.state.grant(&plan))
    }

    /// Returns what the released addresses were before.
    pub(crate) fn release(&mut self, release: &Release) -> Vec<Allocation> {
        let mut before = match release {
            Release::Interface { container_id, .. } | Release::Sandbox { container_id, .. } => {
                self.state.in_sandbox(container_id)
            }
            Release::Address { vrf, address, .. } => {
                self.state.allocation(vrf, *address).into_iter().collect()
            }
        };
        let first = self.batch.places.len();
        self.state.release(release, self.batch.at, &mut self.batch.places);
        let released = &self.batch.places[first..];
        before.retain(|known| {
            let is_it = |place: &Place| {
                place.address() == known.address && self.state.vrf_name(place.block()) == known.vrf
            };
            released.iter().any(is_it)
        });
        before
    }

    /// Takes over allocations one after the other, up to the first that is refused. Returns how many were not here yet.
    pub(crate) fn adopt(&mut self, allocations: &[Allocation]) -> Result<usize, Refusal> {
        let mut taken = 0;
        let mut adopt = |allocation| {
            taken += usize::from(self.state.adopt(allocation, self.batch.at, &mut self.batch.places)?);
            Ok(())
        };
        let result = allocations.iter().try_for_each(&mut adopt);
        self.state.settle();
        result.map(|()| taken)
    }

    /// Puts objects that come into force together, as far as they agree; returns what the others lack.
    pub(crate) fn put_all(&mut self, objects: &[Object]) -> Vec<ObjectError> {
        let before = objects.iter().map(|object| self.state.object(&object.key()));
        let changes = objects.iter().zip(before).filter(|(object, before)| before.as_ref() != Some(object));
        let changes: Vec<(&Object, Option<Object>)> = changes.collect();
        let errors = self.state.put_all(changes.iter().map(|&(object, _)| object.clone()).collect());
        for (object, before) in changes {
            let key = object.key();
            if errors.iter().all(|error| error.object != key) {
                self.batch.objects.push((key.clone(), Some(object.clone())));
                self.before.push((key, before));
            }
        }
        errors
    }

    pub(crate) fn remove(&mut self, key: &ObjectKey) -> Result<bool, ObjectError> {
        let before = self.state.object(key);
        let removed = self.state.remove(key)?;
        if removed {
            self.batch.objects.push((key.clone(), None));
            self.before.push((key.clone(), before));
        }
        Ok(removed)
    }
}

impl Undo {
    /// Puts the objects back. The records of the batch must be gone from the state.
    pub(crate) fn apply(self, state: &mut State) -> Result<(), EngineError> {
        // Each as it was before the first change; pools and reservations go before their subnets.
        let mut first = BTreeMap::new();
        for (key, before) in self.0 {
            first.entry(key).or_insert(before);
        }
        for key in first.iter().rev().filter(|(_, before)| before.is_none()).map(|(key, _)| key) {
            state.remove(key)?;
        }
        // Together, as they may have been changed: one by one they could be in each other's way.
        let errors = state.put_all(first.into_values().flatten().collect());
        errors.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
    }
}
