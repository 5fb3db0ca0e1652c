//! A cluster with our kinds, played nodes, and the controller in this process.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use allotment_api::annotation::{GRANT, PodGrant, PodRefusal, REFUSAL};
use allotment_api::v1alpha1::{
    AddressBlock, IPPool, NodeAttachments, NodeAttachmentsSpec, NodeAttachmentsStatus, Reservation, Subnet,
};
use allotment_cluster::NetworkAttachmentDefinition;
use allotment_controller::{Health, Settings};
use allotment_core::AllocationState;
use allotment_fleet::{Pods, Proxy, objects};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource, ResourceExt};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::plane::{Turn, turn};

/// A step of a test that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A turn on the API server, with everything of earlier tests gone.
pub(crate) struct Cluster {
    turn: Turn,
    client: Client,
}

impl Deref for Cluster {
    type Target = Turn;

    fn deref(&self) -> &Turn {
        &self.turn
    }
}

/// Runs a test on a clean cluster.
pub(crate) fn on_cluster(test: impl AsyncFnOnce(&Cluster)) {
    // A test that fails shows what was logged.
    let _ = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::INFO).try_init();
    let turn = turn();
    let client = turn.client();
    let cluster = Cluster { turn, client };
    cluster.runtime.block_on(async {
        cluster.prepare().await;
        test(&cluster).await;
    });
}

impl Cluster {
    async fn prepare(&self) {
        objects::apply(&self.client, &allotment_api::crds_yaml()).await.unwrap();
        objects::apply(&self.client, objects::NETWORKS).await.unwrap();
        self.clear(|namespace| Api::<Pod>::namespaced(self.client(), namespace)).await;
        self.clear(|_| self.api::<Subnet>()).await;
        self.clear(|_| self.api::<IPPool>()).await;
        self.clear(|_| self.api::<Reservation>()).await;
        self.clear(|_| self.api::<NodeAttachments>()).await;
        self.clear(|_| self.api::<Node>()).await;
        self.clear(|_| self.api::<AddressBlock>()).await;
        self.clear(|namespace| Api::<Lease>::namespaced(self.client(), namespace)).await;
        self.clear(|namespace| Api::<Event>::namespaced(self.client(), namespace)).await;
        self.clear(|namespace| Api::<NetworkAttachmentDefinition>::namespaced(self.client(), namespace))
            .await;
    }

    /// Deletes all of a kind, whatever its finalizers say.
    async fn clear<K>(&self, within: impl Fn(&str) -> Api<K>)
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        for object in self.api::<K>().list(&ListParams::default()).await.unwrap() {
            let name = object.name_any();
            let api = within(&object.namespace().unwrap_or_default());
            if !object.finalizers().is_empty() {
                let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
                api.patch_metadata(&name, &PatchParams::default(), &patch).await.unwrap();
            }
            match api.delete(&name, &DeleteParams::default().grace_period(0)).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }

