//! What a Deployment's fixed list has to do with its `maxSurge` (K4).

use allotment_core::{Asked, Code, Refusal, Want};

/// How a Deployment replaces its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollout {
    pub replicas: u32,
    /// Pods that may be there beyond the replicas.
    pub max_surge: u32,
}

/// A list that has no room for what `maxSurge` brings up before old pods go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surge {
    rollout: Rollout,
    listed: usize,
    needed: usize,
}

impl Surge {
    /// Where the shortest list among these wants of a pod of a Deployment has too little room.
    pub fn of(wants: &[Want], rollout: Rollout) -> Option<Surge> {
        let shortest = wants.iter().filter_map(|want| match &want.ips {
            Asked::OneOf(ips) => {
                let v4 = ips.iter().filter(|ip| ip.is_ipv4()).count();
                [v4, ips.len() - v4].into_iter().filter(|&count| count > 0).min()
            }
            Asked::Nothing | Asked::Each(_) => None,
        });
        let listed = shortest.min()?;
        let needed = usize::try_from(rollout.replicas.saturating_add(rollout.max_surge)).ok()?;
        (rollout.max_surge > 0 && listed < needed).then_some(Surge { rollout, listed, needed })
    }

    /// Says so in a refusal that may come of it.
    #[must_use]
    pub fn explain(self, refusal: Refusal) -> Refusal {
        if !matches!(refusal.code, Code::Full | Code::Taken) {
            return refusal;
        }
        let Surge { rollout: Rollout { replicas, max_surge }, listed, needed } = self;
        let hint = format!(
            "the list has {listed} addresses for {replicas} replicas, and `maxSurge` {max_surge} starts new pods before old \
             ones end: set `maxSurge: 0`, or list {needed} addresses; {}",
            refusal.hint
        );
        Refusal { hint, ..refusal }
    }
}
