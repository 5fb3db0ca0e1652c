//! What is written to the API server, apart from ledger and lease; and the few reads that go with it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_api::v1alpha1::{
    Answer, IPPool, LedgerBlock, NodeAttachments, NodeAttachmentsSpec, ObjectStatus, Reservation, Subnet,
};
use allotment_cluster::Pod;
use allotment_core::{ObjectKey, ObjectKind};
use allotment_proof::Version;
use k8s_openapi::api::events::v1::Event;
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, ValidationDirective,
};
use kube::core::{ClusterResourceScope, Request};
use kube::{Api, Client, Resource};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::events;
use crate::feed::{PODS, RUNNING_PODS};
use crate::kubernetes::{FIELD_MANAGER, code};
use crate::metrics::{Metrics, Written};
use crate::objects::FINALIZER;
use crate::pods::{Patched, Place};
use crate::release::Spec;

/// A write that has not been answered by then is tried again.
const ANSWER: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Writer {
    client: Client,
    metrics: Arc<Metrics>,
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no answer within {} s", ANSWER.as_secs())]
    Slow,
    #[error(transparent)]
    Api(#[from] kube::Error),
}

impl Failure {
    fn code(&self) -> Option<u16> {
        match self {
            Failure::Slow => None,
            Failure::Api(error) => code(error),
        }
    }

    /// What the API server says, where it does.
    fn words(&self) -> String {
        match self {
            Failure::Api(kube::Error::Api(status)) => status.message.clone(),
            failure => failure.to_string(),
        }
    }
}

impl Writer {
    pub(super) fn new(client: Client, metrics: Arc<Metrics>) -> Writer {
        Writer { client, metrics }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Writes, and counts it.
    async fn write<T>(
        &self,
        what: Written,
        write: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let done = answered(write).await;
        let outcome = match &done {
            Ok(_) => "done",
            Err(failure) => match failure.code() {
                Some(404) => "gone",
                Some(409 | 422) => "changed",
                Some(429) => "throttled",
                Some(_) | None => "failed",
            },
        };
        self.metrics.wrote(what, outcome, began.elapsed());
        done
    }

    /// Shows something on a pod, as long as the pod is what the patch tests.
    pub(super) async fn show(
        &self,
        uid: &str,
        place: &Place,
        patch: json_patch::Patch,
        what: Written,
    ) -> Patched {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &place.namespace);
        let patched = self.write(what, self.patch_pod(&api, &place.name, patch)).await;
        let Err(failure) = patched else { return Patched::Done };
        let error = failure.words();
        match failure.code() {
            Some(404) => Patched::Gone,
            // What it tests does not hold (422), or somebody wrote at the same moment (409).
            Some(409 | 422) => match answered(api.get_opt(&place.name)).await {
                Ok(Some(pod)) if pod.metadata.uid.as_deref() == Some(uid) => {
                    Patched::Changed(Box::new(pod), error)
                }
                Ok(_) => Patched::Gone,
                Err(failure) => Patched::Failed(failure.to_string()),
            },
            _ => Patched::Failed(error),
        }
    }

    /// A patch whose answer nobody reads. It adds a text under our own key, so nothing is gained by having the API server go
    /// through the whole pod for fields that it does not know.
    async fn patch_pod(
        &self,
        api: &Api<Pod>,
        name: &str,
        patch: json_patch::Patch,
    ) -> Result<(), kube::Error> {
        let params = PatchParams { field_validation: Some(ValidationDirective::Ignore), ..ours() };
        let request =
            Request::new(api.resource_url()).patch_metadata(name, &params, &Patch::<()>::Json(patch));
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.client.request::<IgnoredAny>(request).await.map(drop)
    }

    pub(super) async fn pod(&self, namespace: &str, name: &str) -> Result<Option<Pod>, Failure> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        answered(api.get_opt(name)).await
    }

    pub(super) async fn answers(
        &self,
        node: &str,
        uid: &str,
        answers: &[Answer],
        blocks: &BTreeSet<LedgerBlock>,
    ) -> Result<(), Failure> {
        let api: Api<NodeAttachments> = Api::all(self.client.clone());
        // The UID keeps it from another object of this name.
        let spec = json!({"answers": answers, "blocks": blocks});
        let patch = Patch::Merge(json!({"metadata": {"uid": uid}, "spec": spec}));
        self.write(Written::Answers, api.patch_metadata(node, &ours(), &patch)).await.map(drop)
    }

    /// A version of pods, read now.
    pub(super) async fn pods_version(&self) -> Result<Version, Failure> {
        let api: Api<Pod> = Api::all(self.client.clone());
        let list = answered(api.list_metadata(&ListParams::default().limit(1))).await?;
        Ok(version(list.metadata.resource_version.as_deref()))
    }

    /// Pods as they are now: all that are bound and have a network of their own, or those of a node.
    pub(super) async fn pods(&self, node: Option<&str>) -> Result<(Vec<Pod>, Version), Failure> {
        let api: Api<Pod> = Api::all(self.client.clone());
        let which = node.map_or_else(|| PODS.to_owned(), |node| format!("spec.nodeName={node}"));
        let list = answered(api.list(&ListParams::default().fields(&which))).await?;
        let read = version(list.metadata.resource_version.as_deref());
        Ok((list.items, read))
    }

    /// UIDs of the pods that are bound, have a network of their own and have not ended.
    pub(super) async fn running_pods(&self) -> Result<(Vec<String>, Version), Failure> {
        let api: Api<Pod> = Api::all(self.client.clone());
        let which = ListParams::default().fields(RUNNING_PODS);
        let list = answered(api.list_metadata(&which)).await?;
        let read = version(list.metadata.resource_version.as_deref());
        Ok((list.items.into_iter().filter_map(|pod| pod.metadata.uid).collect(), read))
    }

    /// Our half of a node's object; returns its version then.
    pub(super) async fn spec(&self, node: &str, spec: &Spec) -> Result<Version, Failure> {
        let api: Api<NodeAttachments> = Api::all(self.client.clone());
        let NodeAttachmentsSpec { node_uid, former, forgotten, reach, epoch, recovered, .. } =
            spec.clone().into_object();
        let mut patch = json!({
            "metadata": {"uid": spec.uid, "resourceVersion": spec.replaces.to_string()},
            "spec": {"nodeUID": node_uid, "former": former, "forgotten": forgotten, "reach": reach, "epoch": epoch,
                "recovered": recovered},
        });
        if spec.begins_epoch {
            // What was lost in an earlier one is known by now.
            patch["spec"]["blocks"] = json!([]);
        }
        let patch = Patch::Merge(patch);
        let done = self.write(Written::Node, api.patch_metadata(node, &ours(), &patch)).await?;
        Ok(version(done.metadata.resource_version.as_deref()))
    }

    pub(super) async fn remove_attachments(
        &self,
        node: &str,
        uid: String,
        version: Version,
    ) -> Result<(), Failure> {
        let api: Api<NodeAttachments> = Api::all(self.client.clone());
        let preconditions = Preconditions { uid: Some(uid), resource_version: Some(version.to_string()) };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        self.write(Written::Node, api.delete(node, &params)).await.map(drop)
    }

    pub(super) async fn event(&self, action: events::Action) -> Result<(), Failure> {
        match action {
            events::Action::Create(event) => {
                let namespace = event.metadata.namespace.clone().unwrap_or_default();
                let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
                let params =
                    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() };
                self.write(Written::Event, api.create(&params, &event)).await.map(drop)
            }
            events::Action::Extend { namespace, name, series } => {
                let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
                let patch = Patch::Merge(json!({ "series": series }));
                self.write(Written::Event, api.patch_metadata(&name, &ours(), &patch)).await.map(drop)
            }
        }
    }

    pub(super) async fn status(
        &self,
        key: &ObjectKey,
        uid: &str,
        status: &ObjectStatus,
    ) -> Result<(), Failure> {
        self.apply(key, uid, json!({ "status": status }), Written::Status).await
    }

    /// Puts our finalizer on an object, or takes it away.
    pub(super) async fn finalize(&self, key: &ObjectKey, uid: &str, present: bool) -> Result<(), Failure> {
        let finalizers: &[&str] = if present { &[FINALIZER] } else { &[] };
        let fields = json!({"metadata": {"finalizers": finalizers}});
        match self.apply(key, uid, fields, Written::Finalizer).await {
            // It went meanwhile, which is what is wanted where the finalizer is taken away.
            Err(failure) if !present && matches!(failure.code(), Some(404 | 409)) => Ok(()),
            done => done,
        }
    }

    /// Server-side apply of our own fields. The UID keeps it from making an object anew that has gone.
    async fn apply(&self, key: &ObjectKey, uid: &str, fields: Value, what: Written) -> Result<(), Failure> {
        match key.kind {
            ObjectKind::Subnet => self.apply_as::<Subnet>(&key.name, uid, fields, what).await,
            ObjectKind::IPPool => self.apply_as::<IPPool>(&key.name, uid, fields, what).await,
            ObjectKind::Reservation => self.apply_as::<Reservation>(&key.name, uid, fields, what).await,
        }
    }

    async fn apply_as<K>(
        &self,
        name: &str,
        uid: &str,
        mut fields: Value,
        what: Written,
    ) -> Result<(), Failure>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + DeserializeOwned,
    {
        fields["apiVersion"] = json!(K::api_version(&()));
        fields["kind"] = json!(K::kind(&()));
        fields["metadata"]["name"] = json!(name);
        fields["metadata"]["uid"] = json!(uid);
        let api: Api<K> = Api::all(self.client.clone());
        let (params, patch) = (PatchParams::apply(FIELD_MANAGER).force(), Patch::Apply(fields));
        if what == Written::Status {
            self.write(what, api.patch_status(name, &params, &patch)).await.map(drop)
        } else {
            self.write(what, api.patch_metadata(name, &params, &patch)).await.map(drop)
        }
    }
}

/// The oldest where it is no number: it proves nothing.
fn version(text: Option<&str>) -> Version {
    Version(text.and_then(|text| text.parse().ok()).unwrap_or_default())
}

async fn answered<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    Ok(timeout(ANSWER, request).await.map_err(|_| Failure::Slow)??)
}

fn ours() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}
