//! Everything that the doctor looks at, read once.

use std::fmt::Debug;

use allotment_api::v1alpha1::{IPPool, NodeAttachments, Reservation, Subnet};
use allotment_cluster::NetworkAttachmentDefinition;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::core::{NamespaceResourceScope, Resource, ResourceExt};
use kube::{Api, Client};
use serde::de::DeserializeOwned;

use super::rights::{AGENT, CONTROLLER, Right, WEBHOOK};
use crate::cluster::gather;
use crate::failure::Failure;

/// What the manifests call them.
pub(super) const CONTROLLERS: &str = "allotment-controller";
pub(super) const AGENTS: &str = "allotment-agent";

/// Questions to the API server at once.
const AT_ONCE: usize = 8;

/// The installation, and what is around it.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) namespace: String,
    /// Ours alone.
    pub(super) definitions: Vec<CustomResourceDefinition>,
    pub(super) policies: Vec<ValidatingAdmissionPolicy>,
    pub(super) mutating: Vec<MutatingAdmissionPolicy>,
    /// Names of bindings: a policy without one is not in force.
    pub(super) bindings: Vec<String>,
    pub(super) controllers: Option<Deployment>,
    pub(super) agents: Option<DaemonSet>,
    pub(super) agent_pods: Vec<Pod>,
    pub(super) controller_pods: Vec<Pod>,
    pub(super) webhooks: Vec<ValidatingWebhookConfiguration>,
    pub(super) lease: Option<Lease>,
    pub(super) denied: Vec<Denied>,
    pub(super) nodes: Vec<Node>,
    pub(super) reports: Vec<NodeAttachments>,
    pub(super) subnets: Vec<Subnet>,
    pub(super) pools: Vec<IPPool>,
    pub(super) reservations: Vec<Reservation>,
    pub(super) networks: Vec<NetworkAttachmentDefinition>,
    pub(super) services: Vec<ServiceCIDR>,
    pub(super) now: Timestamp,
    pub(super) unseen: Vec<Unseen>,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unseen {
    /// As RBAC has it: `nodes`.
    pub(super) plural: String,
    pub(super) why: String,
}

/// A right that an account lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) user: String,
    pub(super) verb: &'static str,
    /// `subnets.allotment.dev`.
    pub(super) resource: String,
    /// Empty: any.
    pub(super) name: &'static str,
}

/// Reads everything. Fails when nothing at all can be read.
pub(super) async fn look(client: &Client, namespace: &str) -> Result<Seen, Failure> {
    // Whoever may not even ask for this reaches no API server.
    client.apiserver_version().await.map_err(|error| {
        Failure::unable(format!("the API server does not answer: {error}"), "name it with --kubeconfig")
    })?;
    let mut seen = Seen { namespace: namespace.to_owned(), now: Timestamp::now(), ..Seen::default() };
    let unseen = &mut seen.unseen;
    seen.definitions = all(client, unseen).await;
    seen.definitions.retain(|definition: &CustomResourceDefinition| definition.spec.group == "allotment.dev");
    seen.policies = all(client, unseen).await;
    seen.mutating = all(client, unseen).await;
    let validating: Vec<ValidatingAdmissionPolicyBinding> = all(client, unseen).await;
    let mutating: Vec<MutatingAdmissionPolicyBinding> = all(client, unseen).await;
    let names =
        validating.iter().map(ResourceExt::name_any).chain(mutating.iter().map(ResourceExt::name_any));
    seen.bindings = names.collect();
    seen.controllers = one(client, namespace, CONTROLLERS, unseen).await;
    seen.agents = one(client, namespace, AGENTS, unseen).await;
    seen.lease = one(client, namespace, CONTROLLERS, unseen).await;
    seen.agent_pods = pods(client, namespace, "agent", unseen).await;
    seen.controller_pods = pods(client, namespace, "controller", unseen).await;
    seen.webhooks = all(client, unseen).await;
    seen.nodes = all(client, unseen).await;
    seen.reports = all(client, unseen).await;
    seen.subnets = all(client, unseen).await;
    seen.pools = all(client, unseen).await;
    seen.reservations = all(client, unseen).await;
    seen.networks = all(client, unseen).await;
    seen.services = all(client, unseen).await;
    let of =
        |account: Option<String>| account.map(|name| format!("system:serviceaccount:{namespace}:{name}"));
    let webhook = if seen.makes_certificate() { WEBHOOK } else { &[] };
    let (controller, agent) = (of(seen.controller_account()), of(seen.agent_account()));
    for (user, rights) in [(controller.clone(), CONTROLLER), (controller, webhook), (agent, AGENT)] {
        if let Some(user) = user {
            match denied(client, namespace, &user, rights).await {
                Ok(denied) => seen.denied.extend(denied),
                Err(error) => {
                    let why = format!("what {user} may do: {}", words(&error));
                    seen.unseen.push(Unseen { plural: "subjectaccessreviews".to_owned(), why });
                }
            }
        }
    }
    Ok(seen)
}

