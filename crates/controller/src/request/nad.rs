//! `NetworkAttachmentDefinition`s, read once when they change.

use std::collections::BTreeMap;

use allotment_core::{Code, Refusal};
use allotment_wire::cni::{Definition, Error, Network, code};

use super::view::{TEXT_MAX, invalid};

/// By `namespace/name`.
pub type Nads = BTreeMap<String, Nad>;

/// What one network means to us.
#[derive(Clone, Debug, PartialEq)]
pub enum Nad {
    /// Its addresses come from here.
    Ours(Network),
    /// Another IPAM plugin's; nobody's where the name is empty.
    Others(String),
    /// It means us and cannot be followed.
    Broken(Error),
}

impl Nad {
    /// Reads `spec.config` of the object `name`; one without gets its configuration from a file on the node, which only the
    /// node knows.
    pub fn parse(name: &str, config: Option<&str>) -> Nad {
        let config = config.unwrap_or_default();
        if config.trim().is_empty() {
            return Nad::Others(String::new());
        }
        // Its `args` are laid under those of every use.
        if config.len() > TEXT_MAX && config.contains("allotment") {
            let msg = format!("it has {} bytes, and no more than {TEXT_MAX} are read", config.len());
            return Nad::Broken(Error::new(
                code::INVALID_CONFIG,
                msg,
                "name subnets and pools, and leave out what they say",
            ));
        }
        match Definition::parse(config) {
            Ok(Definition::Ours(network)) if network.name.is_empty() => {
                Nad::Ours(Network { name: name.to_owned(), ..network })
            }
            Ok(Definition::Ours(network)) => Nad::Ours(network),
            Ok(Definition::Others(kind)) => Nad::Others(kind),
            Err(error) if config.contains("allotment") => Nad::Broken(error),
            Err(_) => Nad::Others(String::new()),
        }
    }
}

/// Why a network that cannot be followed gives nobody an address.
pub(super) fn broken(network: &str, error: &Error) -> Refusal {
    let at = format!("NetworkAttachmentDefinition `{network}`, spec.config");
    let hint = match error.details.as_str() {
        "" => "correct the NetworkAttachmentDefinition",
        details => details,
    };
    invalid(&at, &error.msg, hint)
}

/// Why a pod with a network that does not exist gets nothing.
pub(super) fn absent(networks: &[String]) -> Refusal {
    let text =
        format!("there is no NetworkAttachmentDefinition `{}`, which the pod names", networks.join("`, `"));
    let hint =
        "create it, or correct the pod's annotation; the pod gets its addresses as soon as it is there";
    Refusal::new(Code::Unknown, text, hint)
}
