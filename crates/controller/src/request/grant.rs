//! What was decided, as it stands on the pod.

use allotment_api::annotation::{GrantedAddress, GrantedAttachment, PodGrant, PodRefusal, RefusalCount};
use allotment_core::{Grant, GrantEntry, Refusal};

use super::Interface;

/// The most of a refusal's text, and of its hint, in bytes: they may repeat what somebody wrote, and all annotations of a pod
/// have to fit into 256 KiB.
const WORDS_MAX: usize = 2048;

/// The grant of the pod with this UID, for the interfaces that were asked for. Which node it is for, and whether its
/// addresses outlive the pod, is put in by whoever knows.
pub fn pod_grant(pod: &str, interfaces: &[Interface], grant: &Grant) -> PodGrant {
    let attachments = interfaces.iter().zip(&grant.entries);
    PodGrant {
        pod: pod.to_owned(),
        attachments: attachments.map(|(interface, entry)| granted_attachment(interface, entry)).collect(),
        ..PodGrant::default()
    }
}

/// What one interface was given.
pub fn granted_attachment(interface: &Interface, entry: &GrantEntry) -> GrantedAttachment {
    let address = |ip: &allotment_core::GrantedIp| GrantedAddress {
        address: ip.address,
        prefix: ip.prefix,
        gateway: ip.gateway,
        vrf: ip.vrf.clone(),
        subnet: ip.subnet.clone(),
        pool: ip.pool.clone(),
    };
    GrantedAttachment {
        interface: interface.interface.clone(),
        network: interface.network.clone(),
        config: interface.config.clone(),
        ips: entry.ips.iter().map(address).collect(),
        mac: entry.mac,
        routes: entry.routes.iter().map(Into::into).collect(),
        dns: (&entry.dns).into(),
        mtu: entry.mtu,
    }
}

/// The refusal of the pod with this UID.
pub fn pod_refusal(pod: &str, refusal: &Refusal) -> PodRefusal {
    let count =
        |count: &allotment_core::Count| RefusalCount { what: count.what.clone(), value: count.value.clone() };
    PodRefusal {
        pod: pod.to_owned(),
        code: refusal.code.as_str().to_owned(),
        text: shortened(&refusal.text, WORDS_MAX),
        counts: refusal.counts.iter().map(count).collect(),
        hint: shortened(&refusal.hint, WORDS_MAX),
    }
}

/// As much of a text as so many bytes take.
pub(crate) fn shortened(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes.saturating_sub('…'.len_utf8()))])
}
