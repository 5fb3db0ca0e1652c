//! R2: what is published of the ends of attachments, and when.

use allotment_fleet::Pod;
use serde_json::json;

use crate::world::{World, address, call, grant, reached, wait_until};

const NETWORKS: (&str, &str) = ("k8s.v1.cni.cncf.io/networks", "lan");

/// The version at which a pod was gone: that of anything written later is as good.
async fn now(world: &World) -> u64 {
    let marker = world.pod(&format!("marker-{}", std::process::id()), &[]).await;
    let object = world.pods.get(&marker).await.unwrap().unwrap();
    world.pods.remove(&marker).await.unwrap();
    object.metadata.resource_version.unwrap().parse().unwrap()
}

async fn granted(world: &World, name: &str, ip: &str) -> Pod {
    let pod = world.pod(name, &[NETWORKS]).await;
    world.grant(&pod, &[("net1", "lan", ip)]).await;
    pod
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_an_address_lives_until_its_del_and_until_it_is_on_no_interface() {
    let world = World::new("lives").await;
    let pod = granted(&world, "a", "10.1.1.1").await;
    let namespace = world.namespace();
    world.add(&call("ADD", &pod, "c1", "net1", "lan").netns(&namespace)).await.unwrap();
    address(&namespace, "add", "10.1.1.1/16");
    world.pods.remove(&pod).await.unwrap();
    let gone = now(&world).await;
    assert_eq!(world.still(&pod, gone).await, ["10.1.1.1"], "no DEL came");
    // Most plugins call IPAM before they remove the link.
    world.call(&call("DEL", &pod, "c1", "net1", "lan").netns(&namespace)).await.unwrap();
    let later = now(&world).await;
    assert_eq!(world.still(&pod, later).await, ["10.1.1.1"], "it is on an interface");
    address(&namespace, "del", "10.1.1.1/16");
    let status = world.published("its end", |status| status.still.is_empty()).await;
    assert!(reached(&status) >= gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_an_add_that_is_answered_but_not_up_counts_as_alive() {
    let world = World::new("answered").await;
    let pod = granted(&world, "a", "10.1.1.2").await;
    let namespace = world.namespace();
    world.add(&call("ADD", &pod, "c1", "net1", "lan").netns(&namespace)).await.unwrap();
    world.pods.remove(&pod).await.unwrap();
    let gone = now(&world).await;
    assert_eq!(world.still(&pod, gone).await, ["10.1.1.2"], "the interface may be about to come up");
    namespace.end().unwrap();
    world.call(&call("DEL", &pod, "c1", "net1", "lan")).await.unwrap();
    world.published("its end", |status| status.still.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_no_add_is_served_for_a_pod_that_is_gone_or_finished() {
    let world = World::new("never").await;
    let pod = granted(&world, "a", "10.1.1.3").await;
    let finished = granted(&world, "b", "10.1.1.4").await;
    world.pods.phase(&finished, "Succeeded").await.unwrap();
    world.pods.remove(&pod).await.unwrap();
    let gone = now(&world).await;
    assert!(world.still(&pod, gone).await.is_empty());
    let failure = world.add(&call("ADD", &finished, "c2", "net1", "lan")).await.unwrap_err();
    assert!(failure.code == 102 && failure.msg.contains("finished"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_pod_is_told_although_its_object_stays() {
    let world = World::new("finished").await;
    let pod = granted(&world, "a", "10.1.1.5").await;
    world.add(&call("ADD", &pod, "c1", "net1", "lan")).await.unwrap();
    world.pods.phase(&pod, "Failed").await.unwrap();
    let object = world.pods.get(&pod).await.unwrap().unwrap();
    let version: u64 = object.metadata.resource_version.unwrap().parse().unwrap();
    assert_eq!(world.still(&pod, version).await, ["10.1.1.5"]);
    world.call(&call("DEL", &pod, "c1", "net1", "lan")).await.unwrap();
    let status = world.published("its end", |status| status.still.is_empty()).await;
    assert!(reached(&status) >= version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_when_something_starts_and_ends_share_writes() {
    let world = World::new("batches").await;
    let before = world.object().await.unwrap().metadata.resource_version;
    let mut pods = Vec::new();
    for number in 0..20_u8 {
        let pod = granted(&world, &format!("p{number}"), &format!("10.1.2.{number}")).await;
        world.add(&call("ADD", &pod, &format!("c{number}"), "net1", "lan")).await.unwrap();
        pods.push(pod);
    }
    assert_eq!(world.object().await.unwrap().metadata.resource_version, before, "ADDs are no news");
    for (number, pod) in pods.iter().enumerate() {
        world.call(&call("DEL", pod, &format!("c{number}"), "net1", "lan")).await.unwrap();
        world.pods.remove(pod).await.unwrap();
    }
    let gone = now(&world).await;
    let generation = |status: &allotment_api::v1alpha1::NodeAttachmentsStatus| reached(status);
    let status =
        world.published("the ends", |status| generation(status) >= gone || status.still.is_empty()).await;
    assert!(status.still.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r5_the_end_of_a_retained_address_is_told_at_once() {
    let world = World::new("retained").await;
    let pod = world.pod("a", &[NETWORKS]).await;
    let mut kept = grant(&pod.uid, &world.node_uid().await, &[("net1", "lan", "10.1.1.6")]);
    kept["retained"] = json!(true);
    world.annotate(&pod, allotment_api::annotation::GRANT, &kept.to_string()).await;
    world.add(&call("ADD", &pod, "c1", "net1", "lan")).await.unwrap();
    let before = reached(&world.status().await);
    world.pods.remove(&pod).await.unwrap();
    let began = std::time::Instant::now();
    world.call(&call("DEL", &pod, "c1", "net1", "lan")).await.unwrap();
    world.published("its end", |status| reached(status) > before && status.still.is_empty()).await;
    assert!(began.elapsed() < std::time::Duration::from_millis(1400), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_the_controller_may_ask_for_a_newer_as_of() {
    let world = World::new("reach").await;
    let pod = world.pod("a", &[]).await;
    let version = world.pods.get(&pod).await.unwrap().unwrap().metadata.resource_version.unwrap();
    world.spec(json!({"reach": version})).await;
    let wanted: u64 = version.parse().unwrap();
    world.published("a newer asOf", |status| reached(status) >= wanted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l6_a_new_epoch_is_answered_with_everything_that_is_in_use() {
    let world = World::new("epoch").await;
    let pod = granted(&world, "a", "10.1.1.7").await;
    world.add(&call("ADD", &pod, "c1", "net1", "lan")).await.unwrap();
    assert_eq!(world.status().await.epoch, 0);
    world.spec(json!({"epoch": 3})).await;
    let status = world.published("the inventory", |status| status.epoch == 3).await;
    let inventory: Vec<String> = status.inventory.iter().map(|used| used.address.to_string()).collect();
    assert_eq!(inventory, ["10.1.1.7"]);
    assert!(status.still.is_empty());
    // And it goes on serving.
    let other = granted(&world, "b", "10.1.1.8").await;
    assert_eq!(world.add(&call("ADD", &other, "c2", "net1", "lan")).await.unwrap(), ["10.1.1.8/16"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_object_is_made_again() {
    let world = World::new("remade").await;
    let before = world.object().await.unwrap().metadata.uid;
    world.objects.delete(&world.node, &kube::api::DeleteParams::default()).await.unwrap();
    let status = world.published("the object", |status| !status.node_uid.is_empty());
    assert_eq!(status.await.node_uid, world.node_uid().await);
    assert_ne!(world.object().await.unwrap().metadata.uid, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_given_up_when_nothing_on_it_has_an_address_any_more() {
    let world = World::new("retire").await;
    let pods = [granted(&world, "runs", "10.1.9.1").await, granted(&world, "late", "10.1.9.2").await];
    let namespace = world.namespace();
    let cni = |command: &str| call(command, &pods[0], "c1", "net1", "lan").netns(&namespace);
    world.add(&cni("ADD")).await.unwrap();
    let agent = &world.running.as_ref().unwrap().agent;
    let mut retiring = std::pin::pin!(agent.retire());
    let mut is_over = async || {
        tokio::select! {
            biased;
            () = &mut retiring => true,
            () = std::future::ready(()) => false,
        }
    };
    assert!(!is_over().await, "10.1.9.1 is in use");
    let refused = world.call(&call("ADD", &pods[1], "c2", "net1", "lan")).await.unwrap_err();
    assert!(refused.code == 11 && refused.msg.contains("taken off this node"), "{refused:?}");
    world.call(&cni("DEL")).await.unwrap();
    wait_until("nothing is in use", async || is_over().await.then_some(())).await;
}
