//! What is wrong in what was seen.

mod install;
mod networks;
mod nodes;
mod overlaps;

use super::look::Seen;
use super::{Ailment, code};

/// One question, and what has to be known for its answer: what could not be read is not missing.
type Part = (&'static [&'static str], fn(&Seen) -> Vec<Ailment>);

const PARTS: [Part; 13] = [
    (&["customresourcedefinitions"], install::definitions),
    (
        &[
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
            "mutatingadmissionpolicies",
            "mutatingadmissionpolicybindings",
            "deployments",
            "daemonsets",
        ],
        install::policies,
    ),
    (&[], install::rights),
    (&["deployments", "leases"], install::controllers),
    (&["deployments", "pods", "validatingwebhookconfigurations"], |seen| {
        install::webhook(seen).into_iter().collect()
    }),
    (&["daemonsets", "pods"], nodes::agents),
    (&["nodes", "nodeattachments"], nodes::silent),
    (&["nodes", "nodeattachments"], nodes::gone),
    (&[], networks::objects),
    (&["subnets", "ippools"], networks::networks),
    (&[], overlaps::services),
    (&["reservations"], overlaps::nodes),
    (&[], overlaps::pods),
];

/// Everything that is wrong.
pub(super) fn examine(seen: &Seen) -> Vec<Ailment> {
    let is_known = |needs: &[&str]| !seen.unseen.iter().any(|unseen| needs.contains(&unseen.plural.as_str()));
    let known = PARTS.iter().filter(|(needs, _)| is_known(needs));
    // Where there is nothing, one finding says more than one for each part.
    let nothing = is_known(&["customresourcedefinitions", "deployments", "daemonsets"])
        .then(|| install::nothing(seen))
        .flatten();
    let ailments: Vec<Ailment> = match nothing {
        Some(nothing) => vec![nothing],
        None => known.flat_map(|(_, part)| part(seen)).collect(),
    };
    let unseen = seen.unseen.iter().map(|unseen| Ailment::new(&code::UNSEEN, "API server", &*unseen.why));
    ailments.into_iter().chain(unseen).collect()
}

#[cfg(test)]
mod tests;
