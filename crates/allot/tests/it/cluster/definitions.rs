//! The custom resource definitions: what they take, what they refuse and with which words, what people see of objects.

use std::fs;

use hyper::Request;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{Answer, created, patched, plane, printed};

/// An object of ours as people write it, and where it goes.
fn object(name: &str, case: &Value) -> (String, Value) {
    let kinds = [("Subnet", "subnets"), ("IPPool", "ippools"), ("Reservation", "reservations")];
    let (kind, plural) = kinds.into_iter().find(|(kind, _)| case.get(kind).is_some()).unwrap();
    let mut spec = case[kind].clone();
    if spec["reason"] == "LONG" {
        // 600 characters, 1200 bytes.
        spec["reason"] = "é".repeat(600).into();
    }
    let metadata = json!({"name": name});
    (
        plural.to_owned(),
        json!({"apiVersion": "allotment.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}),
    )
}

/// What the API server says of a new object, which it does not keep.
async fn tried(client: &Client, plural: &str, object: &Value) -> Answer {
    let path = format!("/apis/allotment.dev/v1alpha1/{plural}?dryRun=All&fieldValidation=Strict");
    created(client, &path, object).await
}

fn cases(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_str(yaml).unwrap()
}

/// What one machine says of the same object.
fn on_one_machine(object: &Value) -> usize {
    allotment_api::parse("f", &object.to_string()).errors.len()
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_what_to_do() {
    let client = plane().await.client().unwrap();
    let mut wrong = Vec::new();
    for (number, case) in cases(include_str!("refused.yaml")).iter().enumerate() {
        let (plural, object) = object(&format!("refused-{number}"), case);
        let says = case["says"].as_str().unwrap();
        match tried(&client, &plural, &object).await {
            Err(message) if message.contains(says) => {}
            other => wrong.push(format!("{}\nexpected: {says}\nwas: {other:?}", object["spec"])),
        }
        if on_one_machine(&object) == 0 {
            wrong.push(format!("one machine takes {}", object["spec"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn what_one_machine_reads_is_taken() {
    let client = plane().await.client().unwrap();
    for (number, case) in cases(include_str!("accepted.yaml")).iter().enumerate() {
        let (plural, object) = object(&format!("accepted-{number}"), case);
        assert_eq!(on_one_machine(&object), 0, "{object}");
        if let Err(message) = tried(&client, &plural, &object).await {
            panic!("{object}\n{message}");
        }
    }
}

#[tokio::test]
async fn the_examples_are_taken() {
    let client = plane().await.client().unwrap();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut count = 0;
    for folder in fs::read_dir(examples).unwrap().filter_map(|entry| fs::read_dir(entry.unwrap().path()).ok())
    {
        for file in
            folder.map(|file| file.unwrap().path()).filter(|file| file.extension() == Some("yaml".as_ref()))
        {
            let text = fs::read_to_string(&file).unwrap();
            let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            // kubectl sends the items of a list one by one.
            let single = |document: &Value| match &document["items"] {
                Value::Array(items) => items.clone(),
                _ => vec![document.clone()],
            };
            for object in documents.iter().flat_map(single) {
                let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
                if let Err(message) = tried(&client, &plural, &object).await {
                    panic!("{}: {message}", file.display());
                }
                count += 1;
            }
        }
    }
    assert!(count > 5, "{count}");
}

#[tokio::test]
async fn an_object_at_every_limit_costs_no_rule_too_much() {
    let client = plane().await.client().unwrap();
    let many = |count: u32, item: &dyn Fn(u32) -> Value| Value::Array((0..count).map(item).collect());
    let v4 = many(256, &|n| json!(format!("10.{n}.100.100 - 10.{n}.200.200")));
    let v6 = many(256, &|n| {
        json!(format!("fd00:1111:2222:3333:4444:5555:{n:x}:1000 - fd00:1111:2222:3333:4444:5555:{n:x}:2000"))
    });
    let expressions = many(
        64,
        &|n| json!({"key": format!("example.com/label-{n}"), "operator": "In", "values": many(256, &|v| json!(format!("{v:063}")))}),
    );
    for ranges in [v4, v6] {
        let subnet = json!({"Subnet": {
            "cidrs": ["10.0.0.0/8", "fd00:1111:2222:3333:4444:5555::/96"],
            "exclude": ranges,
            "routes": many(64, &|n| json!({"to": format!("10.{n}.0.0/16"), "via": "10.255.255.254"})),
            "namespaces": many(256, &|n| json!(format!("{n:063}"))),
            "networks": many(256, &|n| json!(format!("{n:063}/{n:0253}"))),
        }});
        let pool = json!({"IPPool": {
            "subnet": "a", "ranges": ranges, "podSelector": {"matchExpressions": expressions},
        }});
        let reservation =
            json!({"Reservation": {"subnet": "a", "addresses": ranges, "reason": "x".repeat(1024)}});
        for case in [subnet, pool, reservation] {
            let (plural, object) = object("large", &case);
            assert_eq!(tried(&client, &plural, &object).await.err(), None);
        }
    }
}

#[tokio::test]
async fn applying_twice_changes_nothing_and_warns_of_nothing() {
    let client = plane().await.client().unwrap();
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let documents: Vec<Value> = serde_saphyr::from_multiple(&printed(&["crds"])).unwrap();
    assert_eq!(documents.len(), 5);
    for document in documents {
        let name = document["metadata"]["name"].as_str().unwrap();
        let before = api.get(name).await.unwrap();
        let path = format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}?fieldManager=fleet&fieldValidation=Strict"
        );
        let body = kube::client::Body::from(serde_json::to_vec(&document).unwrap());
        let request =
            Request::patch(path).header("content-type", "application/apply-patch+yaml").body(body).unwrap();
        let answer = client.send(request).await.unwrap();
        let warnings: Vec<_> = answer.headers().get_all("warning").iter().collect();
        assert!(answer.status().is_success() && warnings.is_empty(), "{name}: {warnings:?}");
        let after = api.get(name).await.unwrap();
        assert_eq!(after.metadata.resource_version, before.metadata.resource_version, "{name}");
        // kubectl's own apply keeps the whole of it in an annotation.
        assert!(document.to_string().len() < 200_000);
    }
}

#[tokio::test]
async fn what_is_immutable_says_what_to_do_instead() {
    let client = plane().await.client().unwrap();
    for (case, patch, says) in [
        (
            json!({"Subnet": {"cidrs": ["10.41.0.0/16"]}}),
            json!({"vrf": "blue"}),
            "the VRF is immutable; it is `default`; make a new Subnet in the other VRF",
        ),
        (
            json!({"IPPool": {"subnet": "a", "ranges": ["10.41.0.9"]}}),
            json!({"subnet": "b"}),
            "a pool stays in its subnet, which is `a`; remove the IPPool and make a new one",
        ),
        (
            json!({"Reservation": {"subnet": "a", "addresses": ["10.41.0.9"], "reason": "a test"}}),
            json!({"subnet": "b"}),
            "a reservation stays in its subnet, which is `a`; remove the Reservation and make a new one",
        ),
    ] {
        let (plural, object) = object("immutable", &case);
        let path = format!("/apis/allotment.dev/v1alpha1/{plural}");
        created(&client, &path, &object).await.unwrap();
        let path = format!("{path}/immutable");
        let message = patched(&client, &path, &json!({"spec": patch})).await.unwrap_err();
        assert!(message.contains(says), "{message}");
        let touched = json!({"metadata": {"labels": {"team": "net"}}});
        patched(&client, &path, &touched).await.unwrap();
    }
}

#[tokio::test]
async fn a_list_shows_what_people_look_for() {
    let client = plane().await.client().unwrap();
    let (plural, object) =
        object("shown", &json!({"Subnet": {"vrf": "shown", "cidrs": ["10.42.0.0/16", "fd00:42::/64"]}}));
    let path = format!("/apis/allotment.dev/v1alpha1/{plural}");
    let kept = created(&client, &path, &object).await.unwrap();
    assert_eq!((&kept["spec"]["cooling"], &kept["spec"]["order"]), (&json!("30s"), &json!("oldest")));
    let usage = |family: &str, held: &str, free: &str| json!({"family": family, "total": "9", "held": held, "cooling": "0", "free": free});
    let ready = json!({
        "type": "Ready", "status": "False", "reason": "Overlap", "message": "m",
        "lastTransitionTime": "2026-11-23T10:00:00Z",
    });
    let status = json!({"status": {
        "conditions": [ready], "usage": [usage("IPv4", "2", "65531"), usage("IPv6", "3", "18446744073709551611")],
    }});
    patched(&client, &format!("{path}/shown/status"), &status).await.unwrap();
    let request = Request::get(format!("{path}?fieldSelector=spec.vrf%3Dshown"))
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new());
    let table: Value = client.request(request.unwrap()).await.unwrap();
    let columns: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    let cell = |name: &str| &rows[0]["cells"][columns.iter().position(|column| *column == name).unwrap()];
    for (name, expected) in [
        ("CIDRs", "[\"10.42.0.0/16\",\"fd00:42::/64\"]"),
        ("VRF", "shown"),
        ("Ready", "False"),
        ("Reason", "Overlap"),
        ("Free IPv4", "65531"),
        ("Free IPv6", "18446744073709551611"),
        ("Held IPv6", "3"),
    ] {
        assert_eq!(cell(name), expected, "{name}");
    }
}

#[tokio::test]
async fn what_people_declare_is_one_category_and_has_short_names() {
    let request = Request::get("/apis/allotment.dev/v1alpha1").body(Vec::new());
    let list: Value = plane().await.client().unwrap().request(request.unwrap()).await.unwrap();
    let resources = list["resources"].as_array().unwrap();
    let named = |category: bool| -> Vec<&str> {
        let listed = resources.iter().filter(|resource| !resource["name"].as_str().unwrap().contains('/'));
        let listed = listed.filter(|resource| (resource["categories"] == json!(["allotment"])) == category);
        let mut names: Vec<&str> = listed.map(|resource| resource["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(named(true), ["ippools", "reservations", "subnets"]);
    assert_eq!(named(false), ["addressblocks", "nodeattachments"]);
    for resource in resources {
        assert_eq!(resource["namespaced"], false);
    }
}
