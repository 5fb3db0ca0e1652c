//! The last refusal of each owner, for `why`.

use std::collections::VecDeque;
use std::sync::Mutex;

use allotment_core::{Owner, Refusal, Timestamp};

/// Refusals kept. What is older is in the log.
const MOST: usize = 1024;

/// Bounded; the oldest make room.
#[derive(Default)]
pub(crate) struct Refusals {
    last: Mutex<VecDeque<Refused>>,
}

/// What stood in an owner's way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) owner: Owner,
    /// Of each interface that was asked for.
    pub(crate) networks: Vec<String>,
    pub(crate) refusal: Refusal,
    pub(crate) at: Timestamp,
}

impl Refusals {
    /// Keeps a refusal in place of the owner's last one for the same networks.
    pub(crate) fn keep(&self, refused: Refused) {
        let mut last = self.lock();
        last.retain(|old| !same(old, &refused.owner, &refused.networks));
        if last.len() == MOST {
            last.pop_front();
        }
        last.push_back(refused);
    }

    /// The owner got what it asked for, or is gone.
    pub(crate) fn forget(&self, owner: &Owner, networks: &[String]) {
        let mut last = self.lock();
        if !last.is_empty() {
            last.retain(|old| !same(old, owner, networks));
        }
    }

    pub(crate) fn select(&self, wanted: impl Fn(&Refused) -> bool) -> Vec<Refused> {
        self.lock().iter().filter(|refused| wanted(refused)).cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Refused>> {
        // A poisoned lock guards a list that is whole: no change to it can panic half-way.
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn same(old: &Refused, owner: &Owner, networks: &[String]) -> bool {
    old.owner.key() == owner.key() && old.networks == networks
}

#[cfg(test)]
mod tests {
    use allotment_core::Code;

    use super::*;

    fn refused(name: &str, text: &str) -> Refused {
        let owner = Owner { kind: "VM".to_owned(), name: name.to_owned(), ..Owner::default() };
        let refusal = Refusal::new(Code::Full, text, "wait");
        Refused { owner, networks: vec!["lan".to_owned()], refusal, at: Timestamp(0) }
    }

    fn texts(refusals: &Refusals) -> Vec<String> {
        refusals.select(|_| true).into_iter().map(|refused| refused.refusal.text).collect()
    }

    #[test]
    fn the_last_one_counts_until_the_owner_is_served() {
        let refusals = Refusals::default();
        refusals.keep(refused("a", "first"));
        refusals.keep(refused("b", "other"));
        refusals.keep(refused("a", "second"));
        assert_eq!(texts(&refusals), ["other", "second"]);
        let served = refused("a", "");
        refusals.forget(&served.owner, &served.networks);
        assert_eq!(texts(&refusals), ["other"]);
    }

    #[test]
    fn the_oldest_make_room() {
        let refusals = Refusals::default();
        for index in 0..=MOST {
            refusals.keep(refused(&index.to_string(), &index.to_string()));
        }
        let texts = texts(&refusals);
        assert_eq!((texts.len(), texts[0].as_str()), (MOST, "1"));
    }
}
