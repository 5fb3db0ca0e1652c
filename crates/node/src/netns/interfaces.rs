//! What is on the interfaces of a namespace.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};

use allotment_core::Mac;

/// One interface and its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub mac: Option<Mac>,
    /// Of both families and every scope.
    pub addresses: Vec<IpAddr>,
}

/// The interfaces in the calling thread's namespace, by name.
pub(super) fn here() -> io::Result<Vec<Interface>> {
    let mut found = BTreeMap::<String, Interface>::new();
    for line in getifaddrs()? {
        let entry = found.entry(line.interface_name.clone()).or_default();
        entry.name.clone_from(&line.interface_name);
        entry.mac = entry.mac.or(link_address(&line));
        entry.addresses.extend(ip_address(&line));
    }
    Ok(found.into_values().collect())
}

/// The MAC of an interface in the calling thread's namespace.
pub(super) fn mac_of(interface: &str) -> Option<Mac> {
    getifaddrs().ok()?.filter(|line| line.interface_name == interface).find_map(|line| link_address(&line))
}

fn link_address(entry: &InterfaceAddress) -> Option<Mac> {
    let link = entry.address.as_ref()?.as_link_addr()?;
    // Tunnels and InfiniBand have addresses of other lengths.
    if link.halen() != 6 {
        return None;
    }
    link.addr().map(Mac).filter(|mac| mac.is_unicast())
}

fn ip_address(line: &InterfaceAddress) -> Option<IpAddr> {
    let address = line.address?;
    let v4 = address.as_sockaddr_in().map(|a| a.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|a| a.ip().into()))
}
