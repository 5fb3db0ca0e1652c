//! Pods with two interfaces, made as a container runtime makes them.

use std::time::{Duration, Instant};

use allotment_lab::{Answer, Call, Lab, Netns, Verb};
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The first interface: on a bridge, its gateway on this machine. CNI 1.0.0, as the oldest plugins that distributions
/// ship know nothing newer.
pub(super) const PODS: &str = r#"{"cniVersion": "1.0.0", "name": "pods", "type": "bridge", "bridge": "cni0", "isGateway": true,
 "ipam": {"type": "allotment", "subnets": ["pods"]}}"#;

/// The second one: straight on the wire.
pub(super) const STORAGE: &str = r#"{"cniVersion": "1.0.0", "name": "storage", "type": "macvlan", "master": "nic1", "capabilities": {"ips": true},
 "ipam": {"type": "allotment", "subnets": ["storage"]}}"#;

/// The interfaces of every pod, the stock plugin that makes each, and the network's configuration.
pub(super) const INTERFACES: [(&str, &str, &str); 2] =
    [("eth0", "bridge", PODS), ("net1", "macvlan", STORAGE)];

/// A pod's name and network namespace, and the container id of its sandbox.
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) sandbox: String,
    pub(super) netns: Netns,
    /// Addresses asked for on the second interface, as a pod's annotation would.
    asked: Vec<&'static str>,
}

/// What an ADD gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) addresses: Vec<String>,
    pub(super) time: Duration,
}

impl Pod {
    pub(super) fn new(lab: &Lab, name: &str) -> Result<Pod> {
        let netns = lab.netns(name)?;
        Ok(Pod { name: name.to_owned(), sandbox: format!("{name}-sandbox-1"), netns, asked: Vec::new() })
    }

    pub(super) fn asking(mut self, addresses: &[&'static str]) -> Pod {
        self.asked = addresses.to_vec();
        self
    }

    pub(super) fn call(&self, lab: &Lab, verb: Verb, interface: &str, network: &str) -> Result<Answer> {
        let mut network: Value = serde_json::from_str(network)?;
        if interface == "net1" && !self.asked.is_empty() {
            network["runtimeConfig"] = json!({"ips": self.asked});
        }
        let args = format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={0};K8S_POD_UID=uid-of-{0};K8S_POD_INFRA_CONTAINER_ID={1}",
            self.name, self.sandbox
        );
        lab.call(
            &Call::new(verb, &network).interface(&self.sandbox, &self.netns.path(), interface).args(&args),
        )
    }

    pub(super) fn add(&self, lab: &Lab, interface: &str, network: &str) -> Result<Given> {
        let start = Instant::now();
        let answer = self.call(lab, Verb::Add, interface, network)?;
        let time = start.elapsed();
        let addresses = answer.addresses().with_context(|| format!("pod {}, {interface}", self.name))?;
        Ok(Given { addresses, time })
    }

    /// The last interface first, as runtimes do.
    pub(super) fn delete(&self, lab: &Lab) -> Result<()> {
        for (interface, _, network) in INTERFACES.iter().rev() {
            self.call(lab, Verb::Del, interface, network)?.ok()?;
        }
        Ok(())
    }
}
