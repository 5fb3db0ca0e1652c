//! What the runtime is told.

use std::net::IpAddr;

use allotment_api::annotation::{GrantedAttachment, PodRefusal};
use allotment_wire::cni::{self, AddResult, Error, Net, ResultIp, code};

const LATER: &str = "the runtime tries again by itself; `allot ready` tells when the agent serves";

/// It may work the next time.
pub(crate) fn later(msg: impl Into<String>) -> Error {
    Error::new(code::TRY_AGAIN_LATER, msg, LATER)
}

/// The result of an ADD. Routes without a router go to the subnet's gateway, if it has one; a default route is there only
/// if the subnet says so (C4).
pub(crate) fn result(entry: &GrantedAttachment) -> AddResult {
    let gateway = |to: IpAddr| {
        let mut same = entry.ips.iter().filter(|ip| ip.address.is_ipv4() == to.is_ipv4());
        same.find_map(|ip| ip.gateway)
    };
    let route = |route: &allotment_api::v1alpha1::Route| {
        let dst = Net { address: route.to.first(), prefix: route.to.prefix() };
        cni::Route::new(dst, route.via.map(|via| via.0).or_else(|| gateway(dst.address)))
    };
    let ip = |ip: &allotment_api::annotation::GrantedAddress| ResultIp {
        address: Net { address: ip.address, prefix: ip.prefix },
        gateway: ip.gateway,
    };
    let dns = &entry.dns;
    AddResult {
        ips: entry.ips.iter().map(ip).collect(),
        routes: entry.routes.iter().map(route).collect(),
        dns: cni::Dns {
            nameservers: dns.nameservers.iter().map(|server| server.0.to_string()).collect(),
            domain: dns.domain.clone(),
            search: dns.search.clone(),
            options: dns.options.clone(),
        },
    }
}

/// What CNI calls a refusal (O3).
pub(crate) fn refused(refusal: &PodRefusal) -> Error {
    let code = match refusal.code.as_str() {
        "full" => code::FULL,
        "taken" => code::TAKEN,
        "not-allowed" => code::NOT_ALLOWED,
        "unknown" | "invalid" => code::INVALID_CONFIG,
        // `withheld`, and what a newer controller may say.
        _ => code::TRY_AGAIN_LATER,
    };
    let counts: Vec<String> =
        refusal.counts.iter().map(|count| format!("{} {}", count.value, count.what)).collect();
    let msg = if counts.is_empty() {
        refusal.text.clone()
    } else {
        format!("{}: {}", refusal.text, counts.join(", "))
    };
    Error::new(code, msg, refusal.hint.as_str())
}

#[cfg(test)]
mod tests {
    use allotment_wire::cni::Version;
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_grant_is_rendered_whole() {
        let entry: GrantedAttachment = from_value(json!({
            "interface": "net1", "network": "shop/lan", "config": "lan", "mtu": 9000,
            "ips": [
                {"address": "10.1.2.3", "prefix": 16, "gateway": "10.1.0.1", "vrf": "default", "subnet": "a"},
                {"address": "fd00::3", "prefix": 64, "vrf": "default", "subnet": "a"},
            ],
            "routes": [{"to": "0.0.0.0/0"}, {"to": "10.0.0.0/8", "via": "10.1.0.9"}, {"to": "fd01::/64"}],
            "dns": {"nameservers": ["10.1.0.53"], "domain": "a.example", "search": ["b"], "options": ["ndots:2"]},
        }))
        .unwrap();
        let expect = json!({
            "cniVersion": "1.1.0",
            "ips": [{"address": "10.1.2.3/16", "gateway": "10.1.0.1"}, {"address": "fd00::3/64"}],
            "routes": [
                {"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "10.0.0.0/8", "gw": "10.1.0.9"}, {"dst": "fd01::/64"},
            ],
            "dns": {"nameservers": ["10.1.0.53"], "domain": "a.example", "search": ["b"], "options": ["ndots:2"]},
        });
        assert_eq!(result(&entry).render(Version::V1_1_0), expect);
    }

    #[test]
    fn every_code_of_a_refusal_has_its_cni_code() {
        for code in allotment_core::Code::ALL {
            let refusal: PodRefusal = from_value(json!({
                "pod": "u", "code": code.as_str(), "text": "subnet `a` is full", "hint": "add one",
                "counts": [{"what": "held", "value": "254"}, {"what": "cooling", "value": "2"}],
            }))
            .unwrap();
            let error = refused(&refusal);
            assert_eq!(error.code, allotment_node::cni_code(code), "{code:?}");
            let texts = (error.msg.as_str(), error.details.as_str());
            assert_eq!(texts, ("subnet `a` is full: 254 held, 2 cooling", "add one"));
        }
    }
}
