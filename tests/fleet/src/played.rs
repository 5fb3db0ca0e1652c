//! Agents that are not there: what they would publish.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::json;

/// The kind that agents publish with; this crate knows none of our types, as it is to see what everybody sees.
pub(crate) fn node_attachments(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("allotment.dev", "v1alpha1", "NodeAttachments");
    Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, "nodeattachments"))
}

/// Publishes for a node that it has seen all that is, and that nothing which has ended is still in use: from then on
/// its pods get grants. To be called again for whatever ends later.
pub async fn publish(client: &Client, node: &str) -> Result<()> {
    let object = Api::<Node>::all(client.clone()).get_metadata(node).await?;
    let uid = object.metadata.uid.context("a node has a UID")?;
    let nodes =
        Api::<Node>::all(client.clone()).list_metadata(&kube::api::ListParams::default().limit(1)).await?;
    let version = nodes.metadata.resource_version.context("a list has a version")?;
    let api = node_attachments(client);
    let manager = PatchParams::apply("allotment-agent").force();
    let head = json!({"apiVersion": "allotment.dev/v1alpha1", "kind": "NodeAttachments", "metadata": {"name": node}});
    let mut object = head.clone();
    object["spec"] = json!({});
    api.patch(node, &manager, &Patch::Apply(&object)).await?;
    let mut object = head;
    object["status"] = json!({"nodeUID": uid, "bootID": "played", "epoch": 0, "asOf": version});
    api.patch_status(node, &manager, &Patch::Apply(&object)).await?;
    Ok(())
}
