//! Random faults for a while: nothing is doubled, nothing is lost, everything comes back.
//!
//! `ALLOTMENT_SEED` repeats a run's plan, `ALLOTMENT_FAULTS` says for how many seconds.

use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use allotment_fleet::{ControlPlane, Networks};
use futures_util::future::try_join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use tokio::time::Instant;

use crate::world::{World, config};

mod chaos;
mod claims;
mod plan;
mod worker;

use claims::Claims;
use plan::Draw;
use worker::Worker;

const WORKERS: usize = 6;
const NODES: usize = 4;

/// A run of the gate; one through the night is longer.
const SECONDS: u64 = 45;

/// Few addresses, so that what one pod leaves is soon the next one's.
const OBJECTS: &str = "\
{apiVersion: allotment.dev/v1alpha1, kind: Subnet, metadata: {name: small}, spec: {cidrs: [10.79.0.0/26], cooling: 1s}}
---
{apiVersion: allotment.dev/v1alpha1, kind: Subnet, metadata: {name: second}, spec: {cidrs: [10.80.0.0/26], cooling: 0s}}
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: second, namespace: default}
spec: {config: '{\"cniVersion\": \"1.0.0\", \"type\": \"macvlan\", \"ipam\": {\"type\": \"allotment\", \"subnets\": [\"second\"]}}'}
";

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn nothing_is_doubled_and_nothing_is_lost_whatever_fails() {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    let plane = PLANE.get_or_init(|| ControlPlane::start().unwrap());
    let seed = number("ALLOTMENT_SEED")
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
    let seconds = number("ALLOTMENT_FAULTS").unwrap_or(SECONDS);
    eprintln!("ALLOTMENT_SEED={seed} ALLOTMENT_FAULTS={seconds} repeats the plan of this run");
    let second = config("second", &json!({"type": "allotment", "subnets": ["second"]}));
    let networks = Networks::default().define("default/second", second);
    let world = Arc::new(World::new(plane, "faulty", NODES, OBJECTS, networks).await);
    let stateful_set = stateful_set(&world).await;
    let claims = Arc::new(Claims::default());
    let until = Instant::now() + Duration::from_secs(seconds);
    let worker = |number: usize| {
        let (world, claims, stateful_set) = (Arc::clone(&world), Arc::clone(&claims), stateful_set.clone());
        let worker = Worker { world, claims, number, stateful_set, kept: None };
        worker.run(Draw::new(seed, 1 + number as u64), until)
    };
    let troubles = chaos::run(&world, Draw::new(seed, 0), until);
    let (troubles, pods) = tokio::join!(troubles, try_join_all((0..WORKERS).map(worker)));
    let troubles = troubles.unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    let pods = pods.unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    let (given, wrong) = claims.verdict();
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    assert!(given > 0, "seed {seed}: nothing was given at all");
    eprintln!("{} pods, {given} addresses, {troubles} troubles", pods.iter().sum::<usize>());
    audit(&world, seed);
    // The ordinals' addresses go with their owner.
    let sets: Api<StatefulSet> = Api::default_namespaced(world.client.clone());
    worker::eventually(async || {
        Ok(sets.delete("db", &kube::api::DeleteParams::default()).await.map(drop)?)
    })
    .await
    .unwrap();
    world.wait_released(&["small", "second"]).await;
    audit(&world, seed);
}

/// The ledger and everything that is shown agree.
fn audit(world: &World, seed: u64) {
    let mut audit = Command::new(world.allot.tool());
    let output = audit.args(["audit", "--kubeconfig"]).arg(world.plane.kubeconfig()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "seed {seed}: {}{}", text(&output.stdout), text(&output.stderr));
}

/// A set with an ordinal for each worker; there is nobody who makes its pods but them.
async fn stateful_set(world: &World) -> String {
    let sets: Api<StatefulSet> = Api::default_namespaced(world.client.clone());
    let labels = json!({"app": "db"});
    let set = json!({"metadata": {"name": "db"}, "spec": {"replicas": WORKERS, "serviceName": "db",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "none"}]}}}});
    let set = serde_json::from_value(set).unwrap();
    sets.create(&PostParams::default(), &set).await.unwrap().metadata.uid.unwrap()
}
