//! The last refusal of each owner, for `why`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use allotment_core::{Owner, Refusal, Timestamp};

use super::clock;

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
    pub(crate) network: String,
    pub(crate) refusal: Refusal,
    pub(crate) at: Timestamp,
}

impl Refusals {
    /// What is to be told how each ADD was decided: a refusal takes the place of the owner's last one on the same network,
    /// a grant ends it.
    pub(crate) fn follow(
        refusals: &Arc<Refusals>,
    ) -> impl Fn(&Owner, &str, Option<&Refusal>) + Send + Sync + 'static {
        let refusals = Arc::clone(refusals);
        move |owner, network, refusal| match refusal {
            None => refusals.forget(owner, network),
            Some(refusal) => {
                let (owner, network, refusal) = (owner.clone(), network.to_owned(), refusal.clone());
                refusals.keep(Refused { owner, network, refusal, at: clock() });
            }
        }
    }

    fn keep(&self, refused: Refused) {
        let mut last = self.lock();
        last.retain(|old| !same(old, &refused.owner, &refused.network));
        if last.len() == MOST {
            last.pop_front();
        }
        last.push_back(refused);
    }

    fn forget(&self, owner: &Owner, network: &str) {
        self.lock().retain(|old| !same(old, owner, network));
    }

    pub(crate) fn select(&self, wanted: impl Fn(&Refused) -> bool) -> Vec<Refused> {
        self.lock().iter().filter(|refused| wanted(refused)).cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Refused>> {
        // A poisoned lock guards a list that is whole: no change to it can panic half-way.
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn same(old: &Refused, owner: &Owner, network: &str) -> bool {
    old.owner.key() == owner.key() && old.network == network
}

#[cfg(test)]
mod tests {
    use allotment_core::Code;

    use super::*;

    fn refused(name: &str, text: &str) -> Refused {
        let owner = Owner { kind: "VM".to_owned(), name: name.to_owned(), ..Owner::default() };
        let refusal = Refusal::new(Code::Full, text, "wait");
        Refused { owner, network: "lan".to_owned(), refusal, at: Timestamp(0) }
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
        refusals.forget(&served.owner, &served.network);
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
