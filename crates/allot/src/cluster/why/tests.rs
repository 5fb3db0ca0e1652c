use std::collections::BTreeMap;

use allotment_api::annotation;
use serde_json::{Value, json};

use super::*;

fn pod(more: &Value) -> Pod {
    let mut pod = json!({
        "metadata": {"namespace": "shop", "name": "cart-7", "uid": "u1", "annotations": {"allotment.dev/subnets": "a"}},
        "spec": {"nodeName": "n1"},
    });
    json_patch::merge(&mut pod, more);
    serde_json::from_value(pod).unwrap()
}

fn around() -> Around {
    Around {
        nads: Nads::new(),
        namespaces: BTreeMap::new(),
        nodes: [("n1".to_owned(), "node-1".to_owned())].into(),
        published: [("n1".to_owned(), "node-1".to_owned())].into(),
        waiting: Vec::new(),
        controller: Ok(()),
    }
}

#[test]
fn where_a_pod_is_on_its_way() {
    let check = |around: &Around, more: &Value, code: Option<&str>, says: &str| {
        let row = around.explain(&pod(more), &Settings::default());
        assert_eq!(row.code.as_deref(), code, "{row:?}");
        assert!(row.why.contains(says), "{row:?}");
        assert_eq!((row.owner.namespace.as_deref(), row.owner.name.as_str()), (Some("shop"), "cart-7"));
        assert!(row.code.is_none() || row.hint.is_some(), "what stands in the way has a next step: {row:?}");
    };
    let pending = Some("pending");
    check(&around(), &json!({}), pending, "is not decided yet");
    check(&around(), &json!({"spec": {"nodeName": ""}}), pending, "is not bound to a node yet");
    check(&around(), &json!({"spec": {"hostNetwork": true}}), None, "its node's own network");
    check(&around(), &json!({"status": {"phase": "Failed"}}), None, "has finished");
    check(
        &around(),
        &json!({"metadata": {"annotations": {"allotment.dev/subnets": null}}}),
        None,
        "asks for nothing here",
    );
    let networks = json!({"metadata": {"annotations": {"k8s.v1.cni.cncf.io/networks": "new"}}});
    check(&around(), &networks, pending, "NetworkAttachmentDefinition `shop/new`, which does not exist");
    let wrong = json!({"metadata": {"annotations": {"allotment.dev/ips": "ten"}}});
    check(
        &around(),
        &wrong,
        Some("invalid"),
        "cannot be followed as it is written: annotation `allotment.dev/ips`: `ten`",
    );
    let other = Around { nodes: [("n1".to_owned(), "node-2".to_owned())].into(), ..around() };
    check(
        &other,
        &json!({}),
        pending,
        "waits for the agent of node `n1`, which has not published for this Node yet",
    );
    let silent = Around { published: BTreeMap::new(), ..around() };
    check(&silent, &json!({}), pending, "waits for the agent of node `n1`");
    let alone = Around { controller: Err("no controller leads".to_owned()), ..around() };
    check(&alone, &json!({}), pending, "is not decided yet, and no controller leads");
}

fn refused(uid: &str, created: i64) -> Pod {
    let refusal = PodRefusal {
        pod: uid.to_owned(),
        code: "full".to_owned(),
        text: "subnet `a` has no free address".to_owned(),
        counts: vec![annotation::RefusalCount { what: "held".to_owned(), value: "254".to_owned() }],
        hint: "add one".to_owned(),
    };
    let refusal = serde_json::to_string(&refusal).unwrap();
    let created = Timestamp::from_second(created).unwrap().to_string();
    pod(
        &json!({"metadata": {"uid": uid, "creationTimestamp": created, "annotations": {"allotment.dev/refusal": refusal}}}),
    )
}

#[test]
fn where_a_refused_pod_waits() {
    let pods = [refused("u3", 30), refused("u1", 10), refused("u2", 20), pod(&json!({}))];
    let around = Around { waiting: waiting(&pods), ..around() };
    let row = around.explain(&pods[2], &Settings::default());
    assert_eq!(
        row.why,
        "waits on node `n1`, number 2 of 3 that wait: subnet `a` has no free address: 254 held (full)"
    );
    assert_eq!((row.code.as_deref(), row.hint.as_deref()), (Some("full"), Some("add one")));
    assert_eq!((row.counts[0].what.as_str(), row.counts[0].value.as_str()), ("held", "254"));
    // A copied refusal speaks of another pod.
    let mut copy = pods[2].clone();
    copy.metadata.uid = Some("u9".to_owned());
    assert_eq!(around.explain(&copy, &Settings::default()).code.as_deref(), Some(PENDING));
    assert_eq!(waiting(&[copy]), Vec::<String>::new());
}

#[test]
fn whether_somebody_leads() {
    let lease = |holder: &str, renewed: i64| -> Lease {
        let renewed = Timestamp::from_second(renewed).unwrap().to_string();
        let spec = json!({"holderIdentity": holder, "leaseDurationSeconds": 4, "renewTime": renewed});
        serde_json::from_value(json!({"metadata": {"name": LEASE}, "spec": spec})).unwrap()
    };
    let now = Timestamp::from_second(100).unwrap();
    assert_eq!(controller(&[lease("a", 97)], now), Ok(()));
    assert_eq!(controller(&[lease("a", 60)], now), Err("controller `a` was heard of 40 s ago".to_owned()));
    assert_eq!(controller(&[lease("a", 200)], now), Ok(()), "clocks differ");
    assert_eq!(controller(&[lease("", 99)], now), Err("no controller leads".to_owned()));
    assert_eq!(controller(&[], now), Err("no controller leads".to_owned()));
}
