//! What a Deployment's fixed list has to do with its `maxSurge` (K4).

use allotment_core::{Asked, Code, Refusal};

use super::Wanted;

/// How a Deployment replaces its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollout {
    pub replicas: u32,
    /// Pods, rounded up from a percentage as Kubernetes does.
    pub max_surge: u32,
}

/// Adds to the refusal of a pod of a Deployment that its list has no room for what `maxSurge` brings up before old pods
/// go, where that is so.
#[must_use]
pub fn surge_hint(refusal: Refusal, wanted: &Wanted, rollout: Rollout) -> Refusal {
    let needed = rollout.replicas.saturating_add(rollout.max_surge);
    let shortest = wanted.request.wants.iter().filter_map(|want| match &want.ips {
        Asked::OneOf(ips) => {
            let v4 = ips.iter().filter(|ip| ip.is_ipv4()).count();
            [v4, ips.len() - v4].into_iter().filter(|&count| count > 0).min()
        }
        Asked::Nothing | Asked::Each(_) => None,
    });
    let Some(listed) = shortest.min() else { return refusal };
    let is_short = usize::try_from(needed).is_ok_and(|needed| listed < needed);
    if rollout.max_surge == 0 || !is_short || !matches!(refusal.code, Code::Full | Code::Taken) {
        return refusal;
    }
    let hint = format!(
        "the list has {listed} addresses for {} replicas, and `maxSurge` {} starts new pods before old ones end: set \
         `maxSurge: 0`, or list {needed} addresses; {}",
        rollout.replicas, rollout.max_surge, refusal.hint
    );
    Refusal { hint, ..refusal }
}