impl Seen {
    /// The service account that controllers run as.
    pub(super) fn controller_account(&self) -> Option<String> {
        let spec = self.controllers.as_ref()?.spec.template.spec.as_ref()?;
        Some(spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned()))
    }

    /// Whether controllers serve a webhook; and whether with a certificate of their own.
    pub(super) fn serves_webhook(&self) -> bool {
        self.is_told("--webhook")
    }

    pub(super) fn makes_certificate(&self) -> bool {
        self.serves_webhook() && !self.is_told("--webhook-cert")
    }

    fn is_told(&self, flag: &str) -> bool {
        let spec = self.controllers.as_ref().and_then(|deployment| deployment.spec.template.spec.as_ref());
        let args = spec
            .into_iter()
            .flat_map(|spec| &spec.containers)
            .flat_map(|container| container.args.iter().flatten());
        args.map(|arg| arg.split('=').next().unwrap_or_default()).any(|arg| arg == flag)
    }

    pub(super) fn agent_account(&self) -> Option<String> {
        let spec = self.agents.as_ref()?.spec.template.spec.as_ref()?;
        Some(spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned()))
    }
}

async fn all<K>(client: &Client, unseen: &mut Vec<Unseen>) -> Vec<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    gather::all(client).await.unwrap_or_else(|failure| {
        unseen.push(Unseen { plural: K::plural(&()).into_owned(), why: failure.to_string() });
        Vec::new()
    })
}

async fn one<K>(client: &Client, namespace: &str, name: &str, unseen: &mut Vec<Unseen>) -> Option<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    api.get_opt(name).await.unwrap_or_else(|error| {
        let why = format!("{} {namespace}/{name}: {}", K::kind(&()), words(&error));
        unseen.push(Unseen { plural: K::plural(&()).into_owned(), why });
        None
    })
}

async fn pods(client: &Client, namespace: &str, component: &str, unseen: &mut Vec<Unseen>) -> Vec<Pod> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let labels = format!("app.kubernetes.io/name=allotment,app.kubernetes.io/component={component}");
    match api.list(&ListParams::default().labels(&labels)).await {
        Ok(pods) => pods.items,
        Err(error) => {
            let why = format!("pods of namespace {namespace}: {}", words(&error));
            unseen.push(Unseen { plural: "pods".to_owned(), why });
            Vec::new()
        }
    }
}

/// The rights that this user lacks.
async fn denied(
    client: &Client,
    namespace: &str,
    user: &str,
    rights: &[Right],
) -> Result<Vec<Denied>, kube::Error> {
    let mut questions = Vec::new();
    for Right { group, resources, verbs, names, is_local } in rights {
        for &name in if names.is_empty() { &[""] } else { *names } {
            for (&resource, &verb) in resources.iter().flat_map(|r| verbs.iter().map(move |v| (r, v))) {
                let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                let attributes = ResourceAttributes {
                    group: Some((*group).to_owned()),
                    resource: Some(plural.to_owned()),
                    subresource: Some(subresource.to_owned()),
                    verb: Some(verb.to_owned()),
                    name: Some(name.to_owned()),
                    namespace: is_local.then(|| namespace.to_owned()),
                    ..ResourceAttributes::default()
                };
                let resource =
                    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
                questions.push((Denied { user: user.to_owned(), verb, resource, name }, attributes));
            }
        }
    }
    let answers = stream::iter(questions).map(|(denied, attributes)| async {
        is_allowed(client, user, attributes).await.map(|allowed| (!allowed).then_some(denied))
    });
    let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
    answers.into_iter().filter_map(Result::transpose).collect()
}

async fn is_allowed(client: &Client, user: &str, asked: ResourceAttributes) -> Result<bool, kube::Error> {
    let account_groups = user.rsplit_once(':').map_or("", |(account, _)| account);
    let groups = [
        "system:authenticated".to_owned(),
        "system:serviceaccounts".to_owned(),
        account_groups.replace("serviceaccount:", "serviceaccounts:"),
    ];
    let spec = SubjectAccessReviewSpec {
        user: Some(user.to_owned()),
        groups: Some(groups.to_vec()),
        resource_attributes: Some(asked),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    Ok(api.create(&PostParams::default(), &review).await?.status.is_some_and(|status| status.allowed))
}

fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}
