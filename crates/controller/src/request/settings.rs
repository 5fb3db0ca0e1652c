//! What the controller's configuration says about pods.

use allotment_wire::cni::Network;

/// The namespace that Multus takes default networks from, unless it is told otherwise.
const MULTUS_NAMESPACE: &str = "kube-system";

/// What the controller's configuration says about pods.
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

/// A kind of controller whose pods keep their addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerKind {
    /// Without the version, such as `apps.kruise.io`.
    pub group: String,
    pub kind: String,
    pub identity: Identity,
}

/// What stays the same of such a pod when it is recreated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Its name ends in a number that says which of a list is its own, as a `StatefulSet`'s does.
    Ordinal,
    /// Its name.
    Pod,
    /// The controller itself, which has one pod at a time.
    Controller,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { owners: Vec::new(), primary: None, multus_namespace: MULTUS_NAMESPACE.to_owned() }
    }
}
