//! The lists, in each format.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::daemon::{Daemon, object, subnet};

fn lived_in() -> Daemon {
    let pool = object("IPPool", "db", "subnet: lan, ranges: [\"10.0.0.64/28\", \"fd00::40-fd00::4f\"]");
    let printer =
        object("Reservation", "printer", "subnet: lan, addresses: [10.0.0.77], reason: the printer");
    let lan = object("Subnet", "lan", "cidrs: [10.0.0.0/24, \"fd00::/64\"], default: true, networks: [lan]");
    let daemon = Daemon::with(&[("lan.yaml", &(lan + &pool + &printer))]);
    daemon.add("a", "lan");
    daemon.add("b", "lan");
    daemon.del("b");
    assert_eq!(daemon.cni("ADD", "c", &json!({"pools": ["db"]})).0, 0);
    daemon
}

#[test]
fn addresses_as_json_have_every_field() {
    let daemon = lived_in();
    let rows = daemon.rows(&["ip"]);
    let fields = ["address", "subnet", "vrf", "state", "mac", "owner", "attachment", "node", "since"];
    for row in &rows {
        for field in fields {
            assert!(row.get(field).is_some(), "{field} is absent: {row}");
        }
    }
    assert_eq!(rows.len(), 6);
    let first = &rows[0];
    assert_eq!(first["address"], "10.0.0.2");
    assert_eq!(first["owner"], json!({"kind": "Pod", "namespace": "shop", "name": "a", "uid": "uid-a"}));
    assert_eq!(first["attachment"], json!({"containerId": "a", "interface": "eth0", "network": "lan"}));
    assert_eq!((&first["mac"], &first["node"]), (&Value::Null, &Value::Null));
    let since = first["since"].as_str().unwrap();
    assert!(since.ends_with('Z') && since.contains('T'), "{since}");
}

#[test]
fn addresses_are_filtered() {
    let daemon = lived_in();
    let check = |args: &[&str], expect: &[&str]| {
        let rows = daemon.rows(&[&["ip"], args].concat());
        let addresses: Vec<&str> = rows.iter().map(|row| row["address"].as_str().unwrap()).collect();
        assert_eq!(addresses, expect, "{args:?}");
    };
    check(&["--owner", "shop/a"], &["10.0.0.2", "fd00::2"]);
    check(&["--owner", "uid-a"], &["10.0.0.2", "fd00::2"]);
    check(&["--state", "cooling"], &["10.0.0.3", "fd00::3"]);
    check(&["--state", "active,cooling", "--pool", "db"], &["10.0.0.64", "fd00::40"]);
    check(&["10.0.0.2", "fd00::40"], &["10.0.0.2", "fd00::40"]);
    check(&["--subnet", "other"], &[]);
    check(&["--vrf", "default", "--network", "lan", "--owner", "c"], &["10.0.0.64", "fd00::40"]);
    check(&["--node", "n1"], &[]);
    assert_eq!(daemon.tool(&["ip", "--owner", "a/b/c/d"]).code, 2);
}

#[test]
fn the_table_is_plain() {
    let daemon = lived_in();
    let done = daemon.tool(&["ip", "--state", "active", "--owner", "a"]);
    let lines: Vec<Vec<&str>> = done.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ADDRESS", "STATE", "SUBNET", "VRF", "OWNER", "INTERFACE", "NETWORK", "SINCE"]);
    assert_eq!(lines[1][..7], ["10.0.0.2", "active", "lan", "default", "Pod", "shop/a", "eth0"]);
    assert_eq!(lines.len(), 3);
}

#[test]
fn json_and_yaml_say_the_same() {
    let daemon = lived_in();
    for list in ["ip", "subnet", "pool", "reservation"] {
        let done = daemon.tool(&[list, "-o", "yaml"]);
        let yaml: Value =
            serde_saphyr::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {done:?}"));
        assert_eq!(yaml, Value::Array(daemon.rows(&[list])), "{list}");
    }
}

#[test]
fn counts_are_strings_and_add_up() {
    let daemon = lived_in();
    let rows = daemon.rows(&["subnet", "lan"]);
    let of = |row: &Value| {
        ["total", "active", "reserved", "cooling", "free"].map(|key| row[key].as_str().unwrap().to_owned())
    };
    // A /24 less its edges, its gateway and the printer.
    assert_eq!(of(&rows[0]), ["252", "2", "0", "1", "249"]);
    // A /64 less its first address and its gateway.
    assert_eq!(of(&rows[1]), ["18446744073709551614", "2", "0", "1", "18446744073709551611"]);
    let rows = daemon.rows(&["pool"]);
    // A /28 less the printer.
    assert_eq!(of(&rows[0]), ["15", "1", "0", "0", "14"]);
    assert_eq!(daemon.rows(&["reservation"])[0]["active"], "0");
}

