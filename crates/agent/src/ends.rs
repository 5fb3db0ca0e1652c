//! Finding out what has ended: a look into the namespaces of attachments whose end is awaited (R2).
//!
//! Most plugins call IPAM before they remove the link, so a DEL is followed by looks until the addresses are gone; without a
//! DEL the namespace has to be gone in two looks (R1). Nothing is looked at while nothing is awaited.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use allotment_node::netns::{self, Look, Netns};
use allotment_proof::Check;
use tokio::time::{sleep, timeout};

use crate::metrics::AgentMetrics;
use crate::shared::Shared;

/// After the first DEL, so that others can share the look.
const FIRST: Duration = Duration::from_millis(50);

/// Between looks at what does not end.
const LAST: Duration = Duration::from_secs(30);

/// How long a namespace has to be gone when no DEL came.
const GONE_FOR: Duration = Duration::from_secs(30);

/// A namespace as the journal has it: which one it is, or, where that could not be seen, its path.
pub(crate) fn place(netns: Option<&Netns>, path: &str) -> String {
    match netns {
        Some(netns) => serde_json::to_string(netns).expect("every key is a string"),
        None => path.to_owned(),
    }
}

fn at(place: &str) -> Option<Netns> {
    // Of a path that led nowhere when it was recorded only what it leads to now can be told.
    serde_json::from_str(place).ok().or_else(|| netns::identify(place))
}

/// Looks whenever something is awaited, for ever.
pub(crate) async fn follow(shared: Shared, metrics: AgentMetrics) {
    let mut looks = Looks::default();
    loop {
        let checks = shared
            .until(|desk| {
                let checks = desk.checks();
                (!checks.is_empty()).then_some(checks)
            })
            .await;
        let checks: HashSet<Check> = checks.into_iter().collect();
        let pause = looks.pause(&checks);
        let is_soon = pause <= FIRST || timeout(pause, more(&shared, &checks)).await.is_ok();
        if is_soon {
            // What comes meanwhile shares the look, and does not put it off.
            sleep(FIRST).await;
        }
        metrics.looks.inc();
        looks.look(&shared).await;
    }
}

/// Resolves when something else is awaited, too.
async fn more(shared: &Shared, known: &HashSet<Check>) {
    let is_new = |check: &Check| !known.contains(check);
    shared.until(|desk| desk.checks().iter().any(is_new).then_some(())).await;
}

#[derive(Default)]
struct Looks {
    pause: Duration,
    known: HashSet<Check>,
    /// Since when the namespace of one without a DEL has been gone.
    gone: HashMap<Check, Instant>,
}

/// What a look says of one attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Absent,
    NamespaceGone,
    /// It has not ended, or that is not known.
    Still,
}

impl Looks {
    /// How long to wait for the next look: longer and longer, unless something is new.
    fn pause(&mut self, checks: &HashSet<Check>) -> Duration {
        let is_new = !checks.is_subset(&self.known);
        self.pause = if is_new { FIRST } else { (self.pause * 2).clamp(FIRST, LAST) };
        self.known.clone_from(checks);
        self.pause
    }

    async fn look(&mut self, shared: &Shared) {
        let checks = shared.with(|desk| desk.checks());
        let (known, unseen): (Vec<Check>, Vec<Check>) =
            checks.into_iter().partition(|check| at(&check.netns).is_some());
        // One that was never seen and whose path leads nowhere: after its DEL nothing of it is left.
        for check in unseen.iter().filter(|check| check.is_deleted && !Path::new(&check.netns).exists()) {
            shared.change(|desk| desk.absent(check));
        }
        let namespaces = known.iter().filter_map(|check| at(&check.netns)).collect();
        let looks = match netns::look(namespaces).await {
            Ok(looks) => looks,
            Err(error) => {
                tracing::warn!(%error, "the network namespaces cannot be looked at");
                return;
            }
        };
        let now = Instant::now();
        let mut gone = HashMap::new();
        for (check, look) in known.iter().zip(looks) {
            match look.map(|look| self.judge(check, &look, now)) {
                Ok(Verdict::Absent) => shared.change(|desk| desk.absent(check)),
                Ok(Verdict::NamespaceGone) => shared.change(|desk| desk.namespace_gone(check)),
                Ok(Verdict::Still) => {}
                Err(error) => tracing::warn!(netns = check.netns, %error, "a namespace cannot be looked at"),
            }
            if let Some(since) = self.gone.remove(check) {
                gone.insert(check.clone(), since);
            }
        }
        self.gone = gone;
    }

    fn judge(&mut self, check: &Check, look: &Look, now: Instant) -> Verdict {
        let addresses: BTreeSet<IpAddr> = check.addresses.iter().map(|address| address.address).collect();
        match look {
            Look::There(live) => {
                self.gone.remove(check);
                if check.is_deleted && addresses.is_disjoint(live) { Verdict::Absent } else { Verdict::Still }
            }
            Look::Gone if check.is_deleted => Verdict::NamespaceGone,
            Look::Gone => {
                let since = *self.gone.entry(check.clone()).or_insert(now);
                if now.duration_since(since) >= GONE_FOR { Verdict::NamespaceGone } else { Verdict::Still }
            }
        }
    }
}

#[cfg(test)]
mod tests;
