//! `reserve` and `unreserve`: one file, and no other.

use crate::daemon::{Daemon, object, subnet};

#[test]
fn addresses_are_set_aside_and_taken_back() {
    let daemon = Daemon::with(&[("lan.yaml", &subnet("lan", "10.0.0.0/29"))]);
    let objects = daemon.path("objects");
    let objects = objects.to_str().unwrap();
    let reserve = |name: &str, rest: &[&str]| {
        let args = ["reserve", name, "--subnet", "lan", "--objects", objects];
        daemon.tool(&[&args[..], rest].concat())
    };
    let done = reserve("printer", &["10.0.0.2-10.0.0.3", "--reason", "the printers"]);
    assert_eq!(done.code, 0, "{done:?}");
    let row = &daemon.rows(&["reservation"])[0];
    assert_eq!((&row["name"], &row["reason"]), (&"printer".into(), &"the printers".into()));
    assert_eq!(daemon.add("a", "lan"), ["10.0.0.4"]);

    let done = reserve("printer", &["10.0.0.5", "--reason", "again"]);
    assert!(done.code == 1 && done.err.contains("printer"), "{done:?}");
    let done = reserve("web", &["10.0.9.9", "--reason", "elsewhere"]);
    assert!(
        done.code == 1 && done.err.contains("nothing was reserved") && done.err.contains("10.0.9.9"),
        "{done:?}"
    );
    assert_eq!(reserve("web", &["10.0.0.5"]).code, 2, "an owner or a reason is needed");
    assert_eq!(reserve("web", &["10.0.0.5", "--owner", "Pod/shop/b"]).code, 0);

    let unreserve = |name: &str| daemon.tool(&["unreserve", name, "--objects", objects]);
    assert_eq!(unreserve("printer").code, 0);
    assert_eq!(daemon.rows(&["reservation"]).len(), 1);
    assert_eq!(daemon.add("c", "lan"), ["10.0.0.2"]);
    assert_eq!(unreserve("printer").code, 1);
}

#[test]
fn what_others_wrote_is_left_alone() {
    let lan = subnet("lan", "10.0.0.0/29");
    let printer = object("Reservation", "printer", "subnet: lan, addresses: [10.0.0.3], reason: printer");
    let daemon = Daemon::with(&[("lan.yaml", &(lan + &printer))]);
    let objects = daemon.path("objects");
    let done = daemon.tool(&["unreserve", "printer", "--objects", objects.to_str().unwrap()]);
    assert!(done.code == 1 && done.err.contains("others edit their own files"), "{done:?}");
    assert_eq!(daemon.rows(&["reservation"]).len(), 1);
}

#[test]
fn for_whom_or_why_has_to_be_said() {
    let daemon = Daemon::stopped(&[]);
    let done = daemon.tool(&["reserve", "x", "10.0.0.9", "--subnet", "lan", "--objects", "objects"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("<--owner <OWNER>|--reason <REASON>>"), "either will do: {done:?}");
}
