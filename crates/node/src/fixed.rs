//! ADD with `static`'s keys: the addresses that the configuration or the runtime names (O5).

use allotment_core::{Asked, Choice, Cidr, Family, FamilyWant, Target, Want};
use allotment_wire::cni::{AddResult, NetConf, ResultIp, Static, StaticAddress};

use crate::implied::Ground;

/// The VRF, and with the same name the subnet, in which one family of a network's addresses is recorded. Each address has a
/// network of its own, so the whole of the family is one subnet.
pub(crate) fn vrf(conf: &NetConf, family: Family) -> String {
    format!("static/{}/{}", conf.name, family.to_string().to_lowercase())
}

/// The subnet's ground; nothing is drawn from it.
pub(crate) fn ground(family: Family) -> Ground {
    let any = match family {
        Family::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    Ground { cidr: Cidr::containing(any, 0), within: Vec::new(), exclude: Vec::new() }
}

/// One want for each address: two of the same network and family are nothing unusual.
pub(crate) fn wants(framed: &Want, conf: &NetConf, addresses: &[StaticAddress]) -> Vec<Want> {
    let want = |address: &StaticAddress| {
        let ip = address.address.address;
        let family = Family::of(ip);
        Want {
            targets: vec![Target::Subnet(vrf(conf, family))],
            source: Some(Choice::Network),
            ips: Asked::Each(vec![ip]),
            family: FamilyWant::Require(family),
            ..framed.clone()
        }
    };
    addresses.iter().map(want).collect()
}

/// Everything is as it was asked for.
pub(crate) fn result(section: &Static, addresses: &[StaticAddress]) -> AddResult {
    let ips = addresses.iter().map(|address| ResultIp { address: address.address, gateway: address.gateway });
    AddResult { ips: ips.collect(), routes: section.routes.clone(), dns: section.dns.clone() }
}
