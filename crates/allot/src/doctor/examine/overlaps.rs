//! Addresses that others of the cluster have, and that subnets would hand out. Those of other VRFs never meet them.

use std::net::IpAddr;

use allotment_api::v1alpha1::Subnet;
use allotment_core::{Cidr, DEFAULT_VRF};
use kube::core::ResourceExt;

use super::super::look::Seen;
use super::super::{Ailment, code};

/// Each CIDR of the VRF that nodes, services and pods are in.
fn cidrs(seen: &Seen) -> impl Iterator<Item = (&Subnet, &Cidr)> {
    let subnets = seen.subnets.iter().filter(|subnet| subnet.spec.vrf == DEFAULT_VRF);
    subnets.flat_map(|subnet| subnet.spec.cidrs.iter().map(move |cidr| (subnet, cidr)))
}

fn object(subnet: &Subnet) -> String {
    format!("Subnet {}", subnet.name_any())
}

fn parsed<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<Cidr> {
    texts.into_iter().filter_map(|text| text.parse().ok()).collect()
}

pub(super) fn services(seen: &Seen) -> Vec<Ailment> {
    let services: Vec<(String, Cidr)> = seen
        .services
        .iter()
        .flat_map(|service| {
            let texts = service.spec.iter().flat_map(|spec| spec.cidrs.iter().flatten());
            parsed(texts).into_iter().map(|cidr| (service.name_any(), cidr))
        })
        .collect();
    let judge = |(subnet, cidr): (&Subnet, &Cidr)| {
        let (name, other) = services.iter().find(|(_, other)| other.overlaps(cidr))?;
        let text = format!("{cidr} overlaps with {other} of ServiceCIDR `{name}`");
        Some(Ailment::new(&code::OVERLAPS_SERVICES, object(subnet), text))
    };
    cidrs(seen).filter_map(judge).collect()
}

pub(super) fn nodes(seen: &Seen) -> Vec<Ailment> {
    let mut ailments = Vec::new();
    for node in &seen.nodes {
        let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let addresses: Vec<IpAddr> = addresses.filter_map(|address| address.address.parse().ok()).collect();
        for address in addresses {
            let holding = cidrs(seen)
                .find(|(subnet, cidr)| cidr.contains(address) && !is_set_aside(seen, subnet, cidr, address));
            if let Some((subnet, _)) = holding {
                let text = format!("{address} is an address of node `{}`", node.name_any());
                ailments.push(Ailment::new(&code::OVERLAPS_NODES, object(subnet), text));
            }
        }
    }
    ailments
}

/// Whether nobody gets it without naming it.
fn is_set_aside(seen: &Seen, subnet: &Subnet, cidr: &Cidr, address: IpAddr) -> bool {
    let is_gateway = match &subnet.spec.gateways {
        Some(gateways) => gateways.iter().any(|gateway| gateway.0 == address),
        None => cidr.first_usable() == address,
    };
    let reserved =
        seen.reservations.iter().filter(|reservation| reservation.spec.subnet == subnet.name_any());
    let reserved = reserved.flat_map(|reservation| &reservation.spec.addresses);
    is_gateway || subnet.spec.exclude.iter().chain(reserved).any(|range| range.contains(address))
}

pub(super) fn pods(seen: &Seen) -> Vec<Ailment> {
    let judge = |(subnet, cidr): (&Subnet, &Cidr)| {
        let (node, other) = seen.nodes.iter().find_map(|node| {
            let texts = node.spec.iter().flat_map(|spec| spec.pod_cidrs.iter().flatten());
            Some((node.name_any(), parsed(texts).into_iter().find(|other| other.overlaps(cidr))?))
        })?;
        let text = format!("{cidr} overlaps with {other}, the pods' CIDR of node `{node}`");
        Some(Ailment::new(&code::OVERLAPS_PODS, object(subnet), text))
    };
    cidrs(seen).filter_map(judge).collect()
}
