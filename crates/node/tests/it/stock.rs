//! Configurations written for `host-local` and `static` (O5).

use serde_json::{Value, json};

use crate::world::{Call, World, call};

fn with_ipam(command: &str, id: &str, ipam: Value) -> Call {
    call(command, id).config("ipam", ipam)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_local_draws_from_each_set_round_and_round() {
    let world = World::new(&[]).await;
    let ipam = json!({
        "type": "host-local",
        "ranges": [
            [{"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.5", "rangeEnd": "10.1.2.7", "gateway": "10.1.2.6"}],
            [{"subnet": "fd00::/64"}],
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.168.0.0/16", "gw": "10.10.5.1", "mtu": 1400}],
        "dataDir": "/run/networks",
    });
    let expect = json!({
        "cniVersion": "1.1.0",
        "ips": [
            {"address": "10.1.2.5/24", "gateway": "10.1.2.6"},
            {"address": "fd00::2/64", "gateway": "fd00::1"},
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.168.0.0/16", "gw": "10.10.5.1", "mtu": 1400}],
        "dns": {},
    });
    let add = |id| with_ipam("ADD", id, ipam.clone());
    assert_eq!(world.call(add("c1")).await.unwrap(), expect);
    assert_eq!(world.call(add("c1")).await.unwrap(), expect, "again, the same");
    assert_eq!(
        world.add(add("c2")).await.unwrap(),
        ["10.1.2.7/24", "fd00::3/64"],
        "the gateway is passed over"
    );
    assert_eq!(world.add(add("c3")).await.unwrap_err().code, 100);
    world.call(with_ipam("CHECK", "c1", ipam.clone()).config("prevResult", expect)).await.unwrap();
    world.call(with_ipam("DEL", "c1", ipam.clone())).await.unwrap();
    assert_eq!(
        world.add(add("c3")).await.unwrap(),
        ["10.1.2.5/24", "fd00::4/64"],
        "at once, and IPv6 goes on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_local_gives_what_is_asked_for_within_the_ranges() {
    let world = World::new(&[]).await;
    let ipam = json!({"type": "host-local", "subnet": "10.1.2.0/24", "rangeEnd": "10.1.2.99"});
    let add = |id, args: &str| with_ipam("ADD", id, ipam.clone()).set("args", args);
    assert_eq!(world.add(add("c1", "IP=10.1.2.50")).await.unwrap(), ["10.1.2.50/24"]);
    for (ip, code) in [("10.1.2.50", 101), ("10.1.2.1", 102), ("10.1.2.100", 102), ("10.9.0.1", 102)] {
        assert_eq!(world.add(add("c2", &format!("IP={ip}"))).await.unwrap_err().code, code, "{ip}");
    }
    assert_eq!(world.add(add("c2", "")).await.unwrap(), ["10.1.2.51/24"], "the one after the last");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_local_networks_of_other_names_or_folders_know_nothing_of_each_other() {
    let world = World::new(&[("a", &["10.1.2.0/24"])]).await;
    let ipam = json!({"type": "host-local", "subnet": "10.1.2.0/24"});
    assert_eq!(world.add(call("ADD", "c0").ipam("subnets", json!(["a"]))).await.unwrap(), ["10.1.2.2/24"]);
    for (name, data_dir) in [("lan", "/run/a"), ("lan", "/run/b"), ("wan", "/run/a")] {
        let mut ipam = ipam.clone();
        ipam["dataDir"] = data_dir.into();
        let add = with_ipam("ADD", &format!("{name}{}", data_dir.len()), ipam).config("name", name);
        assert_eq!(world.add(add.set("ifname", data_dir.replace('/', "-"))).await.unwrap(), ["10.1.2.2/24"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_configuration_draws_from_its_own_ranges_and_keeps_the_holders() {
    let world = World::new(&[]).await;
    let ipam =
        |subnet: &str, start: &str| json!({"type": "host-local", "subnet": subnet, "rangeStart": start});
    assert_eq!(
        world.add(with_ipam("ADD", "c1", ipam("10.1.2.0/24", "10.1.2.5"))).await.unwrap(),
        ["10.1.2.5/24"]
    );
    assert_eq!(
        world.add(with_ipam("ADD", "c2", ipam("10.1.0.0/16", "10.1.9.5"))).await.unwrap(),
        ["10.1.9.5/16"]
    );
    assert_eq!(
        world.add(with_ipam("ADD", "c3", ipam("10.1.2.0/24", "10.1.2.5"))).await.unwrap(),
        ["10.1.2.6/24"]
    );
    let world = World::start(world.stop().await);
    assert_eq!(
        world.add(with_ipam("ADD", "c4", ipam("10.1.2.0/24", "10.1.2.5"))).await.unwrap(),
        ["10.1.2.7/24"]
    );
    assert_eq!(world.active().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_one_of_many_configurations_at_once_draws_from_its_own_ranges() {
    let world = std::sync::Arc::new(World::new(&[]).await);
    let calls = (0..32).map(|index| {
        let world = world.clone();
        let (start, end) =
            (format!("10.1.2.{}", 10 + index % 4 * 10), format!("10.1.2.{}", 17 + index % 4 * 10));
        let ipam =
            json!({"type": "host-local", "subnet": "10.1.2.0/24", "rangeStart": start, "rangeEnd": end});
        tokio::spawn(async move { world.add(with_ipam("ADD", &format!("c{index}"), ipam)).await.unwrap() })
    });
    for (index, answer) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        let address = answer.await.unwrap().remove(0);
        let last: usize =
            address.strip_prefix("10.1.2.").unwrap().strip_suffix("/24").unwrap().parse().unwrap();
        let start = 10 + index % 4 * 10;
        assert!((start..start + 8).contains(&last), "{address} is not of {start}");
    }
    assert_eq!(world.active().await.len(), 32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_local_takes_dns_from_a_file_and_ranges_from_the_runtime() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "nameserver 192.0.2.3\nsearch a.example\n").unwrap();
    let world = World::new(&[]).await;
    let ipam = json!({"type": "host-local", "resolvConf": file.path()});
    let ranges = json!({"ipRanges": [[{"subnet": "10.7.0.0/16"}]]});
    let result =
        world.call(with_ipam("ADD", "c1", ipam).config("runtimeConfig", ranges.clone())).await.unwrap();
    assert_eq!(result["dns"], json!({"nameservers": ["192.0.2.3"], "search": ["a.example"]}));
    assert_eq!(result["ips"][0]["address"], "10.7.0.2/16");
    let gone = json!({"type": "host-local", "resolvConf": "/nowhere"});
    let failure = world.call(with_ipam("ADD", "c2", gone).config("runtimeConfig", ranges)).await.unwrap_err();
    assert_eq!(failure.code, 5);
    assert_eq!(world.active().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn static_records_what_it_is_told() {
    let world = World::new(&[]).await;
    let ipam = json!({
        "type": "static",
        "addresses": [
            {"address": "10.10.0.1/24", "gateway": "10.10.0.254"},
            {"address": "10.10.0.255/16"},
            {"address": "3ffe:ffff:0:1ff::1/64", "gateway": "3ffe:ffff:0::1"},
        ],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dns": {"nameservers": ["8.8.8.8"]},
    });
    let add = |id| with_ipam("ADD", id, ipam.clone());
    let expect = json!({
        "cniVersion": "1.1.0",
        "ips": [
            {"address": "10.10.0.1/24", "gateway": "10.10.0.254"},
            {"address": "10.10.0.255/16"},
            {"address": "3ffe:ffff:0:1ff::1/64", "gateway": "3ffe:ffff::1"},
        ],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dns": {"nameservers": ["8.8.8.8"]},
    });
    assert_eq!(world.call(add("c1")).await.unwrap(), expect);
    assert_eq!(world.call(add("c1")).await.unwrap(), expect, "again, the same");
    assert_eq!(world.active().await.len(), 3);
    assert_eq!(world.call(add("c2")).await.unwrap_err().code, 101, "a duplicate within the network");
    world.call(add("c2").config("name", "wan")).await.unwrap();
    let bare = with_ipam("ADD", "c5", json!({"type": "static"}))
        .set("args", "IP=10.20.0.1/24,10.30.0.1/24;GATEWAY=10.20.0.9");
    assert_eq!(world.add(bare).await.unwrap(), ["10.20.0.1/24", "10.30.0.1/24"]);
    let replaced = add("c3").config("runtimeConfig", json!({"ips": ["10.10.0.9/24"]}));
    assert_eq!(world.add(replaced).await.unwrap(), ["10.10.0.9/24"]);
    world.call(with_ipam("CHECK", "c1", ipam.clone()).config("prevResult", expect)).await.unwrap();
    world.call(with_ipam("DEL", "c1", ipam.clone())).await.unwrap();
    world.call(add("c4")).await.unwrap();
    assert_eq!(world.active().await.len(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_several_plugins_are_not_mixed() {
    let world = World::new(&[("a", &["10.0.0.0/24"])]).await;
    for ipam in [
        json!({"type": "allotment", "subnets": ["a"], "subnet": "10.1.2.0/24"}),
        json!({"type": "allotment", "ips": ["10.0.0.5"], "addresses": [{"address": "10.10.0.1/24"}]}),
        json!({"type": "allotment", "ranges": [[{"subnet": "10.1.2.0/24"}]], "addresses": []}),
    ] {
        assert_eq!(world.call(with_ipam("ADD", "c1", ipam.clone())).await.unwrap_err().code, 7, "{ipam}");
    }
    assert!(world.active().await.is_empty());
}
