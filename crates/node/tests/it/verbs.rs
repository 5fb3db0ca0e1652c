//! What each verb answers, and what it changes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::world::{World, call};

async fn lan() -> World {
    World::new(&[("a", &["10.0.0.0/24", "fd00::/64"])]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn add_answers_with_what_the_subnet_has() {
    let world = World::new(&[]).await;
    let mut spec = allotment_core::SubnetSpec::new(
        "a",
        vec!["10.0.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()],
    );
    spec.routes = vec![
        allotment_core::Route { to: "0.0.0.0/0".parse().unwrap(), via: None },
        allotment_core::Route { to: "10.9.0.0/16".parse().unwrap(), via: Some("10.0.0.9".parse().unwrap()) },
    ];
    spec.dns.nameservers = vec!["10.0.0.53".parse().unwrap()];
    spec.dns.search = vec!["a.example".to_owned()];
    world.put(spec).await;
    let expect = json!({
        "cniVersion": "1.1.0",
        "ips": [
            {"address": "10.0.0.2/24", "gateway": "10.0.0.1"},
            {"address": "fd00::2/64", "gateway": "fd00::1"},
        ],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}, {"dst": "10.9.0.0/16", "gw": "10.0.0.9"}],
        "dns": {"nameservers": ["10.0.0.53"], "search": ["a.example"]},
    });
    let add = call("ADD", "c1").ipam("subnets", json!(["a"]));
    assert_eq!(world.call(add.clone()).await.unwrap(), expect);
    assert_eq!(world.call(add.clone()).await.unwrap(), expect, "again, the same");
    let old = world.call(add.config("cniVersion", "0.4.0")).await.unwrap();
    assert_eq!(old["ips"][1], json!({"version": "6", "address": "fd00::2/64", "gateway": "fd00::1"}));
    assert_eq!(world.active().await, ["10.0.0.2", "fd00::2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_add_many_times_at_once_is_one_allocation() {
    let world = Arc::new(lan().await);
    let add = call("ADD", "c1").ipam("subnets", json!(["a"]));
    let calls = (0..16).map(|_| {
        let (world, add) = (world.clone(), add.clone());
        tokio::spawn(async move { world.add(add).await.unwrap() })
    });
    for answer in calls.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), ["10.0.0.2/24", "fd00::2/64"]);
    }
    assert_eq!(world.active().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn del_in_every_shape_succeeds() {
    let world = lan().await;
    let add = |id: &str| call("ADD", id).ipam("subnets", json!(["a"]));
    let shapes: [(&str, Value); 7] = [
        (
            "whole",
            json!({"cniVersion": "1.1.0", "name": "lan", "ipam": {"type": "allotment", "subnets": ["a"]}}),
        ),
        ("of a version that we do not speak", json!({"cniVersion": "0.2.0", "name": "lan"})),
        ("of no version at all", json!({"cniVersion": 7, "name": "lan"})),
        ("without ipam", json!({"cniVersion": "1.1.0", "name": "lan"})),
        ("empty", json!({})),
        ("null", Value::Null),
        (
            "with a subnet that is gone, and nonsense",
            json!({"name": "lan", "ipam": {"subnets": ["gone"], "pools": 7}}),
        ),
    ];
    for (index, (shape, config)) in shapes.into_iter().enumerate() {
        let id = format!("c{index}");
        world.add(add(&id)).await.unwrap();
        let del = call("DEL", &id).set("config", config);
        for _ in 0..2 {
            assert_eq!(world.call(del.clone()).await.unwrap(), Value::Null, "{shape}");
        }
        assert!(world.active().await.is_empty(), "{shape}");
    }
    world.call(call("DEL", "never-added")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn del_releases_this_interface_of_this_sandbox_on_this_network_alone() {
    let world = lan().await;
    let add = |id: &str| call("ADD", id).ipam("subnets", json!(["a"]));
    world.add(add("c1")).await.unwrap();
    world.add(add("c1").set("ifname", "net1").config("name", "wan")).await.unwrap();
    world.add(add("c2")).await.unwrap();
    world.call(call("DEL", "c1").config("name", "other")).await.unwrap();
    world.call(call("DEL", "c1").set("ifname", "eth1")).await.unwrap();
    assert_eq!(world.active().await.len(), 6);
    world.call(call("DEL", "c1")).await.unwrap();
    assert_eq!(world.active().await, ["10.0.0.3", "10.0.0.4", "fd00::3", "fd00::4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_del_that_names_no_network_releases_none_of_several() {
    let world = lan().await;
    let add = |name: &str| call("ADD", "c1").ipam("subnets", json!(["a"])).config("name", name);
    world.add(add("lan")).await.unwrap();
    world.add(add("wan")).await.unwrap();
    let unnamed = call("DEL", "c1").set("config", Value::Null);
    assert_eq!(world.call(unnamed.clone()).await.unwrap(), Value::Null);
    assert_eq!(world.active().await.len(), 4, "which one has ended is not known");
    world.call(call("DEL", "c1").config("name", "wan")).await.unwrap();
    world.call(unnamed).await.unwrap();
    assert!(world.active().await.is_empty(), "one was left, and so it was meant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_sandbox_of_the_same_pod_keeps_what_the_older_ones_del_names() {
    let world = lan().await;
    let pod = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-7;K8S_POD_UID=u7";
    let add = |id| call("ADD", id).set("args", pod).ipam("subnets", json!(["a"]));
    let first = world.add(add("sandbox1")).await.unwrap();
    assert_eq!(world.add(add("sandbox2")).await.unwrap(), first, "the pod's address");
    world.call(call("DEL", "sandbox1").set("args", pod)).await.unwrap();
    let held = world.allocation("default", "10.0.0.2").await.unwrap();
    assert_eq!(held.attachments[0].container_id, "sandbox2");
    assert_eq!((held.owner.to_string(), held.owner.uid), ("Pod shop/cart-7".to_owned(), "u7".to_owned()));
    world.call(call("DEL", "sandbox2")).await.unwrap();
    assert!(world.active().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_their_codes_and_leave_nothing_behind() {
    let world = World::new(&[("tiny", &["10.1.0.0/30"]), ("a", &["10.0.0.0/24"])]).await;
    world.add(call("ADD", "c1").ipam("subnets", json!(["tiny"]))).await.unwrap();
    let ips = |ips: Value| {
        call("ADD", "c2").ipam("subnets", json!(["a"])).config("runtimeConfig", json!({"ips": ips}))
    };
    let rows = [
        (call("ADD", "c2").ipam("subnets", json!(["tiny"])), 100, "full"),
        (call("ADD", "c2").ipam("subnets", json!(["tiny"])).set("args", "IP=10.1.0.2"), 101, "another's"),
        (ips(json!(["10.0.0.1"])), 102, "the gateway"),
        (call("ADD", "c2"), 102, "bound to nothing"),
        (call("ADD", "c2").ipam("subnets", json!(["none"])), 7, "no such subnet"),
        (ips(json!(["10.0.0.9/16"])), 7, "another prefix length"),
        (ips(json!(["10.0.0.9", "ten"])), 7, "no address"),
        (call("ADD", "c2").ipam("subnets", json!(["a"])).set("args", "MAC=01:00:00:00:00:00"), 7, "no MAC"),
        (call("ADD", "c2").ipam("subnets", json!("a")), 6, "no list"),
        (call("ADD", "c2").set("args", "IP"), 4, "no pair"),
        (call("ADD", "c2").config("cniVersion", "0.2.0"), 1, "an old version"),
    ];
    for (add, code, why) in rows {
        let failure = world.call(add).await.unwrap_err();
        assert_eq!(failure.code, code, "{why}: {failure:?}");
        assert!(!failure.msg.is_empty() && !failure.details.is_empty(), "{why}: {failure:?}");
    }
    assert_eq!(world.active().await, ["10.1.0.2"]);
    let told = world.decided.lock().unwrap();
    assert_eq!(told[0], ("Container c1".to_owned(), None));
    assert_eq!(told[1], ("Container c2".to_owned(), Some("full")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_compares_with_the_previous_result() {
    let world = World::new(&[("a", &["10.0.0.0/24", "fd00::/64"]), ("b", &["10.1.0.0/24"])]).await;
    let add = call("ADD", "c1").ipam("subnets", json!(["a"])).set("args", "MAC=02:00:00:00:00:01");
    let result = world.call(add.clone()).await.unwrap();
    let check =
        |id, ips: Value| call("CHECK", id).config("prevResult", json!({"cniVersion": "1.1.0", "ips": ips}));
    let other = |at: usize, key: &str, value: &str| {
        let mut ips = result["ips"].clone();
        ips[at][key] = if value.is_empty() { Value::Null } else { value.into() };
        check("c1", ips)
    };
    assert_eq!(world.call(check("c1", result["ips"].clone())).await.unwrap(), Value::Null);
    world.call(call("CHECK", "c1")).await.unwrap();
    world.call(call("CHECK", "c1").config("prevResult", Value::Null)).await.unwrap();
    world.call(call("CHECK", "c1").set("args", "K8S_POD_UID=u1;MAC=02:00:00:00:00:01")).await.unwrap();
    for (check, why) in [
        (check("c1", json!([{"address": "10.0.0.2/24"}])), "one of two"),
        (check("c1", json!([{"address": "10.0.0.3/24"}])), "another one"),
        (check("c1", json!([])), "none"),
        (call("CHECK", "c1").config("prevResult", json!({})), "an empty result"),
        (other(0, "address", "10.0.0.2/16"), "another prefix length"),
        (other(0, "gateway", "10.0.0.254"), "another gateway"),
        (other(1, "gateway", ""), "no gateway"),
        (check("c1", result["ips"].clone()).ipam("subnets", json!(["b"])), "another subnet"),
        (check("c1", result["ips"].clone()).set("args", "IP=10.0.0.9"), "another address"),
        (check("c1", result["ips"].clone()).set("args", "MAC=02:00:00:00:00:02"), "another MAC"),
        (check("c2", result["ips"].clone()), "another container"),
        (check("c1", result["ips"].clone()).set("ifname", "eth1"), "another interface"),
        (check("c1", result["ips"].clone()).config("name", "wan"), "another network"),
    ] {
        assert_eq!(world.call(check).await.unwrap_err().code, 103, "{why}");
    }
    // ADD says no to the same: it would be believed.
    for add in [
        call("ADD", "c1").ipam("subnets", json!(["b"])),
        add.clone().set("args", "IP=10.0.0.9"),
        add.clone().set("args", "MAC=02:00:00:00:00:02"),
        add.clone().ipam("family", "IPv6"),
    ] {
        let failure = world.call(add).await.unwrap_err();
        assert_eq!(failure.code, 7, "{failure:?}");
        assert!(failure.msg.contains("has") && failure.details.contains("DEL"), "{failure:?}");
    }
    assert_eq!(world.call(add).await.unwrap(), result);
    world.call(call("DEL", "c1")).await.unwrap();
    assert_eq!(world.call(check("c1", result["ips"].clone())).await.unwrap_err().code, 103, "released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gc_releases_what_this_network_no_longer_has() {
    let world = Arc::new(World::new(&[("a", &["10.0.0.0/16"])]).await);
    let add = |id: &str| call("ADD", id).ipam("subnets", json!(["a"]));
    world.add(add("c7")).await.unwrap();
    world.add(add("c0").set("ifname", "net1").config("name", "wan")).await.unwrap();
    // More than one page of the ledger and more than one block of it.
    let calls = (0..600).filter(|index| *index != 7).map(|index| {
        let (world, add) = (world.clone(), add(&format!("c{index}")));
        tokio::spawn(async move { world.add(add).await.unwrap() })
    });
    for answer in calls.collect::<Vec<_>>() {
        answer.await.unwrap();
    }
    let gc = call("GC", "").set("ifname", "");
    world.call(gc.clone()).await.unwrap();
    world.call(gc.clone().config("cni.dev/valid-attachments", Value::Null)).await.unwrap();
    assert_eq!(world.active().await.len(), 601, "without a list nothing is known");
    let valid = json!([{"containerID": "c7", "ifname": "eth0"}, {"containerID": "c8", "ifname": "eth1"}]);
    world.call(gc.clone().config("cni.dev/valid-attachments", valid)).await.unwrap();
    assert_eq!(
        world.active().await,
        ["10.0.0.2", "10.0.0.3"],
        "c7's on this network, and the other network's"
    );
    world.call(gc.config("cni.dev/attachments", json!([]))).await.unwrap();
    assert_eq!(world.active().await, ["10.0.0.3"], "an empty list under the old name: none is valid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_fails_only_when_nothing_could_be_added() {
    let world = World::new(&[("tiny", &["10.1.0.0/30"])]).await;
    world.add(call("ADD", "c1").ipam("subnets", json!(["tiny"]))).await.unwrap();
    world.call(call("ADD", "c2").ipam("subnets", json!(["tiny"]))).await.unwrap_err();
    assert_eq!(world.call(call("STATUS", "")).await.unwrap(), Value::Null, "a full subnet is no reason");
    world.full.store(true, Ordering::Relaxed);
    let failure = world.call(call("STATUS", "")).await.unwrap_err();
    assert_eq!((failure.code, failure.msg.as_str()), (50, "the disk cannot be written: it is full"));
    world.full.store(false, Ordering::Relaxed);
    assert_eq!(world.call(call("STATUS", "")).await.unwrap(), Value::Null);
    world.service.drain();
    assert_eq!(world.call(call("STATUS", "")).await.unwrap_err().code, 50);
    let failure = world.call(call("ADD", "c3").ipam("subnets", json!(["tiny"]))).await.unwrap_err();
    assert_eq!(failure.code, 11);
    assert!(failure.msg.contains("draining"), "{failure:?}");
    world.call(call("DEL", "c1")).await.unwrap();
    assert!(world.active().await.is_empty(), "what is under way is finished, and a DEL is always taken");
    let engine = world.engine.clone();
    engine.stop().await;
    assert_eq!(world.call(call("STATUS", "")).await.unwrap_err().code, 50);
    assert_eq!(world.call(call("CHECK", "c1")).await.unwrap_err().code, 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_call_is_told_so() {
    let world = World::new(&[]).await;
    for body in ["", "{", "[]", r#"{"command":"VERSION","config":{}}"#, r#"{"command":"ADD"}"#] {
        let (status, error) = world.send(body.as_bytes().to_vec()).await;
        assert_eq!((status, error["code"].as_u64()), (400, Some(6)), "{body}");
    }
    let (status, error) = world.send(vec![b' '; allotment_node::MAX_BODY + 1]).await;
    assert_eq!((status, error["code"].as_u64()), (400, Some(6)));
    let call = call("STATUS", "").set("unknown", "a newer plugin may say more");
    world.call(call).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_a_restart() {
    let world = lan().await;
    let add = call("ADD", "c1").ipam("subnets", json!(["a"]));
    let first = world.add(add.clone()).await.unwrap();
    let world = World::start(world.stop().await);
    assert_eq!(world.add(add).await.unwrap(), first);
    let mut text = String::new();
    let mut registry = prometheus_client::registry::Registry::default();
    world.metrics.register(&mut registry);
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains(r#"cni_calls_total{command="ADD",code="0"} 1"#), "{text}");
    assert!(text.contains("cni_adds_unseen_total 1"), "{text}");
}
