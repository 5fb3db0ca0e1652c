//! DELs that waited for the daemon.

use std::fs;

use serde_json::{Value, json};

use crate::world::{World, call};

fn names(world: &World) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(world.pending())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn leave(world: &World, name: &str, body: &Value) {
    fs::write(world.pending().join(name), body.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_is_released_before_the_next_add() {
    let world = World::new(&[("tiny", &["10.1.0.0/30"])]).await;
    let add = |id| call("ADD", id).ipam("subnets", json!(["tiny"]));
    world.add(add("c1")).await.unwrap();
    leave(&world, "c1@eth0@lan.json", &call("DEL", "c1").0);
    // The same container again gets its address back: the DEL was done first, or it would lose it afterwards.
    assert_eq!(world.add(add("c1")).await.unwrap(), ["10.1.0.2/30"]);
    assert!(names(&world).is_empty());
    assert_eq!(world.active().await, ["10.1.0.2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_is_released_without_an_add() {
    let world = World::new(&[("a", &["10.0.0.0/16"])]).await;
    for index in 0..100 {
        let id = format!("c{index}");
        world.add(call("ADD", &id).ipam("subnets", json!(["a"]))).await.unwrap();
        leave(&world, &format!("{id}.json"), &call("DEL", &id).0);
    }
    let service = world.service.clone();
    let follower =
        tokio::spawn(async move { service.follow_pending(std::time::Duration::from_millis(10)).await });
    while !names(&world).is_empty() {
        tokio::task::yield_now().await;
    }
    follower.abort();
    assert!(world.active().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_make_no_sense_are_moved_aside_and_hold_nobody_up() {
    let world = World::new(&[("a", &["10.0.0.0/24"])]).await;
    let add = |id: &str| call("ADD", id).ipam("subnets", json!(["a"]));
    world.add(add("c1")).await.unwrap();
    leave(&world, "add.json", &call("ADD", "c1").0);
    leave(&world, "nobody.json", &call("DEL", "").0);
    leave(&world, "good.json", &call("DEL", "c1").0);
    fs::write(world.pending().join("empty.json"), "").unwrap();
    fs::write(world.pending().join("half.json"), "{\"command\":\"DEL\",\"contai").unwrap();
    fs::write(world.pending().join(".unfinished"), "{").unwrap();
    fs::create_dir(world.pending().join("folder")).unwrap();
    world.add(add("c2")).await.unwrap();
    let expect =
        [".unfinished", "add.json.bad", "empty.json.bad", "folder.bad", "half.json.bad", "nobody.json.bad"];
    assert_eq!(names(&world), expect);
    world.add(add("c3")).await.unwrap();
    assert_eq!(names(&world), expect, "and are not looked at again");
    assert_eq!(world.active().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_del_that_the_engine_cannot_do_is_kept() {
    let world = World::new(&[("a", &["10.0.0.0/24"])]).await;
    let add = call("ADD", "c1").ipam("subnets", json!(["a"]));
    world.add(add.clone()).await.unwrap();
    let engine = world.engine.clone();
    engine.stop().await;
    world.call(call("DEL", "c1")).await.unwrap();
    assert_eq!(names(&world).len(), 1);
    let failure = world.call(add).await.unwrap_err();
    assert_eq!(failure.code, 11);
    assert!(failure.msg.contains("releases"), "no ADD before what waits: {failure:?}");
    drop(engine);
    let world = World::start(world.stop().await);
    let other = call("ADD", "c2").ipam("subnets", json!(["a"]));
    assert_eq!(world.add(other).await.unwrap(), ["10.0.0.3/24"]);
    assert_eq!(world.active().await, ["10.0.0.3"], "the first one's cools");
    assert!(names(&world).is_empty());
}
