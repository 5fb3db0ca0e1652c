//! Kubernetes' own kinds, cut down to what we read. Everything else is skipped while it is parsed, so that ten thousand pods
//! cost what we need of them.
//!
//! What is missing in an object is empty or absent here. Nothing of these can be sent back: an update would drop what we do
//! not know.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1 as apps_v1;
use k8s_openapi::api::core::v1 as core_v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ObjectMeta;
use serde::{Deserialize, Deserializer};

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, kube::Resource)]
#[resource(inherit = core_v1::Pod)]
pub struct Pod {
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: PodSpec,
    #[serde(default)]
    pub status: PodStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Empty: not bound yet.
    pub node_name: String,
    /// It has the node's own network, and so nothing of us.
    pub host_network: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`; empty before there is any.
    pub phase: String,
}

impl Pod {
    /// Whether its containers have ended for good: no ADD comes for it any more.
    pub fn is_finished(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Whether a container of it has started: its sandbox was made before, with all that ADDs have answered.
    pub fn is_running(&self) -> bool {
        self.status.phase == "Running"
    }
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, kube::Resource)]
#[resource(inherit = core_v1::Node)]
pub struct Node {
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: NodeSpec,
    #[serde(default)]
    pub status: NodeStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    pub taints: Vec<Taint>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    pub node_info: NodeInfo,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NodeInfo {
    /// The kernel's; another one after every boot.
    #[serde(rename = "bootID")]
    pub boot_id: String,
}

/// A namespace: its labels and annotations are all that matters.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, kube::Resource)]
#[resource(inherit = core_v1::Namespace)]
pub struct Namespace {
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
}

/// A Deployment: how many pods it may have at a time.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, kube::Resource)]
#[resource(inherit = apps_v1::Deployment)]
pub struct Deployment {
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: DeploymentSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DeploymentSpec {
    /// The API server fills it in.
    pub replicas: u32,
    pub strategy: Strategy,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Strategy {
    /// Nothing where all pods end before new ones start.
    pub rolling_update: Option<RollingUpdate>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    /// A number, or a percentage as a text.
    pub max_surge: Option<IntOrString>,
}

impl DeploymentSpec {
    /// How many pods it may have beyond its replicas; of a percentage rounded up, as Kubernetes does.
    pub fn surge(&self) -> u32 {
        let surge = self.strategy.rolling_update.as_ref().and_then(|update| update.max_surge.as_ref());
        match surge {
            Some(IntOrString::Int(pods)) => u32::try_from(*pods).unwrap_or(0),
            Some(IntOrString::String(text)) => {
                let percent: u32 = text.trim_end_matches('%').parse().unwrap_or(0);
                let surge = (u64::from(self.replicas) * u64::from(percent)).div_ceil(100);
                u32::try_from(surge).unwrap_or(u32::MAX)
            }
            None => 0,
        }
    }
}

/// Of `k8s.cni.cncf.io/v1`: a network that pods name in their annotations.
#[derive(kube::CustomResource, Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[kube(
    group = "k8s.cni.cncf.io",
    version = "v1",
    kind = "NetworkAttachmentDefinition",
    plural = "network-attachment-definitions",
    namespaced,
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default"
)]
#[serde(default)]
pub struct NetworkAttachmentDefinitionSpec {
    /// A CNI configuration as JSON; empty where it lies in a file on the nodes.
    pub config: String,
}

/// All of it but `managedFields`, which is often longer than the rest of the object, and a tree of small pieces of memory
/// once it is read.
fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let Metadata {
        annotations,
        creation_timestamp,
        deletion_timestamp,
        finalizers,
        generation,
        labels,
        name,
        namespace,
        owner_references,
        resource_version,
        uid,
    } = Metadata::deserialize(deserializer)?;
    Ok(ObjectMeta {
        annotations,
        creation_timestamp,
        deletion_timestamp,
        finalizers,
        generation,
        labels,
        name,
        namespace,
        owner_references,
        resource_version,
        uid,
        ..ObjectMeta::default()
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    uid: Option<String>,
}

#[cfg(test)]
mod tests {
    use kube::Resource;
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn what_is_missing_is_empty() {
        let pod: Pod = from_value(json!({"metadata": {"name": "a"}, "spec": {"containers": []}})).unwrap();
        assert_eq!((pod.spec, pod.status), Default::default());
        let node: Node = from_value(json!({"metadata": {"name": "n"}})).unwrap();
        assert_eq!(node.status.node_info.boot_id, "");
    }

    #[test]
    fn what_we_read_is_read() {
        let pod: Pod = from_value(json!({
            "metadata": {"name": "a", "namespace": "b", "uid": "u"},
            "spec": {"nodeName": "n", "hostNetwork": true, "containers": [{"name": "c"}]},
            "status": {"phase": "Failed", "podIPs": []},
        }))
        .unwrap();
        assert!(pod.is_finished() && pod.spec.host_network);
        assert_eq!(pod.spec.node_name, "n");
        let node: Node = from_value(json!({
            "metadata": {"name": "n"},
            "spec": {"taints": [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]},
            "status": {"nodeInfo": {"bootID": "b", "kernelVersion": "6"}},
        }))
        .unwrap();
        assert_eq!(node.spec.taints[0].key, "node.kubernetes.io/out-of-service");
        assert_eq!(node.status.node_info.boot_id, "b");
        let network: NetworkAttachmentDefinition =
            from_value(json!({"metadata": {"name": "m"}, "spec": {"config": "{}"}})).unwrap();
        assert_eq!(network.spec.config, "{}");
    }

    #[test]
    fn a_surge_is_a_number_or_a_part_of_the_replicas_rounded_up() {
        let rows = [
            (json!({}), 0),
            (json!({"strategy": {"type": "Recreate"}}), 0),
            (json!({"strategy": {"rollingUpdate": {"maxSurge": 2}}}), 2),
            (json!({"strategy": {"rollingUpdate": {"maxSurge": "25%"}}}), 1),
            (json!({"strategy": {"rollingUpdate": {"maxSurge": "0%"}}}), 0),
            (json!({"strategy": {"rollingUpdate": {"maxSurge": "100%"}}}), 3),
            (json!({"strategy": {"rollingUpdate": {"maxSurge": "many"}}}), 0),
        ];
        for (mut spec, surge) in rows {
            spec["replicas"] = json!(3);
            let deployment: Deployment = from_value(json!({"spec": spec})).unwrap();
            assert_eq!(deployment.spec.surge(), surge, "{spec}");
        }
    }

    #[test]
    fn of_the_metadata_only_who_wrote_what_is_left_out() {
        let mut all = json!({
            "annotations": {"a": "b"}, "creationTimestamp": "2026-11-23T12:00:00Z",
            "deletionTimestamp": "2026-11-23T12:00:01Z", "finalizers": ["f"], "generation": 7, "labels": {"c": "d"},
            "name": "n", "namespace": "s", "resourceVersion": "9", "uid": "u",
            "ownerReferences": [{"apiVersion": "apps/v1", "controller": true, "kind": "Job", "name": "j", "uid": "v"}],
        });
        let read: Pod = from_value(json!({"metadata": all})).unwrap();
        assert_eq!(serde_json::to_value(&read.metadata).unwrap(), all);
        all["managedFields"] = json!([{"manager": "kubelet", "fieldsV1": {"f:status": {}}}]);
        assert_eq!(from_value::<Pod>(json!({"metadata": all})).unwrap(), read);
    }

    #[test]
    fn every_kind_has_its_address() {
        assert_eq!(Pod::url_path(&(), Some("b")), "/api/v1/namespaces/b/pods");
        assert_eq!(Node::url_path(&(), None), "/api/v1/nodes");
        assert_eq!(Deployment::url_path(&(), None), "/apis/apps/v1/deployments");
        assert_eq!(Namespace::url_path(&(), None), "/api/v1/namespaces");
        assert_eq!(
            NetworkAttachmentDefinition::url_path(&(), None),
            "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions"
        );
    }
}
