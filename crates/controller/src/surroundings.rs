//! What a pod is read against: namespaces, networks, nodes and Deployments, as the watches tell them.

use std::collections::HashMap;
use std::sync::Arc;

use allotment_api::v1alpha1::NodeAttachments;
use allotment_cluster::{Deployment, Event, Namespace, NetworkAttachmentDefinition, Node};
use allotment_core::Labels;
use kube::ResourceExt;

use crate::request::{Nad, Nads, NamespaceView, PodView, Rollout, Settings, World, deployment};

/// Namespaces, networks, nodes, Deployments.
#[derive(Default)]
pub(crate) struct Surroundings {
    settings: Settings,
    /// Counts what has changed of all that a pod is read against.
    version: u64,
    namespaces: Option<HashMap<String, NamespaceView>>,
    networks: Option<Nads>,
    nodes: HashMap<Arc<str>, NodeView>,
    /// How Deployments that may have more pods than replicas replace them, by namespace and name.
    rollouts: HashMap<(String, String), Rollout>,
    /// Whether nodes, and what their agents say, have been listed.
    listed: (bool, bool),
}

/// A node, as far as it matters to grants.
#[derive(Default)]
struct NodeView {
    /// Empty: there is no Node object, or not yet.
    uid: String,
    labels: Labels,
    /// The UID of the node that an agent has published for; empty: none has.
    published: String,
    /// The UID of the node that grants are made for, as it stands in the node's object; empty: none yet.
    admitted: String,
}

/// Whose pods have to be looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Affected {
    Nobody,
    Node(Arc<str>),
    Everybody,
}

impl Surroundings {
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn new(settings: Settings) -> Surroundings {
        Surroundings { settings, ..Surroundings::default() }
    }

    /// Whether everything that pods are read against has been told at least once.
    pub(crate) fn are_known(&self) -> bool {
        self.namespaces.is_some() && self.networks.is_some() && self.listed == (true, true)
    }

