//! Who has an address, as the nodes know it: from the answer to an ADD until its end begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A sandbox of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claimant {
    pub(crate) pod: String,
    pub(crate) container_id: String,
}

/// All that is in use, and what was wrong with it.
#[derive(Default)]
pub(crate) struct Claims(Mutex<Book>);

#[derive(Default)]
struct Book {
    live: BTreeMap<String, BTreeSet<Claimant>>,
    given: u64,
    wrong: Vec<String>,
}

impl Claims {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An ADD was answered. Two sandboxes of one pod may have the same address, two pods never.
    pub(crate) fn begin(&self, address: &str, claimant: &Claimant) {
        let mut book = self.book();
        book.given += 1;
        let live = book.live.entry(address.to_owned()).or_default();
        let other = live.iter().find(|other| other.pod != claimant.pod).cloned();
        live.insert(claimant.clone());
        if let Some(other) = other {
            book.wrong.push(format!("{address} was given to {claimant:?} while {other:?} has it"));
        }
    }

    /// The sandbox is about to be taken down: from now on others may have its addresses.
    pub(crate) fn end(&self, claimant: &Claimant) {
        for claimants in self.book().live.values_mut() {
            claimants.remove(claimant);
        }
    }

    pub(crate) fn wrong(&self, what: String) {
        self.book().wrong.push(what);
    }

    /// How many ADDs were answered, and everything that was wrong.
    pub(crate) fn verdict(&self) -> (u64, Vec<String>) {
        let book = self.book();
        (book.given, book.wrong.clone())
    }
}

#[test]
fn only_another_pod_is_wrong() {
    let claims = Claims::default();
    let claimant = |pod: &str, id: &str| Claimant { pod: pod.to_owned(), container_id: id.to_owned() };
    claims.begin("10.0.0.2", &claimant("a", "1"));
    claims.begin("10.0.0.2", &claimant("a", "2"));
    claims.end(&claimant("a", "1"));
    assert!(claims.verdict().1.is_empty());
    claims.begin("10.0.0.2", &claimant("b", "3"));
    assert_eq!(claims.verdict().1.len(), 1);
    claims.end(&claimant("a", "2"));
    claims.end(&claimant("b", "3"));
    claims.begin("10.0.0.2", &claimant("c", "4"));
    assert_eq!(claims.verdict().1.len(), 1);
}
