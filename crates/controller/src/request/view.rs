//! What is read of pods, namespaces and their surroundings.

use std::collections::BTreeMap;

use allotment_api::annotation;
use allotment_core::{Code, Labels, Refusal};
use allotment_wire::cni::LIST_MAX;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Nads, Settings};

/// User, on a pod: further networks, as the Network Plumbing Working Group has it.
pub(super) const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
/// User, on a pod: the network that stands in for the cluster's default one.
pub(super) const DEFAULT_NETWORK: &str = "v1.multus-cni.io/default-network";
/// The kubelet, on the mirror of a static pod.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// `KubeVirt`, on the pod that a virtual machine migrates to.
const MIGRATION: &str = "kubevirt.io/migrationJobUID";

/// Our keys on a pod that people write.
pub(super) const OURS: [&str; 5] =
    [annotation::REQUEST, annotation::SUBNETS, annotation::POOLS, annotation::IPS, annotation::MAC];

/// The longest annotation that is read, in bytes: the API server takes four times as much, and all of it would be kept, and
/// read again at every change that may concern a pod that waits. What 256 interfaces want takes less.
pub(super) const TEXT_MAX: usize = 64 << 10;

/// A pod, as far as it matters here. Small: a controller keeps one for each that waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodView {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// The node it is bound to.
    pub node: String,
    pub labels: Labels,
    /// Those that are read here.
    pub annotations: BTreeMap<String, String>,
    pub controller: Option<Controller>,
    /// The mirror of a static pod, which the runtime knows under another UID (K6).
    pub is_mirror: bool,
}

/// The owner reference with `controller: true`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controller {
    /// Without the version; empty for the core group.
    pub group: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
}

/// A namespace, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceView {
    pub labels: Labels,
    /// Annotation `allotment.dev/subnets`.
    pub subnets: Option<String>,
}

/// What a pod is read against.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The pod's.
    pub namespace: &'a NamespaceView,
    /// The pod's node's.
    pub node_labels: &'a Labels,
    pub nads: &'a Nads,
    pub settings: &'a Settings,
}

impl PodView {
    /// The pod that has this metadata and is bound to `node`.
    pub fn new(meta: &ObjectMeta, node: &str) -> PodView {
        let annotations = meta.annotations.iter().flatten();
        let controller = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        PodView {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            node: node.to_owned(),
            labels: meta.labels.clone().unwrap_or_default(),
            annotations: annotations
                .filter(|(key, _)| {
                    OURS.contains(&key.as_str()) || [NETWORKS, DEFAULT_NETWORK].contains(&key.as_str())
                })
                .map(|(key, value)| (key.clone(), kept(value)))
                .collect(),
            controller: controller.map(|owner| Controller {
                group: owner.api_version.split_once('/').map_or("", |(group, _)| group).to_owned(),
                kind: owner.kind.clone(),
                name: owner.name.clone(),
                uid: owner.uid.clone(),
            }),
            is_mirror: meta.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(MIRROR)),
        }
    }

    /// An annotation that says something.
    pub(super) fn says(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// Whether it is what a running virtual machine migrates to.
    pub(super) fn is_migration_target(&self) -> bool {
        self.labels.get(MIGRATION).is_some_and(|job| !job.is_empty())
    }
}

impl NamespaceView {
    /// The namespace that has this metadata.
    pub fn new(meta: &ObjectMeta) -> NamespaceView {
        NamespaceView {
            labels: meta.labels.clone().unwrap_or_default(),
            subnets: meta
                .annotations
                .as_ref()
                .and_then(|all| all.get(annotation::SUBNETS))
                .map(|text| kept(text)),
        }
    }
}

/// Of a text that is too long, enough to tell that it is.
fn kept(text: &str) -> String {
    text[..text.ceil_char_boundary(TEXT_MAX + 1)].to_owned()
}

/// A text that is not too long to be read.
pub(super) fn bounded<'t>(at: &str, text: &'t str) -> Result<&'t str, Refusal> {
    if text.len() > TEXT_MAX {
        let what = format!("it has more than the {TEXT_MAX} bytes that are read");
        return Err(invalid(at, what, "ask for less, or for a pool instead of its addresses"));
    }
    Ok(text)
}

/// A refusal of what cannot be read: where it stands, what is wrong, and what to write instead.
pub(super) fn invalid(at: &str, what: impl std::fmt::Display, hint: impl Into<String>) -> Refusal {
    Refusal::new(Code::Invalid, format!("{at}: {what}"), hint)
}

/// A list in one line: names separated by commas or white space, or a JSON or YAML list of them.
pub(super) fn words(at: &str, text: &str) -> Result<Vec<String>, Refusal> {
    let text = bounded(at, text.trim())?;
    if !text.starts_with(['[', '-', '"', '{']) {
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
        return few(at, words.map(str::to_owned).collect());
    }
    let hint = "write `a, b` or `[\"a\", \"b\"]`";
    let value = document(text).map_err(|why| invalid(at, why, hint))?;
    let items = value.as_array().ok_or_else(|| invalid(at, "is not a list", hint))?;
    let word = |item: &serde_json::Value| {
        let word = item.as_str().map(str::trim).filter(|word| !word.is_empty());
        word.map(str::to_owned).ok_or_else(|| invalid(at, format!("{item} is not a text"), hint))
    };
    few(at, items.iter().map(word).collect::<Result<_, _>>()?)
}

fn few(at: &str, words: Vec<String>) -> Result<Vec<String>, Refusal> {
    if words.len() > LIST_MAX {
        let what = format!("it lists {}, and {LIST_MAX} are allowed", words.len());
        return Err(invalid(at, what, "list fewer, or name a pool"));
    }
    Ok(words)
}

/// Lists and mappings within each other; what is read here is four deep. The parser calls itself for each.
const MAX_DEPTH: usize = 12;

/// The values of an annotation: aliases may multiply them.
const MAX_NODES: usize = 20_000;

/// One YAML or JSON document.
pub(super) fn document(text: &str) -> Result<serde_json::Value, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
        },
        // A subnet may be called `no`.
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options(text, options) {
        Ok(value) => Ok(value),
        // JSON indented with tabs is no YAML.
        Err(why) => serde_json::from_str(text).map_err(|_| one_line(&why.to_string())),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
