//! `who-has` and `why`.

use serde_json::json;

use crate::daemon::{Daemon, object, subnet};

fn rack() -> Daemon {
    let lan = object("Subnet", "lan", "cidrs: [10.0.0.0/29], exclude: [10.0.0.5]");
    let printer = object("Reservation", "printer", "subnet: lan, addresses: [10.0.0.6], reason: the printer");
    let blue = object("Subnet", "blue", "vrf: blue, cidrs: [10.0.0.0/24]");
    Daemon::with(&[("lan.yaml", &(lan + &printer + &blue))])
}

#[test]
fn who_has_an_address() {
    let daemon = rack();
    assert_eq!(daemon.add("a", "lan"), ["10.0.0.2"]);
    let done = daemon.tool(&["who-has", "10.0.0.2", "--vrf", "default"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("Pod shop/a has it on eth0 of network `lan`"), "{done:?}");
    let rows = daemon.rows(&["who-has", "10.0.0.2"]);
    assert_eq!(rows.len(), 2, "both VRFs have it: {rows:?}");
    assert_eq!((&rows[0]["vrf"], &rows[1]["vrf"]), (&json!("blue"), &json!("default")));
    assert_eq!(rows[1]["allocation"]["owner"]["name"], "a");
    assert!(rows[0]["allocation"].is_null());
    let mapped = daemon.rows(&["who-has", "::ffff:10.0.0.2"]);
    assert_eq!(mapped, rows, "IPv4 in its IPv4-mapped form is IPv4");
}

#[test]
fn what_nobody_has() {
    let daemon = rack();
    daemon.add("a", "lan");
    daemon.del("a");
    let check = |address: &str, state: &str, text: &str| {
        let done = daemon.tool(&["who-has", address, "--vrf", "default"]);
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.out.contains(text), "{done:?}");
        assert_eq!(daemon.rows(&["who-has", address, "--vrf", "default"])[0]["state"], state);
    };
    check("10.0.0.0", "edge", "the network address");
    check("10.0.0.1", "gateway", "it is the gateway");
    check("10.0.0.2", "cooling", "when Pod shop/a gave it back");
    check("10.0.0.3", "free", "in subnet `lan`");
    check("10.0.0.5", "excluded", "it is excluded");
    check("10.0.0.6", "reserved", "reservation `printer` sets it aside: the printer");
    check("10.0.0.7", "edge", "the broadcast address");
    check("10.0.0.8", "outside", "in no subnet of VRF `default`");
}

#[test]
fn why_an_owner_has_what_it_has() {
    let daemon = rack();
    daemon.add("a", "lan");
    daemon.cni("ADD", "b", &json!({"subnets": ["lan"], "ips": ["10.0.0.5"]}));
    for owner in ["Pod/shop/a", "shop/a", "a", "uid-a"] {
        let done = daemon.tool(&["why", owner]);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.out.contains("Pod shop/a: has 10.0.0.2 on eth0 of network `lan`"), "{done:?}");
        assert!(done.out.contains("because the network named it or a pool of it"), "{done:?}");
        assert!(done.out.contains("because it was the lowest never used before"), "{done:?}");
    }
    assert!(
        daemon.tool(&["why", "b"]).out.contains("because it was the first of the list that could be had")
    );
    daemon.del("a");
    let done = daemon.tool(&["why", "a"]);
    assert!(done.out.contains("nobody else gets it for 30 s"), "{done:?}");
}

#[test]
fn why_an_owner_has_nothing() {
    let daemon = rack();
    let done = daemon.tool(&["why", "nobody"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""));
    assert!(done.err.contains("nothing is known of an owner `nobody`"), "{done:?}");

    for id in ["a", "b", "c"] {
        daemon.add(id, "lan");
    }
    assert_eq!(daemon.cni("ADD", "late", &json!({"subnets": ["lan"]})).0, 100);
    let done = daemon.tool(&["why", "shop/late"]);
    assert_eq!(done.code, 1);
    assert!(
        done.out.contains("Pod shop/late: was refused on network `lan`") && done.out.contains("hint: "),
        "{done:?}"
    );
    let row = &daemon.rows(&["why", "late"])[0];
    assert_eq!(row["code"], "full");
    assert!(row["counts"].as_array().unwrap().iter().any(|count| count["value"] == "3"), "{row}");
    assert!(row["hint"].is_string() && row["since"].is_string(), "{row}");
}

#[test]
fn a_refusal_is_forgotten_once_the_owner_is_served() {
    let daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))]);
    let (code, _) = daemon.cni("ADD", "a", &json!({"subnets": ["nosuch"]}));
    assert_eq!(code, 7);
    assert_eq!(daemon.tool(&["why", "a"]).code, 1);
    daemon.add("a", "lan");
    let done = daemon.tool(&["why", "a"]);
    assert_eq!(done.code, 0, "{done:?}");
}
