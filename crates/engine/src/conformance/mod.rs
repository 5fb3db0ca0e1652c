//! What every ledger must do, as checks that run on any of them.
//!
//! A test of a ledger implements [`Subject`] and calls [`run`]. The checks drive the ledger through core's real rules
//! ([`World`]), and compare what is loaded after a restart with what the state was when it was committed. They panic
//! when the ledger does not hold.

mod checks;
mod world;

pub use world::{Content, World, ended, pod, subnet};

use crate::Ledger;

/// A place where a ledger can be closed and opened again.
pub trait Subject {
    type Ledger: Ledger;

    /// Opens the ledger that is there; the first time, an empty one.
    fn open(&self) -> Self::Ledger;

    /// Whether a second one may be open at the same time. If so, it must report conflicts.
    fn is_shared(&self) -> bool {
        false
    }
}

/// Runs every check on a subject of its own.
///
/// # Panics
/// When the ledger does not do what it must; the name of the check has been printed to standard error before.
pub fn run<S: Subject>(fresh: impl Fn() -> S) {
    for (name, check) in checks::all::<S>() {
        eprintln!("conformance: {name}");
        check(&fresh());
    }
}