    /// As long as this is the same, the same pod wants the same.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// What the pod is read against; nothing while its namespace or node is not known.
    pub(crate) fn of(&self, pod: &PodView) -> Option<World<'_>> {
        Some(World {
            namespace: self.namespaces.as_ref()?.get(&pod.namespace)?,
            node_labels: &self.nodes.get(&*pod.node)?.labels,
            nads: self.networks.as_ref()?,
            settings: &self.settings,
        })
    }

    /// The node's UID, once its agent has published since it exists, and grants for it are known to be for it: before that
    /// nobody could prove that an address given there is no longer used (R3).
    pub(crate) fn serving(&self, node: &str) -> Option<&str> {
        let node = self.nodes.get(node)?;
        let is_serving = !node.uid.is_empty() && node.uid == node.published && node.uid == node.admitted;
        is_serving.then_some(&node.uid)
    }

    pub(crate) fn namespace(&mut self, event: Event<Namespace>) -> Affected {
        let view = |namespace: &Namespace| (namespace.name_any(), NamespaceView::new(&namespace.metadata));
        self.version += 1;
        match event {
            Event::Listed { objects, .. } => {
                self.namespaces = Some(objects.iter().map(view).collect());
                Affected::Everybody
            }
            Event::Applied(namespace) => {
                let (name, view) = view(&namespace);
                let known = self.namespaces.get_or_insert_default();
                let changed = known.get(&name) != Some(&view);
                known.insert(name, view);
                if changed { Affected::Everybody } else { Affected::Nobody }
            }
            Event::Deleted(namespace) => {
                self.namespaces.get_or_insert_default().remove(&namespace.name_any());
                Affected::Nobody
            }
            Event::Reached(_) => Affected::Nobody,
        }
    }

    pub(crate) fn network(&mut self, event: Event<NetworkAttachmentDefinition>) -> Affected {
        let view = |network: &NetworkAttachmentDefinition| {
            let name = network.name_any();
            let key = format!("{}/{name}", network.namespace().unwrap_or_default());
            (key, Nad::parse(&name, Some(&network.spec.config)))
        };
        self.version += 1;
        match event {
            Event::Listed { objects, .. } => self.networks = Some(objects.iter().map(view).collect()),
            Event::Applied(network) => {
                let (key, nad) = view(&network);
                let known = self.networks.get_or_insert_default();
                if known.get(&key) == Some(&nad) {
                    return Affected::Nobody;
                }
                known.insert(key, nad);
            }
            Event::Deleted(network) => {
                let (key, _) = view(&network);
                self.networks.get_or_insert_default().remove(&key);
            }
            Event::Reached(_) => return Affected::Nobody,
        }
        Affected::Everybody
    }

    /// How the Deployment of a pod replaces its pods, if they may be more than its replicas.
    pub(crate) fn rollout(&self, pod: &PodView) -> Option<Rollout> {
        let key = (pod.namespace.clone(), deployment(pod)?.to_owned());
        self.rollouts.get(&key).copied()
    }

    /// Nobody waits for these: they only explain refusals.
    pub(crate) fn deployment(&mut self, event: Event<Deployment>) {
        match event {
            Event::Listed { objects, .. } => {
                self.rollouts.clear();
                for deployment in &objects {
                    self.put_rollout(deployment);
                }
            }
            Event::Applied(deployment) => self.put_rollout(&deployment),
            Event::Deleted(deployment) => drop(self.rollouts.remove(&key(&deployment))),
            Event::Reached(_) => {}
        }
    }

    fn put_rollout(&mut self, deployment: &Deployment) {
        let rollout = Rollout { replicas: deployment.spec.replicas, max_surge: deployment.spec.surge() };
        if rollout.max_surge == 0 {
            self.rollouts.remove(&key(deployment));
        } else {
            self.rollouts.insert(key(deployment), rollout);
        }
    }

    pub(crate) fn node(&mut self, event: Event<Node>) -> Affected {
        match event {
            Event::Listed { objects, .. } => {
                self.listed.0 = true;
                self.version += 1;
                for node in self.nodes.values_mut() {
                    node.uid.clear();
                }
                for node in objects {
                    self.put_node(node);
                }
                self.forget_empty();
                Affected::Everybody
            }
            Event::Applied(node) => {
                let name: Arc<str> = node.name_any().into();
                if self.put_node(node) { Affected::Node(name) } else { Affected::Nobody }
            }
            Event::Deleted(node) => {
                self.version += 1;
                if let Some(view) = self.nodes.get_mut(node.name_any().as_str()) {
                    view.uid.clear();
                }
                self.forget_empty();
                Affected::Nobody
            }
            Event::Reached(_) => Affected::Nobody,
        }
    }

    /// Whether anything is different now.
    fn put_node(&mut self, node: Node) -> bool {
        let view = self.nodes.entry(node.name_any().into()).or_default();
        let uid = node.metadata.uid.unwrap_or_default();
        let labels = node.metadata.labels.unwrap_or_default();
        if view.uid == uid && view.labels == labels {
            return false;
        }
        (view.uid, view.labels) = (uid, labels);
        self.version += 1;
        true
    }

    pub(crate) fn attachments(&mut self, event: &Event<NodeAttachments>) -> Affected {
        match event {
            Event::Listed { objects, .. } => {
                self.listed.1 = true;
                for node in self.nodes.values_mut() {
                    node.published.clear();
                }
                for object in objects {
                    self.put_published(object);
                }
                self.forget_empty();
                Affected::Everybody
            }
            Event::Applied(object) => {
                if self.put_published(object) {
                    Affected::Node(object.name_any().into())
                } else {
                    Affected::Nobody
                }
            }
            Event::Deleted(object) => {
                if let Some(view) = self.nodes.get_mut(object.name_any().as_str()) {
                    view.published.clear();
                }
                self.forget_empty();
                Affected::Nobody
            }
            Event::Reached(_) => Affected::Nobody,
        }
    }

    /// Whether an agent has published for another node than before.
    fn put_published(&mut self, object: &NodeAttachments) -> bool {
        let uid = object.status.as_ref().map_or("", |status| &status.node_uid);
        let view = self.nodes.entry(object.name_any().into()).or_default();
        let admitted = &object.spec.node_uid;
        if view.published == uid && view.admitted == *admitted {
            return false;
        }
        uid.clone_into(&mut view.published);
        admitted.clone_into(&mut view.admitted);
        true
    }

    fn forget_empty(&mut self) {
        self.nodes.retain(|_, node| !node.uid.is_empty() || !node.published.is_empty());
    }
}

