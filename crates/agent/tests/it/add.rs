//! What ADD, CHECK and GC are answered.

use allotment_api::annotation;
use serde_json::{Value, json};

use crate::world::{World, attachment, call, grant, wait_until};

const NETWORKS: (&str, &str) = ("k8s.v1.cni.cncf.io/networks", "lan");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_is_there_is_answered_whole() {
    let world = World::new("whole").await;
    let pod = world.pod("a", &[NETWORKS]).await;
    world.grant(&pod, &[("net1", "lan", "10.1.0.7")]).await;
    let answer = world.call(&call("ADD", &pod, "c1", "net1", "lan")).await.unwrap();
    let expect = json!({
        "cniVersion": "1.1.0",
        "ips": [{"address": "10.1.0.7/16", "gateway": "10.1.0.1"}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}],
        "dns": {"nameservers": ["10.1.0.53"]},
    });
    assert_eq!(answer, expect);
    let old = call("ADD", &pod, "c1", "net1", "lan").config("cniVersion", json!("0.4.0"));
    assert_eq!(world.call(&old).await.unwrap()["ips"][0]["version"], "4");
    let failure =
        world.add(&call("ADD", &pod, "c1", "net1", "lan").args("IgnoreUnknown=1")).await.unwrap_err();
    assert_eq!(failure.code, 4, "{failure:?}");
    let fixed = json!({"type": "static", "addresses": [{"address": "10.1.0.7/24"}]});
    let foreign = call("ADD", &pod, "c1", "net1", "lan").config("ipam", fixed);
    assert_eq!(world.add(&foreign).await.unwrap_err().code, 7);
    // As Flannel writes it, whose part of the network this node has.
    for (part, expect) in [("10.1.0.0/24", Ok("10.1.0.7/24")), ("10.9.0.0/24", Err(102))] {
        let ipam = json!({"type": "allotment", "ranges": [[{"subnet": part}]]});
        let answer = world.add(&call("ADD", &pod, "c1", "net1", "lan").config("ipam", ipam)).await;
        let answer = answer.map(|addresses| addresses[0].clone()).map_err(|error| error.code);
        assert_eq!(answer.as_deref().map_err(|code| *code), expect, "{part}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_add_waits_for_its_pod_and_then_for_its_grant() {
    let world = World::new("waits").await;
    let pod = world.pod("a", &[NETWORKS]).await;
    let early = tokio::spawn(world.call(&call("ADD", &pod, "c1", "net1", "lan")));
    world.grant(&pod, &[("net1", "lan", "10.1.0.8")]).await;
    let answer = early.await.unwrap().unwrap();
    assert_eq!(answer["ips"][0]["address"], "10.1.0.8/16");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k2_a_copied_grant_is_not_served() {
    let world = World::new("copied").await;
    let pod = world.pod("a", &[NETWORKS]).await;
    let copy = grant("another-uid", &world.node_uid().await, &[("net1", "lan", "10.1.0.66")]);
    world.annotate(&pod, annotation::GRANT, &copy.to_string()).await;
    let add = tokio::spawn(world.call(&call("ADD", &pod, "c1", "net1", "lan")));
    world.grant(&pod, &[("net1", "lan", "10.1.0.9")]).await;
    assert_eq!(add.await.unwrap().unwrap()["ips"][0]["address"], "10.1.0.9/16");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_for_another_machine_of_the_name_waits_until_the_node_is_that_one() {
    let world = World::new("renewed").await;
    let pod = world.pod("a", &[NETWORKS]).await;
    // The node was replaced under its name, and its kubelet has made a new Node object.
    let nodes: kube::Api<allotment_cluster::Node> = kube::Api::all(world.client().clone());
    let before = world.node_uid().await;
    nodes.delete(&world.node, &kube::api::DeleteParams::default()).await.unwrap();
    world.pods.nodes(&[&world.node]).await.unwrap();
    assert_ne!(world.node_uid().await, before);
    world.grant(&pod, &[("net1", "lan", "10.1.0.10")]).await;
    assert_eq!(world.add(&call("ADD", &pod, "c1", "net1", "lan")).await.unwrap(), ["10.1.0.10/16"]);
    let now = world.node_uid().await;
    let status = world.published("the new UID", |status| status.node_uid == now).await;
    assert_eq!(status.earlier_uids, [before]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_at_once_with_its_code_and_hint() {
    let world = World::new("refused").await;
    for (code, cni) in [("full", 100), ("taken", 101), ("not-allowed", 102), ("invalid", 7)] {
        let pod = world.pod(code, &[NETWORKS]).await;
        let refusal = json!({"pod": pod.uid, "code": code, "text": "subnet `a` is full", "hint": "add a subnet",
            "counts": [{"what": "held", "value": "254"}]});
        let add = tokio::spawn(world.call(&call("ADD", &pod, "c1", "net1", "lan")));
        world.annotate(&pod, annotation::REFUSAL, &refusal.to_string()).await;
        let failure = add.await.unwrap().unwrap_err();
        assert_eq!(
            (failure.code, failure.msg.as_str(), failure.details.as_str()),
            (cni, "subnet `a` is full: 254 held", "add a subnet")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k3_several_uses_of_one_network() {
    let world = World::new("several").await;
    let pod = world.pod("a", &[("k8s.v1.cni.cncf.io/networks", "lan,lan")]).await;
    world.grant(&pod, &[("net1", "lan", "10.1.0.11"), ("net2", "lan", "10.1.0.12")]).await;
    let add = async |sandbox: &str, interface: &str| {
        world.add(&call("ADD", &pod, sandbox, interface, "lan")).await.unwrap()
    };
    // A network that all pods get has shifted the numbers; a repeated call gets what it got.
    assert_eq!(add("c1", "net2").await, ["10.1.0.11/16"]);
    assert_eq!(add("c1", "net3").await, ["10.1.0.12/16"]);
    assert_eq!(add("c1", "net2").await, ["10.1.0.11/16"]);
    // Another attempt at the pod begins anew.
    assert_eq!(add("c2", "net1").await, ["10.1.0.11/16"]);
    assert_eq!(add("c2", "net2").await, ["10.1.0.12/16"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k1_what_the_pod_does_not_announce_is_asked_for() {
    let world = World::new("asks").await;
    let pod = world.pod("a", &[]).await;
    let config = json!({"type": "allotment", "subnets": ["rack-a"], "ips": ["10.1.0.20"]});
    let ask = call("ADD", &pod, "c1", "eth0", "cluster").config("ipam", config);
    let add = tokio::spawn(world.call(&ask));
    let status = world.published("the ask", |status| !status.asks.is_empty()).await;
    let asked = &status.asks[0];
    assert_eq!((asked.pod_uid.as_str(), asked.name.as_str()), (pod.uid.as_str(), pod.name.as_str()));
    assert_eq!((asked.interface.as_str(), asked.network.as_str()), ("eth0", "cluster"));
    assert_eq!(
        (asked.subnets.clone(), asked.ips[0].to_string()),
        (vec!["rack-a".to_owned()], "10.1.0.20".to_owned())
    );
    let granted = attachment(&("eth0", "cluster", "10.1.0.20"));
    world.spec(json!({"answers": [{"id": asked.id, "grant": granted}]})).await;
    assert_eq!(add.await.unwrap().unwrap()["ips"][0]["address"], "10.1.0.20/16");
    // The same again is answered from the journal.
    assert_eq!(world.add(&ask).await.unwrap(), ["10.1.0.20/16"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k1_a_refused_ask_is_told_and_withdrawn() {
    let world = World::new("askless").await;
    let pod = world.pod("a", &[]).await;
    let add = tokio::spawn(world.call(&call("ADD", &pod, "c1", "eth0", "cluster")));
    let status = world.published("the ask", |status| !status.asks.is_empty()).await;
    let refusal = json!({"pod": pod.uid, "code": "full", "text": "subnet `a` is full", "hint": "add one"});
    world.spec(json!({"answers": [{"id": status.asks[0].id, "refusal": refusal}]})).await;
    assert_eq!(add.await.unwrap().unwrap_err().code, 100);
    world.published("that nothing is asked any more", |status| status.asks.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k6_a_static_pod_is_asked_for_under_its_hash() {
    let world = World::new("static").await;
    let hash = "5d41402abc4b2a76b9719d911017c592";
    let mut pod = world
        .pod("etcd", &[("kubernetes.io/config.mirror", hash), ("kubernetes.io/config.hash", hash)])
        .await;
    pod.uid = hash.to_owned();
    let add = tokio::spawn(world.call(&call("ADD", &pod, "c1", "eth0", "cluster")));
    let status = world.published("the ask", |status| !status.asks.is_empty()).await;
    assert_eq!(status.asks[0].pod_uid, hash);
    let granted = attachment(&("eth0", "cluster", "10.1.0.21"));
    world.spec(json!({"answers": [{"id": status.asks[0].id, "grant": granted}]})).await;
    assert_eq!(add.await.unwrap().unwrap()["ips"][0]["address"], "10.1.0.21/16");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_and_gc_know_what_was_given() {
    let world = World::new("checks").await;
    let pod = world.pod("a", &[NETWORKS]).await;
    world.grant(&pod, &[("net1", "lan", "10.1.0.30")]).await;
    world.add(&call("ADD", &pod, "c1", "net1", "lan")).await.unwrap();
    let check = |address: &str| {
        let previous = json!({"cniVersion": "1.1.0", "ips": [{"address": address, "gateway": "10.1.0.1"}]});
        call("CHECK", &pod, "c1", "net1", "lan").config("prevResult", previous)
    };
    assert_eq!(world.call(&check("10.1.0.30/16")).await.unwrap(), Value::Null);
    assert_eq!(world.call(&check("10.1.0.31/16")).await.unwrap_err().code, 103);
    assert_eq!(world.call(&call("CHECK", &pod, "c2", "net1", "lan")).await.unwrap_err().code, 103);
    assert_eq!(world.call(&call("STATUS", &pod, "", "", "lan")).await.unwrap(), Value::Null);
    let gc = |valid: Value| call("GC", &pod, "", "", "lan").config("cni.dev/valid-attachments", valid);
    world.call(&gc(json!([{"containerID": "c1", "ifname": "net1"}]))).await.unwrap();
    world.call(&call("GC", &pod, "", "", "lan")).await.unwrap();
    world.call(&check("10.1.0.30/16")).await.unwrap();
    world.call(&gc(json!([]))).await.unwrap();
    assert_eq!(world.call(&check("10.1.0.30/16")).await.unwrap_err().code, 103);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_del_ends_the_add_that_waits() {
    let world = World::new("overtaken").await;
    let pod = world.pod("a", &[NETWORKS]).await;
    let add = tokio::spawn(world.call(&call("ADD", &pod, "c1", "net1", "lan")));
    let failure = wait_until("the end of the ADD", async || {
        world.call(&call("DEL", &pod, "c1", "net1", "lan")).await.unwrap();
        add.is_finished().then_some(())
    });
    failure.await;
    let failure = add.await.unwrap().unwrap_err();
    assert!(failure.code == 11 && failure.msg.contains("a DEL came"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_add_of_a_pod_that_is_deleted_meanwhile_ends() {
    let world = World::new("deleted").await;
    let pod = world.pod("a", &[NETWORKS]).await;
    let marker = world.pod("b", &[NETWORKS]).await;
    let add = tokio::spawn(world.call(&call("ADD", &pod, "c1", "net1", "lan")));
    // Once the agent answers for a pod that was made later, it has seen this one.
    world.grant(&marker, &[("net1", "lan", "10.1.0.40")]).await;
    world.add(&call("ADD", &marker, "c2", "net1", "lan")).await.unwrap();
    world.pods.remove(&pod).await.unwrap();
    let failure = add.await.unwrap().unwrap_err();
    assert!(failure.code == 11 && failure.msg.contains("deleted"), "{failure:?}");
}
