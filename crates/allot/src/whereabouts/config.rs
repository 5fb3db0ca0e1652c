//! The `ipam` section that a network has for Whereabouts.

use std::net::IpAddr;

use allotment_cluster::NetworkAttachmentDefinition;
use allotment_core::{Cidr, Dns, IpRange, Route};
use kube::ResourceExt;
use serde::Deserialize;
use serde_json::Value;

/// What a network asks Whereabouts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// `namespace/name` of the `NetworkAttachmentDefinition`.
    pub(super) name: String,
    /// Its addresses are unique among networks that say the same; empty for most.
    pub(super) domain: String,
    /// An interface gets an address of each.
    pub(super) ranges: Vec<Part>,
    pub(super) gateway: Option<IpAddr>,
    pub(super) routes: Vec<Route>,
    pub(super) dns: Dns,
}

/// A range, and what of it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) cidr: Cidr,
    /// Nothing: all of it.
    pub(super) bounds: Option<IpRange>,
    pub(super) exclude: Vec<IpRange>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ipam {
    #[serde(rename = "type")]
    kind: String,
    network_name: String,
    gateway: String,
    routes: Vec<RawRoute>,
    dns: RawDns,
    #[serde(flatten)]
    own: RawRange,
    #[serde(rename = "ipRanges")]
    more: Vec<RawRange>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawRange {
    range: String,
    range_start: String,
    range_end: String,
    exclude: Vec<String>,
}

#[derive(Deserialize)]
struct RawRoute {
    dst: String,
    gw: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawDns {
    nameservers: Vec<IpAddr>,
    domain: Option<String>,
    search: Vec<String>,
    options: Vec<String>,
}

impl Network {
    /// Nothing: its addresses are not from Whereabouts.
    pub(super) fn of(definition: &NetworkAttachmentDefinition) -> Option<Result<Network, String>> {
        let name = format!("{}/{}", definition.namespace().unwrap_or_default(), definition.name_any());
        let config: Value = serde_json::from_str(&definition.spec.config).ok()?;
        let ipam = ipam(&config)?;
        let read = serde_json::from_value(ipam.clone()).map_err(|error| error.to_string());
        Some(read.and_then(|ipam| Network::read(&name, ipam)).map_err(|why| format!("network {name}: {why}")))
    }

    fn read(name: &str, ipam: Ipam) -> Result<Network, String> {
        let own = Some(ipam.own).filter(|own| !own.range.is_empty());
        let ranges = own.iter().chain(&ipam.more).map(Part::read).collect::<Result<Vec<_>, _>>()?;
        if ranges.is_empty() {
            return Err(
                "it has no `range`; where the nodes' whereabouts.conf has it, write the Subnet by hand"
                    .to_owned(),
            );
        }
        let parsed = |text: &str| text.parse::<IpAddr>().map_err(|error| format!("`{text}`: {error}"));
        let route = |route: &RawRoute| {
            let via = route.gw.as_deref().filter(|gateway| !gateway.is_empty()).map(parsed).transpose()?;
            Ok(Route { to: network(&route.dst)?, via })
        };
        Ok(Network {
            name: name.to_owned(),
            domain: ipam.network_name,
            ranges,
            gateway: Some(ipam.gateway.as_str()).filter(|text| !text.is_empty()).map(parsed).transpose()?,
            routes: ipam.routes.iter().map(route).collect::<Result<_, String>>()?,
            dns: Dns {
                nameservers: ipam.dns.nameservers,
                domain: ipam.dns.domain.filter(|domain| !domain.is_empty()),
                search: ipam.dns.search,
                options: ipam.dns.options,
            },
        })
    }
}

impl Part {
    /// `CIDR`, or `first-last/length`.
    fn read(raw: &RawRange) -> Result<Part, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("range `{}`: {error}", raw.range);
        let address = |text: &str| text.parse::<IpAddr>().map_err(|error| wrong(&error));
        let (cidr, start, end) = if let Some((start, rest)) = raw.range.split_once('-') {
            let last = rest.split('/').next().unwrap_or_default();
            (network(rest)?, Some(address(start)?), Some(address(last)?))
        } else {
            let bound = |text: &str| Some(text).filter(|text| !text.is_empty()).map(address).transpose();
            (network(&raw.range)?, bound(&raw.range_start)?, bound(&raw.range_end)?)
        };
        // What lies outside counts as not given, as Whereabouts has it.
        let inside = |bound: Option<IpAddr>| bound.filter(|&bound| cidr.contains(bound));
        let (start, end) = (inside(start), inside(end));
        let bounds = if start.is_none() && end.is_none() {
            None
        } else {
            let (first, last) = (start.unwrap_or(cidr.first()), end.unwrap_or(cidr.last()));
            let bounds = IpRange::new(first, last).map_err(|error| wrong(&error))?;
            Some(bounds).filter(|bounds| *bounds != IpRange::from(cidr))
        };
        let excluded = |text: &String| match text.split_once('/') {
            Some(_) => network(text).map(IpRange::from),
            None => text.parse().map_err(|error| format!("exclude `{text}`: {error}")),
        };
        let exclude = raw.exclude.iter().map(excluded).collect::<Result<_, String>>()?;
        Ok(Part { cidr, bounds, exclude })
    }
}

/// A CIDR that may have host bits.
fn network(text: &str) -> Result<Cidr, String> {
    let wrong = || format!("`{text}` is no CIDR");
    let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
    let bits = allotment_core::Family::of(address).bits();
    (prefix <= bits).then(|| Cidr::containing(address, prefix)).ok_or_else(wrong)
}

/// The section for Whereabouts, of one plugin or of a list of them.
fn ipam(config: &Value) -> Option<&Value> {
    let plugins: Vec<&Value> = match config["plugins"].as_array() {
        Some(list) => list.iter().collect(),
        None => vec![config],
    };
    plugins.into_iter().map(|plugin| &plugin["ipam"]).find(|ipam| ipam["type"] == "whereabouts")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn network_of(ipam: &Value) -> Result<Network, String> {
        let config = json!({"type": "macvlan", "ipam": ipam}).to_string();
        let definition = json!({"metadata": {"namespace": "shop", "name": "lan"}, "spec": {"config": config},
            "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition"});
        let definition = serde_json::from_value(definition).unwrap();
        Network::of(&definition).unwrap()
    }

    fn parts(ipam: &Value) -> Vec<String> {
        let network = network_of(ipam).unwrap();
        let all = |part: &Part| {
            let exclude: Vec<String> = part.exclude.iter().map(ToString::to_string).collect();
            let bounds = part.bounds.map_or("all".to_owned(), |bounds| bounds.to_string());
            format!("{} {bounds} without [{}]", part.cidr, exclude.join(" "))
        };
        network.ranges.iter().map(all).collect()
    }

    #[test]
    fn every_way_to_say_a_range() {
        let whereabouts = |mut more: Value| {
            more["type"] = json!("whereabouts");
            parts(&more)
        };
        assert_eq!(whereabouts(json!({"range": "10.0.0.5/24"})), ["10.0.0.0/24 all without []"]);
        assert_eq!(
            whereabouts(json!({"range": "10.0.0.10-10.0.0.20/24", "exclude": ["10.0.0.12/30"]})),
            ["10.0.0.0/24 10.0.0.10-10.0.0.20 without [10.0.0.12-10.0.0.15]"]
        );
        assert_eq!(
            whereabouts(json!({"range": "10.0.0.0/24", "range_start": "10.0.0.9", "range_end": "10.9.0.0"})),
            ["10.0.0.0/24 10.0.0.9-10.0.0.255 without []"]
        );
        assert_eq!(
            whereabouts(json!({"range": "10.0.0.0/24", "ipRanges": [{"range": "fd00::/64"}]})),
            ["10.0.0.0/24 all without []", "fd00::/64 all without []"]
        );
    }

    #[test]
    fn what_else_an_interface_is_told() {
        let network = network_of(&json!({
            "type": "whereabouts", "range": "10.0.0.0/24", "gateway": "10.0.0.1", "network_name": "blue",
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16", "gw": "10.0.0.2"}],
            "dns": {"nameservers": ["10.0.0.53"], "search": ["example"]},
        }))
        .unwrap();
        assert_eq!((network.name.as_str(), network.domain.as_str()), ("shop/lan", "blue"));
        assert_eq!(network.gateway, Some("10.0.0.1".parse().unwrap()));
        let routes: Vec<_> = network.routes.iter().map(|route| (route.to.to_string(), route.via)).collect();
        assert_eq!(
            routes,
            [("0.0.0.0/0".to_owned(), None), ("10.9.0.0/16".to_owned(), Some("10.0.0.2".parse().unwrap()))]
        );
        assert_eq!(network.dns.search, ["example"]);
    }

    #[test]
    fn what_makes_no_sense_is_said_with_its_network() {
        for (ipam, why) in [
            (json!({"type": "whereabouts"}), "no `range`"),
            (json!({"type": "whereabouts", "range": "10.0.0.0"}), "`10.0.0.0` is no CIDR"),
            (json!({"type": "whereabouts", "range": "10.0.0.0/24", "gateway": "x"}), "`x`"),
            (json!({"type": "whereabouts", "range": 7}), "invalid type"),
        ] {
            let error = network_of(&ipam).unwrap_err();
            assert!(error.starts_with("network shop/lan: ") && error.contains(why), "{error}");
        }
    }
}
