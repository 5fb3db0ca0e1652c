//! What pods show against what the ledger has, when a term begins.

use std::sync::Arc;

use allotment_cluster::Pod;
use allotment_core::State;
use allotment_engine::{Engine, Handle};

use super::engine::perform;
use super::writer::Writer;
use crate::ledger::{KubeLedger, doubled, doubled_among};
use crate::patch::Shown;
use crate::pods::{Comparison, ShownPod};

/// Whether something that is shown was lost (L6): nothing is given before that is known. Of what two leaders gave to one that
/// shows nothing yet, one stays (L4).
pub(super) async fn compare(
    handle: &Handle,
    writer: &Writer,
    shown: Arc<Comparison>,
) -> Result<bool, String> {
    let look = move |state: &State, _| {
        let extra = doubled_among(&shown.awaited(state), shown.showing());
        // As long as the ledger recovers, everything that is used is taken over anyway.
        let missed = if state.recovering().is_some() { Comparison::default() } else { shown.missed(state) };
        (missed, extra)
    };
    let (missed, extra) = handle.read(look).await.map_err(|error| error.to_string())?;
    for release in extra {
        perform(handle, release, "its attachment has another address").await;
    }
    if missed.is_empty() {
        return Ok(false);
    }
    // Another that still believes to lead may have given and shown it after the ledger was read here.
    let missed = read_anew(writer, missed).await?;
    if let Some(block) = missed.blocks.first() {
        let (vrf, base, blocks) = (&block.vrf, block.base, missed.blocks.len());
        tracing::error!(vrf, %base, blocks, "nodes were given addresses of blocks that the ledger does not have: a part of the ledger was lost");
        return Ok(true);
    }
    for pod in missed.pods {
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

/// Gives back what was given beside what is shown (L4). That keeps nobody waiting: nobody has seen it, or asks for it.
pub(super) async fn give_back(handle: &Handle, shown: &Comparison) {
    match doubled(handle, shown.showing()).await {
        Ok(extra) => {
            for release in extra {
                perform(handle, release, "its attachment shows another address").await;
            }
        }
        Err(error) => tracing::warn!(%error, "the ledger was not looked through for what nobody has seen"),
    }
}

/// What of it is missed in the ledger as it is on the API server now.
async fn read_anew(writer: &Writer, suspects: Comparison) -> Result<Comparison, String> {
    let (client, runtime) = (writer.client(), tokio::runtime::Handle::current());
    let open = move || Engine::open(KubeLedger::read_only(client, runtime));
    let opened = tokio::task::spawn_blocking(open).await.map_err(|error| error.to_string())?;
    let engine = opened.map_err(|error| error.to_string())?;
    let found = engine.read(move |state, _| suspects.missed(state)).await;
    engine.stop().await;
    found.map_err(|error| error.to_string())
}

fn shows(now: &Pod, pod: &ShownPod) -> bool {
    !now.is_finished() && Shown::on(now).grant(&pod.uid).is_some()
}
