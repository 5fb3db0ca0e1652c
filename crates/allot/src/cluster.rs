//! What the tool asks of a cluster: the same endpoints as a daemon's, answered in this process from its API server.
//!
//! ```text
//!   AddressBlocks ──▶ KubeLedger ──▶ engine that never commits ──▶ serve::questions
//!   pods, NodeAttachments, … ──▶ gather ──▶ why, audit
//! ```
//!
//! Nothing is written, and nothing is asked of a controller: the answers are right while there is none.

mod audit;
pub(crate) mod gather;
pub(crate) mod ledger;
mod objects;
mod why;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use allotment_cluster::{ConnectError, connect};
use allotment_wire::{Finding, WhyRow};
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use kube::Client;
use serde::Deserialize;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::objects::Sources;
use crate::serve::{self, Daemon, Refusals, Trouble};

/// What the cluster's own endpoints need.
struct Cluster {
    client: Client,
    daemon: Arc<Daemon>,
}

/// The endpoints of the cluster that this kubeconfig, else the environment, leads to.
pub(crate) async fn open(kubeconfig: Option<&Path>) -> Result<Router, Failure> {
    let hint = "name a cluster with --kubeconfig or KUBECONFIG, or a daemon's socket with --socket";
    let client = connect(kubeconfig).await.map_err(|error| Failure::unable(error.to_string(), hint))?;
    router(client).await
}

/// The same where nobody was named, and no daemon's socket is there.
pub(crate) async fn open_unsaid(socket: &Path) -> Result<Router, Failure> {
    let hint = "start a daemon with `allot standalone`, or name its socket with --socket or ALLOTMENT_SOCKET, or a cluster with \
                --kubeconfig or KUBECONFIG";
    let client = connect(None).await.map_err(|error| match error {
        ConnectError::Nowhere { .. } => Failure::unable(
            format!("nobody to ask: there is no socket at {}, and {error}", socket.display()),
            hint,
        ),
        _ => Failure::unable(format!("there is no socket at {}, and {error}", socket.display()), hint),
    });
    router(client?).await
}

async fn router(client: Client) -> Result<Router, Failure> {
    let (handle, problems) = tokio::try_join!(ledger::open(client.clone()), objects::problems(&client))?;
    let daemon = Arc::new(Daemon {
        handle,
        problems: watch::channel(problems.into()).1,
        sources: Sources::none(),
        refusals: Arc::new(Refusals::default()),
        serving: AtomicBool::new(true),
    });
    let cluster = Arc::new(Cluster { client, daemon: Arc::clone(&daemon) });
    let own =
        Router::new().route("/v1/why", get(ask_why)).route("/v1/audit", get(ask_audit)).with_state(cluster);
    Ok(serve::questions(daemon).merge(own))
}

#[derive(Deserialize)]
struct Why {
    owner: String,
}

async fn ask_why(
    State(cluster): State<Arc<Cluster>>,
    Query(asked): Query<Why>,
) -> Result<Json<Vec<WhyRow>>, Trouble> {
    let owner = Trouble::owner(&asked.owner)?;
    Ok(Json(why::why(&cluster.client, &cluster.daemon, owner).await?))
}

async fn ask_audit(State(cluster): State<Arc<Cluster>>) -> Result<Json<Vec<Finding>>, Trouble> {
    Ok(Json(audit::audit(&cluster.client).await?))
}
