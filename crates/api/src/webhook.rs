//! How the API server is told of the controller's admission webhook.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const WEBHOOK: &str = include_str!("webhook.yaml");

/// The port of a service where none is given, as the API server has it.
const HTTPS: u16 = 443;

/// Where the API server finds the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAddress(Place);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Service { namespace: String, name: String, port: u16 },
    Url(String),
}

/// The text does not say where a webhook is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no place of a webhook; write its service as NAMESPACE/NAME or NAMESPACE/NAME:PORT, or its address as \
     https://HOST:PORT",
    .0.escape_debug()
)]
pub struct ParseWebhookAddressError(String);

impl FromStr for WebhookAddress {
    type Err = ParseWebhookAddressError;

    fn from_str(text: &str) -> Result<Self, ParseWebhookAddressError> {
        place(text).map(WebhookAddress).ok_or_else(|| ParseWebhookAddressError(text.to_owned()))
    }
}

fn place(text: &str) -> Option<Place> {
    if let Some(host) = text.strip_prefix("https://") {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]/_".contains(c);
        return (!host.is_empty() && host.chars().all(plain)).then(|| Place::Url(text.to_owned()));
    }
    let (namespace, service) = text.split_once('/')?;
    let (name, port) = match service.split_once(':') {
        Some((name, port)) => (name, port.parse().ok().filter(|&port| port > 0)?),
        None => (service, HTTPS),
    };
    let is_label = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let service = Place::Service { namespace: namespace.to_owned(), name: name.to_owned(), port };
    (is_label(namespace) && is_label(name)).then_some(service)
}

/// The `ValidatingWebhookConfiguration` as one more YAML document. `ca` are the certificates, PEM, of those who may have signed
/// the webhook's own; without them the API server asks the system's, or something in the cluster adds them.
pub fn webhook_yaml(at: &WebhookAddress, ca: Option<&str>) -> String {
    let mut client = match &at.0 {
        Place::Service { namespace, name, port } => {
            json!({"service": {"namespace": namespace, "name": name, "port": port}})
        }
        Place::Url(url) => json!({ "url": url }),
    };
    if let Some(ca) = ca {
        client["caBundle"] = Value::String(STANDARD.encode(ca));
    }
    // JSON is YAML.
    WEBHOOK.replace("CLIENT", &client.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(at: &str, ca: Option<&str>) -> Value {
        let yaml = webhook_yaml(&at.parse().unwrap(), ca);
        let read: Value = serde_saphyr::from_str(&yaml).unwrap();
        read["webhooks"][0]["clientConfig"].clone()
    }

    #[test]
    fn a_service_or_an_address() {
        let service = |port| json!({"service": {"namespace": "allotment", "name": "webhook", "port": port}});
        assert_eq!(client("allotment/webhook", None), service(443));
        assert_eq!(client("allotment/webhook:9443", None), service(9443));
        assert_eq!(
            client("https://[fd00::1]:9443", Some("PEM")),
            json!({"url": "https://[fd00::1]:9443", "caBundle": "UEVN"})
        );
    }

    #[test]
    fn what_is_no_place() {
        for bad in [
            "",
            "webhook",
            "/webhook",
            "a/",
            "a/b:0",
            "a/b:x",
            "a/b/c",
            "A/b",
            "http://a",
            "https://",
            "https://a\"b",
        ] {
            assert_eq!(bad.parse::<WebhookAddress>(), Err(ParseWebhookAddressError(bad.to_owned())), "{bad}");
        }
    }
}
