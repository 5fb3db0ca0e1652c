//! Where a cluster's files are, and which addresses and names its parts have. All of it follows from the cluster's folder, so
//! that whoever takes one down needs no list of what was made.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Where every pod and every node finds the API server: the first address of the services.
pub(crate) const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);

/// The network of the nodes' own addresses. Nobody else has it: RFC 2544 keeps 198.18.0.0/15 for tests.
pub(crate) const NODES: &str = "198.19.0.0/24";

/// The router between nodes and pods, on the nodes' side.
pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);

/// The same on the pods' side: the gateway of the cluster's own network.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

/// Addresses of the nodes' network leave room for so many.
pub const MOST_NODES: u8 = 100;

/// The files of one cluster.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
}

/// One node's number, from 1 to [`MOST_NODES`].
pub type Number = u8;

impl Layout {
    /// The folder need not be there yet; its path has to be absolute.
    pub fn new(folder: impl Into<PathBuf>) -> Layout {
        Layout { folder: folder.into() }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The administrator's.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// `kubectl`, and `kubectl-allot` for it to find.
    pub fn bin(&self) -> PathBuf {
        self.folder.join("bin")
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.folder.join("images")
    }

    pub(crate) fn node(&self, number: Number) -> PathBuf {
        self.folder.join(node_name(number))
    }

    /// Below every controller's cgroup hierarchy: what the containers of this cluster have.
    pub fn cgroup(&self) -> String {
        format!("allotment-{:05x}", self.key() & 0xf_ffff)
    }

    /// The machine's end of its only link into the cluster; a name has 15 bytes at most.
    pub fn link(&self) -> String {
        format!("allot-{:05x}", self.key() & 0xf_ffff)
    }

    /// Both ends of that link: the machine's, and the API server's.
    pub(crate) fn link_addresses(&self) -> [Ipv4Addr; 2] {
        // 16 384 networks of four addresses.
        let number = u32::from(u16::try_from(self.key() & 0x3fff).expect("14 bits"));
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + number * 4;
        [Ipv4Addr::from(base + 1), Ipv4Addr::from(base + 2)]
    }

    fn key(&self) -> u64 {
        let digest = Sha256::digest(self.folder.as_os_str().as_encoded_bytes());
        digest.iter().take(8).fold(0, |key, &byte| key << 8 | u64::from(byte))
    }
}

/// `node-1` and so on.
pub fn node_name(number: Number) -> String {
    format!("node-{number}")
}

/// On the network of the nodes.
pub(crate) fn node_address(number: Number) -> Ipv4Addr {
    Ipv4Addr::new(198, 19, 0, 10 + number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_folder_and_fit() {
        let (one, other) = (Layout::new("/home/a/cluster"), Layout::new("/home/b/cluster"));
        assert_eq!(one.link(), Layout::new("/home/a/cluster").link());
        assert_ne!(one.link(), other.link());
        assert_ne!(one.link_addresses(), other.link_addresses());
        assert!(one.link().len() <= 15);
        let [machine, server] = one.link_addresses().map(u32::from);
        assert_eq!((machine % 4, server), (1, machine + 1));
        assert!(one.link_addresses().iter().all(|address| address.octets()[..2] == [198, 18]));
    }

    #[test]
    fn the_last_node_has_an_address() {
        assert_eq!(node_address(MOST_NODES).octets()[3], 110);
    }
}
