//! What only a person may decide about a cluster: each says what it endangers, asks, and is recorded.
//!
//! ```text
//!   read ─▶ danger ─▶ consent (y/N, or --yes) ─▶ act ─▶ record: an Event, and a line of JSON
//! ```
//!
//! * [`recover`]: what is free in the ledger is given to nobody until every node has said what it uses (L6).
//! * [`forget`]: what a node that is gone was granted may be freed (R4).
//! * [`release`]: one address is freed without proof.
//! * [`restore`]: what a backup has is in the ledger again.

mod consent;
mod forget;
mod record;
mod recover;
mod release;
mod restore;

use std::path::Path;

use allotment_cluster::connect;
use kube::Client;

pub(crate) use self::consent::ask;
pub(crate) use self::forget::forget;
pub(crate) use self::record::{Act, IMPORTED, REASONS, record};
pub(crate) use self::recover::recover;
pub(crate) use self::release::release;
pub(crate) use self::restore::restore;
use crate::failure::Failure;

/// The cluster that this kubeconfig, else the environment, leads to.
async fn cluster(kubeconfig: Option<&Path>) -> Result<Client, Failure> {
    let hint = "name the cluster with --kubeconfig or KUBECONFIG";
    connect(kubeconfig).await.map_err(|error| Failure::unable(error.to_string(), hint))
}

/// The API server said no, or nothing.
fn unable(what: &str, error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            let hint =
                "ask somebody who is allowed to `repair` addressblocks.allotment.dev, as administrators are";
            Failure::refused(format!("{what}: {}", status.message), hint)
        }
        kube::Error::Api(status) => Failure::unable(format!("{what}: {}", status.message), ""),
        error => Failure::unable(format!("{what}: {error}"), "see that the API server can be reached"),
    }
}
