//! Where addresses and MACs are asked for, and what counts when several places say something.

use serde_json::json;

use crate::namespaces::{Namespace, give_interface};
use crate::world::{World, call};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nearest_place_that_asks_for_an_address_counts() {
    let world = World::new(&[("a", &["10.0.0.0/24"])]).await;
    let network =
        |id| call("ADD", id).ipam("subnets", json!(["a"])).ipam("ips", json!(["10.0.0.50", "10.0.0.51"]));
    assert_eq!(
        world.add(network("c1")).await.unwrap(),
        ["10.0.0.50/24"],
        "the network's list, each takes one"
    );
    assert_eq!(world.add(network("c2")).await.unwrap(), ["10.0.0.51/24"]);
    assert_eq!(world.add(network("c3")).await.unwrap_err().code, 101, "the list is used up");
    let args = |id| network(id).set("args", "IP=10.0.0.60/24;IP=10.0.0.61/24");
    assert_eq!(world.add(args("c4")).await.unwrap(), ["10.0.0.61/24"], "the last of repeated keys");
    let cni = |id| args(id).config("args", json!({"cni": {"ips": ["10.0.0.70"]}}));
    assert_eq!(world.add(cni("c5")).await.unwrap(), ["10.0.0.70/24"]);
    let runtime = |id| cni(id).config("runtimeConfig", json!({"ips": ["10.0.0.80/24"]}));
    assert_eq!(world.add(runtime("c6")).await.unwrap(), ["10.0.0.80/24"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subnets_of_one_attachment_replace_the_networks() {
    let world = World::new(&[("a", &["10.0.0.0/24"]), ("b", &["10.1.0.0/24"])]).await;
    let add =
        call("ADD", "c1").ipam("subnets", json!(["a"])).config("args", json!({"cni": {"subnets": ["b"]}}));
    assert_eq!(world.add(add).await.unwrap(), ["10.1.0.2/24"]);
    let held = world.allocation("default", "10.1.0.2").await.unwrap();
    assert_eq!(held.rule.choice, allotment_core::Choice::Request);
    world.add(call("ADD", "c2").ipam("subnets", json!(["a"]))).await.unwrap();
    let held = world.allocation("default", "10.0.0.2").await.unwrap();
    assert_eq!(held.rule.choice, allotment_core::Choice::Network);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mac_asked_for_counts_else_the_one_the_interface_has() {
    let Some(namespace) = Namespace::new() else { return };
    give_interface(&namespace, "02:00:5e:00:00:0c", "192.0.2.1/24");
    let world = World::new(&[("a", &["10.0.0.0/24"])]).await;
    let add = |id| call("ADD", id).ipam("subnets", json!(["a"])).set("netns", namespace.path());
    world.add(add("c1")).await.unwrap();
    let held = world.allocation("default", "10.0.0.2").await.unwrap();
    assert_eq!(held.mac.unwrap().to_string(), "02:00:5e:00:00:0c");
    let evidence = held.attachments[0].netns.clone().unwrap();
    assert_eq!(evidence.path, namespace.path());
    world.add(add("c2").set("args", "MAC=02-00-00-00-00-02")).await.unwrap();
    let held = world.allocation("default", "10.0.0.3").await.unwrap();
    assert_eq!(held.mac.unwrap().to_string(), "02:00:00:00:00:02");
    // All ipvlan interfaces have their parent's MAC.
    world.add(add("c3").config("type", "ipvlan")).await.unwrap();
    assert_eq!(world.allocation("default", "10.0.0.4").await.unwrap().mac, None);
    // Under ptp there is no interface yet.
    world.add(add("c4").config("type", "ptp").set("ifname", "net9")).await.unwrap();
    assert_eq!(world.allocation("default", "10.0.0.5").await.unwrap().mac, None);
}
