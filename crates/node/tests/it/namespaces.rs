//! Needs root and `ip`; says so and passes where they are missing.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use allotment_core::Netns;
use allotment_node::netns::{contents, gone, observe};

/// A namespace in `/run/netns`, removed at the end.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    /// Nothing where none can be made; the reason is printed.
    pub(crate) fn new() -> Option<Namespace> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("allotment-node-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        match Command::new("ip").args(["netns", "add", &name]).output() {
            Ok(output) if output.status.success() => Some(Namespace { name }),
            Ok(output) => {
                println!(
                    "skipped: no namespace can be made: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
                None
            }
            Err(error) => {
                println!("skipped: `ip` cannot be run: {error}");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// `ip -n NAME …`
    pub(crate) fn ip(&self, arguments: &str) {
        let status = Command::new("ip").args(["-n", &self.name]).args(arguments.split(' ')).status().unwrap();
        assert!(status.success(), "ip {arguments}");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// A pair of interfaces `eth0` and `peer0`, both in the namespace.
pub(crate) fn give_interface(namespace: &Namespace, mac: &str, address: &str) {
    namespace.ip(&format!("link add eth0 address {mac} type veth peer name peer0"));
    namespace.ip(&format!("addr add {address} dev eth0"));
    namespace.ip("link set eth0 up");
}

fn evidence(namespace: &Namespace) -> Netns {
    observe(&namespace.path(), "lo").netns.unwrap()
}

#[test]
fn an_add_sees_namespace_and_mac() {
    let Some(namespace) = Namespace::new() else { return };
    give_interface(&namespace, "02:00:5e:00:00:0a", "10.9.8.7/24");
    let seen = observe(&namespace.path(), "eth0");
    assert_eq!(seen.mac.unwrap().to_string(), "02:00:5e:00:00:0a");
    let netns = seen.netns.unwrap();
    assert_eq!(netns.path, namespace.path());
    assert!(netns.cookie.is_some(), "this kernel has cookies");
    let ptp = observe(&namespace.path(), "net1");
    assert_eq!((ptp.netns, ptp.mac), (Some(netns), None), "the interface is not there yet");
    assert_eq!(observe(&namespace.path(), "lo").mac, None, "a loopback has no MAC");
}

#[test]
fn what_is_no_namespace_is_no_evidence() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path().to_str().unwrap(), "/run/netns/allotment-node-none", "/proc/self/ns/", ""] {
        let seen = observe(path, "eth0");
        assert_eq!((seen.netns, seen.mac), (None, None), "{path}");
    }
}

#[tokio::test]
async fn a_namespace_is_gone_when_nothing_leads_to_it() {
    let Some(namespace) = Namespace::new() else { return };
    let netns = evidence(&namespace);
    assert_eq!(gone(vec![netns.clone()]).await.unwrap(), [false]);
    // A process keeps it when the mount is gone, as a pause container does.
    let mut process =
        Command::new("ip").args(["netns", "exec", &namespace.name, "sleep", "1000"]).spawn().unwrap();
    let inside = format!("/proc/{}/ns/net", process.id());
    while observe(&inside, "lo").netns.map(|seen| seen.cookie) != Some(netns.cookie) {
        tokio::task::yield_now().await;
    }
    drop(namespace);
    assert_eq!(gone(vec![netns.clone()]).await.unwrap(), [false], "a process is in it");
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(gone(vec![netns]).await.unwrap(), [true]);
}

/// The kernel gives the inode number of a namespace away again as soon as it is gone, most often to the very next one.
#[tokio::test]
async fn another_namespace_under_the_same_number_and_path_is_not_the_recorded_one() {
    let Some(namespace) = Namespace::new() else { return };
    let now = evidence(&namespace);
    let before = Netns { cookie: now.cookie.map(|cookie| cookie - 1), ..now.clone() };
    let unknown = Netns { cookie: None, ..now.clone() };
    assert_eq!(gone(vec![now, before, unknown]).await.unwrap(), [false, true, false]);
}

#[tokio::test]
async fn the_contents_of_a_namespace() {
    let Some(namespace) = Namespace::new() else { return };
    give_interface(&namespace, "02:00:5e:00:00:0b", "10.9.8.6/24");
    let netns = evidence(&namespace);
    let found = contents().await.unwrap();
    let (_, interfaces) = found.iter().find(|(found, _)| found.cookie == netns.cookie).unwrap();
    let eth0 = interfaces.iter().find(|interface| interface.name == "eth0").unwrap();
    assert_eq!(eth0.mac.unwrap().to_string(), "02:00:5e:00:00:0b");
    assert!(eth0.addresses.contains(&"10.9.8.6".parse().unwrap()), "{eth0:?}");
}
