//! What the API server tells: one watch for each kind, all into one queue.

use allotment_api::v1alpha1::{IPPool, NodeAttachments, Reservation, Subnet};
use allotment_cluster::{
    Deployment, Event, Namespace, NetworkAttachmentDefinition, Node, Pod, Selectors, watch,
};
use futures_util::{Stream, StreamExt};
use kube::discovery::ApiResource;
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::owners::{Family, Source, Workload};

mod defined;

/// Events that wait to be taken in; a watch that is ahead of us waits.
const QUEUE: usize = 1024;

/// Bound pods with a network of their own.
pub(crate) const PODS: &str = "spec.nodeName!=,spec.hostNetwork=false";

/// Those of them that have not ended.
pub(crate) const RUNNING_PODS: &str =
    "spec.nodeName!=,spec.hostNetwork=false,status.phase!=Succeeded,status.phase!=Failed";

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
    Workload(Source, Event<Workload>),
    Deployment(Event<Deployment>),
}

/// The watches; they end with it.
pub(crate) struct Feed {
    client: Client,
    sender: mpsc::Sender<Input>,
    inputs: mpsc::Receiver<Input>,
    watches: JoinSet<()>,
}

impl Feed {
    /// Watches everything but pods; with what owners these families have.
    pub(crate) fn start(client: &Client, families: &[Family]) -> Feed {
        let (sender, inputs) = mpsc::channel(QUEUE);
        let mut feed = Feed { client: client.clone(), sender, inputs, watches: JoinSet::new() };
        feed.begin_defined("network-attachment-definitions.k8s.cni.cncf.io".to_owned(), Input::Network);
        for source in families.iter().flat_map(|family| &family.sources) {
            feed.begin_source(source.clone());
        }
        feed.begin::<Namespace>(Selectors::default(), Input::Namespace);
        feed.begin::<Node>(Selectors::default(), Input::Node);
        feed.begin::<NodeAttachments>(Selectors::default(), Input::Attachments);
        feed.begin::<Subnet>(Selectors::default(), Input::Subnet);
        feed.begin::<IPPool>(Selectors::default(), Input::Pool);
        feed.begin::<Reservation>(Selectors::default(), Input::Reservation);
        feed.begin::<Deployment>(Selectors::default(), Input::Deployment);
        feed
    }

    /// Watches pods, too. They are read against the rest, so they come once it is known: most need not be kept then.
    pub(crate) fn start_pods(&mut self) {
        self.begin::<Pod>(Selectors::fields(PODS), Input::Pod);
    }

    fn begin_source(&mut self, source: Source) {
        let Source { group, kind } = &source;
        let plural = format!("{}s", kind.to_lowercase());
        if group == "apps" {
            let resource = ApiResource {
                group: group.clone(),
                version: "v1".to_owned(),
                api_version: format!("{group}/v1"),
                kind: kind.clone(),
                plural,
            };
            let events =
                watch(Api::<Workload>::all_with(self.client.clone(), &resource), Selectors::default());
            let wrap = move |event| Input::Workload(source.clone(), event);
            self.watches.spawn(forward(events, self.sender.clone(), wrap));
        } else {
            let name = format!("{plural}.{group}");
            self.begin_defined(name, move |event| Input::Workload(source.clone(), event));
        }
    }

    /// Watches a kind that need not exist; as long as it does not, there is nothing of it.
    fn begin_defined<K>(
        &mut self,
        definition: String,
        wrap: impl Fn(Event<K>) -> Input + Clone + Send + 'static,
    ) where
        K: kube::Resource + serde::de::DeserializeOwned + Send + 'static,
        K::DynamicType: defined::Served,
    {
        self.watches.spawn(defined::forward_defined(
            self.client.clone(),
            definition,
            self.sender.clone(),
            wrap,
        ));
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
    wrap: impl Fn(Event<K>) -> Input,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        if to.send(wrap(event)).await.is_err() {
            return;
        }
    }
}
