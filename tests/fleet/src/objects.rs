//! Objects from YAML, as `kubectl apply --server-side` would bring them in.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::{ApiResource, Scope, oneshot::pinned_kind};
use kube::{Api, Client};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// The definition of the kind `NetworkAttachmentDefinition`.
pub const NETWORKS: &str = include_str!("networks.yaml");

/// A definition is served a fraction of a second after it is made.
const SERVED_LIMIT: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(10);

/// Applies every document of the text; those with a namespace go into it, others that need one into `default`.
/// Returns once every kind that it defines is served.
pub async fn apply(client: &Client, yaml: &str) -> Result<()> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("the objects are no YAML")?;
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        let object: DynamicObject = serde_json::from_value(document).context("no object")?;
        apply_object(client, &object).await.with_context(|| label(&object))?;
    }
    Ok(())
}

/// Makes the kinds that `allot crds` prints, and `NetworkAttachmentDefinition`.
pub async fn install(client: &Client, allot: &Path) -> Result<()> {
    let definitions = allotment_lab::run(Command::new(allot).arg("crds"))?;
    apply(client, &definitions).await?;
    apply(client, NETWORKS).await
}

async fn apply_object(client: &Client, object: &DynamicObject) -> Result<()> {
    let types = object.types.as_ref().context("it has no kind")?;
    let (resource, capabilities) = pinned_kind(client, &types.try_into()?).await?;
    let api: Api<DynamicObject> = match (capabilities.scope, &object.metadata.namespace) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource),
        (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), &resource),
    };
    let name = object.metadata.name.as_deref().context("it has no name")?;
    let parameters = PatchParams::apply("fleet").force();
    api.patch(name, &parameters, &Patch::Apply(object)).await?;
    if types.kind == "CustomResourceDefinition" {
        wait_served(client, &object.data["spec"]).await?;
    }
    Ok(())
}

/// Waits until every version of a definition can be listed.
async fn wait_served(client: &Client, spec: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let group = text(&spec["group"]);
    let deadline = Instant::now() + SERVED_LIMIT;
    for version in spec["versions"].as_array().into_iter().flatten() {
        let kind = GroupVersionKind::gvk(&group, &text(&version["name"]), &text(&spec["names"]["kind"]));
        let resource = ApiResource::from_gvk_with_plural(&kind, &text(&spec["names"]["plural"]));
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        while let Err(error) = api.list(&ListParams::default().limit(1)).await {
            if Instant::now() > deadline {
                bail!("{} is not served after {} s: {error}", kind.kind, SERVED_LIMIT.as_secs());
            }
            sleep(POLL).await;
        }
    }
    Ok(())
}

fn label(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("object", |types| &types.kind);
    format!("{kind} {}", object.metadata.name.as_deref().unwrap_or("without a name"))
}
