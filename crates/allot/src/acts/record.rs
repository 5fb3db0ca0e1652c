//! What was done, for whoever asks later: an Event beside the object, and a line of JSON on standard error.

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::output;

/// The namespace of events about what has none.
const CLUSTER: &str = "default";

/// Reason of an event about something that a person did: one word, for programs; and the reference's line on it.
pub(crate) struct Reason {
    pub(crate) word: &'static str,
    /// Kind of the object that the event is about.
    pub(crate) kind: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) remedy: &'static str,
}

pub(super) const FORGOTTEN: Reason = Reason {
    word: "NodeForgotten",
    kind: "NodeAttachments",
    meaning: "Somebody has said `allot node forget`: the machines that the note names count as switched off.",
    remedy: "Nothing, if they are. If one of them runs, end its containers: others may be given their addresses.",
};

pub(crate) const IMPORTED: Reason = Reason {
    word: "WhereaboutsImported",
    kind: "AddressBlock",
    meaning: "Somebody has said `allot import whereabouts`: addresses that Whereabouts gave are in the ledger.",
    remedy: "Nothing. No network may use Whereabouts for the same addresses any more.",
};

pub(super) const RECOVERY: Reason = Reason {
    word: "RecoveryBegun",
    kind: "AddressBlock",
    meaning: "Somebody has said `allot recover`: until every node has said what it uses, nobody gets an address that he does not \
              have already.",
    remedy: "See that every node's agent runs: `kubectl get nodeattachments`.",
};

pub(super) const RELEASED: Reason = Reason {
    word: "ReleasedByForce",
    kind: "AddressBlock",
    meaning: "Somebody has said `allot release --force`: the address was freed without proof that nobody uses it.",
    remedy: "See that nobody does; `allot audit` on its node finds it if it is live there.",
};

pub(super) const RESTORED: Reason = Reason {
    word: "LedgerRestored",
    kind: "AddressBlock",
    meaning: "Somebody has said `allot import` with a backup: what it has is in the ledger again.",
    remedy: "Nothing; free addresses are given out again when every node has said what is in use there.",
};

/// All of them, for the reference.
pub(crate) const REASONS: [Reason; 5] = [FORGOTTEN, IMPORTED, RECOVERY, RELEASED, RESTORED];

/// What was done, to what.
pub(crate) struct Act<'a> {
    pub(crate) reason: Reason,
    pub(crate) api_version: &'static str,
    pub(crate) name: &'a str,
    /// Empty where it is not known.
    pub(crate) uid: &'a str,
    pub(crate) note: &'a str,
    /// For the line.
    pub(crate) fields: Value,
}

/// Writes both. What could not be written is said; the act is done all the same.
pub(crate) async fn record(client: &Client, act: Act<'_>) {
    let who = whoami(client).await;
    let line = json!({
        "time": Timestamp::now().to_string(),
        "target": "allotment::audit",
        "change": act.reason.word,
        "by": who,
        "what": act.fields,
    });
    output::note(&line.to_string());
    let api: Api<Event> = Api::namespaced(client.clone(), CLUSTER);
    if let Err(error) = api.create(&PostParams::default(), &event(&act, &who)).await {
        output::note(&format!("warning: no event says so: {error}"));
    }
}

fn event(act: &Act<'_>, who: &str) -> Event {
    let regarding = ObjectReference {
        api_version: Some(act.api_version.to_owned()),
        kind: Some(act.reason.kind.to_owned()),
        name: Some(act.name.to_owned()),
        uid: Some(act.uid.to_owned()).filter(|uid| !uid.is_empty()),
        ..ObjectReference::default()
    };
    let now = Timestamp::now();
    let name = format!("{}.{:x}", act.name, now.as_microsecond());
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(CLUSTER.to_owned()),
            ..ObjectMeta::default()
        },
        action: Some(act.reason.word.to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(format!("{}, by {who}", act.note)),
        reason: Some(act.reason.word.to_owned()),
        regarding: Some(regarding),
        reporting_controller: Some("allotment.dev/allot".to_owned()),
        reporting_instance: Some("allot".to_owned()),
        type_: Some("Warning".to_owned()),
        ..Event::default()
    }
}

/// Who the API server takes us for.
async fn whoami(client: &Client) -> String {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = api.create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let user = review.ok().and_then(|review| review.status?.user_info?.username);
    user.unwrap_or_else(|| "somebody the API server does not name".to_owned())
}
