//! What all scenes on one control plane share.

use std::path::Path;

use allotment_fleet::{ControlPlane, Namespace, Pods, Server, Template};
use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client};

use super::meter::{self, Reading};

/// A control plane, and the names of its nodes.
pub(crate) struct Stage<'a> {
    pub(crate) plane: &'a ControlPlane,
    pub(crate) client: Client,
    pub(crate) pods: Pods,
    pub(crate) nodes: Vec<String>,
    namespace: Namespace,
}

impl<'a> Stage<'a> {
    pub(crate) async fn new(plane: &'a ControlPlane, nodes: usize) -> Result<Stage<'a>> {
        let client = plane.client()?;
        let pods = Pods::new(client.clone());
        let nodes: Vec<String> = (1..=nodes).map(|number| format!("node-{number}")).collect();
        pods.nodes(&nodes).await?;
        Ok(Stage { plane, client, pods, nodes, namespace: Namespace::new(plane.folder())? })
    }

    /// The namespace that all pods share.
    pub(crate) fn netns(&self) -> &Path {
        self.namespace.path()
    }

    /// So many pods of this name, in turn on the first nodes.
    pub(crate) fn templates(&self, name: &str, count: usize, nodes: usize) -> Vec<Template> {
        let nodes = self.nodes.iter().take(nodes).cycle();
        (0..count)
            .zip(nodes)
            .map(|(n, node)| Template::new("default", &format!("{name}-{n}")).on(node))
            .collect()
    }

    /// Removes every pod there is, and waits until none is left.
    pub(crate) async fn clear(&self) -> Result<()> {
        let api: Api<Pod> = Api::default_namespaced(self.client.clone());
        let parameters = DeleteParams::default().grace_period(0);
        while !api.list(&ListParams::default()).await?.items.is_empty() {
            api.delete_collection(&parameters, &ListParams::default()).await?;
        }
        Ok(())
    }

    pub(crate) async fn read(&self, servers: &[&Server]) -> Result<Reading> {
        meter::read(self.plane, &self.client, servers).await
    }
}
