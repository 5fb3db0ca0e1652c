//! One `AdmissionReview`: what the API server asks, and what it is told.

use std::sync::Arc;
use std::time::Duration;

use allotment_api::v1alpha1::{IPPool, Reservation, Subnet};
use allotment_core::{Object, ObjectKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::judge::{Opinion, Wish, judge};
use crate::Health;
use crate::objects::{Declared, Kind};

/// What was applied a moment ago may not be in force yet: a pool comes right after the subnet that grew for it. So a doubt
/// has to last that long. Bringing an object into force takes a tenth of it; the API server is told to wait 5 s.
const SETTLED: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(50);

/// Answers reviews.
pub(super) struct Reviewer {
    pub(super) health: Arc<Health>,
}

/// What we read of an `AdmissionReview`.
#[derive(Debug, Deserialize)]
pub(super) struct Review {
    request: Option<Request>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    kind: RequestKind,
    operation: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

#[derive(Debug, Deserialize)]
struct RequestKind {
    kind: String,
}

impl Reviewer {
    /// The answer; nothing where it is no question.
    pub(super) async fn answer(&self, review: Review) -> Option<Value> {
        let request = review.request?;
        let uid = request.uid.clone();
        let opinion = match request.wish() {
            Ok(Some(wish)) => self.opinion(wish).await,
            Ok(None) => Opinion::Fine,
            Err(text) => Opinion::Refused(text),
        };
        let response = match opinion {
            Opinion::Fine => json!({"uid": uid, "allowed": true}),
            Opinion::Early(warning) => json!({"uid": uid, "allowed": true, "warnings": [warning]}),
            Opinion::Refused(message) => {
                json!({"uid": uid, "allowed": false, "status": {"code": 422, "reason": "Invalid", "message": message}})
            }
        };
        Some(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
    }

    /// What core thinks of it, where this controller serves; elsewhere nothing is known.
    async fn opinion(&self, wish: Wish) -> Opinion {
        let deadline = Instant::now() + SETTLED;
        loop {
            let Some(engine) = self.health.serving() else {
                // Who has begun to lead knows in a moment.
                if !self.health.leads() || Instant::now() > deadline {
                    return Opinion::Fine;
                }
                sleep(AGAIN).await;
                continue;
            };
            let asked = wish.clone();
            let Ok(opinion) = engine.read(move |state, _| judge(state, &asked)).await else {
                return Opinion::Fine;
            };
            if opinion == Opinion::Fine || matches!(wish, Wish::Delete(_)) || Instant::now() > deadline {
                return opinion;
            }
            sleep(AGAIN).await;
        }
    }
}

impl Request {
    /// What is wanted, if it is anything that we have a say in.
    fn wish(self) -> Result<Option<Wish>, String> {
        let deletes = self.operation == "DELETE";
        // Labels, finalizers and what is going anyway are nobody's business here.
        let writes = matches!(self.operation.as_str(), "CREATE" | "UPDATE")
            && self.object["metadata"]["deletionTimestamp"].is_null()
            && self.object["spec"] != self.old_object["spec"];
        if !deletes && !writes {
            return Ok(None);
        }
        let value = if deletes { self.old_object } else { self.object };
        let read = match self.kind.kind.as_str() {
            "Subnet" => read::<Subnet>(value),
            "IPPool" => read::<IPPool>(value),
            "Reservation" => read::<Reservation>(value),
            _ => return Ok(None),
        };
        match read {
            Ok((key, _)) if deletes => Ok(Some(Wish::Delete(key))),
            Ok((_, object)) => Ok(Some(Wish::Write(Box::new(object)))),
            // What is there has to be able to go.
            Err(_) if deletes => Ok(None),
            Err(text) => Err(text),
        }
    }
}

/// The object as core has it. What the API server's rules let through and we cannot read is wrong.
fn read<K: Kind + DeserializeOwned>(value: Value) -> Result<(ObjectKey, Object), String> {
    let object: K = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let (key, declared) = Declared::new(object);
    Ok((key, declared.object))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(meta: &str, cidr: &str) -> Value {
        json!({"apiVersion": "allotment.dev/v1alpha1", "kind": "Subnet",
            "metadata": {"name": "a", meta: "2026-11-20T10:00:00Z"}, "spec": {"cidrs": [cidr]}})
    }

    fn review(operation: &str, object: &Value, old: &Value) -> Review {
        let request = json!({"uid": "u", "kind": {"group": "allotment.dev", "version": "v1alpha1", "kind": "Subnet"},
            "operation": operation, "object": object, "oldObject": old});
        serde_json::from_value(json!({ "request": request })).unwrap()
    }

    fn wish(operation: &str, object: &Value, old: &Value) -> Result<Option<Wish>, String> {
        review(operation, object, old).request.unwrap().wish()
    }

    #[test]
    fn only_changes_of_what_is_declared_are_asked_about() {
        let (small, large) =
            (subnet("creationTimestamp", "10.0.0.0/24"), subnet("creationTimestamp", "10.0.0.0/16"));
        let going = subnet("deletionTimestamp", "10.0.0.0/16");
        assert!(matches!(wish("CREATE", &small, &Value::Null), Ok(Some(Wish::Write(_)))));
        assert!(matches!(wish("UPDATE", &large, &small), Ok(Some(Wish::Write(_)))));
        assert!(
            matches!(wish("DELETE", &Value::Null, &small), Ok(Some(Wish::Delete(key))) if key.name == "a")
        );
        assert_eq!(wish("UPDATE", &small, &small), Ok(None));
        assert_eq!(wish("UPDATE", &going, &small), Ok(None));
        assert_eq!(wish("CONNECT", &small, &Value::Null), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_cannot_come_and_can_go() {
        let unreadable = subnet("creationTimestamp", "nonsense");
        assert!(wish("CREATE", &unreadable, &Value::Null).is_err());
        assert_eq!(wish("DELETE", &Value::Null, &unreadable), Ok(None));
    }

    #[tokio::test]
    async fn a_controller_that_does_not_serve_allows_everything() {
        let reviewer = Reviewer { health: Arc::default() };
        let asked = review("CREATE", &subnet("creationTimestamp", "10.0.0.0/24"), &Value::Null);
        let answer = reviewer.answer(asked).await.unwrap();
        assert_eq!(answer["response"], json!({"uid": "u", "allowed": true}));
        assert_eq!(reviewer.answer(Review { request: None }).await, None);
    }
}
