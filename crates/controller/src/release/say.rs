//! What people are told of addresses that stay held.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use allotment_proof::{Kept, Waiting};

use super::nodes::Nodes;
use crate::events::{self, Regarding, Saying};

/// Ends are proved within seconds. What takes longer than this keeps an address from others, and is said.
const PATIENCE: Duration = Duration::from_mins(1);

/// Since when addresses of ended pods wait, by node and by what they wait for.
#[derive(Default)]
pub(super) struct Patience {
    since: BTreeMap<(String, &'static str), Instant>,
}

impl Patience {
    /// What is to be said now. The same again and again: whoever writes events makes a series of it.
    pub(super) fn look(
        &mut self,
        waiting: &BTreeMap<&str, Waiting>,
        nodes: &Nodes,
        now: Instant,
    ) -> Vec<Saying> {
        let mut before = std::mem::take(&mut self.since);
        let mut sayings = Vec::new();
        for (node, waiting) in waiting {
            let key = ((*node).to_owned(), word(&waiting.kept));
            let since = before.remove(&key).unwrap_or(now);
            if now >= since + PATIENCE {
                sayings.push(saying(node, nodes.uid(node), waiting));
            }
            self.since.insert(key, since);
        }
        sayings
    }
}

fn saying(node: &str, uid: &str, waiting: &Waiting) -> Saying {
    let Waiting { count, address, holder, kept } = waiting;
    let regarding = Regarding {
        api_version: "v1",
        kind: "Node",
        namespace: String::new(),
        name: node.to_owned(),
        uid: uid.to_owned(),
    };
    let hint = hint(node, kept);
    let text = format!(
        "addresses of ended pods that stay held: {count}, such as {} of pod {holder}: {kept}{hint}",
        address.address
    );
    Saying {
        regarding,
        reason: events::ADDRESSES_HELD,
        action: "Release",
        about: word(kept).to_owned(),
        note: text,
    }
}

fn word(kept: &Kept) -> &'static str {
    match kept {
        Kept::InUse | Kept::Unseen | Kept::Taken => "soon",
        Kept::Silent { .. } => "silent",
        Kept::Epoch { .. } => "epoch",
        Kept::Lost { .. } => "lost",
        Kept::Behind { .. } => "behind",
        Kept::Still { .. } => "still",
        Kept::Asked { .. } => "asked",
    }
}

fn hint(node: &str, kept: &Kept) -> String {
    match kept {
        Kept::Lost { .. } => {
            format!("; if that machine is switched off for good: `allot node forget {node}`")
        }
        Kept::Silent { .. } | Kept::Behind { .. } | Kept::Epoch { .. } => {
            format!(
                "; see that the agent runs there. If the machine is switched off for good: taint it \
                 `node.kubernetes.io/out-of-service`, or `allot node forget {node}`"
            )
        }
        _ => String::new(),
    }
}
