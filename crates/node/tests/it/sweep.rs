//! Containers that vanish without a DEL.

use std::fs;

use allotment_node::Sweep;
use serde_json::json;

use crate::namespaces::Namespace;
use crate::world::{Call, World, call};

fn add(id: &str, namespace: &Namespace) -> Call {
    call("ADD", id).ipam("subnets", json!(["a"])).set("netns", namespace.path())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_twice_is_released() {
    let (Some(stays), Some(goes)) = (Namespace::new(), Namespace::new()) else { return };
    let world = World::new(&[("a", &["10.0.0.0/24"])]).await;
    world.add(add("c1", &stays)).await.unwrap();
    world.add(add("c2", &goes)).await.unwrap();
    world.add(add("c2", &goes).set("ifname", "net1")).await.unwrap();
    // A namespace that was never seen proves nothing.
    world.add(call("ADD", "c3").ipam("subnets", json!(["a"])).set("netns", "/nowhere")).await.unwrap();
    let mut sweep = Sweep::new(world.engine.clone(), &world.metrics);
    assert_eq!(sweep.pass().await.unwrap(), []);
    drop(goes);
    assert_eq!(sweep.pass().await.unwrap(), [], "once is not enough");
    let released = sweep.pass().await.unwrap();
    let released: Vec<String> = released.iter().map(|allocation| allocation.address.to_string()).collect();
    assert_eq!(released, ["10.0.0.3", "10.0.0.4"]);
    assert_eq!(world.active().await, ["10.0.0.2", "10.0.0.5"]);
    assert_eq!(sweep.pass().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_that_comes_back_elsewhere_keeps_its_address() {
    let (Some(old), Some(new)) = (Namespace::new(), Namespace::new()) else { return };
    let world = World::new(&[("a", &["10.0.0.0/24"])]).await;
    world.add(add("c1", &old)).await.unwrap();
    let mut sweep = Sweep::new(world.engine.clone(), &world.metrics);
    drop(old);
    assert_eq!(sweep.pass().await.unwrap(), []);
    world.add(add("c1", &new)).await.unwrap();
    assert_eq!(sweep.pass().await.unwrap(), []);
    assert_eq!(sweep.pass().await.unwrap(), []);
    assert_eq!(world.active().await, ["10.0.0.2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_release_of_a_namespace_leaves_what_was_given_in_another() {
    let (Some(old), Some(new)) = (Namespace::new(), Namespace::new()) else { return };
    let world = World::new(&[("a", &["10.0.0.0/24"])]).await;
    world.add(add("c1", &old)).await.unwrap();
    let held = world.allocation("default", "10.0.0.2").await.unwrap();
    let netns = held.attachments[0].netns.clone().unwrap();
    // The sweep has seen the old namespace go, and just before it releases the sandbox comes back.
    world.add(add("c1", &new)).await.unwrap();
    let release = allotment_core::Release::Sandbox { container_id: "c1".to_owned(), netns };
    let deadline = std::time::Instant::now() + allotment_node::CALL_LIMIT;
    assert_eq!(world.engine.release(release, deadline).await.unwrap(), []);
    assert_eq!(world.active().await, ["10.0.0.2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_took_the_namespaces_path_is_no_namespace() {
    let Some(namespace) = Namespace::new() else { return };
    let world = World::new(&[("a", &["10.0.0.0/24"])]).await;
    world.add(add("c1", &namespace)).await.unwrap();
    let path = namespace.path();
    drop(namespace);
    fs::write(&path, "").unwrap();
    let mut sweep = Sweep::new(world.engine.clone(), &world.metrics);
    sweep.pass().await.unwrap();
    assert_eq!(sweep.pass().await.unwrap().len(), 1);
    fs::remove_file(path).unwrap();
}
