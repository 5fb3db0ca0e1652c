//! What is put into a cluster once: definitions, policies, rights, controllers.

use allotment_api::Principal;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;
use kube::core::ResourceExt;
use serde_json::Value;

use super::super::look::{CONTROLLERS, Denied, Seen};
use super::super::{Ailment, code};

/// What clocks of two machines may differ by, besides the time that a lease lasts.
const CLOCKS: SignedDuration = SignedDuration::from_secs(30);

/// The policy that strips copies; there is no such kind before Kubernetes 1.36.
const COPIES: &str = "allotment-copies";

/// The webhook's configuration.
const WEBHOOK: &str = "allotment";

pub(super) fn nothing(seen: &Seen) -> Option<Ailment> {
    let is_empty = seen.definitions.is_empty() && seen.controllers.is_none() && seen.agents.is_none();
    let text = format!(
        "there are no definitions, and in namespace `{}` no controllers and no agents",
        seen.namespace
    );
    is_empty.then(|| Ailment::new(&code::NOT_INSTALLED, "cluster", text))
}

pub(super) fn definitions(seen: &Seen) -> Vec<Ailment> {
    let judge = |wanted: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        let object = format!("CustomResourceDefinition {}", wanted.name_any());
        let Some(present) = seen.definitions.iter().find(|present| present.name_any() == wanted.name_any()) else {
            return Some(Ailment::new(&code::DEFINITION_MISSING, object, "it is not there"));
        };
        let [here, ours] = [present, &wanted].map(|definition| {
            definition.spec.versions.iter().map(|version| (&version.name, &version.schema)).collect::<Vec<_>>()
        });
        let text = "its schema is another one than this version of `allot` has";
        (here != ours).then(|| Ailment::new(&code::DEFINITION_OTHER, object, text))
    };
    allotment_api::crds().into_iter().filter_map(judge).collect()
}

pub(super) fn policies(seen: &Seen) -> Vec<Ailment> {
    let wanted = wanted_policies(seen);
    let is_bound = |name: &str| seen.bindings.iter().any(|binding| binding == name);
    let mut ailments = Vec::new();
    for policy in wanted.iter().filter(|document| document["kind"] == "ValidatingAdmissionPolicy") {
        let name = policy["metadata"]["name"].as_str().unwrap_or_default();
        let object = format!("ValidatingAdmissionPolicy {name}");
        let present = seen.policies.iter().find(|present| present.name_any() == name);
        let Some(present) = present.filter(|_| is_bound(name)) else {
            let what = if present.is_some() { "it has no binding" } else { "it is not there" };
            ailments.push(Ailment::new(&code::POLICY_MISSING, object, what));
            continue;
        };
        let spec = serde_json::to_value(&present.spec).unwrap_or_default();
        // The API server fills in much of the rest.
        if ["validations", "variables"].iter().any(|field| spec[field] != policy["spec"][field]) {
            let what = "it is not what `allot policies` prints for these accounts";
            ailments.push(Ailment::new(&code::POLICY_OTHER, object, what));
        }
    }
    if !(is_bound(COPIES) && seen.mutating.iter().any(|present| present.name_any() == COPIES)) {
        let object = format!("MutatingAdmissionPolicy {COPIES}");
        ailments.push(Ailment::new(&code::COPIES_REFUSED, object, "it is not in force"));
    }
    ailments
}

/// What `allot policies` prints for the accounts that controllers and agents run as.
fn wanted_policies(seen: &Seen) -> Vec<Value> {
    let principal = |account: Option<String>, default: &str| -> Principal {
        let of = |name: String| format!("system:serviceaccount:{}:{name}", seen.namespace);
        let text = account.map_or_else(|| default.to_owned(), of);
        text.parse().or_else(|_| default.parse()).expect("the default is a name of a user")
    };
    let controller = principal(seen.controller_account(), allotment_api::CONTROLLER);
    let agents = principal(seen.agent_account(), allotment_api::AGENTS);
    serde_saphyr::from_multiple(&allotment_api::policies_yaml(&controller, &agents))
        .expect("what is printed for the API server is YAML")
}

pub(super) fn rights(seen: &Seen) -> Vec<Ailment> {
    let say = |Denied { user, verb, resource, name }: &Denied| {
        let which = if name.is_empty() { String::new() } else { format!(" `{name}`") };
        Ailment::new(
            &code::RIGHT_MISSING,
            format!("User {user}"),
            format!("may not `{verb}` {resource}{which}"),
        )
    };
    seen.denied.iter().map(say).collect()
}

pub(super) fn controllers(seen: &Seen) -> Vec<Ailment> {
    let place = format!("{}/{CONTROLLERS}", seen.namespace);
    let mut ailments = Vec::new();
    match &seen.controllers {
        None => {
            ailments.push(Ailment::new(
                &code::CONTROLLER_MISSING,
                format!("Deployment {place}"),
                "it is not there",
            ));
        }
        Some(deployment) => {
            let wanted = deployment.spec.replicas.unwrap_or(1);
            let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
            if ready < wanted {
                let text = format!("{ready} of {wanted} controllers are ready");
                ailments.push(Ailment::new(&code::CONTROLLER_UNREADY, format!("Deployment {place}"), text));
            }
        }
    }
    if let Some(why) = unled(seen) {
        ailments.push(Ailment::new(&code::NO_LEADER, format!("Lease {place}"), why));
    }
    ailments
}

pub(super) fn webhook(seen: &Seen) -> Option<Ailment> {
    let why = unasked(seen).filter(|_| seen.serves_webhook())?;
    Some(Ailment::new(&code::WEBHOOK_UNASKED, format!("ValidatingWebhookConfiguration {WEBHOOK}"), why))
}

/// Why nobody asks the controller that leads.
fn unasked(seen: &Seen) -> Option<&'static str> {
    let Some(configuration) = seen.webhooks.iter().find(|webhook| webhook.name_any() == WEBHOOK) else {
        return Some("it is not there: the API server knows of no webhook");
    };
    let webhooks = configuration.webhooks.as_deref().unwrap_or_default();
    if seen.makes_certificate() && webhooks.iter().any(|webhook| webhook.client_config.ca_bundle.is_none()) {
        return Some("it has no `caBundle`: no controller has written whose certificate is to be believed");
    }
    let leads = |pod: &&Pod| pod.labels().contains_key(allotment_controller::LEADS);
    let by_service = webhooks.iter().any(|webhook| webhook.client_config.service.is_some());
    match seen.controller_pods.iter().filter(leads).count() {
        0 if by_service => {
            Some("its service leads to no controller: none of their pods has the label `allotment.dev/leads`")
        }
        0 | 1 => None,
        _ => Some(
            "its service leads to standbys, too: several of their pods have the label `allotment.dev/leads`",
        ),
    }
}

/// Why nobody leads.
fn unled(seen: &Seen) -> Option<String> {
    let Some(lease) = &seen.lease else {
        return Some("it is not there: no controller has ever led".to_owned());
    };
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    let Some(holder) = holder else { return Some("nobody holds it".to_owned()) };
    let lasts = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or_default().into());
    let age = spec.renew_time.map(|renewed| seen.now.duration_since(renewed.0));
    match age {
        Some(age) if age <= lasts + CLOCKS => None,
        Some(age) => Some(format!("{holder} has not renewed it for {} s", age.as_secs())),
        None => Some(format!("{holder} has never renewed it")),
    }
}
