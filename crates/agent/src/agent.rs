//! The agent's parts, and what runs beside the socket.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use allotment_api::v1alpha1::NodeAttachments;
use allotment_cluster::{Backoff, Node, Pod, Selectors, list, watch};
use allotment_node::netns;
use futures_util::StreamExt;
use kube::{Api, Client};
use prometheus_client::registry::Registry;

use crate::desk::Desk;
use crate::journal::{Journal, OpenError};
use crate::metrics::AgentMetrics;
use crate::shared::Shared;
use crate::verbs::AgentVerbs;
use crate::{ends, publish, rebuild};

/// How long reading the Node object may take.
const READ_LIMIT: Duration = Duration::from_secs(20);

/// So many addresses are named where there are more.
const FEW: usize = 8;

/// Whose agent it is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the Node object.
    pub node: String,
    /// The folder with the journal.
    pub state: PathBuf,
}

/// One node's agent, without its socket.
pub struct Agent {
    shared: Shared,
    metrics: AgentMetrics,
    client: Client,
    node: String,
}

impl Agent {
    /// Reads the journal. Nothing is sent yet, so that what is known can be served while the API server is away.
    pub fn open(settings: &Settings, client: Client) -> Result<Agent, OpenError> {
        let found = Journal::open(&settings.state)?;
        // No other process has had it, as far as chance can see to it.
        let process = RandomState::new().hash_one(std::process::id());
        let desk = Desk::new(&settings.node, netns::boot_id(), found, process);
        let metrics = AgentMetrics::default();
        Ok(Agent { shared: Shared::new(desk), metrics, client, node: settings.node.clone() })
    }

    /// For the socket.
    pub fn verbs(&self) -> AgentVerbs {
        AgentVerbs::new(self.shared.clone(), self.metrics.clone())
    }

    /// Adds what is counted to the daemon's registry.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(self.shared.clone(), registry);
    }

    /// Whether what the node says is published, so that the controller grants for it.
    pub fn is_ready(&self) -> bool {
        self.shared.with(|desk| desk.has_published())
    }

    /// The agent is about to stop: ADDs that wait are told to try again.
    pub fn drain(&self) {
        self.shared.change(Desk::drain);
    }

    /// Gives the node up: from now on nothing new is served. Returns once nothing on the node has an address of ours; the log
    /// says which are in use until then.
    pub async fn retire(&self) {
        self.shared.change(Desk::retire);
        let mut said = BTreeSet::new();
        self.shared
            .until(|desk| {
                let in_use = desk.in_use()?;
                if !in_use.is_empty() && in_use != said {
                    let first: Vec<String> = in_use.iter().take(FEW).map(ToString::to_string).collect();
                    let (count, first) = (in_use.len(), first.join(", "));
                    tracing::warn!(
                        count,
                        first,
                        "Allotment stays on this node as long as addresses are in use here; `allot who-has` says by whom"
                    );
                }
                said = in_use;
                said.is_empty().then_some(())
            })
            .await;
    }

    /// Watches, looks and publishes, for ever: end it by dropping it.
    pub async fn run(&self) {
        let objects: Api<NodeAttachments> = Api::all(self.client.clone());
        tokio::join!(
            self.follow_pods(),
            self.follow_object(objects.clone()),
            self.follow_identity(),
            self.follow_lists(),
            rebuild::rebuild(self.shared.clone()),
            ends::follow(self.shared.clone(), self.metrics.clone()),
            publish::follow(self.shared.clone(), objects, self.node.clone(), self.metrics.clone()),
        );
    }

    fn pods(&self) -> (Api<Pod>, Selectors) {
        let selectors = Selectors::fields(format!("spec.nodeName={}", self.node));
        (Api::all(self.client.clone()), selectors)
    }

    async fn follow_pods(&self) {
        let (api, selectors) = self.pods();
        let mut events = pin!(watch(api, selectors));
        while let Some(event) = events.next().await {
            self.shared.change(|desk| desk.pod_event(event));
        }
    }

    async fn follow_object(&self, api: Api<NodeAttachments>) {
        let selectors = Selectors::fields(format!("metadata.name={}", self.node));
        let mut events = pin!(watch(api, selectors));
        while let Some(event) = events.next().await {
            self.shared.change(|desk| desk.object_event(event));
        }
    }

    /// Reads the Node object at the start, and when a grant says that it is another one.
    async fn follow_identity(&self) {
        let api: Api<Node> = Api::all(self.client.clone());
        let mut backoff = Backoff::default();
        let mut has_warned = false;
        loop {
            self.shared.until(|desk| desk.wants_identity().then_some(())).await;
            let read = tokio::time::timeout(READ_LIMIT, api.get(&self.node)).await;
            let error = match read {
                Ok(Ok(node)) => {
                    let uid = node.metadata.uid.unwrap_or_default();
                    self.shared.change(|desk| desk.identified(&uid));
                    backoff.reset();
                    has_warned = false;
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", READ_LIMIT.as_secs()),
            };
            if !has_warned {
                tracing::warn!(
                    node = self.node,
                    error,
                    "the Node object cannot be read; nothing new is served before"
                );
                has_warned = true;
            }
            backoff.wait().await;
        }
    }

    /// Lists the pods where the watch has not shown enough: the controller wants to know more, or versions begin anew.
    async fn follow_lists(&self) {
        let mut backoff = Backoff::default();
        loop {
            self.shared.until(|desk| desk.wants_list().then_some(())).await;
            let (api, selectors) = self.pods();
            match list(api, selectors).await {
                Ok((pods, version)) => {
                    let is_enough = self.shared.change(|desk| {
                        desk.pods_listed(&pods, version);
                        !desk.wants_list()
                    });
                    if is_enough {
                        backoff.reset();
                        continue;
                    }
                }
                Err(error) => tracing::warn!(%error, "the node's pods cannot be listed"),
            }
            backoff.wait().await;
        }
    }
}
