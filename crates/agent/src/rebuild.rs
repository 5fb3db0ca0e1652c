//! Starting without a journal: what lives is in the network namespaces (R3).

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use allotment_cluster::Backoff;
use allotment_node::netns;
use allotment_proof::Address;

use crate::ends;
use crate::shared::Shared;

/// Between looks whether plugins are still at work.
const PLUGINS_EVERY: Duration = Duration::from_millis(100);

/// How long a plugin that was at work when the agent started is waited for: as long as kubelet waits for a sandbox, and some
/// more.
const PLUGINS_LIMIT: Duration = Duration::from_mins(5);

/// Looks for what lives, if the journal does not tell, once no plugin can hold an answer that is on no interface yet.
pub(crate) async fn rebuild(shared: Shared) {
    if !shared.with(|desk| desk.wants_rebuild()) {
        return;
    }
    let ended = async {
        let before = adding(Path::new("/proc"));
        while before.iter().any(|process| is_adding(process)) {
            tokio::time::sleep(PLUGINS_EVERY).await;
        }
    };
    if tokio::time::timeout(PLUGINS_LIMIT, ended).await.is_err() {
        tracing::warn!(
            minutes = PLUGINS_LIMIT.as_secs() / 60,
            "CNI plugins from before the start are still at work; they are not waited for any longer"
        );
    }
    let mut backoff = Backoff::default();
    let live = loop {
        match netns::contents().await {
            Ok(live) => break live,
            Err(error) => {
                tracing::warn!(%error, "the network namespaces cannot be looked through; nothing is published before");
                backoff.wait().await;
            }
        }
    };
    let live: Vec<(String, BTreeSet<Address>)> = live
        .into_iter()
        .map(|(netns, interfaces)| {
            let all = interfaces.into_iter().flat_map(|interface| interface.addresses);
            (ends::place(Some(&netns), ""), all.filter(is_global).map(unplaced).collect())
        })
        .filter(|(_, addresses): &(String, BTreeSet<Address>)| !addresses.is_empty())
        .collect();
    tracing::info!(namespaces = live.len(), "there was no whole journal: what lives was looked for");
    shared.change(|desk| desk.rebuilt(live));
}

/// The kernel does not know of VRFs of ours.
fn unplaced(address: IpAddr) -> Address {
    Address { vrf: String::new(), address }
}

/// Whether it could be one of ours: every namespace has the others by itself.
fn is_global(address: &IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !address.is_loopback() && !is_link_local && !address.is_unspecified()
}

/// The processes that carry out an ADD now.
fn adding(proc: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|process| is_adding(process)).collect()
}

/// Whether a process was started for an ADD: main plugins, and those they call. What cannot be read is none, or has ended.
fn is_adding(process: &Path) -> bool {
    let environment = fs::read(process.join("environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == b"CNI_COMMAND=ADD")
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_plugin_at_work_is_seen() {
        let mut plugin = Command::new("sleep").arg("60").env("CNI_COMMAND", "ADD").spawn().unwrap();
        let path = PathBuf::from(format!("/proc/{}", plugin.id()));
        wait_until_started(&path);
        assert!(adding(Path::new("/proc")).contains(&path));
        plugin.kill().unwrap();
        plugin.wait().unwrap();
        assert!(!is_adding(&path));
        let mut other = Command::new("sleep").arg("60").env("CNI_COMMAND", "DEL").spawn().unwrap();
        let path = PathBuf::from(format!("/proc/{}", other.id()));
        wait_until_started(&path);
        assert!(!is_adding(&path));
        other.kill().unwrap();
        other.wait().unwrap();
    }

    /// `spawn` returns before the kernel shows the new program's environment.
    fn wait_until_started(process: &Path) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while fs::read(process.join("environ")).unwrap_or_default().is_empty() {
            assert!(Instant::now() < deadline, "{} has no environment", process.display());
            std::thread::yield_now();
        }
    }

    #[test]
    fn only_addresses_that_could_be_ours_count() {
        let global = ["10.0.0.1", "fd00::1", "192.0.2.7"];
        let own = ["127.0.0.1", "::1", "169.254.1.1", "fe80::1", "0.0.0.0"];
        assert!(global.iter().all(|text| is_global(&text.parse().unwrap())));
        assert!(!own.iter().any(|text| is_global(&text.parse().unwrap())));
    }
}
