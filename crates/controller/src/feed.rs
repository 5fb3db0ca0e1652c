//! What the API server tells: one watch for each kind, all into one queue.

use allotment_api::v1alpha1::{IPPool, NodeAttachments, Reservation, Subnet};
use allotment_cluster::{Event, Namespace, NetworkAttachmentDefinition, Node, Pod, Selectors, watch};
use futures_util::{Stream, StreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ObjectMeta;
use kube::{Api, Client};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// Events that wait to be taken in; a watch that is ahead of us waits.
const QUEUE: usize = 1024;

/// Bound pods with a network of their own.
const PODS: &str = "spec.nodeName!=,spec.hostNetwork=false";

const NETWORKS: &str = "network-attachment-definitions.k8s.cni.cncf.io";

/// One thing that was told.
pub(crate) enum Input {
    Pod(Event<Pod>),
    Namespace(Event<Namespace>),
    Network(Event<NetworkAttachmentDefinition>),
    Node(Event<Node>),
    Attachments(Event<NodeAttachments>),
    Subnet(Event<Subnet>),
    Pool(Event<IPPool>),
    Reservation(Event<Reservation>),
}

/// The watches; they end with it.
pub(crate) struct Feed {
    client: Client,
    sender: mpsc::Sender<Input>,
    inputs: mpsc::Receiver<Input>,
    watches: JoinSet<()>,
}

impl Feed {
    /// Watches everything but pods.
    pub(crate) fn start(client: &Client) -> Feed {
        let (sender, inputs) = mpsc::channel(QUEUE);
        let mut feed = Feed { client: client.clone(), sender, inputs, watches: JoinSet::new() };
        let (client, sender) = (client.clone(), feed.sender.clone());
        feed.watches.spawn(networks(client, sender));
        feed.begin::<Namespace>(Selectors::default(), Input::Namespace);
        feed.begin::<Node>(Selectors::default(), Input::Node);
        feed.begin::<NodeAttachments>(Selectors::default(), Input::Attachments);
        feed.begin::<Subnet>(Selectors::default(), Input::Subnet);
        feed.begin::<IPPool>(Selectors::default(), Input::Pool);
        feed.begin::<Reservation>(Selectors::default(), Input::Reservation);
        feed
    }

    /// Watches pods, too. They are read against the rest, so they come once it is known: most need not be kept then.
    pub(crate) fn start_pods(&mut self) {
        self.begin::<Pod>(Selectors::fields(PODS), Input::Pod);
    }

    fn begin<K>(&mut self, selectors: Selectors, wrap: fn(Event<K>) -> Input)
    where
        K: kube::Resource<DynamicType = ()> + serde::de::DeserializeOwned + Send + 'static,
    {
        let events = watch(Api::<K>::all(self.client.clone()), selectors);
        self.watches.spawn(forward(events, self.sender.clone(), wrap));
    }

    /// Waits for what is told, and takes all that is there.
    pub(crate) async fn next(&mut self, into: &mut Vec<Input>) {
        self.inputs.recv_many(into, QUEUE).await;
    }
}

async fn forward<K>(
    events: impl Stream<Item = Event<K>>,
    to: mpsc::Sender<Input>,
    wrap: fn(Event<K>) -> Input,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        if to.send(wrap(event)).await.is_err() {
            return;
        }
    }
}

/// Whether a kind is defined; nothing of its definition matters.
#[derive(Clone, Debug, Deserialize, kube::Resource)]
#[resource(inherit = CustomResourceDefinition)]
struct Definition {
    metadata: ObjectMeta,
}

/// Networks exist only where their definition does. Without it there is no list to wait for, and nothing to ask again
/// and again.
async fn networks(client: Client, to: mpsc::Sender<Input>) {
    let definitions = Api::<Definition>::all(client.clone());
    let events = watch(definitions, Selectors::fields(format!("metadata.name={NETWORKS}")));
    let mut events = std::pin::pin!(events);
    let mut watches = JoinSet::new();
    let mut running: Option<AbortHandle> = None;
    while let Some(event) = events.next().await {
        let (is_defined, version) = match event {
            Event::Listed { objects, version } => (!objects.is_empty(), version),
            Event::Applied(_) => (true, allotment_cluster::ResourceVersion::default()),
            Event::Deleted(_) => (false, allotment_cluster::ResourceVersion::default()),
            Event::Reached(_) => continue,
        };
        if is_defined && running.is_none() {
            let networks = Api::<NetworkAttachmentDefinition>::all(client.clone());
            let events = watch(networks, Selectors::default());
            running = Some(watches.spawn(forward(events, to.clone(), Input::Network)));
        } else if !is_defined {
            running.take().as_ref().map(AbortHandle::abort);
            if to.send(Input::Network(Event::Listed { objects: Vec::new(), version })).await.is_err() {
                return;
            }
        }
    }
}
