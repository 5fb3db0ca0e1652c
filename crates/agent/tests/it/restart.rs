//! Agents that end, and what the next one knows.

use std::fs;

use allotment_fleet::Pod;

use crate::world::{World, address, call};

const NETWORKS: (&str, &str) = ("k8s.v1.cni.cncf.io/networks", "lan");

async fn granted(world: &World, name: &str, ip: &str) -> Pod {
    let pod = world.pod(name, &[NETWORKS]).await;
    world.grant(&pod, &[("net1", "lan", ip)]).await;
    pod
}

fn as_of(text: Option<String>) -> u64 {
    text.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_journal_it_knows_everything() {
    let mut world = World::new("journal").await;
    let (pod, other) = (granted(&world, "a", "10.1.3.1").await, granted(&world, "b", "10.1.3.2").await);
    let namespace = world.namespace();
    let add = call("ADD", &pod, "c1", "net1", "lan").netns(&namespace);
    world.add(&add).await.unwrap();
    world.add(&call("ADD", &other, "c2", "net1", "lan")).await.unwrap();
    world.call(&call("DEL", &other, "c2", "net1", "lan")).await.unwrap();
    world.stop().await;
    // The pod goes while nobody looks.
    world.pods.remove(&pod).await.unwrap();
    let marker = world.pod("marker", &[]).await;
    let gone = as_of(world.pods.get(&marker).await.unwrap().unwrap().metadata.resource_version);
    world.start().await;
    world.ready().await;
    assert_eq!(world.still(&pod, gone).await, ["10.1.3.1"]);
    assert!(world.still(&other, gone).await.is_empty());
    world.call(&call("DEL", &pod, "c1", "net1", "lan").netns(&namespace)).await.unwrap();
    world.published("its end", |status| status.still.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_without_its_journal_it_looks_for_what_lives() {
    let mut world = World::new("lost").await;
    let pod = granted(&world, "a", "10.1.3.7").await;
    let namespace = world.namespace();
    world.add(&call("ADD", &pod, "c1", "net1", "lan").netns(&namespace)).await.unwrap();
    address(&namespace, "add", "10.1.3.7/16");
    world.stop().await;
    fs::remove_dir_all(world.state()).unwrap();
    world.start().await;
    world.ready().await;
    let is_alive = |status: &allotment_api::v1alpha1::NodeAttachmentsStatus| {
        status.still.iter().any(|still| still.address.to_string() == "10.1.3.7")
    };
    assert!(is_alive(&world.status().await), "with the first publication");
    namespace.end().unwrap();
    world.published("its end", |status| !is_alive(status)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_del_while_it_is_away_is_done_before_the_next_add() {
    let mut world = World::new("left").await;
    let pod = granted(&world, "a", "10.1.3.8").await;
    world.add(&call("ADD", &pod, "c1", "net1", "lan")).await.unwrap();
    world.stop().await;
    // What the plugin leaves.
    let del = serde_json::json!({"command": "DEL", "containerId": "c1", "ifname": "net1", "config": {"name": "lan"}});
    fs::write(world.folder.path().join("pending-del/c1.json"), del.to_string()).unwrap();
    world.pods.remove(&pod).await.unwrap();
    world.start().await;
    world.ready().await;
    let other = granted(&world, "b", "10.1.3.9").await;
    world.add(&call("ADD", &other, "c2", "net1", "lan")).await.unwrap();
    world.published("its end", |status| status.still.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_cut_at_any_byte_never_forgets_what_lives() {
    let mut world = World::new("torn").await;
    let pod = granted(&world, "a", "10.1.3.20").await;
    let namespace = world.namespace();
    world.add(&call("ADD", &pod, "c1", "net1", "lan").netns(&namespace)).await.unwrap();
    address(&namespace, "add", "10.1.3.20/16");
    world.stop().await;
    world.pods.remove(&pod).await.unwrap();
    let mut whole = fs::read(world.state().join("journal")).unwrap();
    // Behind the last entry there are only zeros.
    whole.truncate(whole.iter().rposition(|byte| *byte != 0).unwrap() + 1);
    // Each cut takes a start, so not every byte has one; `no_changed_byte_goes_unnoticed` has. A file that ends with a whole
    // entry cannot be told from one that was never longer: no crash of an agent makes such a one of what was durable.
    let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
    let begins = std::iter::once(0).chain(ends.iter().map(|end| end + 1));
    let cuts: Vec<usize> =
        begins.zip(&ends).flat_map(|(begin, end)| [begin + 1, usize::midpoint(begin, *end), *end]).collect();
    for cut in [0].into_iter().chain(cuts).chain([whole.len()]) {
        fs::write(world.state().join("journal"), &whole[..cut]).unwrap();
        world.start().await;
        world.ready().await;
        let status = world.status().await;
        let lives = status.still.iter().any(|still| still.address.to_string() == "10.1.3.20");
        assert!(lives, "cut at {cut} of {}: {status:?}", whole.len());
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_as_good_as_none() {
    let mut world = World::new("damaged").await;
    let pod = granted(&world, "a", "10.1.3.30").await;
    let namespace = world.namespace();
    world.add(&call("ADD", &pod, "c1", "net1", "lan").netns(&namespace)).await.unwrap();
    address(&namespace, "add", "10.1.3.30/16");
    world.stop().await;
    world.pods.remove(&pod).await.unwrap();
    let path = world.state().join("journal");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("10.1.3.30"));
    fs::write(&path, text.replace("10.1.3.30", "10.1.3.31")).unwrap();
    world.start().await;
    world.ready().await;
    let status = world.status().await;
    let lives = status.still.iter().any(|still| still.address.to_string() == "10.1.3.30");
    assert!(lives, "{status:?}");
}
