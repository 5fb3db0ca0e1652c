//! What earlier releases wrote is read, kept, and gone on with.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::daemon::Daemon;

/// Folders that earlier releases left behind; see README.md there.
fn releases() -> Vec<PathBuf> {
    let all = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/releases")).unwrap();
    all.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

/// The rows of who has something, by VRF and address; VRFs come in the order of their first use.
fn active(daemon: &Daemon) -> Vec<Value> {
    sorted(daemon.rows(&["ip", "--state", "active"]))
}

fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| (row["vrf"].to_string(), row["address"].to_string()));
    rows
}

#[test]
fn the_ledger_of_an_earlier_release_goes_on() {
    assert!(!releases().is_empty());
    for release in releases() {
        let text = |name| fs::read_to_string(release.join(name)).unwrap();
        let known = sorted(serde_json::from_str(&text("active.json")).unwrap());
        let mut daemon = Daemon::stopped(&[("objects.yaml", &text("objects.yaml"))]);
        fs::create_dir(daemon.path("data")).unwrap();
        fs::copy(release.join("ledger.redb"), daemon.path("data/ledger.redb")).unwrap();
        daemon.start();
        assert_eq!(active(&daemon), known, "{}", release.display());
        let former = daemon.tool(&["history", "10.40.0.11"]);
        assert!(former.out.contains("shop/b"), "{former:?}");

        // Who had something gets it again, and nobody else does.
        assert_eq!(daemon.add("a", "rack-a"), ["10.40.0.10", "fd00:40::2"]);
        assert_eq!(daemon.cni("ADD", "g", &json!({"pools": ["db"]})).1, ["10.40.1.1", "fd00:40::101"]);
        daemon.del("c");
        let mut expected = known;
        expected.retain(|row| row["owner"]["name"] != "c");
        daemon.stop();
        daemon.start();
        let mut rows = active(&daemon);
        rows.retain(|row| row["owner"]["name"] != "g");
        assert_eq!(rows, expected, "{}", release.display());
    }
}
