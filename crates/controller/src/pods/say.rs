//! What is said of a pod in events.

use allotment_core::Refusal;

use super::{Place, Uid};
use crate::events::{self, Regarding, Saying};

fn regarding(uid: &Uid, place: &Place) -> Regarding {
    Regarding {
        api_version: "v1",
        kind: "Pod",
        namespace: place.namespace.to_string(),
        name: place.name.to_string(),
        uid: uid.to_string(),
    }
}

pub(super) fn was_refused(uid: &Uid, place: &Place, refusal: &Refusal) -> Saying {
    Saying {
        regarding: regarding(uid, place),
        reason: events::ADDRESSES_REFUSED,
        action: "Allocate",
        about: refusal.code.as_str().to_owned(),
        note: format!("{}: {refusal}; hint: {}", refusal.code.as_str(), refusal.hint),
    }
}

pub(super) fn is_not_shown(uid: &Uid, place: &Place, error: &str) -> Saying {
    Saying {
        regarding: regarding(uid, place),
        reason: events::NOT_SHOWN,
        action: "Allocate",
        about: String::new(),
        note: format!(
            "{error}; hint: leave room for our annotations, of which a pod may have 256 KiB in all"
        ),
    }
}

pub(super) fn node_is_late(uid: &Uid, place: &Place) -> Saying {
    let note = format!(
        "the agent of node `{}` has not published yet, so that the end of what is given there could not be proved; hint: see \
         that `allot agent` runs on that node",
        place.node
    );
    Saying {
        regarding: regarding(uid, place),
        reason: events::NODE_NOT_READY,
        action: "Allocate",
        about: String::new(),
        note,
    }
}
