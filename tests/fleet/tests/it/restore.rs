//! A backup of the ledger, and the ledger from it, while pods run on.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use allotment_fleet::{Controller, Namespace, Template};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::rights::{Installed, NODES, sent};
use crate::world::PATIENCE;

const BLOCKS: &str = "/apis/allotment.dev/v1alpha1/addressblocks";
const KEEP: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/allotment-keep";
const POLL: Duration = Duration::from_millis(50);

/// Exit code, standard output and standard error of a command of the tool.
fn allot(cluster: &Installed, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(cluster.allot.tool());
    let Output { status, stdout, stderr } =
        command.args(args).arg("--kubeconfig").arg(cluster.plane.kubeconfig()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Who has what.
fn held(cluster: &Installed) -> BTreeMap<String, Value> {
    let (code, rows, said) = allot(cluster, &["ip", "-o", "json"]);
    assert_eq!(code, 0, "{said}");
    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
    rows.into_iter()
        .map(|row| {
            (row["address"].as_str().unwrap().to_owned(), json!([row["owner"], row["state"], row["node"]]))
        })
        .collect()
}

/// Deletes the whole ledger: the policy that was lifted is asked for a moment longer.
async fn wait_lost(cluster: &Installed) {
    sent(&cluster.admin, "DELETE", KEEP, "application/json", &json!({})).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = sent(&cluster.admin, "DELETE", BLOCKS, "application/json", &json!({})).await {
        assert!(Instant::now() < deadline, "{error}");
        sleep(POLL).await;
    }
}

async fn wait_leading(controller: &Controller) {
    let deadline = Instant::now() + PATIENCE;
    while !controller.readiness().is_ok_and(|says| says.contains("leading")) {
        assert!(Instant::now() < deadline, "{:?}", controller.readiness());
        sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l6_a_lost_ledger_comes_back_from_a_backup_under_running_pods() {
    let cluster = Installed::new().await;
    let controller = cluster.controller("before").await;
    let agents = cluster.agents().await;
    let kubelet = cluster.kubelet(&agents[0]);
    let namespace = Namespace::new(cluster.folder.path()).unwrap();
    let start = async |name: &str| {
        let template =
            Template::new("default", name).on(NODES[0]).annotate("allotment.dev/subnets", "rights");
        let pod = cluster.pods.create(&template).await.unwrap();
        kubelet.start(&pod, namespace.path(), PATIENCE).await.unwrap();
    };
    for name in ["a", "b", "c"] {
        start(name).await;
    }
    let before = held(&cluster);
    assert_eq!(before.len(), 3, "{before:?}");
    let (code, backup, said) = allot(&cluster, &["export"]);
    assert_eq!(code, 0, "{said}");
    let backup_file = cluster.folder.path().join("backup.jsonl");
    std::fs::write(&backup_file, &backup).unwrap();
    let backup_file = backup_file.display().to_string();

    controller.server.stop().unwrap();
    wait_lost(&cluster).await;
    assert!(held(&cluster).is_empty());
    let (code, _, said) = allot(&cluster, &["import", &backup_file]);
    assert!(code == 2 && said.contains("run it with --yes"), "{said}");
    assert!(held(&cluster).is_empty());
    let (code, objects, said) = allot(&cluster, &["import", &backup_file, "--yes"]);
    assert!(code == 0 && said.contains("imported 4 objects and 3 addresses"), "{said}");
    assert!(objects.contains("kind: IPPool") && objects.contains("name: rights"), "{objects}");
    assert_eq!(held(&cluster), before);

    let controller = cluster.controller("after").await;
    wait_leading(&controller).await;
    assert_eq!(held(&cluster), before, "a controller leaves it so");
    start("d").await;
    let (code, found, said) = allot(&cluster, &["audit", "-o", "json"]);
    assert_eq!(code, 0, "{found}{said}");
    controller.server.stop().unwrap();
    for agent in agents {
        agent.server.stop().unwrap();
    }
}
