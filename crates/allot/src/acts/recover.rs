//! `allot recover`

use std::path::Path;

use allotment_api::v1alpha1::NodeAttachments;
use allotment_controller::ledger;
use kube::Client;
use kube::core::ResourceExt;
use serde_json::json;

use super::record::{self, Act};
use super::{cluster, consent};
use crate::cluster::gather;
use crate::failure::{Failure, Verdict};
use crate::output;
use crate::words::counted;

/// Begins a new epoch of the ledger.
pub(crate) async fn recover(kubeconfig: Option<&Path>, is_agreed: bool) -> Result<Verdict, Failure> {
    let client = cluster(kubeconfig).await?;
    consent::ask(&dangers(&client).await?, is_agreed)?;
    let epoch = ledger::raise(client.clone())
        .await
        .map_err(|error| Failure::unable(error.to_string(), error.hint()))?;
    let note = format!("epoch {epoch} of the ledger has begun");
    let act = Act {
        reason: record::RECOVERY,
        api_version: "allotment.dev/v1alpha1",
        name: "ledger",
        uid: "",
        note: &note,
        fields: json!({ "epoch": epoch }),
    };
    record::record(&client, act).await;
    output::line(&format!("{note}; it ends by itself when every node has said what it uses"))?;
    Ok(Verdict::Done)
}

async fn dangers(client: &Client) -> Result<Vec<String>, Failure> {
    let nodes: Vec<NodeAttachments> = gather::all(client).await?;
    let silent: Vec<String> =
        nodes.iter().filter(|node| node.status.is_none()).map(ResourceExt::name_any).collect();
    let mut dangers = vec![
        "Recovering is for a ledger that was set back, such as by a restored backup of etcd.".to_owned(),
        format!(
            "Until the agents of {} have said what is in use there, no pod gets an address that it does not have already; \
             an agent that is away holds that up.",
            counted(nodes.len() as u64, "node")
        ),
    ];
    if !silent.is_empty() {
        dangers.push(format!("These have never said anything: {}.", silent.join(", ")));
    }
    Ok(dangers)
}
