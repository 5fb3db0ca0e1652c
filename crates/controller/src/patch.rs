//! The patches of a pod: what they test, so that they change only the pod that was meant, as it was seen.
//!
//! A grant is shown once (L4): the patch holds only as long as the pod has the grant that was seen, most often none. Of two
//! controllers that both gave a pod addresses one is refused here.

use allotment_api::annotation::{GRANT, PodGrant, PodRefusal, REFUSAL};
use allotment_cluster::Pod;
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, TestOperation};
use serde_json::{Value, json};

/// What a pod shows of ours, as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Whether it has annotations at all: a patch can add to a map only where there is one.
    annotated: bool,
    grant: Option<String>,
    refusal: Option<String>,
}

impl Shown {
    pub(crate) fn on(pod: &Pod) -> Shown {
        let annotations = pod.metadata.annotations.as_ref();
        let value = |key| annotations.and_then(|all| all.get(key)).cloned();
        Shown { annotated: annotations.is_some(), grant: value(GRANT), refusal: value(REFUSAL) }
    }

    /// The grant, if it is this pod's own: one that was copied from another pod is none.
    pub(crate) fn grant(&self, uid: &str) -> Option<PodGrant> {
        let grant: PodGrant = serde_json::from_str(self.grant.as_deref()?).ok()?;
        (grant.pod == uid).then_some(grant)
    }

    /// The pod shows this grant now.
    pub(crate) fn granted(&mut self, grant: &PodGrant) {
        self.grant = serde_json::to_string(grant).ok();
    }

    /// The pod shows this refusal now.
    pub(crate) fn refused(&mut self, refusal: &PodRefusal) {
        self.refusal = serde_json::to_string(refusal).ok();
        self.annotated = true;
    }

    pub(crate) fn refusal(&self, uid: &str) -> Option<PodRefusal> {
        let refusal: PodRefusal = serde_json::from_str(self.refusal.as_deref()?).ok()?;
        (refusal.pod == uid).then_some(refusal)
    }
}

/// Shows a grant, and takes a refusal away.
pub(crate) fn grant(uid: &str, shown: &Shown, grant: &PodGrant) -> Patch {
    let mut operations = guarded(uid, shown);
    operations.push(write(shown, GRANT, &text(grant)));
    if shown.refusal.is_some() {
        operations.push(PatchOperation::Remove(RemoveOperation { path: annotation(REFUSAL) }));
    }
    Patch(operations)
}

/// Shows what is left of a grant; a refusal of something else stays.
pub(crate) fn left(uid: &str, shown: &Shown, left: &PodGrant) -> Patch {
    let mut operations = guarded(uid, shown);
    operations.push(write(shown, GRANT, &text(left)));
    Patch(operations)
}

/// Shows a refusal, as long as there is no grant.
pub(crate) fn refusal(uid: &str, shown: &Shown, refusal: &PodRefusal) -> Patch {
    let mut operations = guarded(uid, shown);
    operations.push(write(shown, REFUSAL, &text(refusal)));
    Patch(operations)
}

fn text(value: &impl serde::Serialize) -> Value {
    Value::String(serde_json::to_string(value).expect("plain data can be written as JSON"))
}

/// The pod is the one that was seen, and its grant is as it was seen.
fn guarded(uid: &str, shown: &Shown) -> Vec<PatchOperation> {
    let grant = match &shown.grant {
        Some(grant) => test(annotation(GRANT), json!(grant)),
        // A key that is missing counts as null, a map that is missing does not: without one, the whole map has to be.
        None if shown.annotated => test(annotation(GRANT), Value::Null),
        None => test(PointerBuf::from_tokens(["metadata", "annotations"]), Value::Null),
    };
    vec![test(PointerBuf::from_tokens(["metadata", "uid"]), json!(uid)), grant]
}

fn write(shown: &Shown, key: &str, value: &Value) -> PatchOperation {
    let add = if shown.annotated {
        AddOperation { path: annotation(key), value: value.clone() }
    } else {
        AddOperation {
            path: PointerBuf::from_tokens(["metadata", "annotations"]),
            value: json!({ key: value }),
        }
    };
    PatchOperation::Add(add)
}

fn test(path: PointerBuf, value: Value) -> PatchOperation {
    PatchOperation::Test(TestOperation { path, value })
}

fn annotation(key: &str) -> PointerBuf {
    PointerBuf::from_tokens(["metadata", "annotations", key])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const GRANTED: &str = r#"{"pod":"u1","attachments":[]}"#;

    fn pod(annotations: Option<&[(&str, &str)]>) -> Pod {
        let mut pod = Pod::default();
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        pod.metadata.annotations = annotations.map(pairs);
        pod
    }

    fn given() -> PodGrant {
        PodGrant { pod: "u1".to_owned(), ..PodGrant::default() }
    }

    fn check(annotations: Option<&[(&str, &str)]>, expect: &Value) {
        let patch = grant("u1", &Shown::on(&pod(annotations)), &given());
        assert_eq!(&serde_json::to_value(patch).unwrap(), expect);
    }

    #[test]
    fn l4_a_first_grant_needs_that_there_is_none() {
        check(
            Some(&[("a", "b")]),
            &json!([
                {"op": "test", "path": "/metadata/uid", "value": "u1"},
                {"op": "test", "path": "/metadata/annotations/allotment.dev~1grant", "value": null},
                {"op": "add", "path": "/metadata/annotations/allotment.dev~1grant", "value": GRANTED},
            ]),
        );
    }

    #[test]
    fn l4_without_annotations_the_map_must_be_missing() {
        check(
            None,
            &json!([
                {"op": "test", "path": "/metadata/uid", "value": "u1"},
                {"op": "test", "path": "/metadata/annotations", "value": null},
                {"op": "add", "path": "/metadata/annotations", "value": {GRANT: GRANTED}},
            ]),
        );
    }

    #[test]
    fn a_grant_takes_the_refusal_away_and_a_larger_one_replaces_the_one_seen() {
        check(
            Some(&[(GRANT, "old"), (REFUSAL, "no")]),
            &json!([
                {"op": "test", "path": "/metadata/uid", "value": "u1"},
                {"op": "test", "path": "/metadata/annotations/allotment.dev~1grant", "value": "old"},
                {"op": "add", "path": "/metadata/annotations/allotment.dev~1grant", "value": GRANTED},
                {"op": "remove", "path": "/metadata/annotations/allotment.dev~1refusal"},
            ]),
        );
    }

    #[test]
    fn only_the_pods_own_grant_counts() {
        let shown = Shown::on(&pod(Some(&[(GRANT, GRANTED)])));
        assert!(shown.grant("u1").is_some());
        assert!(shown.grant("u2").is_none());
        assert!(Shown::on(&pod(Some(&[(GRANT, "nonsense")]))).grant("u1").is_none());
    }
}
