//! An API server that is away, and what the agent asks of one that is there.

use allotment_fleet::Proxy;
use allotment_fleet::proxy::Which;

use crate::world::{World, call, plane};

const NETWORKS: (&str, &str) = ("k8s.v1.cni.cncf.io/networks", "lan");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_api_server_it_serves_what_it_knows() {
    let mut world = World::without_agent("alone").await;
    let proxy = Proxy::start(plane()).unwrap();
    world.kubeconfig = proxy.kubeconfig().unwrap();
    world.start().await;
    world.ready().await;
    let (pod, other) = (world.pod("a", &[NETWORKS]).await, world.pod("b", &[NETWORKS]).await);
    world.grant(&pod, &[("net1", "lan", "10.1.4.1")]).await;
    let add = call("ADD", &pod, "c1", "net1", "lan");
    let answer = world.call(&add).await.unwrap();
    world.stop().await;
    proxy.refuse();
    world.start().await;
    assert_eq!(world.call(&add).await.unwrap(), answer, "the same again");
    world.call(&call("CHECK", &pod, "c1", "net1", "lan")).await.unwrap();
    world.call(&call("STATUS", &pod, "", "", "lan")).await.unwrap();
    // A new one waits until the API server is back.
    world.grant(&other, &[("net1", "lan", "10.1.4.2")]).await;
    let waiting = tokio::spawn(world.call(&call("ADD", &other, "c2", "net1", "lan")));
    world.call(&call("DEL", &pod, "c1", "net1", "lan")).await.unwrap();
    assert_eq!(world.call(&call("CHECK", &pod, "c1", "net1", "lan")).await.unwrap_err().code, 103);
    proxy.heal();
    assert_eq!(waiting.await.unwrap().unwrap()["ips"][0]["address"], "10.1.4.2/16");
    world.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_add_asks_the_api_server_nothing_and_ends_share_writes() {
    let mut world = World::without_agent("counted").await;
    let proxy = Proxy::start(plane()).unwrap();
    world.kubeconfig = proxy.kubeconfig().unwrap();
    world.start().await;
    world.ready().await;
    proxy.forget();
    let mut pods = Vec::new();
    for number in 0..30_u8 {
        let pod = world.pod(&format!("p{number}"), &[NETWORKS]).await;
        world.grant(&pod, &[("net1", "lan", &format!("10.1.5.{number}"))]).await;
        world.add(&call("ADD", &pod, &format!("c{number}"), "net1", "lan")).await.unwrap();
        pods.push(pod);
    }
    assert_eq!(proxy.requests().into_iter().collect::<Vec<_>>(), [], "neither ADDs nor grants");
    let began = std::time::Instant::now();
    for (number, pod) in pods.iter().enumerate() {
        world.call(&call("DEL", pod, &format!("c{number}"), "net1", "lan")).await.unwrap();
        world.pods.remove(pod).await.unwrap();
    }
    let last = world.pod("marker", &[]).await;
    let version = world.pods.get(&last).await.unwrap().unwrap().metadata.resource_version.unwrap();
    let wanted: u64 = version.parse().unwrap();
    world
        .published("the ends", |status| {
            crate::world::reached(status) + 2 >= wanted && status.still.is_empty()
        })
        .await;
    let batches = began.elapsed().as_millis() / 1500 + 1;
    let writes = proxy.count(&Which::any().resource("nodeattachments/status"));
    assert!(u128::from(writes) <= batches, "{writes} writes in {:?}", began.elapsed());
}
