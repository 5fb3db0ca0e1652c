//! `allot doctor`, asked about the manifests on a real API server.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::rights::{Installed, sent};
use crate::world::PATIENCE;

const POLL: Duration = Duration::from_millis(20);

/// Exit code, and how often each code was found.
fn doctor(cluster: &Installed, kubeconfig: &std::path::Path) -> (i32, BTreeMap<String, usize>) {
    let mut command = Command::new(cluster.allot.tool());
    command.args(["doctor", "-o", "json", "--kubeconfig"]).arg(kubeconfig);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let found: Vec<Value> = serde_json::from_slice(&stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stderr)));
    let mut counts = BTreeMap::new();
    for finding in &found {
        *counts.entry(finding["code"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    (status.code().unwrap(), counts)
}

fn counts(found: &[(&str, usize)]) -> BTreeMap<String, usize> {
    found.iter().map(|&(code, count)| (code.to_owned(), count)).collect()
}

/// Nothing runs: what is installed is right, and what has to run is missed.
const NOTHING_RUNS: [(&str, usize); 5] = [
    ("controller-unready", 1),
    ("no-leader", 1),
    ("node-silent", 2),
    ("not-in-force", 4),
    ("webhook-unasked", 1),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_manifests_install_is_right_until_something_of_it_goes() {
    let cluster = Installed::new().await;
    let admin = cluster.plane.kubeconfig();
    assert_eq!(doctor(&cluster, &admin), (1, counts(&NOTHING_RUNS)));

    let bindings = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";
    let json = "application/json";
    for name in ["allotment-keep", "allotment-grants"] {
        sent(&cluster.admin, "DELETE", &format!("{bindings}/{name}"), json, &json!({})).await.unwrap();
    }
    let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/allotment-agent";
    let rules = json!({"rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]});
    sent(&cluster.admin, "PATCH", role, "application/merge-patch+json", &rules).await.unwrap();
    wait_deleted(&cluster, "reservations.allotment.dev").await;
    let more = counts(&[("policy-missing", 2), ("right-missing", 7), ("definition-missing", 1)]);
    let mut wanted = counts(&NOTHING_RUNS);
    wanted.extend(more);
    wanted.insert("not-in-force".to_owned(), 3);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = doctor(&cluster, &admin);
        if found == (1, wanted.clone()) {
            break;
        }
        assert!(Instant::now() < deadline, "{found:?}, not {wanted:?}");
    }
}

/// Deletes a definition: the policy that was lifted is asked for a moment longer.
async fn wait_deleted(cluster: &Installed, definition: &str) {
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition}");
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = sent(&cluster.admin, "DELETE", &path, "application/json", &json!({})).await {
        assert!(Instant::now() < deadline, "{error}");
        sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_may_read_nothing_is_told_so() {
    let cluster = Installed::new().await;
    let (code, found) = doctor(&cluster, &cluster.plane.kubeconfig_for("nobody", &[]).unwrap());
    assert_eq!(code, 1);
    assert!(found.len() == 1 && found["unseen"] > 10, "{found:?}");
}
