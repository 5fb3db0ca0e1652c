//! `allot import` into a cluster

use std::path::Path;

use allotment_api::to_yaml;
use allotment_controller::ledger::{self, KubeLedger};
use allotment_core::Object;
use allotment_engine::{Engine, Handle};
use allotment_wire::ImportRow;
use axum::body::Body;
use kube::Client;
use serde_json::json;
use tokio::runtime;

use super::record::{Act, RESTORED, record};
use super::{cluster, consent};
use crate::commands::{exported, imported};
use crate::failure::{Failure, Verdict};
use crate::output;
use crate::serve;

/// Puts what an export has into the cluster's ledger. First a new epoch begins: a backup is older than what runs, and until
/// nodes have said what they use, nothing that it lacks is given to anybody.
pub(crate) async fn restore(
    kubeconfig: Option<&Path>,
    file: &Path,
    is_agreed: bool,
) -> Result<Verdict, Failure> {
    let lines = exported(file)?;
    let client = cluster(kubeconfig).await?;
    consent::ask(&dangers(), is_agreed)?;
    let epoch = ledger::raise(client.clone())
        .await
        .map_err(|error| Failure::unable(error.to_string(), error.hint()))?;
    let handle = open(&client).await?;
    let done = take(&handle, lines).await;
    handle.stop().await;
    let (row, objects) = done?;
    let note = format!("{}; epoch {epoch} of the ledger has begun", imported(&row));
    let act = Act {
        reason: RESTORED,
        api_version: "allotment.dev/v1alpha1",
        name: "ledger",
        uid: "",
        note: &note,
        fields: json!({"objects": row.objects, "addresses": row.addresses, "unchanged": row.unchanged, "epoch": epoch}),
    };
    record(&client, act).await;
    let objects: Vec<String> = objects.iter().map(to_yaml).collect();
    output::text(&objects.join("---\n"))?;
    output::note(&format!(
        "{note}; declare the objects above where they are not: `kubectl apply -f -` takes them"
    ));
    Ok(Verdict::Done)
}

fn dangers() -> [String; 2] {
    [
        "What the backup has comes into the ledger beside what is there; if anything of it contradicts, nothing does.".to_owned(),
        "Until the agents of all nodes have said what is in use there, no pod gets an address that it does not have already."
            .to_owned(),
    ]
}

/// Writes the ledger beside a controller, if there is one: each of them reads anew what the other has written.
async fn open(client: &Client) -> Result<Handle, Failure> {
    let ledger = KubeLedger::new(client.clone(), runtime::Handle::current());
    let opened = tokio::task::spawn_blocking(move || Engine::open(ledger)).await;
    let opened =
        opened.map_err(|error| Failure::unable(format!("reading the ledger broke off: {error}"), ""))?;
    opened.map_err(|error| Failure::unable(error.to_string(), error.hint()))
}

/// What was taken over, and every object that is in force now.
async fn take(handle: &Handle, lines: Vec<u8>) -> Result<(ImportRow, Vec<Object>), Failure> {
    let row = serve::take_over(handle, Body::from(lines)).await?;
    let objects = handle.read(|state, _| state.objects().collect()).await;
    Ok((row, objects.map_err(|error| Failure::unable(error.to_string(), ""))?))
}
