//! `check`: says what would be wrong, changes nothing.

use std::fs;

use crate::daemon::{Daemon, object, subnet};

#[test]
fn without_a_daemon_files_are_checked_against_each_other() {
    let daemon = Daemon::stopped(&[
        ("a.yaml", &subnet("a", "10.0.0.0/24")),
        ("b.yaml", &subnet("b", "10.0.0.128/25")),
        ("c.yaml", &object("IPPool", "p", "subnet: nosuch, ranges: [10.0.0.8]")),
    ]);
    let done = daemon.tool(&["check", "objects/a.yaml"]);
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{done:?}");
    assert!(done.err.contains("against each other alone: no daemon"), "{done:?}");
    let done = daemon.tool(&["check", "objects"]);
    assert_eq!(done.code, 1);
    assert!(done.out.contains("objects/b.yaml:4: Subnet `b`: spec.cidrs"), "{done:?}");
    assert!(done.out.contains("`a`"), "the other one is named: {done:?}");
    assert!(done.out.contains("objects/c.yaml:4: IPPool `p`: spec.subnet"), "{done:?}");
}

#[test]
fn file_line_and_field_are_named() {
    let daemon = Daemon::stopped(&[("a.yaml", &subnet("a", "10.0.0.7/24"))]);
    let done = daemon.tool(&["check", "objects/a.yaml"]);
    assert_eq!(done.code, 1);
    assert!(done.out.starts_with("objects/a.yaml:4: Subnet `a`: spec.cidrs[0]: "), "{done:?}");
    let rows = daemon.rows(&["check", "objects/a.yaml"]);
    assert_eq!((&rows[0]["line"], &rows[0]["field"]), (&4.into(), &"spec.cidrs[0]".into()));
}

#[test]
fn standard_input_and_missing_files() {
    let daemon = Daemon::stopped(&[]);
    assert_eq!(daemon.tool_with(&["check", "-"], &subnet("a", "10.0.0.0/24")).code, 0);
    let done = daemon.tool_with(&["check", "-"], "kind: Subnet");
    assert_eq!(done.code, 1);
    assert!(done.out.starts_with("-:1: "), "{done:?}");
    let done = daemon.tool(&["check", "nosuch.yaml"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("nosuch.yaml cannot be read"), "{done:?}");
}

#[test]
fn with_a_daemon_its_objects_and_holders_count_and_nothing_changes() {
    let daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/24"))]);
    daemon.cni("ADD", "far", &serde_json::json!({"subnets": ["lan"], "ips": ["10.0.0.200"]}));
    let draft = |name: &str, text: &str| fs::write(daemon.path(name), text).unwrap();
    draft("pool.yaml", &object("IPPool", "p", "subnet: lan, ranges: [10.0.0.8]"));
    draft("over.yaml", &subnet("over", "10.0.0.0/16"));
    draft("less.yaml", &subnet("lan", "10.0.0.0/25"));
    assert_eq!(daemon.tool(&["check", "pool.yaml"]).code, 0);
    let done = daemon.tool(&["check", "over.yaml"]);
    assert!(done.code == 1 && done.out.contains("`lan`"), "{done:?}");
    let done = daemon.tool(&["check", "less.yaml"]);
    assert!(done.code == 1 && done.out.contains("10.0.0.200") && done.out.contains("shop/far"), "{done:?}");
    // A move of both at once is tried as a whole.
    draft("less.yaml", &(subnet("lan", "10.0.0.192/26") + &subnet("new", "10.0.0.0/25")));
    let done = daemon.tool(&["check", "less.yaml"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(daemon.rows(&["subnet"]).len(), 1);
    assert!(daemon.rows(&["pool"]).is_empty());
    daemon.wait_for_cidr("lan", "10.0.0.0/24");
}
