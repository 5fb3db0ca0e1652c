//! From the ends of pods to freed addresses (R1–R5): what the watches tell goes in, releases come out.
//!
//! [`World`](crate::world::World) tells it everything that it is told itself, in the same order, and what the engine gave;
//! what it wants done comes out of [`Releases::next`], and what became of that goes into [`Releases::outcome`].

use std::time::Instant;

use allotment_core::{Allocation, Grant};

use crate::feed::Input;
use crate::owners::Owners;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Outcome {}

#[derive(Default)]
pub(crate) struct Releases {}

impl Releases {
    /// Takes in what was told, before the rest of the world does.
    pub(crate) fn input(&mut self, _input: &Input) {}

    /// Leads from now on; `held` is what the ledger has, active and reserved.
    pub(crate) fn begin(&mut self, _held: Vec<Allocation>) {}

    /// The engine gave these addresses; their holder may be gone already.
    pub(crate) fn granted(&mut self, _grant: &Grant) {}

    /// What is to be done now. `owners` knows whose addresses are kept.
    pub(crate) fn next(&mut self, _owners: &Owners, _now: Instant) -> Vec<Action> {
        Vec::new()
    }

    /// When `next` has something to do, if nothing happens before.
    pub(crate) fn due(&self) -> Option<Instant> {
        None
    }

    /// Takes in what became of an action. `true`: addresses were freed, so that waiters may have their turn.
    pub(crate) fn outcome(&mut self, outcome: Outcome, _now: Instant) -> bool {
        match outcome {}
    }
}