fn key(deployment: &Deployment) -> (String, String) {
    (deployment.namespace().unwrap_or_default(), deployment.name_any())
}

#[cfg(test)]
mod tests {
    use allotment_api::v1alpha1::{NodeAttachmentsSpec, NodeAttachmentsStatus};

    use super::*;

    fn node(name: &str, uid: &str) -> Node {
        let mut node = Node::default();
        node.metadata.name = Some(name.to_owned());
        node.metadata.uid = Some(uid.to_owned());
        node
    }

    fn published(name: &str, uid: &str) -> NodeAttachments {
        let spec = NodeAttachmentsSpec { node_uid: uid.to_owned(), ..Default::default() };
        let mut object = NodeAttachments::new(name, spec);
        object.status = Some(NodeAttachmentsStatus { node_uid: uid.to_owned(), ..Default::default() });
        object
    }

    fn listed<K>(objects: Vec<K>) -> Event<K> {
        Event::Listed { objects, version: "1".parse().unwrap() }
    }

    #[test]
    fn r3_a_node_serves_once_its_agent_has_published_for_it() {
        let mut around = Surroundings::default();
        around.node(listed(vec![node("a", "u1")]));
        assert_eq!(around.serving("a"), None);
        assert_eq!(around.attachments(&Event::Applied(published("a", "u1"))), Affected::Node("a".into()));
        assert!(around.serving("a").is_some());
        // What is published again, with other content, changes nothing here.
        assert_eq!(around.attachments(&Event::Applied(published("a", "u1"))), Affected::Nobody);
    }

    #[test]
    fn r3_a_node_replaced_under_its_name_has_to_publish_again() {
        let mut around = Surroundings::default();
        around.attachments(&Event::Applied(published("a", "u1")));
        assert_eq!(around.node(Event::Applied(node("a", "u2"))), Affected::Node("a".into()));
        assert_eq!(around.serving("a"), None);
        around.attachments(&Event::Applied(published("a", "u2")));
        assert!(around.serving("a").is_some());
        around.attachments(&Event::Deleted(published("a", "u2")));
        assert_eq!(around.serving("a"), None, "no object, no proof");
    }

    #[test]
    fn whatever_pods_are_read_against_is_of_another_version_once_it_changed() {
        let mut around = Surroundings::default();
        let mut seen = vec![around.version()];
        around.node(listed(vec![node("a", "u1")]));
        seen.push(around.version());
        around.node(Event::Applied(node("a", "u1")));
        assert_eq!(Some(&around.version()), seen.last(), "a heartbeat changes nothing");
        let mut labelled = node("a", "u1");
        labelled.metadata.labels = Some([("rack".to_owned(), "1".to_owned())].into());
        around.node(Event::Applied(labelled));
        seen.push(around.version());
        around.namespace(listed(vec![Namespace::default()]));
        seen.push(around.version());
        let network: NetworkAttachmentDefinition = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "a", "namespace": "b"}, "spec": {"config": "{\"ipam\": {\"type\": \"allotment\"}}"},
        }))
        .unwrap();
        assert_eq!(around.network(Event::Applied(network.clone())), Affected::Everybody);
        seen.push(around.version());
        assert_eq!(around.network(Event::Applied(network)), Affected::Nobody, "written again as it is");
        around.node(Event::Deleted(node("a", "u1")));
        seen.push(around.version());
        assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    }

    #[test]
    fn what_a_list_lacks_is_gone() {
        let mut around = Surroundings::default();
        around.attachments(&listed(vec![published("a", "u1")]));
        around.node(listed(vec![node("a", "u1"), node("b", "u2")]));
        assert!(around.serving("a").is_some());
        around.node(listed(vec![node("b", "u2")]));
        assert_eq!(around.serving("a"), None);
        around.attachments(&listed(Vec::new()));
        assert_eq!(around.nodes.len(), 1);
    }
}
