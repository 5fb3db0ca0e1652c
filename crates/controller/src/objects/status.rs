//! What an object's status says.

use allotment_api::v1alpha1::condition::{
    ACCEPTED, ADDRESSES_HELD, ADDRESSES_LOST, CONFLICT, HELD, IN_USE, INVALID, NO_SUBNET, NODE_GONE, OVERLAP,
    READY,
};
use allotment_api::v1alpha1::{Condition, ObjectStatus, UsageStatus};
use allotment_core::{ObjectError, Obstacle, Usage};
use jiff::Timestamp;

use super::{Declared, LostOf, Verdict};

/// What is known of an object besides its verdict.
pub(super) struct Seen<'a> {
    pub(super) is_in_force: bool,
    pub(super) usage: &'a [Usage],
    pub(super) lost: Option<&'a LostOf>,
}

/// The status of an object; times of conditions that say the same as before are kept.
pub(super) fn of(declared: &Declared, verdict: &Verdict, seen: &Seen<'_>, clock: Timestamp) -> ObjectStatus {
    let condition = |kind: &str, is: bool, reason: &str, message: String| {
        let status = if is { "True" } else { "False" };
        let old = declared.status.conditions.iter().find(|old| old.kind == kind && old.status == status);
        Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: declared.generation,
            last_transition_time: old
                .map_or_else(|| clock_text(clock), |old| old.last_transition_time.clone()),
        }
    };
    let mut conditions = Vec::new();
    match verdict {
        Verdict::Accepted => conditions.push(condition(READY, true, ACCEPTED, "in force".to_owned())),
        Verdict::Refused(error) => {
            let message = refused(error, seen.is_in_force);
            conditions.push(condition(READY, false, reason(error.obstacle), message));
        }
        Verdict::Held(error) => {
            let message = "being deleted: nothing new is given out".to_owned();
            conditions.push(condition(READY, false, HELD, message));
            conditions.push(condition(IN_USE, true, HELD, format!("{}; {}", error.text, error.hint)));
        }
    }
    if let Some(LostOf { count, address, node }) = seen.lost {
        let message = format!(
            "addresses of ended pods that stay held: {count}, such as {address} on node `{node}`, which is gone; if that \
             machine is switched off for good: `allot node forget {node}`"
        );
        conditions.push(condition(ADDRESSES_LOST, true, NODE_GONE, message));
    }
    ObjectStatus {
        observed_generation: declared.generation,
        conditions,
        usage: seen.usage.iter().map(usage_status).collect(),
    }
}

fn reason(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::Itself => INVALID,
        Obstacle::Overlap => OVERLAP,
        Obstacle::Held => ADDRESSES_HELD,
        Obstacle::NoSubnet => NO_SUBNET,
        Obstacle::Others => CONFLICT,
    }
}

fn refused(error: &ObjectError, is_in_force: bool) -> String {
    let what = if is_in_force { "the last accepted form stays in force" } else { "not in force" };
    format!("{what}: {}: {}; {}", error.field, error.text, error.hint)
}

/// Seconds, as Kubernetes writes times.
fn clock_text(clock: Timestamp) -> String {
    clock.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn usage_status(usage: &Usage) -> UsageStatus {
    UsageStatus {
        family: usage.family.to_string(),
        total: usage.total.to_string(),
        held: usage.held.to_string(),
        cooling: usage.cooling.to_string(),
        free: usage.free().to_string(),
    }
}