    pub(crate) fn api<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.client.clone())
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn pods(&self) -> Pods {
        Pods::new(self.client.clone())
    }

    pub(crate) fn pod_api(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Starts a controller.
    pub(crate) fn controller(&self) -> Controller {
        Controller::start(self.client.clone())
    }

    /// Starts one whose lease is in this namespace.
    pub(crate) async fn controller_in(&self, namespace: &str) -> Controller {
        let read = Kubeconfig::read_from(self.plane.kubeconfig()).unwrap();
        let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
        namespace.clone_into(&mut config.default_namespace);
        Controller::start(Client::try_from(config).unwrap())
    }

    /// Starts one that sees the API server through this proxy.
    pub(crate) async fn controller_through(&self, proxy: &Proxy<'_>) -> Controller {
        Controller::start(allotment_cluster::connect(Some(&proxy.kubeconfig().unwrap())).await.unwrap())
    }

    pub(crate) async fn apply(&self, yaml: &str) {
        objects::apply(&self.client, yaml).await.unwrap();
    }

    /// A subnet of this name; `more` are further fields of its spec.
    pub(crate) async fn subnet(&self, name: &str, cidr: &str, more: &str) {
        self.apply(&format!(
            "apiVersion: allotment.dev/v1alpha1\nkind: Subnet\nmetadata: {{name: {name}}}\nspec: {{cidrs: [\"{cidr}\"]{more}}}\n"
        ))
        .await;
    }

    /// A network whose addresses come from here, in namespace `default`.
    pub(crate) async fn network(&self, name: &str, ipam: &str) {
        let config = json!({"cniVersion": "1.0.0", "name": name, "type": "macvlan",
            "ipam": serde_json::from_str::<serde_json::Value>(ipam).unwrap()});
        self.apply(&format!(
            "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {{name: {name}, namespace: default}}\nspec: {{config: '{config}'}}\n"
        ))
        .await;
    }

    /// Nodes whose agents have published.
    pub(crate) async fn nodes(&self, names: &[&str]) {
        self.pods().nodes(names).await.unwrap();
        for name in names {
            self.publish(name).await;
        }
    }

    /// What an agent writes when it begins.
    pub(crate) async fn publish(&self, node: &str) {
        let object = self.api::<Node>().get(node).await.unwrap();
        let status = NodeAttachmentsStatus {
            node_uid: object.uid().unwrap(),
            boot_id: "boot".to_owned(),
            as_of: object.resource_version().unwrap(),
            ..NodeAttachmentsStatus::default()
        };
        let api = self.api::<NodeAttachments>();
        let object = NodeAttachments::new(node, NodeAttachmentsSpec::default());
        let _ = api.create(&PostParams::default(), &object).await;
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status(node, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until `look` finds what it looks for.
    pub(crate) async fn wait_until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(tokio::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The pod's grant, once it is there.
    pub(crate) async fn grant(&self, namespace: &str, name: &str) -> PodGrant {
        let text = self.annotation(namespace, name, GRANT).await;
        serde_json::from_str(&text).unwrap()
    }

    /// The pod's refusal, once it is there.
    pub(crate) async fn refusal(&self, namespace: &str, name: &str) -> PodRefusal {
        let text = self.annotation(namespace, name, REFUSAL).await;
        serde_json::from_str(&text).unwrap()
    }

    async fn annotation(&self, namespace: &str, name: &str, key: &str) -> String {
        let api = self.pod_api(namespace);
        self.wait_until(&format!("{key} on {namespace}/{name}"), async || {
            let annotations = api.get(name).await.unwrap().metadata.annotations.unwrap_or_default();
            annotations.get(key).cloned()
        })
        .await
    }

    pub(crate) async fn annotations(&self, namespace: &str, name: &str) -> BTreeMap<String, String> {
        self.pod_api(namespace).get(name).await.unwrap().metadata.annotations.unwrap_or_default()
    }

    /// Waits until this controller leads and serves.
    pub(crate) async fn leads(&self, controller: &Controller) {
        self.wait_until("the controller leads", async || {
            (controller.health.leads() && controller.health.unready().is_none()).then_some(())
        })
        .await;
    }

    /// The subnet's condition `Ready`, once it speaks of the present generation.
    pub(crate) async fn ready(&self, name: &str) -> (String, String, String) {
        let api = self.api::<Subnet>();
        self.wait_until(&format!("condition Ready of subnet {name}"), async || {
            let subnet = api.get(name).await.unwrap();
            let generation = subnet.metadata.generation;
            let status = subnet.status?;
            let ready = status.conditions.into_iter().find(|condition| condition.kind == "Ready")?;
            (status.observed_generation == generation).then_some((ready.status, ready.reason, ready.message))
        })
        .await
    }
}

/// A running controller.
pub(crate) struct Controller {
    pub(crate) health: Arc<Health>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Controller {
    fn start(client: Client) -> Controller {
        let (stop, stopping) = watch::channel(false);
        let health = Arc::new(Health::default());
        let run = allotment_controller::run(client, Settings::default(), Arc::clone(&health), stopping);
        Controller { health, stop, running: tokio::spawn(run) }
    }

    /// As SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop.send(true).unwrap();
        self.running.await.unwrap();
    }

    /// As SIGKILL does, as far as that goes within a process.
    pub(crate) async fn kill(self) {
        self.running.abort();
        let _ = self.running.await;
    }
}

impl Controller {
    /// How often something was written, with this outcome.
    pub(crate) fn wrote(&self, what: &str, outcome: &str) -> u64 {
        let mut registry = Registry::default();
        self.health.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let begin = format!("writes_total{{what=\"{what}\",outcome=\"{outcome}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&begin));
        line.map_or(0, |count| count.parse().unwrap())
    }

    /// Waits until the ledger has an address in this state.
    pub(crate) async fn has_as(&self, cluster: &Cluster, address: &str, expect: AllocationState) {
        let address: IpAddr = address.parse().unwrap();
        let what = format!("{address} is {expect:?}");
        cluster
            .wait_until(&what, async || {
                let (engine, _) = self.health.engine()?;
                let state =
                    engine.read(move |state, _| state.allocation("default", address)).await.ok()??;
                (state.state == expect).then_some(())
            })
            .await;
    }

    /// How often the ledger was written.
    pub(crate) fn commits(&self) -> u64 {
        self.health.engine().map_or(0, |(engine, _)| engine.metrics().commits.get())
    }
}

/// The first address of each interface.
pub(crate) fn addresses(grant: &PodGrant) -> Vec<String> {
    grant.ips().map(|ip| ip.address.to_string()).collect()
}
