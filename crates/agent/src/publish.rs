//! The only writes: `NodeAttachments.status`, when something has ended or is asked for (R2).

use std::time::Duration;

use allotment_api::v1alpha1::{NodeAttachments, NodeAttachmentsSpec};
use allotment_cluster::Backoff;
use allotment_proof::Due;
use kube::Api;
use kube::api::PostParams;
use tokio::time::Instant;

use crate::desk::{Desk, Publication};
use crate::metrics::AgentMetrics;
use crate::shared::Shared;

/// From the first end to the write that tells it: what ends meanwhile goes with it. The controller is promised two seconds.
const BATCH: Duration = Duration::from_millis(1500);

/// How long one write may take.
const WRITE_LIMIT: Duration = Duration::from_secs(20);

const MANAGER: &str = "allotment-agent";

/// Why a report is not stored.
enum Unstored {
    /// The object is not what it was believed to be: as it is now.
    Changed(Box<Option<NodeAttachments>>),
    Failed(String),
}

/// Publishes whatever is due, for ever.
pub(crate) async fn follow(shared: Shared, api: Api<NodeAttachments>, node: String, metrics: AgentMetrics) {
    let mut backoff = Backoff::default();
    loop {
        wait_until_due(&shared).await;
        let Some(publication) = shared.with(Desk::publication) else {
            // Something that it needs went meanwhile; its return is a change.
            shared.changes().changed().await.expect("the desk is ours");
            continue;
        };
        match publish(&api, &node, publication, &shared).await {
            Ok(()) => {
                metrics.published.inc();
                backoff.reset();
            }
            Err(Unstored::Changed(object)) => shared.change(|desk| {
                desk.not_published();
                match *object {
                    Some(object) => desk.object_seen(object),
                    None => desk.object_missing(),
                }
            }),
            Err(Unstored::Failed(error)) => {
                metrics.unpublished.inc();
                shared.with(Desk::not_published);
                let wait = backoff.failed();
                tracing::warn!(error, ?wait, "what has ended cannot be published");
                tokio::time::sleep(wait).await;
            }
        }
    }
}

async fn wait_until_due(shared: &Shared) {
    shared.until(|desk| (desk.due() != Due::Nothing).then_some(())).await;
    let batch = Instant::now() + BATCH;
    let now = shared.until(|desk| (desk.due() == Due::Now).then_some(()));
    // What is due at once takes along what could have waited.
    let _ = tokio::time::timeout_at(batch, now).await;
}

async fn publish(
    api: &Api<NodeAttachments>,
    node: &str,
    publication: Publication,
    shared: &Shared,
) -> Result<(), Unstored> {
    let mut object = NodeAttachments::new(node, NodeAttachmentsSpec::default());
    object.metadata.resource_version.clone_from(&publication.replaces);
    if publication.replaces.is_none() {
        let made = in_time(api.create(&params(), &object)).await;
        return match made {
            // Its status is another request, and due still.
            Ok(made) => Err(Unstored::Changed(Box::new(Some(made)))),
            Err(error) => Err(now(api, node, error).await),
        };
    }
    object.status = Some(publication.status.clone());
    let Publication { durable, .. } = publication;
    durable.wait().await.map_err(|error| Unstored::Failed(error.to_string()))?;
    match in_time(api.replace_status(node, &params(), &object)).await {
        Ok(stored) => {
            shared.change(|desk| desk.published(&publication.report, stored));
            Ok(())
        }
        Err(error) => Err(now(api, node, error).await),
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

/// What a failure means: after a conflict, the object as it is now.
async fn now(api: &Api<NodeAttachments>, node: &str, error: kube::Error) -> Unstored {
    let code = if let kube::Error::Api(status) = &error { status.code } else { 0 };
    if !matches!(code, 404 | 409) {
        return Unstored::Failed(error.to_string());
    }
    match in_time(api.get_opt(node)).await {
        Ok(object) => Unstored::Changed(Box::new(object)),
        Err(error) => Unstored::Failed(error.to_string()),
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let late = || {
        let text = format!("no answer within {} s", WRITE_LIMIT.as_secs());
        kube::Error::Service(text.into())
    };
    tokio::time::timeout(WRITE_LIMIT, answer).await.unwrap_or_else(|_| Err(late()))
}
