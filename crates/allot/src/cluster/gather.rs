//! Lists of the API server.

use std::fmt::Debug;

use allotment_cluster::ResourceVersion;
use kube::api::ListParams;
use kube::core::Resource;
use kube::{Api, Client};
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// Objects in one page of a list.
const PAGE: u32 = 500;

/// Everything of one kind, in all namespaces; nothing where the cluster does not know the kind.
pub(super) async fn all<K>(client: &Client) -> Result<Vec<K>, Failure>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    listed(client).await.map(|(objects, _)| objects)
}

/// The same, with the version as of which it is.
pub(super) async fn listed<K>(client: &Client) -> Result<(Vec<K>, ResourceVersion), Failure>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    let mut params = ListParams::default().limit(PAGE);
    let mut objects = Vec::new();
    loop {
        match api.list(&params).await {
            Ok(page) => {
                objects.extend(page.items);
                params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
                if params.continue_token.is_none() {
                    let version = page.metadata.resource_version.unwrap_or_default();
                    return Ok((objects, version.parse().unwrap_or_default()));
                }
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {
                return Ok((Vec::new(), ResourceVersion::default()));
            }
            // It took longer than the API server remembers.
            Err(kube::Error::Api(status)) if status.code == 410 && params.continue_token.is_some() => {
                params.continue_token = None;
                objects.clear();
            }
            Err(error) => return Err(unlisted(&kind::<K>(), &error)),
        }
    }
}

/// As RBAC has it: `subnets.allotment.dev`.
fn kind<K: Resource<DynamicType = ()>>() -> String {
    match K::group(&()).as_ref() {
        "" => K::plural(&()).into_owned(),
        group => format!("{}.{group}", K::plural(&())),
    }
}

fn unlisted(kind: &str, error: &kube::Error) -> Failure {
    let (why, hint) = match error {
        kube::Error::Api(status) if status.code == 403 => {
            (status.message.clone(), format!("let this account `list` {kind}"))
        }
        kube::Error::Api(status) => (status.message.clone(), "see the API server's answer".to_owned()),
        error => (error.to_string(), "see that the API server can be reached".to_owned()),
    };
    Failure::unable(format!("{kind} cannot be listed: {why}"), hint)
}
