//! What ADD answers.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};

use super::field::Field;
use super::{Error, Family, Net, Version};

/// The abbreviated result of an IPAM plugin (SPEC 1.1.0, section 5, "Delegated plugins (IPAM)"): no `interfaces`, and
/// no `interface` in `ips`. The main plugin puts those in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddResult {
    pub ips: Vec<ResultIp>,
    pub routes: Vec<Route>,
    pub dns: Dns,
}

/// One address of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultIp {
    /// Host bits kept.
    pub address: Net,
    /// Not a default route: the next hop of routes that name none.
    pub gateway: Option<IpAddr>,
}

/// A route for the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    pub dst: Net,
    /// Nothing: the gateway of the address of the same family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gw: Option<IpAddr>,
    /// Whatever else the configuration gives the route (`mtu`, `priority`, …), for the main plugin to understand.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Route {
    pub fn new(dst: Net, gw: Option<IpAddr>) -> Route {
        Route { dst, gw, rest: Map::new() }
    }

    pub(super) fn read(field: &Field<'_>) -> Result<Route, Error> {
        let dst = field.one("dst", Field::parse)?.ok_or_else(|| field.invalid("it has no `dst`"))?;
        let gw = field.one("gw", Field::address)?;
        let mut rest = field.value.as_object().cloned().unwrap_or_default();
        rest.retain(|key, value| key != "dst" && key != "gw" && !value.is_null());
        Ok(Route { dst, gw, rest })
    }
}

/// DNS settings (SPEC 1.1.0, section 1, "`dns`").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dns {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Dns {
    pub(super) fn read(field: &Field<'_>) -> Result<Dns, Error> {
        Ok(Dns {
            nameservers: field.strings("nameservers")?,
            domain: field.string("domain")?,
            search: field.strings("search")?,
            options: field.strings("options")?,
        })
    }
}

impl AddResult {
    /// As JSON in the form of `version`: before 1.0.0 each address says its family.
    pub fn render(&self, version: Version) -> Value {
        let ips = self.ips.iter().map(|ip| RenderedIp {
            version: version.tells_family().then(|| match Family::of(ip.address.address) {
                Family::V4 => "4",
                Family::V6 => "6",
            }),
            address: ip.address,
            gateway: ip.gateway,
        });
        let rendered =
            Rendered { cni_version: version, ips: ips.collect(), routes: &self.routes, dns: &self.dns };
        serde_json::to_value(rendered).expect("every key is a string")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rendered<'a> {
    cni_version: Version,
    ips: Vec<RenderedIp>,
    #[serde(skip_serializing_if = "<[Route]>::is_empty")]
    routes: &'a [Route],
    dns: &'a Dns,
}

#[derive(Serialize)]
struct RenderedIp {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    address: Net,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result() -> AddResult {
        AddResult {
            ips: vec![
                ResultIp {
                    address: "10.1.2.3/16".parse().unwrap(),
                    gateway: Some("10.1.0.1".parse().unwrap()),
                },
                ResultIp { address: "fd00::3/64".parse().unwrap(), gateway: None },
            ],
            routes: vec![
                Route::new("0.0.0.0/0".parse().unwrap(), None),
                Route::new("10.0.0.0/8".parse().unwrap(), Some("10.1.0.9".parse().unwrap())),
            ],
            dns: Dns {
                nameservers: vec!["10.1.0.53".to_owned()],
                search: vec!["a.example".to_owned()],
                ..Dns::default()
            },
        }
    }

    #[test]
    fn every_version_has_its_form() {
        for version in Version::ALL {
            let tells = matches!(version, Version::V0_3_0 | Version::V0_3_1 | Version::V0_4_0);
            let mut ips =
                json!([{"address": "10.1.2.3/16", "gateway": "10.1.0.1"}, {"address": "fd00::3/64"}]);
            if tells {
                ips[0]["version"] = json!("4");
                ips[1]["version"] = json!("6");
            }
            let expect = json!({
                "cniVersion": version.as_str(),
                "ips": ips,
                "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.0.0.0/8", "gw": "10.1.0.9"}],
                "dns": {"nameservers": ["10.1.0.53"], "search": ["a.example"]},
            });
            assert_eq!(result().render(version), expect);
        }
    }

    #[test]
    fn what_is_empty_is_left_out() {
        assert_eq!(
            AddResult::default().render(Version::V1_1_0),
            json!({"cniVersion": "1.1.0", "ips": [], "dns": {}})
        );
    }

    #[test]
    fn routes_keep_what_we_do_not_know() {
        let given = json!({"dst": "fd01::/64", "gw": "fd00::1", "mtu": 1400, "scope": 0, "table": null});
        let route = Route::read(&Field::root(&given)).unwrap();
        assert_eq!(
            serde_json::to_value(&route).unwrap(),
            json!({"dst": "fd01::/64", "gw": "fd00::1", "mtu": 1400, "scope": 0})
        );
        for bad in [
            json!({}),
            json!({"dst": "10.0.0.0"}),
            json!({"dst": 7}),
            json!("10.0.0.0/8"),
            json!({"dst": "::/0", "gw": "x"}),
        ] {
            assert!(Route::read(&Field::root(&bad)).is_err(), "{bad}");
        }
    }
}
