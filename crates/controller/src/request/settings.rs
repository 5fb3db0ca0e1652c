//! What the controller is told about pods.

use std::fmt;
use std::str::FromStr;

use allotment_wire::cni::{Definition, Network};

/// The namespace that Multus takes default networks from, unless it is told otherwise.
pub const MULTUS_NAMESPACE: &str = "kube-system";

/// What the controller is told about pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Kinds whose pods keep their addresses, besides `StatefulSet` and `VirtualMachineInstance`.
    pub owners: Vec<OwnerKind>,
    /// The configuration of the cluster's default network where its addresses come from here: then every pod gets one as
    /// soon as it is bound. Nothing: only those that ask for it, and nodes may ask for the others (K1).
    pub primary: Option<Network>,
    /// Where `v1.multus-cni.io/default-network` is looked up.
    pub multus_namespace: String,
}

/// A kind of controller whose pods keep their addresses. As a text `StatefulSet.apps.kruise.io=ordinal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerKind {
    /// Without the version, such as `apps.kruise.io`; empty for the core group.
    pub group: String,
    pub kind: String,
    pub identity: Identity,
}

/// What stays the same of such a pod when it is recreated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// `ordinal`: its name ends in a number that says which of a list is its own, as a `StatefulSet`'s does.
    Ordinal,
    /// `pod`: its name.
    Pod,
    /// `controller`: the controller itself, which has one pod at a time.
    Controller,
}

/// What is told makes no sense; the message says what is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingError(String);

impl Settings {
    /// Takes the default network's configuration, or the list of plugins that has it.
    pub fn set_primary(&mut self, config: &str) -> Result<(), SettingError> {
        match Definition::parse(config) {
            Ok(Definition::Ours(network)) if network.name.is_empty() => {
                Err(SettingError("it has no `name`".to_owned()))
            }
            Ok(Definition::Ours(network)) => {
                self.primary = Some(network);
                Ok(())
            }
            Ok(Definition::Others(kind)) => {
                Err(SettingError(format!("its `ipam.type` is `{kind}`, not `allotment`")))
            }
            Err(error) => Err(SettingError(format!("{}; {}", error.msg, error.details))),
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { owners: Vec::new(), primary: None, multus_namespace: MULTUS_NAMESPACE.to_owned() }
    }
}

impl FromStr for OwnerKind {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<OwnerKind, SettingError> {
        let wrong = |why: &str| {
            SettingError(format!(
                "{why}; write it as `StatefulSet.apps.kruise.io=ordinal`, with `ordinal`, `pod` or `controller`"
            ))
        };
        let (name, identity) = text.split_once('=').ok_or_else(|| wrong("it has no `=`"))?;
        let (kind, group) = name.split_once('.').unwrap_or((name, ""));
        let is_kind = kind.starts_with(|c: char| c.is_ascii_uppercase())
            && kind.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_kind {
            return Err(wrong(&format!("`{kind}` is no kind")));
        }
        let identity = match identity {
            "ordinal" => Identity::Ordinal,
            "pod" => Identity::Pod,
            "controller" => Identity::Controller,
            _ => return Err(wrong(&format!("`{identity}` is none of the three"))),
        };
        Ok(OwnerKind { group: group.to_owned(), kind: kind.to_owned(), identity })
    }
}

impl fmt::Display for OwnerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = match self.identity {
            Identity::Ordinal => "ordinal",
            Identity::Pod => "pod",
            Identity::Controller => "controller",
        };
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{}{dot}{}={identity}", self.kind, self.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_as_they_are_written() {
        for text in [
            "StatefulSet.apps.kruise.io=ordinal",
            "Job.batch.volcano.sh=pod",
            "ReplicationController=controller",
        ] {
            assert_eq!(text.parse::<OwnerKind>().unwrap().to_string(), text);
        }
        let kind: OwnerKind = "StatefulSet.apps.kruise.io=ordinal".parse().unwrap();
        assert_eq!((kind.group.as_str(), kind.kind.as_str()), ("apps.kruise.io", "StatefulSet"));
        for text in ["", "StatefulSet", "statefulset.apps=pod", ".apps=pod", "Job.batch=name", "Job.batch="] {
            let error = text.parse::<OwnerKind>().unwrap_err().to_string();
            assert!(error.contains("write it as"), "{text}: {error}");
        }
    }

    #[test]
    fn the_default_network_is_ours_and_has_a_name() {
        let mut settings = Settings::default();
        let wrong = |config: &str| Settings::default().set_primary(config).unwrap_err().to_string();
        assert!(wrong("{").contains("not JSON"));
        assert!(wrong(r#"{"name": "a", "ipam": {"type": "host-local"}}"#).contains("is `host-local`"));
        assert!(wrong(r#"{"ipam": {"type": "allotment"}}"#).contains("no `name`"));
        settings
            .set_primary(r#"{"name": "a", "plugins": [{"ipam": {"type": "allotment", "subnets": ["s"]}}]}"#)
            .unwrap();
        assert_eq!(settings.primary.unwrap().wish.subnets, ["s"]);
    }
}
