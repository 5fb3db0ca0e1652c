//! Tells the API server which certificate the leader's webhook has.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use allotment_cluster::{Backoff, Event, Selectors, watch};
use futures_util::StreamExt;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhookConfiguration, WebhookClientConfig};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::own::OwnCertificate;
use crate::kubernetes::{FIELD_MANAGER, is_missing};

const NAME: &str = "allotment";

/// Two that believe to lead write over each other's, for as long as they do: not faster than this.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest sleep: clocks jump.
const LOOK: Duration = Duration::from_hours(1);

/// While this controller leads, sees to it that the API server believes what it serves. It never ends.
pub(super) async fn vouch(client: Client, own: &OwnCertificate, mut leading: watch::Receiver<bool>) {
    let api = Api::<ValidatingWebhookConfiguration>::all(client);
    let fields = Selectors::fields(format!("metadata.name={NAME}"));
    let mut events = pin!(watch(api.clone(), fields));
    let mut configuration = None;
    let mut backoff = Backoff::default();
    let mut again = Instant::now();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Listed { objects, .. }) => configuration = objects.into_iter().next(),
                Some(Event::Applied(object)) => configuration = Some(object),
                Some(Event::Deleted(_)) => configuration = None,
                Some(Event::Reached(_)) | None => {}
            },
            changed = leading.changed() => if changed.is_err() { return },
            () = sleep_until(again) => {}
        }
        again = Instant::now() + LOOK;
        let Some(there) = configuration.as_ref().filter(|_| *leading.borrow_and_update()) else { continue };
        let now = Timestamp::now();
        let vouched = match own.turn(&hosts(there), now) {
            Ok(vouched) => vouched,
            Err(error) => {
                tracing::error!(%error, "no certificate can be made for the webhook; objects are taken without being asked about");
                continue;
            }
        };
        let left = Duration::try_from(vouched.until.duration_since(now)).unwrap_or_default();
        again = again.min(Instant::now() + left);
        let Some(patch) = patch(there, &vouched.pem) else { continue };
        match api.patch(NAME, &PatchParams::apply(FIELD_MANAGER), &Patch::Strategic(patch)).await {
            Ok(written) => {
                backoff.reset();
                configuration = Some(written);
                sleep(PAUSE).await;
            }
            Err(error) if is_missing(&error) => configuration = None,
            Err(error) => {
                tracing::warn!(%error, "the API server does not know the webhook's certificate; objects are taken without being asked about");
                again = again.min(Instant::now() + backoff.failed());
            }
        }
    }
}

/// By which names the API server asks.
fn hosts(configuration: &ValidatingWebhookConfiguration) -> Vec<String> {
    let hosts: BTreeSet<String> = clients(configuration).filter_map(|(_, client)| host(client)).collect();
    hosts.into_iter().collect()
}

fn host(client: &WebhookClientConfig) -> Option<String> {
    if let Some(service) = &client.service {
        return Some(format!("{}.{}.svc", service.name, service.namespace));
    }
    let uri: http::Uri = client.url.as_ref()?.parse().ok()?;
    Some(uri.host()?.trim_matches(['[', ']']).to_owned())
}

/// What has to be changed for the API server to believe these certificates; nothing where it does.
fn patch(configuration: &ValidatingWebhookConfiguration, pem: &str) -> Option<Value> {
    let wrong = clients(configuration)
        .filter(|(_, client)| client.ca_bundle.as_ref().is_none_or(|bundle| bundle.0 != pem.as_bytes()));
    let bundle = ByteString(pem.as_bytes().to_vec());
    let changes: Vec<Value> =
        wrong.map(|(name, _)| json!({"name": name, "clientConfig": {"caBundle": bundle}})).collect();
    (!changes.is_empty()).then(|| json!({ "webhooks": changes }))
}

fn clients(
    configuration: &ValidatingWebhookConfiguration,
) -> impl Iterator<Item = (&str, &WebhookClientConfig)> {
    let webhooks = configuration.webhooks.iter().flatten();
    webhooks.map(|webhook| (webhook.name.as_str(), &webhook.client_config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(client: &Value) -> ValidatingWebhookConfiguration {
        let webhook = json!({"name": "a.example", "clientConfig": client, "sideEffects": "None", "admissionReviewVersions": ["v1"]});
        serde_json::from_value(json!({"metadata": {"name": NAME}, "webhooks": [webhook]})).unwrap()
    }

    #[test]
    fn it_is_called_as_the_configuration_says() {
        for (client, name) in [
            (json!({"service": {"name": "a", "namespace": "b"}}), "a.b.svc"),
            (json!({"url": "https://10.0.0.1:9443/x"}), "10.0.0.1"),
            (json!({"url": "https://[fd00::1]:9443"}), "fd00::1"),
            (json!({"url": "https://allot.example"}), "allot.example"),
        ] {
            assert_eq!(hosts(&configuration(&client)), [name], "{client}");
        }
        assert!(hosts(&configuration(&json!({}))).is_empty());
    }

    #[test]
    fn only_what_is_wrong_is_written() {
        let service = json!({"name": "a", "namespace": "b"});
        let bare = configuration(&json!({ "service": service }));
        let change = json!({"webhooks": [{"name": "a.example", "clientConfig": {"caBundle": "cGVt"}}]});
        assert_eq!(patch(&bare, "pem"), Some(change));
        let told = configuration(&json!({"service": service, "caBundle": "cGVt"}));
        assert_eq!(patch(&told, "pem"), None);
        assert!(patch(&told, "other").is_some());
    }
}
