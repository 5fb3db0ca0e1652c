//! `allot release --force`

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use allotment_api::annotation::GRANT;
use allotment_cluster::Pod;
use allotment_controller::ledger::KubeLedger;
use allotment_core::{Allocation, AllocationState, Release, ReleaseMode};
use allotment_engine::{Engine, EngineError, Handle};
use kube::Client;
use kube::core::ResourceExt;
use serde_json::json;
use tokio::runtime;

use super::record::{self, Act};
use super::{cluster, consent};
use crate::cluster::{gather, ledger};
use crate::failure::{Failure, Verdict};
use crate::output;

/// The ledger is written within that time, or not at all.
const LIMIT: Duration = Duration::from_secs(30);

/// Frees an address without proof that nobody uses it.
pub(crate) async fn release(
    kubeconfig: Option<&Path>,
    address: IpAddr,
    vrf: Option<String>,
    is_agreed: bool,
) -> Result<Verdict, Failure> {
    let client = cluster(kubeconfig).await?;
    let held = find(&client, address, vrf).await?;
    consent::ask(&dangers(&client, &held).await?, is_agreed)?;
    free(&client, &held).await?;
    let Allocation { vrf, address, owner, .. } = &held;
    let note = format!("{address} of VRF `{vrf}` was released by force; {owner} had it");
    let block = format!("{vrf} {address}");
    let act = Act {
        reason: record::RELEASED,
        api_version: "allotment.dev/v1alpha1",
        name: "ledger",
        uid: "",
        note: &note,
        fields: json!({ "address": block, "before": held }),
    };
    record::record(&client, act).await;
    output::line(&format!("{note}; it cools, then others may get it"))?;
    Ok(Verdict::Done)
}

async fn find(client: &Client, address: IpAddr, vrf: Option<String>) -> Result<Allocation, Failure> {
    let handle = ledger::open(client.clone()).await?;
    let all = handle
        .read(move |state, _| -> Vec<Allocation> {
            let vrfs: Vec<String> =
                vrf.map_or_else(|| state.vrfs().map(str::to_owned).collect(), |vrf| vec![vrf]);
            vrfs.iter().filter_map(|vrf| state.allocation(vrf, address)).collect()
        })
        .await;
    handle.stop().await;
    let all = all.map_err(|error| Failure::unable(error.to_string(), ""))?;
    let mut held = all.into_iter().filter(|allocation| allocation.state.is_held());
    let Some(first) = held.next() else {
        return Err(Failure::refused(format!("nobody has {address}"), "`allot ip` lists who has what"));
    };
    if let Some(second) = held.next() {
        let text = format!("{address} is held in the VRFs `{}` and `{}`", first.vrf, second.vrf);
        return Err(Failure::refused(text, "say which one with --vrf"));
    }
    Ok(first)
}

async fn dangers(client: &Client, held: &Allocation) -> Result<Vec<String>, Failure> {
    let Allocation { vrf, address, owner, attachments, state, .. } = held;
    let mut dangers = vec![match state {
        AllocationState::Reserved => {
            format!("{address} of VRF `{vrf}` is kept for {owner}, who will get another one.")
        }
        _ => format!("{address} of VRF `{vrf}` is {owner}'s, and nothing proves that it is no longer used."),
    }];
    let pods: Vec<Pod> = gather::all(client).await?;
    for attachment in attachments.iter().filter(|_| *state == AllocationState::Active) {
        let pod = pods.iter().find(|pod| pod.uid().as_deref() == Some(&attachment.holder));
        let shows = |pod: &Pod| {
            pod.annotations().get(GRANT).is_some_and(|grant| grant.contains(&address.to_string()))
        };
        dangers.push(match pod {
            Some(pod) => format!(
                "Pod {}/{} on node `{}` exists{}: delete it first, or two will use the address.",
                pod.namespace().unwrap_or_default(),
                pod.name_any(),
                attachment.node,
                if shows(pod) { " and shows it" } else { "" }
            ),
            None => format!(
                "Its pod {} is gone, and node `{}` has not said that its interface is: if it still is there, two will use \
                 the address.",
                attachment.holder, attachment.node
            ),
        });
    }
    Ok(dangers)
}

/// Writes the ledger beside the controller, on condition that nobody has changed the block: the controller reads it anew.
async fn free(client: &Client, held: &Allocation) -> Result<(), Failure> {
    let ledger = KubeLedger::new(client.clone(), runtime::Handle::current());
    let opened = tokio::task::spawn_blocking(move || Engine::open(ledger)).await;
    let opened =
        opened.map_err(|error| Failure::unable(format!("reading the ledger broke off: {error}"), ""))?;
    let handle = opened.map_err(|error| Failure::unable(error.to_string(), error.hint()))?;
    let done = free_on(&handle, held).await;
    handle.stop().await;
    match done {
        Ok(true) => Ok(()),
        Ok(false) => {
            let text = "nothing was changed: the address is not what it was when you were asked";
            Err(Failure::refused(text, "look again with `allot who-has`"))
        }
        Err(error) => Err(Failure::unable(format!("it may be released or not: {error}"), "run it again")),
    }
}

/// Whether it was as it was said to be, and is free now.
async fn free_on(handle: &Handle, held: &Allocation) -> Result<bool, EngineError> {
    let holders = held.attachments.iter().map(|attachment| attachment.holder.clone());
    let holders: Vec<String> =
        if held.attachments.is_empty() { vec![String::new()] } else { holders.collect() };
    let mut any = false;
    for holder in holders {
        let release = Release::Address {
            vrf: held.vrf.clone(),
            address: held.address,
            holder,
            mode: ReleaseMode::Cool,
            since: Some(held.since),
        };
        any |= !handle.release(release, Instant::now() + LIMIT).await?.is_empty();
    }
    Ok(any)
}
