//! What pods show against what the ledger has, when a term begins.

use allotment_cluster::Pod;
use allotment_core::State;
use allotment_engine::{Engine, Handle};

use super::engine::perform;
use super::writer::Writer;
use crate::ledger::{KubeLedger, doubled};
use crate::patch::Shown;
use crate::pods::{Comparison, ShownPod};

/// Gives back what was given beside what is shown (L4). Whether something that is shown was lost (L6).
pub(super) async fn compare(handle: &Handle, writer: &Writer, shown: Comparison) -> Result<bool, String> {
    let extra = doubled(handle, shown.showing()).await.map_err(|error| error.to_string())?;
    for release in extra {
        perform(handle, release, "its attachment shows another address").await;
    }
    // As long as the ledger recovers, everything that is used is taken over anyway.
    let look = move |state: &State, _| match state.recovering() {
        Some(_) => Vec::new(),
        None => lost(state, shown.pods),
    };
    let suspects = handle.read(look).await;
    let suspects = suspects.map_err(|error| error.to_string())?;
    if suspects.is_empty() {
        return Ok(false);
    }
    // Another that still believes to lead may have given and shown it after the ledger was read here.
    let suspects = read_anew(writer, suspects).await?;
    for pod in suspects {
        let now = writer.pod(&pod.place.namespace, &pod.place.name).await;
        let now = now.map_err(|failure| failure.to_string())?;
        if now.is_some_and(|now| shows(&now, &pod)) {
            let (place, uid) = (&pod.place, &pod.uid);
            tracing::error!(
                namespace = %place.namespace, pod = %place.name, %uid,
                "a pod shows an address that the ledger does not have: a part of the ledger was lost"
            );
            return Ok(true);
        }
    }
    Ok(false)
}

fn lost(state: &State, mut pods: Vec<ShownPod>) -> Vec<ShownPod> {
    pods.retain(|pod| pod.is_lost(state));
    pods
}

/// Which of them are lost in the ledger as it is on the API server now.
async fn read_anew(writer: &Writer, suspects: Vec<ShownPod>) -> Result<Vec<ShownPod>, String> {
    let (client, runtime) = (writer.client(), tokio::runtime::Handle::current());
    let open = move || Engine::open(KubeLedger::read_only(client, runtime));
    let opened = tokio::task::spawn_blocking(open).await.map_err(|error| error.to_string())?;
    let engine = opened.map_err(|error| error.to_string())?;
    let found = engine.read(move |state, _| lost(state, suspects)).await;
    engine.stop().await;
    found.map_err(|error| error.to_string())
}

fn shows(now: &Pod, pod: &ShownPod) -> bool {
    !now.is_finished() && Shown::on(now).grant(&pod.uid).is_some()
}
