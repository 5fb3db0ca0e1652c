//! What is live: the addresses on the interfaces of all network namespaces, and which recorded namespaces are gone.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;

use allotment_core::{Allocation, AllocationState, Netns};

/// One look at the machine.
#[derive(Default)]
pub(crate) struct Live {
    pub(crate) addresses: Vec<LiveAddress>,
    /// Recorded namespaces that nothing leads to any more.
    pub(crate) gone: HashSet<Netns>,
}

/// An address on an interface.
#[derive(Clone, Debug)]
pub(crate) struct LiveAddress {
    pub(crate) address: IpAddr,
    pub(crate) interface: String,
    pub(crate) netns: Netns,
}

impl Live {
    pub(crate) async fn look(allocations: &[Allocation]) -> io::Result<Live> {
        let recorded: HashSet<Netns> = allocations
            .iter()
            .filter(|allocation| allocation.state == AllocationState::Active)
            .flat_map(|allocation| {
                allocation.attachments.iter().filter_map(|attachment| attachment.netns.clone())
            })
            .collect();
        let recorded: Vec<Netns> = recorded.into_iter().collect();
        let gone = allotment_node::gone(recorded.clone()).await?;
        let gone = recorded.into_iter().zip(gone).filter_map(|(netns, gone)| gone.then_some(netns)).collect();
        let mut addresses = Vec::new();
        for (netns, interfaces) in allotment_node::contents().await? {
            for interface in interfaces {
                for address in interface.addresses {
                    addresses.push(LiveAddress {
                        address,
                        interface: interface.name.clone(),
                        netns: netns.clone(),
                    });
                }
            }
        }
        Ok(Live { addresses, gone })
    }
}

/// Whether both are the same namespace: paths differ, and a cookie says more than a number that is given away again.
pub(crate) fn same_netns(a: &Netns, b: &Netns) -> bool {
    a.boot == b.boot
        && match (a.cookie, b.cookie) {
            (Some(a), Some(b)) => a == b,
            _ => (a.device, a.inode) == (b.device, b.inode),
        }
}
