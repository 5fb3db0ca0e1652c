//! Kinds that need not be defined in a cluster: networks of Multus, virtual machines, and what the configuration names.
//!
//! A watch of a kind that does not exist would ask for it again and again; so its definition is watched, and the kind as
//! long as that is there.

use allotment_cluster::{Event, ResourceVersion, Selectors, watch};
use futures_util::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ObjectMeta;
use kube::discovery::ApiResource;
use kube::{Api, Client, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::{Input, forward};

/// The few fields of a definition that say how its kind is asked for.
#[derive(Clone, Debug, Deserialize, kube::Resource)]
#[resource(inherit = CustomResourceDefinition)]
pub(super) struct Definition {
    metadata: ObjectMeta,
    spec: DefinitionSpec,
}

#[derive(Clone, Debug, Deserialize)]
struct DefinitionSpec {
    group: String,
    names: Names,
    versions: Vec<Version>,
}

#[derive(Clone, Debug, Deserialize)]
struct Names {
    kind: String,
    plural: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Version {
    name: String,
    served: bool,
    storage: bool,
}

/// How a kind is asked for: as its type says, or as its definition does.
pub(super) trait Served: Sized {
    fn served(definition: &Definition) -> Option<Self>;
}

impl Served for () {
    fn served(_: &Definition) -> Option<()> {
        Some(())
    }
}

impl Served for ApiResource {
    fn served(definition: &Definition) -> Option<ApiResource> {
        let DefinitionSpec { group, names, versions } = &definition.spec;
        let mut served = versions.iter().filter(|version| version.served);
        let version = served.clone().find(|version| version.storage).or_else(|| served.next())?.name.clone();
        Some(ApiResource {
            group: group.clone(),
            api_version: format!("{group}/{version}"),
            version,
            kind: names.kind.clone(),
            plural: names.plural.clone(),
        })
    }
}

/// Watches the definition of this name, and its kind as long as it is there.
pub(super) async fn forward_defined<K>(
    client: Client,
    definition: String,
    to: mpsc::Sender<Input>,
    wrap: impl Fn(Event<K>) -> Input + Clone + Send + 'static,
) where
    K: Resource + DeserializeOwned + Send + 'static,
    K::DynamicType: Served,
{
    let definitions = Api::<Definition>::all(client.clone());
    let mut events =
        std::pin::pin!(watch(definitions, Selectors::fields(format!("metadata.name={definition}"))));
    let mut watches = JoinSet::new();
    let mut running: Option<AbortHandle> = None;
    while let Some(event) = events.next().await {
        let (defined, version) = match event {
            Event::Listed { objects, version } => (objects.into_iter().next(), version),
            Event::Applied(definition) => (Some(definition), ResourceVersion::default()),
            Event::Deleted(_) => (None, ResourceVersion::default()),
            Event::Reached(_) => continue,
        };
        match defined.as_ref().and_then(K::DynamicType::served) {
            Some(_) if running.is_some() => {}
            Some(served) => {
                let api = Api::<K>::all_with(client.clone(), &served);
                let events = watch(api, Selectors::default());
                running = Some(watches.spawn(forward(events, to.clone(), wrap.clone())));
            }
            None => {
                running.take().as_ref().map(AbortHandle::abort);
                if to.send(wrap(Event::Listed { objects: Vec::new(), version })).await.is_err() {
                    return;
                }
            }
        }
    }
}
