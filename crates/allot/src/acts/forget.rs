//! `allot node forget`

use std::collections::BTreeSet;
use std::path::Path;

use allotment_api::v1alpha1::NodeAttachments;
use allotment_cluster::Node;
use allotment_core::{Allocation, AllocationState, State};
use allotment_engine::Pages;
use kube::api::{Patch, PatchParams};
use kube::core::ResourceExt;
use kube::{Api, Client};
use serde_json::json;

use super::record::{self, Act};
use super::{cluster, consent, unable};
use crate::cluster::ledger;
use crate::failure::{Failure, Verdict};
use crate::output;
use crate::words::counted;

/// Addresses that are named in what is said.
const NAMED: usize = 5;

/// How often it is tried anew when somebody else writes the object at the same time.
const ATTEMPTS: usize = 5;

/// Takes every machine that had this node's name, but the one that has it now, for switched off.
pub(crate) async fn forget(
    kubeconfig: Option<&Path>,
    name: &str,
    is_agreed: bool,
) -> Result<Verdict, Failure> {
    let client = cluster(kubeconfig).await?;
    let found = find(&client, name).await?;
    consent::ask(&dangers(&client, name, &found).await?, is_agreed)?;
    let forgotten = write(&client, name, found).await?;
    let note = format!("the machines {} of node `{name}` count as switched off", list(&forgotten));
    let act = Act {
        reason: record::FORGOTTEN,
        api_version: "allotment.dev/v1alpha1",
        name,
        uid: "",
        note: &note,
        fields: json!({ "node": name, "nodeUIDs": forgotten }),
    };
    record::record(&client, act).await;
    output::line(&format!("{note}; what pods that are gone had there is freed now"))?;
    Ok(Verdict::Done)
}

/// What the API server has of a node.
struct Found {
    attachments: NodeAttachments,
    /// UID of the Node object, if there is one.
    present: Option<String>,
    /// UIDs to be forgotten.
    gone: BTreeSet<String>,
}

async fn find(client: &Client, name: &str) -> Result<Found, Failure> {
    let attachments = Api::<NodeAttachments>::all(client.clone()).get_opt(name).await;
    let attachments = attachments.map_err(|error| unable("the node's attachments cannot be read", &error))?;
    let node = Api::<Node>::all(client.clone()).get_opt(name).await;
    let present =
        node.map_err(|error| unable("the node cannot be read", &error))?.and_then(|node| node.uid());
    let Some(attachments) = attachments else {
        let hint = "see the name: `kubectl get nodeattachments` lists all";
        return Err(Failure::refused(format!("no agent of a node `{name}` has published anything"), hint));
    };
    let spec = &attachments.spec;
    let machines = spec.former.iter().map(|former| &former.node_uid).chain([&spec.node_uid]);
    let is_gone =
        |uid: &&String| !uid.is_empty() && Some(*uid) != present.as_ref() && !spec.forgotten.contains(uid);
    let gone: BTreeSet<String> = machines.filter(is_gone).cloned().collect();
    if gone.is_empty() {
        let (text, hint) = match &present {
            Some(_) => (
                format!("node `{name}` is there, and nothing is held for an earlier one of its name"),
                "if its machine is switched off, taint it `node.kubernetes.io/out-of-service` or delete the Node first",
            ),
            None => (format!("node `{name}` is forgotten already"), ""),
        };
        return Err(Failure::refused(text, hint));
    }
    Ok(Found { attachments, present, gone })
}

async fn dangers(client: &Client, name: &str, found: &Found) -> Result<Vec<String>, Failure> {
    let held = held(client, name, found).await?;
    let named: Vec<&str> = held.iter().take(NAMED).map(String::as_str).collect();
    let which = match &found.present {
        Some(_) => format!(
            "An earlier machine named `{name}` ({}) counts as switched off for good.",
            list(&found.gone)
        ),
        None => format!("The machine `{name}` ({}) counts as switched off for good.", list(&found.gone)),
    };
    let mut dangers = vec![which];
    if !held.is_empty() {
        let more = if held.len() > NAMED { ", …" } else { "" };
        dangers.push(format!(
            "{} may be given to others as soon as their pods are gone: {}{more}.",
            counted(held.len() as u64, "address"),
            named.join(", ")
        ));
    }
    dangers.push("If it still runs and reaches the network, they are used twice.".to_owned());
    Ok(dangers)
}

/// The addresses that the ledger has on these machines.
async fn held(client: &Client, name: &str, found: &Found) -> Result<Vec<String>, Failure> {
    let spec = &found.attachments.spec;
    if found.present.is_some() {
        let former = spec.former.iter().filter(|former| found.gone.contains(&former.node_uid));
        return Ok(former.map(|former| former.address.to_string()).collect());
    }
    let handle = ledger::open(client.clone()).await?;
    let node = name.to_owned();
    let on_node = move |state: &State, place| {
        let Allocation { address, state, attachments, .. } = state.at(place)?;
        let is_there = attachments.iter().any(|attachment| attachment.node == node);
        (state == AllocationState::Active && is_there).then(|| address.to_string())
    };
    let held = Pages::new(&handle, |_, _| true, on_node).collect().await;
    handle.stop().await;
    held.map_err(|error| Failure::unable(error.to_string(), ""))
}

/// Adds to the list of those that are gone; whatever else is written meanwhile stays.
async fn write(client: &Client, name: &str, found: Found) -> Result<BTreeSet<String>, Failure> {
    let api: Api<NodeAttachments> = Api::all(client.clone());
    let Found { mut attachments, gone, .. } = found;
    for _ in 0..ATTEMPTS {
        let forgotten: BTreeSet<&String> = attachments.spec.forgotten.iter().chain(&gone).collect();
        let patch = Patch::Merge(json!({
            "metadata": {"uid": attachments.uid(), "resourceVersion": attachments.resource_version()},
            "spec": {"forgotten": forgotten},
        }));
        match api.patch(name, &PatchParams::default(), &patch).await {
            Ok(_) => return Ok(gone),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let again = api.get(name).await;
                attachments =
                    again.map_err(|error| unable("the node's attachments cannot be read", &error))?;
            }
            Err(error) => return Err(unable("nothing was changed", &error)),
        }
    }
    let text = format!("nothing was changed: others wrote the object {ATTEMPTS} times meanwhile");
    Err(Failure::unable(text, "run it again"))
}

fn list(uids: &BTreeSet<String>) -> String {
    uids.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
