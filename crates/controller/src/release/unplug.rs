//! What is taken out of running pods, and what is granted to them meanwhile (K3).

use std::net::IpAddr;

use allotment_proof::Address;

use super::Releases;
use crate::pods::{Dropped, Uid};

impl Releases {
    /// A pod is about to be granted something: `false` while something is released that was taken out of it (K3).
    #[must_use]
    pub(crate) fn plugs_in(&mut self, pod: &str) -> bool {
        self.ends.plugs_in(pod)
    }

    /// Running pods are granted these no more, as the watch has shown.
    pub(crate) fn unplugged<'a>(&mut self, dropped: impl Iterator<Item = (&'a Uid, &'a Dropped)>) {
        let version = self.ends.version().unwrap_or_default();
        for (pod, addresses) in dropped {
            let address = |(vrf, address): &(String, IpAddr)| Address { vrf: vrf.clone(), address: *address };
            let addresses: Vec<Address> = addresses.iter().map(address).collect();
            self.ends.unplugged(pod, &addresses, version);
        }
    }
}