#[test]
fn a_name_that_is_not_there_exits_1() {
    let daemon = lived_in();
    for list in ["subnet", "pool", "reservation"] {
        let done = daemon.tool(&[list, "nosuch"]);
        assert_eq!(done.code, 1);
        assert!(
            done.out.is_empty() && done.err.contains("there is no ") && done.err.contains("`nosuch`"),
            "{done:?}"
        );
    }
}

#[test]
fn many_addresses_are_listed_whole() {
    let daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/16"))]);
    for id in 0..600 {
        daemon.add(&format!("c{id}"), "lan");
    }
    let rows = daemon.rows(&["ip"]);
    let mut addresses: Vec<&str> = rows.iter().map(|row| row["address"].as_str().unwrap()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 600);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))]);
    for id in 0..40 {
        daemon.add(&format!("c{id}"), "lan");
    }
    for format in ["table", "json", "yaml"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
        command.args(["ip", "-o", format, "--socket"]).arg(daemon.path("a.sock"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{format}");
    }
}

#[test]
fn what_is_not_found_exits_with_1() {
    let daemon = lived_in();
    let check = |args: &[&str], code: i32, err: &str| {
        for format in ["table", "json", "yaml"] {
            let done = daemon.tool(&[&["ip", "-o", format], args].concat());
            assert_eq!(done.code, code, "{args:?} {done:?}");
            assert!(format != "table" || done.err.contains(err), "{done:?}");
        }
    };
    check(&["10.0.0.2"], 0, "");
    check(&["::ffff:10.0.0.2"], 0, "");
    check(
        &["10.0.0.2", "10.0.0.250", "fd00::9"],
        1,
        "not in use: 10.0.0.250, fd00::9; `allot who-has ADDRESS`",
    );
    check(&["--owner", "shop/a"], 0, "");
    check(&["--owner", "nobody"], 1, "no such address is in use");
    check(&["--state", "reserved"], 1, "no such address is in use");
    let empty = Daemon::with(&[]);
    for format in ["table", "json", "yaml"] {
        assert_eq!(empty.tool(&["ip", "-o", format]).code, 0, "nothing was asked for in particular");
    }
}

#[test]
fn who_a_container_is_and_what_a_reservation_says_are_shown_on_one_line_and_unknown_as_null() {
    let lan = object("Subnet", "lan", "cidrs: [10.0.0.0/24]");
    let door = object(
        "Reservation",
        "door",
        "subnet: lan, addresses: [10.0.0.8/29], reason: \"the door,\\n  below\\n\"",
    );
    let daemon = Daemon::with(&[("lan.yaml", &(lan + &door))]);
    let call = json!({
        "command": "ADD", "containerId": "c1", "netns": "", "ifname": "eth0", "args": "",
        "config": {"cniVersion": "1.1.0", "name": "lan", "type": "bridge", "ipam": {"type": "allotment", "subnets": ["lan"]}},
    });
    assert_eq!(daemon.http("POST", "/v1/cni", &call.to_string()).0, 200);
    let owner = json!({"kind": "Container", "namespace": null, "name": "c1", "uid": "c1"});
    assert_eq!(daemon.rows(&["ip"])[0]["owner"], owner);
    assert!(daemon.tool(&["ip"]).out.contains("Container c1"));
    let table = daemon.tool(&["reservation"]).out;
    assert!(table.lines().count() == 2 && table.contains("the door, below"), "{table}");
    let said = daemon.tool(&["who-has", "10.0.0.9"]).out;
    assert!(said.lines().count() == 1 && said.contains("sets it aside: the door, below"), "{said}");
    // What is set aside is neither reserved nor free.
    let row = &daemon.rows(&["subnet"])[0];
    let counts = ["total", "active", "reserved", "free", "setAside"].map(|key| row[key].as_str().unwrap());
    assert_eq!(counts, ["245", "1", "0", "244", "8"]);
    assert!(daemon.tool(&["subnet"]).out.contains("SET ASIDE"));
}
