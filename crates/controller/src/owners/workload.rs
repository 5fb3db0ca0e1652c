//! What owns pods, cut down to what we read: the same fields of every kind.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::api::ObjectMeta;
use kube::discovery::ApiResource;
use kube::{Resource, core::DynamicResourceScope};
use serde::Deserialize;

use super::Known;
use crate::request::{Identity, OwnerKind, PodView, Settings};

/// A kind of objects that own pods.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) group: String,
    pub(crate) kind: String,
}

/// Owners of one kind, as the ledger writes it, and the objects that stand for them: they are there as long as one of them
/// is.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(super) identity: Identity,
    pub(crate) sources: Vec<Source>,
}

/// The owners that there are with these settings.
pub(crate) fn families(settings: &Settings) -> Vec<Family> {
    let source = |group: &str, kind: &str| Source { group: group.to_owned(), kind: kind.to_owned() };
    let mut families = vec![
        Family {
            kind: "StatefulSet".to_owned(),
            identity: Identity::Ordinal,
            sources: vec![source("apps", "StatefulSet")],
        },
        Family {
            kind: "VirtualMachine".to_owned(),
            identity: Identity::Controller,
            sources: vec![
                source("kubevirt.io", "VirtualMachine"),
                source("kubevirt.io", "VirtualMachineInstance"),
            ],
        },
    ];
    families.extend(settings.owners.iter().map(|OwnerKind { group, kind, identity }| Family {
        kind: if group.is_empty() { kind.clone() } else { format!("{kind}.{group}") },
        identity: *identity,
        sources: vec![source(group, kind)],
    }));
    families
}

/// An object that owns pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Workload {
    metadata: ObjectMeta,
    spec: WorkloadSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WorkloadSpec {
    replicas: Option<u64>,
    ordinals: Ordinals,
    template: Template,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Ordinals {
    start: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    metadata: TemplateMeta,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TemplateMeta {
    annotations: Option<BTreeMap<String, String>>,
}

impl Workload {
    pub(super) fn into_known(self) -> Known {
        let Ordinals { start } = self.spec.ordinals;
        let template = ObjectMeta {
            namespace: self.metadata.namespace,
            annotations: self.spec.template.metadata.annotations,
            ..ObjectMeta::default()
        };
        Known {
            uid: self.metadata.uid.unwrap_or_default(),
            ordinals: self.spec.replicas.map(|replicas| start..start.saturating_add(replicas)),
            template: PodView::new(&template, ""),
        }
    }
}

impl Resource for Workload {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
