//! Nodes and pods as API objects: made, bound, finished, deleted.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1 as core;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use serde_json::{Value, json};

/// Requests at once, where many objects are made.
pub const CONNECTIONS: usize = 20;

/// A pod that is to be made.
#[derive(Clone, Debug)]
pub struct Template(Value);

impl Template {
    pub fn new(namespace: &str, name: &str) -> Template {
        Template(json!({
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"containers": [{"name": "main", "image": "none"}]},
        }))
    }

    /// Bound to this node from the start.
    #[must_use]
    pub fn on(mut self, node: &str) -> Template {
        self.0["spec"]["nodeName"] = json!(node);
        self
    }

    #[must_use]
    pub fn annotate(mut self, key: &str, value: &str) -> Template {
        self.0["metadata"]["annotations"][key] = json!(value);
        self
    }

    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Template {
        self.0["metadata"]["labels"][key] = json!(value);
        self
    }

    /// With this controller, such as `("apps/v1", "StatefulSet", "db", UID)`.
    #[must_use]
    pub fn owned_by(mut self, version: &str, kind: &str, name: &str, uid: &str) -> Template {
        let owner =
            json!({"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true});
        self.0["metadata"]["ownerReferences"] = json!([owner]);
        self
    }

    /// Changes whatever else there is to change.
    #[must_use]
    pub fn edit(mut self, edit: impl FnOnce(&mut Value)) -> Template {
        edit(&mut self.0);
        self
    }
}

/// A pod as its kubelet sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// Empty until it is bound.
    pub node: String,
    pub annotations: BTreeMap<String, String>,
}

impl Pod {
    pub fn of(object: core::Pod) -> Result<Pod> {
        let metadata = object.metadata;
        Ok(Pod {
            namespace: metadata.namespace.context("a pod has a namespace")?,
            name: metadata.name.context("a pod has a name")?,
            uid: metadata.uid.context("a pod has a UID")?,
            node: object.spec.and_then(|spec| spec.node_name).unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
        })
    }
}

/// What a scheduler, a kubelet and users do to pods through the API server.
#[derive(Clone)]
pub struct Pods {
    client: Client,
}

impl Pods {
    pub fn new(client: Client) -> Pods {
        Pods { client }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    fn api(&self, namespace: &str) -> Api<core::Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Makes nodes of these names; those that exist stay.
    pub async fn nodes<S: AsRef<str>>(&self, names: &[S]) -> Result<()> {
        let api: Api<core::Node> = Api::all(self.client.clone());
        make(&api, names.iter().map(|name| name.as_ref().to_owned()).collect()).await
    }

    /// Makes a namespace, unless it exists.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        let api: Api<core::Namespace> = Api::all(self.client.clone());
        make(&api, vec![name.to_owned()]).await
    }

    pub async fn create(&self, template: &Template) -> Result<Pod> {
        let namespace = template.0["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        let object = serde_json::from_value(template.0.clone()).context("the template is no pod")?;
        Pod::of(self.api(&namespace).create(&PostParams::default(), &object).await?)
    }

    /// The pod that was made of a template.
    pub async fn find(&self, template: &Template) -> Result<Pod> {
        let text = |value: &Value| value.as_str().unwrap_or("default").to_owned();
        let metadata = &template.0["metadata"];
        Pod::of(self.api(&text(&metadata["namespace"])).get(&text(&metadata["name"])).await?)
    }

    /// Makes all of them, some at once; the answer has their order.
    pub async fn create_all(&self, templates: &[Template]) -> Result<Vec<Pod>> {
        stream::iter(templates)
            .map(|template| self.create(template))
            .buffered(CONNECTIONS)
            .try_collect()
            .await
    }

    /// What a scheduler does.
    pub async fn bind(&self, pod: &Pod, node: &str) -> Result<Pod> {
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod.name, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node}});
        let api = self.api(&pod.namespace);
        let _: Value = api.create_subresource("binding", &pod.name, &PostParams::default(), &binding).await?;
        Ok(Pod { node: node.to_owned(), ..pod.clone() })
    }

    /// What a kubelet writes when the containers have ended (`Succeeded`, `Failed`), or run (`Running`).
    pub async fn phase(&self, pod: &Pod, phase: &str) -> Result<()> {
        let patch = Patch::Merge(json!({"metadata": {"uid": pod.uid}, "status": {"phase": phase}}));
        self.api(&pod.namespace).patch_status(&pod.name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// What a user does: the pod stays, marked, until its kubelet removes it.
    pub async fn delete(&self, pod: &Pod) -> Result<()> {
        self.end(pod, None).await
    }

    /// The object goes at once: what a kubelet does at a pod's end, and a user who forces it.
    pub async fn remove(&self, pod: &Pod) -> Result<()> {
        self.end(pod, Some(0)).await
    }

    async fn end(&self, pod: &Pod, grace: Option<u32>) -> Result<()> {
        let mut parameters = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
        parameters.preconditions =
            Some(kube::api::Preconditions { uid: Some(pod.uid.clone()), resource_version: None });
        match self.api(&pod.namespace).delete(&pod.name, &parameters).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => other
                .map(drop)
                .with_context(|| format!("pod {}/{} cannot be deleted", pod.namespace, pod.name)),
        }
    }

    /// The object as it is now.
    pub async fn get(&self, pod: &Pod) -> Result<Option<core::Pod>> {
        let found = self.api(&pod.namespace).get_opt(&pod.name).await?;
        Ok(found.filter(|object| object.metadata.uid.as_deref() == Some(&pod.uid)))
    }
}

async fn make<K>(api: &Api<K>, names: Vec<String>) -> Result<()>
where
    K: Resource + Clone + Default + serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let create = async |name: String| {
        let mut object = K::default();
        *object.meta_mut() = ObjectMeta { name: Some(name), ..ObjectMeta::default() };
        match api.create(&PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            other => other.map(drop).context("an object cannot be made"),
        }
    };
    stream::iter(names).map(Ok).try_for_each_concurrent(CONNECTIONS, create).await
}
