//! Pods with many interfaces, for which single ones would never leave enough: after a while what is freed is theirs first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_core::{Code, Refusal, Target, Want};

/// A pod with many interfaces stands aside for that long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Then others stand aside for it, for that long and no longer: it may want what never comes.
const HOLD: Duration = Duration::from_mins(1);

#[derive(Default)]
pub(crate) struct Claims {
    claims: HashMap<Arc<str>, Claim>,
}

struct Claim {
    since: Instant,
    interfaces: usize,
    targets: Vec<Target>,
}

impl Claim {
    /// How long others still have to stand aside.
    fn holds(&self, now: Instant) -> Option<Duration> {
        let begin = self.since + PATIENCE;
        (now >= begin)
            .then(|| (begin + HOLD).checked_duration_since(now))
            .flatten()
            .filter(|left| !left.is_zero())
    }
}

impl Claims {
    /// A pod was refused these wants.
    pub(crate) fn refused(&mut self, uid: &Arc<str>, wants: &[Want], refusal: &Refusal, now: Instant) {
        if wants.len() < 2 || refusal.code != Code::Full || !may_ever(wants, refusal) {
            return;
        }
        let mut targets: Vec<Target> = wants.iter().flat_map(|want| want.targets.iter().cloned()).collect();
        targets.sort();
        targets.dedup();
        let since = self.claims.get(uid).map_or(now, |claim| claim.since);
        self.claims.insert(Arc::clone(uid), Claim { since, interfaces: wants.len(), targets });
    }

    /// It has what it wanted, or wants nothing any more. Whether others may have stood aside for it.
    pub(crate) fn forget(&mut self, uid: &str) -> bool {
        self.claims.remove(uid).is_some()
    }

    /// Why a pod that wants these has to stand aside.
    pub(crate) fn before(&self, uid: &str, wants: &[Want], now: Instant) -> Option<Refusal> {
        let targets = || wants.iter().flat_map(|want| &want.targets);
        let meets = |claim: &&Claim| targets().any(|target| claim.targets.contains(target));
        let others = self.claims.iter().filter(|(claimant, _)| ***claimant != *uid);
        let held = others.filter_map(|(_, claim)| Some((claim, claim.holds(now)?)));
        let (claim, left) = held.filter(|(claim, _)| meets(claim)).min_by_key(|(claim, _)| claim.since)?;
        // The one that claims does not stand aside for a younger claim.
        if self.claims.get(uid).is_some_and(|own| own.since <= claim.since && own.holds(now).is_some()) {
            return None;
        }
        let text = format!(
            "a pod with {} interfaces has waited for addresses of the same subnets for {} s: what is freed goes to it first",
            claim.interfaces,
            now.duration_since(claim.since).as_secs()
        );
        let hint = "add a subnet or pool behind it, make it larger, or release what is not needed";
        let mut refusal =
            Refusal::new(Code::Full, text, hint).count("interfaces before it", claim.interfaces);
        refusal.again_ms = u64::try_from(left.as_millis()).ok();
        Some(refusal)
    }
}

/// Whether what it was refused of could hold it if it were empty.
fn may_ever(wants: &[Want], refusal: &Refusal) -> bool {
    let total = refusal.counts.iter().find(|count| count.what == "in it");
    total.is_none_or(|total| total.value.parse::<u128>().is_ok_and(|total| total >= wants.len() as u128))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(count: usize, subnet: &str) -> Vec<Want> {
        vec![Want { targets: vec![Target::Subnet(subnet.to_owned())], ..Want::default() }; count]
    }

    fn full(total: u64) -> Refusal {
        Refusal::new(Code::Full, "full", "wait").count("in it", total)
    }

    #[test]
    fn a_pod_with_many_interfaces_ages_into_priority_for_a_while() {
        let (mut claims, mut now) = (Claims::default(), Instant::now());
        let many: Arc<str> = "many".into();
        claims.refused(&many, &wants(16, "a"), &full(100), now);
        assert_eq!(claims.before("one", &wants(1, "a"), now), None, "not at once");
        now += PATIENCE;
        let aside = claims.before("one", &wants(1, "a"), now).unwrap();
        assert_eq!((aside.code, aside.again_ms), (Code::Full, Some(60_000)));
        assert_eq!(claims.before("one", &wants(1, "b"), now), None, "others go on");
        assert_eq!(claims.before("many", &wants(16, "a"), now), None, "it does not stand in its own way");
        // Being refused again does not make it younger, and its time has an end.
        claims.refused(&many, &wants(16, "a"), &full(100), now);
        now += HOLD;
        assert_eq!(claims.before("one", &wants(1, "a"), now), None);
    }

    #[test]
    fn of_two_the_one_that_has_waited_longer_goes_first() {
        let (mut claims, mut now) = (Claims::default(), Instant::now());
        claims.refused(&"old".into(), &wants(16, "a"), &full(100), now);
        now += Duration::from_secs(1);
        claims.refused(&"young".into(), &wants(16, "a"), &full(100), now);
        now += PATIENCE;
        assert_eq!(claims.before("old", &wants(16, "a"), now), None);
        assert!(claims.before("young", &wants(16, "a"), now).is_some());
        claims.forget("old");
        assert_eq!(claims.before("young", &wants(16, "a"), now), None);
    }

    #[test]
    fn nobody_stands_aside_for_what_can_never_be_or_is_not_many() {
        let (mut claims, mut now) = (Claims::default(), Instant::now());
        claims.refused(&"huge".into(), &wants(16, "a"), &full(10), now);
        claims.refused(&"single".into(), &wants(1, "a"), &full(100), now);
        let taken = Refusal::new(Code::Taken, "taken", "wait");
        claims.refused(&"taken".into(), &wants(16, "a"), &taken, now);
        now += PATIENCE;
        assert_eq!(claims.before("one", &wants(1, "a"), now), None);
    }
}
