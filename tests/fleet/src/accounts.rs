//! Service accounts, and their tokens.

use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use crate::ControlPlane;
use crate::kubeconfig::Identity;

impl ControlPlane {
    /// A file for a service account, which is made if there is none. With a node, the token is bound to it, as that of a
    /// pod on that node would be: the API server then knows the node of whoever asks. Like a pod, its holder is in that
    /// namespace when nothing else is said.
    pub async fn kubeconfig_of(&self, namespace: &str, account: &str, node: Option<&str>) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, namespace);
        let metadata = ObjectMeta { name: Some(account.to_owned()), ..ObjectMeta::default() };
        match accounts
            .create(&PostParams::default(), &ServiceAccount { metadata, ..Default::default() })
            .await
        {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            other => drop(other?),
        }
        let bound = node.map(|name| BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(name.to_owned()),
            uid: None,
        });
        let spec = TokenRequestSpec { bound_object_ref: bound, ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await?;
        let token = answer.status.and_then(|status| status.token);
        let token = token.context("a token request was answered without a token")?;
        self.write_kubeconfig(&Identity { namespace, ..Identity::token(&token) })
    }
}
