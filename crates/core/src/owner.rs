//! Who an address belongs to, and which interface uses it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who an address belongs to: a pod, a `StatefulSet` ordinal, a VM, a machine, a service, a container on a node.
///
/// A `Pod` and a `Container` are the same owner only while their `uid` is the same: a new pod under an old name is
/// somebody else. Owners of every other kind are the same by kind, namespace and name; their `uid` is recorded, and
/// changes when they are adopted (R6).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// `Pod`, `Container`, `StatefulSet`, `VirtualMachine`, …
    pub kind: String,
    /// Empty for what has no namespace.
    #[serde(default)]
    pub namespace: String,
    /// For a `StatefulSet` ordinal the pod's name, such as `db-0`.
    pub name: String,
    /// Empty where it is not known, as in a reservation for an owner that does not exist yet.
    #[serde(default)]
    pub uid: String,
}

/// What makes two [`Owner`]s the same; see there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerKey<'a> {
    /// `Pod` and `Container`.
    Uid { kind: &'a str, uid: &'a str },
    /// Everything else.
    Name { kind: &'a str, namespace: &'a str, name: &'a str },
}

impl Owner {
    /// What makes this owner the same as another.
    pub fn key(&self) -> OwnerKey<'_> {
        if matches!(self.kind.as_str(), "Pod" | "Container") {
            OwnerKey::Uid { kind: &self.kind, uid: &self.uid }
        } else {
            OwnerKey::Name { kind: &self.kind, namespace: &self.namespace, name: &self.name }
        }
    }

    /// Whether a reservation made for `self` is meant for `other`: kind, namespace and name are the same, and so is
    /// the `uid` where the reservation names one.
    pub fn covers(&self, other: &Owner) -> bool {
        self.kind == other.kind
            && self.namespace == other.namespace
            && self.name == other.name
            && (self.uid.is_empty() || self.uid == other.uid)
    }
}

impl fmt::Display for Owner {
    /// `Pod shop/cart-7`; for reading, never for parsing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// One interface of one pod or container. Asking again for the same attachment returns the same addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Who uses the address now: the pod's UID, or the container's id where there is no pod.
    pub holder: String,
    /// The runtime's id of the sandbox (`CNI_CONTAINERID`); empty while no runtime has asked. A newer sandbox of the
    /// same pod takes the attachment over, and a DEL for the older one then changes nothing.
    #[serde(default)]
    pub container_id: String,
    /// The network's name, as the CNI configuration or the `NetworkAttachmentDefinition` has it.
    pub network: String,
    /// The interface's name inside the pod (`CNI_IFNAME`).
    pub interface: String,
    /// The node it is on; empty where there is only one.
    #[serde(default)]
    pub node: String,
    /// The network namespace, as far as the node has told it.
    #[serde(default)]
    pub netns: Option<Netns>,
}

impl Attachment {
    /// Whether both are the same interface of the same holder, whichever sandbox it lives in.
    pub fn same(&self, other: &Attachment) -> bool {
        self.holder == other.holder && self.interface == other.interface && self.network == other.network
    }
}

/// The network namespace in which an attachment was made. Core only keeps it; the node compares it with what is live.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Netns {
    /// The kernel's boot id: device and inode say nothing about a namespace of an earlier boot.
    pub boot: String,
    pub device: u64,
    /// Taken by the next namespace as soon as this one is gone: alone it proves nothing.
    pub inode: u64,
    /// The kernel's own name for it (`SO_NETNS_COOKIE`), never used twice in a boot; nothing before Linux 5.14.
    #[serde(default)]
    pub cookie: Option<u64>,
    /// Where the runtime mounted it (`CNI_NETNS`).
    pub path: String,
}
