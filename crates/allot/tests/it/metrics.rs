//! `--metrics`.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::daemon::{Daemon, exchange, subnet};

/// A daemon with its metrics on a port that was free a moment ago.
fn counted() -> (Daemon, String) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut daemon = Daemon::stopped(&[("lan.yaml", &subnet("lan", "10.0.0.0/29"))]);
    daemon.args = vec!["--metrics".to_owned(), address.clone()];
    daemon.start();
    (daemon, address)
}

pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    exchange(TcpStream::connect(address).unwrap(), "GET", path, "")
}

#[test]
fn what_happens_is_counted() {
    let (daemon, address) = counted();
    for id in ["a", "b", "c", "d", "e"] {
        daemon.add(id, "lan");
    }
    assert_eq!(daemon.cni("ADD", "f", &json!({"subnets": ["lan"]})).0, 100);
    daemon.del("a");
    daemon.write("bad.yaml", "kind: {");
    crate::daemon::wait_for("the fault is counted", || {
        get(&address, "/metrics").1.contains("\nallotment_object_problems 1\n").then_some(())
    });
    let (status, text) = get(&address, "/metrics");
    assert_eq!(status, 200);
    let expect = [
        "allotment_addresses{vrf=\"default\",subnet=\"lan\",family=\"IPv4\",state=\"held\"} 4.0",
        "allotment_addresses{vrf=\"default\",subnet=\"lan\",family=\"IPv4\",state=\"cooling\"} 1.0",
        "allotment_addresses{vrf=\"default\",subnet=\"lan\",family=\"IPv4\",state=\"free\"} 0.0",
        "allotment_cni_calls_total{command=\"ADD\",code=\"0\"} 5",
        "allotment_cni_calls_total{command=\"ADD\",code=\"100\"} 1",
        "allotment_refusals_total{code=\"full\"} 1",
        "allotment_commit_duration_seconds_bucket{le=\"+Inf\"} 7",
        "allotment_commits_total 7",
    ];
    for line in expect {
        assert!(text.contains(&format!("\n{line}\n")), "`{line}` is not in:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn health_and_readiness() {
    let (_daemon, address) = counted();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&address, path).0, 200, "{path}");
    }
    assert_eq!(get(&address, "/nosuch").0, 404);
}

/// The names of everything that is shown, as samples have them.
pub(crate) fn shown(text: &str) -> BTreeSet<String> {
    let types: Vec<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let name = |&(name, kind): &(&str, &str)| match kind {
        "counter" => format!("{name}_total"),
        "info" => format!("{name}_info"),
        _ => name.to_owned(),
    };
    types.iter().map(name).collect()
}

/// The names in a section of the reference.
pub(crate) fn told(page: &str, section: &str) -> BTreeSet<String> {
    let (_, rest) = page.split_once(&format!("\n## {section}\n")).expect("the page has this section");
    let lines = rest.lines().take_while(|line| !line.starts_with("## "));
    lines.filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect()
}

#[test]
fn the_reference_has_every_metric_and_no_other() {
    let (daemon, address) = counted();
    daemon.add("a", "lan");
    let page = daemon.tool(&["reference", "metrics"]).out;
    assert_eq!(told(&page, "One machine"), shown(&get(&address, "/metrics").1));
}
