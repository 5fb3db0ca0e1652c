//! `audit` on a real machine. What it finds is planted one by one beside its code; here is what needs namespaces.

use std::process::Command;

use serde_json::json;

use crate::daemon::{Daemon, subnet};

/// A network namespace; removed when dropped.
struct Netns(String);

impl Netns {
    /// Nothing, with a word why, where namespaces cannot be made.
    fn new(name: &str) -> Option<Netns> {
        let netns = Netns(format!("allot-it-{}-{name}", std::process::id()));
        if !nix::unistd::geteuid().is_root() || !Netns::ip(&["netns", "add", &netns.0]) {
            eprintln!("skipped: it takes root and `ip` to make a network namespace");
            return None;
        }
        Some(netns)
    }

    fn ip(args: &[&str]) -> bool {
        Command::new("ip").args(args).status().is_ok_and(|status| status.success())
    }

    fn path(&self) -> String {
        format!("/run/netns/{}", self.0)
    }

    /// Puts an address on an interface in it.
    fn take(&self, address: &str) {
        assert!(Netns::ip(&["-n", &self.0, "address", "add", &format!("{address}/32"), "dev", "lo"]));
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        Netns::ip(&["netns", "del", &self.0]);
    }
}

/// Code and address of each finding.
fn findings(daemon: &Daemon) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    daemon.rows(&["audit"]).iter().map(|row| (text(&row["code"]), text(&row["address"]))).collect()
}

/// A subnet that no other test, and nothing on this machine, has an address of.
fn lan(number: u8) -> (Daemon, String) {
    let daemon = Daemon::with(&[("lan.yaml", &subnet("lan", &format!("10.213.{number}.0/24")))]);
    (daemon, format!("10.213.{number}"))
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let (daemon, _) = lan(1);
    daemon.add("a", "lan");
    let done = daemon.tool(&["audit"]);
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{done:?}");
    assert!(done.err.contains("0 errors, 0 warnings"), "{done:?}");
}

#[test]
fn an_address_that_nobody_gave() {
    let Some(netns) = Netns::new("thief") else { return };
    let (daemon, prefix) = lan(2);
    netns.take(&format!("{prefix}.9"));
    let done = daemon.tool(&["audit"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.out.contains("unrecorded") && done.out.contains(&netns.path()), "{done:?}");
    assert_eq!(findings(&daemon), [("unrecorded".to_owned(), format!("{prefix}.9"))]);
}

#[test]
fn an_address_in_two_namespaces() {
    let (Some(owner), Some(thief)) = (Netns::new("owner"), Netns::new("copy")) else { return };
    let (daemon, prefix) = lan(3);
    let address = format!("{prefix}.2");
    assert_eq!(
        daemon.call("ADD", "a", &owner.path(), &json!({"subnets": ["lan"]})),
        (0, vec![address.clone()])
    );
    owner.take(&address);
    assert_eq!(findings(&daemon), []);
    thief.take(&address);
    assert_eq!(findings(&daemon), [("doubled".to_owned(), address)]);
}

#[test]
fn a_container_whose_namespace_is_gone() {
    let Some(netns) = Netns::new("gone") else { return };
    let (daemon, prefix) = lan(4);
    let address = format!("{prefix}.2");
    assert_eq!(
        daemon.call("ADD", "a", &netns.path(), &json!({"subnets": ["lan"]})),
        (0, vec![address.clone()])
    );
    assert_eq!(findings(&daemon), []);
    drop(netns);
    assert_eq!(findings(&daemon), [("no-namespace".to_owned(), address)]);
}
