//! The audit log: a line for every change of an address, on a target of its own (O10). With `--log json` each is a line of
//! JSON.

use allotment_core::{Allocation, Grant};

/// The target of the lines.
const TARGET: &str = "allotment::audit";

/// Addresses were given and shown.
pub(crate) fn granted(grant: &Grant) {
    for entry in &grant.entries {
        for ip in &entry.ips {
            tracing::info!(
                target: TARGET,
                change = "granted",
                vrf = ip.vrf,
                address = %ip.address,
                subnet = ip.subnet,
                holder = entry.attachment.holder,
                network = entry.attachment.network,
                interface = entry.attachment.interface,
                node = entry.attachment.node,
            );
        }
    }
}

/// Addresses were released; as they were before. `change` says what they are now: `cooling` or `reserved`.
pub(crate) fn released(before: &[Allocation], change: &'static str, why: &str) {
    for Allocation { vrf, address, owner, attachments, .. } in before {
        let last = attachments.first();
        tracing::info!(
            target: TARGET,
            change,
            why,
            vrf,
            address = %address,
            owner = %owner,
            holder = last.map_or("", |last| &last.holder),
            network = last.map_or("", |last| &last.network),
            interface = last.map_or("", |last| &last.interface),
            node = last.map_or("", |last| &last.node),
        );
    }
}
