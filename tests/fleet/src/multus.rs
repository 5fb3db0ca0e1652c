//! What Multus makes of a pod: the calls for its interfaces, in order.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
const DEFAULT_NETWORK: &str = "v1.multus-cni.io/default-network";

/// One interface that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Attachment {
    /// `CNI_IFNAME`.
    pub interface: String,
    /// The plugin's configuration.
    pub config: Value,
    /// What is appended to the runtime's `CNI_ARGS`, with a leading semicolon, or nothing.
    pub args: String,
}

/// The configurations that a node knows.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    /// The cluster's own network, which every pod gets as `eth0`; without one, another plugin makes that.
    pub default: Option<Value>,
    /// `namespace/name` of the definition, and what its `config` says.
    pub defined: BTreeMap<String, Value>,
}

/// One entry of the annotation (Multus' "network selection elements").
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Selection {
    name: String,
    namespace: Option<String>,
    interface: Option<String>,
    ips: Vec<String>,
    mac: Option<String>,
    #[serde(rename = "cni-args")]
    cni_args: Option<Value>,
}

impl Networks {
    /// Adds a definition.
    #[must_use]
    pub fn define(mut self, name: &str, config: Value) -> Networks {
        self.defined.insert(name.to_owned(), config);
        self
    }

    /// The calls for a pod of this namespace with these annotations.
    pub fn attachments(
        &self,
        namespace: &str,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Vec<Attachment>> {
        let mut attachments = Vec::new();
        if let Some(text) = annotations.get(DEFAULT_NETWORK) {
            for selection in selections(text)? {
                // Multus looks for these in a namespace of its own.
                attachments.push(self.attachment(&selection, "kube-system", "eth0")?);
            }
        } else if let Some(config) = &self.default {
            let config = config.clone();
            attachments.push(Attachment { interface: "eth0".to_owned(), config, args: String::new() });
        }
        let text = annotations.get(NETWORKS).map_or("", String::as_str);
        for (number, selection) in (1..).zip(selections(text)?) {
            attachments.push(self.attachment(&selection, namespace, &format!("net{number}"))?);
        }
        Ok(attachments)
    }

    fn attachment(&self, selection: &Selection, namespace: &str, interface: &str) -> Result<Attachment> {
        let namespace = selection.namespace.as_deref().unwrap_or(namespace);
        let name = format!("{namespace}/{}", selection.name);
        let config = self.defined.get(&name).with_context(|| format!("no network `{name}` is defined"))?;
        let mut config = config.clone();
        if config["name"].is_null() {
            config["name"] = json!(selection.name);
        }
        if let Some(args) = &selection.cni_args {
            config["args"]["cni"] = args.clone();
        }
        // They go both ways: by arguments to everybody, by runtimeConfig to whoever says that it reads them.
        let mut args = String::new();
        if let Some(mac) = &selection.mac {
            let _ = write!(args, ";MAC={mac}");
            if config["capabilities"]["mac"] == true {
                config["runtimeConfig"]["mac"] = json!(mac);
            }
        }
        if !selection.ips.is_empty() {
            let _ = write!(args, ";IP={}", selection.ips.join(","));
            if config["capabilities"]["ips"] == true {
                config["runtimeConfig"]["ips"] = json!(selection.ips);
            }
        }
        let interface = selection.interface.as_deref().unwrap_or(interface).to_owned();
        Ok(Attachment { interface, config, args })
    }
}

/// Both forms: a JSON list, or `[namespace/]name[@interface]` with commas.
fn selections(text: &str) -> Result<Vec<Selection>> {
    let text = text.trim();
    if text.starts_with('[') {
        return serde_json::from_str(text).with_context(|| format!("the list of networks: {text}"));
    }
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(short).collect()
}

fn short(word: &str) -> Result<Selection> {
    let (path, interface) = match word.split_once('@') {
        Some((path, interface)) => (path, Some(interface.to_owned())),
        None => (word, None),
    };
    let (namespace, name) = match path.split_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, path),
    };
    if name.is_empty() {
        bail!("`{word}` names no network");
    }
    Ok(Selection { name: name.to_owned(), namespace, interface, ..Selection::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks() -> Networks {
        let config = json!({"cniVersion": "1.0.0", "type": "macvlan", "ipam": {"type": "allotment"}});
        let mut networks = Networks { default: Some(json!({"name": "pods"})), ..Networks::default() };
        let mut capable = config.clone();
        capable["capabilities"] = json!({"ips": true, "mac": true});
        networks = networks.define("shop/a", config.clone()).define("telecom/b", capable);
        networks.define("kube-system/other", config)
    }

    fn attachments(annotations: &[(&str, &str)]) -> Vec<Attachment> {
        let annotations =
            annotations.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        networks().attachments("shop", &annotations).unwrap()
    }

    #[test]
    fn interfaces_are_numbered_by_their_place() {
        let list = attachments(&[(NETWORKS, "a, telecom/b@data0,a")]);
        let interfaces: Vec<_> = list.iter().map(|attachment| attachment.interface.as_str()).collect();
        assert_eq!(interfaces, ["eth0", "net1", "data0", "net3"]);
        assert_eq!(list[1].config["name"], "a");
    }

    #[test]
    fn wishes_are_passed_on() {
        let wish = r#"[{"name": "b", "namespace": "telecom", "ips": ["10.0.0.7/16"], "mac": "02:00:00:00:00:07",
                       "cni-args": {"pools": ["x"]}}]"#;
        let list = attachments(&[(NETWORKS, wish)]);
        assert_eq!(list[1].args, ";MAC=02:00:00:00:00:07;IP=10.0.0.7/16");
        assert_eq!(
            list[1].config["runtimeConfig"],
            json!({"mac": "02:00:00:00:00:07", "ips": ["10.0.0.7/16"]})
        );
        assert_eq!(list[1].config["args"]["cni"]["pools"][0], "x");
    }

    #[test]
    fn another_default_network() {
        let list = attachments(&[(DEFAULT_NETWORK, "other")]);
        assert_eq!((list.len(), list[0].interface.as_str()), (1, "eth0"));
        assert_eq!(list[0].config["name"], "other");
    }

    #[test]
    fn an_unknown_network_is_named() {
        let annotations = [(NETWORKS.to_owned(), "nowhere".to_owned())].into();
        let error = networks().attachments("shop", &annotations).unwrap_err().to_string();
        assert!(error.contains("`shop/nowhere`"), "{error}");
    }
}
