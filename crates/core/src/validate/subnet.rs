//! What can be wrong with a subnet by itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Checked, check_namespaces, check_selector, check_unicast, fault, syntax};
use crate::{Cidr, Dns, Family, IpRange, ObjectError, ObjectKind, Order, Route, SubnetSpec};

/// The smallest MTU that IPv4 works with (RFC 791).
const MIN_MTU: u32 = 68;
/// The smallest MTU that IPv6 works with (RFC 8200).
const MIN_MTU_IPV6: u32 = 1280;
/// Linux takes no larger one.
const MAX_MTU: u32 = 65_535;
/// 30 days, as long as history is kept (O10). Whoever needs more wants a Reservation.
const MAX_COOLING_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Bytes; the names and VRFs of implied subnets carry folder names.
const MAX_IMPLIED_NAME: usize = 1024;

/// What nobody can hand out, whose addresses those are, and what to give instead.
const NOBODYS: [(IpAddr, u8, &str, &str); 6] = [
    (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4, "multicast addresses", NO_INTERFACE),
    (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8, "multicast addresses", NO_INTERFACE),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8, "loopback addresses", OF_EACH_MACHINE),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128, "the loopback address", OF_EACH_MACHINE),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16, "link-local addresses", OF_EACH_LINK),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10, "link-local addresses", OF_EACH_LINK),
];
const NO_INTERFACE: &str = "which no interface can have";
const OF_EACH_MACHINE: &str = "which each machine has for itself";
const OF_EACH_LINK: &str = "which the interfaces of each link choose for themselves";

impl SubnetSpec {
    /// Checks the subnet by itself; the error is about the first field that is wrong.
    pub fn validate(&self) -> Result<(), ObjectError> {
        self.check().map_err(|fault| fault.of(ObjectKind::Subnet, &self.name))
    }

    fn check(&self) -> Checked {
        if self.is_implied() {
            return self.check_implied();
        }
        syntax::object_name("metadata.name", &self.name)?;
        syntax::object_name("spec.vrf", &self.vrf)?;
        self.check_cidrs()?;
        self.check_gateways()?;
        for (index, range) in self.exclude.iter().enumerate() {
            self.check_inside(&format!("spec.exclude[{index}]"), range)?;
        }
        self.check_routes()?;
        check_dns(&self.dns)?;
        self.check_mtu()?;
        if self.cooling_ms > MAX_COOLING_MS {
            fault(
                "spec.cooling",
                "is longer than 30 days (720h), the most an address may cool",
                "to keep an address for good, make a Reservation of it",
            )?;
        }
        check_namespaces(&self.namespaces)?;
        check_selector("spec.namespaceSelector", self.namespace_selector.as_ref())?;
        for (index, network) in self.networks.iter().enumerate() {
            syntax::network(&format!("spec.networks[{index}]"), network)?;
        }
        Ok(())
    }

    /// Made by the daemon for a `host-local` configuration, not declared by a person (O5).
    fn is_implied(&self) -> bool {
        !self.within.is_empty() || self.order == Order::NextAfterLast
    }

    /// Gateway, routes and DNS are as `host-local` would pass them on, odd or not; for `static` the whole of a family is
    /// one subnet, from which nothing is drawn.
    fn check_implied(&self) -> Checked {
        syntax::implied_name("metadata.name", &self.name, MAX_IMPLIED_NAME)?;
        syntax::implied_name("spec.vrf", &self.vrf, MAX_IMPLIED_NAME)?;
        self.check_families()?;
        for (index, range) in self.within.iter().enumerate() {
            self.check_inside(&format!("spec.within[{index}]"), range)?;
        }
        Ok(())
    }

    /// One CIDR per family.
    fn check_families(&self) -> Checked {
        if self.cidrs.is_empty() {
            fault(
                "spec.cidrs",
                "is empty",
                "give one CIDR, or one per family: [10.40.0.0/16, \"fd00:40::/64\"]",
            )?;
        }
        for (index, cidr) in self.cidrs.iter().enumerate() {
            let field = format!("spec.cidrs[{index}]");
            let family = cidr.family();
            if let Some(earlier) = self.cidrs[..index].iter().find(|earlier| earlier.family() == family) {
                fault(
                    &field,
                    format!("`{cidr}` is a second {family} CIDR, after `{earlier}`"),
                    "a Subnet has one CIDR per family: make another Subnet of it",
                )?;
            }
        }
        Ok(())
    }

    fn check_cidrs(&self) -> Checked {
        self.check_families()?;
        for (index, cidr) in self.cidrs.iter().enumerate() {
            let field = format!("spec.cidrs[{index}]");
            let family = cidr.family();
            if cidr.prefix() == 0 {
                fault(
                    &field,
                    format!("`{cidr}` is the whole of {family}, where no address is left for anybody else"),
                    "give the network whose addresses are yours to hand out, such as 10.40.0.0/16 or fd00:40::/64",
                )?;
            }
            if cidr.has_mapped() {
                fault(
                    &field,
                    format!("`{cidr}` has the IPv4-mapped addresses in it (::ffff:0:0/96), which are IPv4's"),
                    "give a network that is yours, such as fd00:40::/64",
                )?;
            }
            for (address, prefix, what, whose) in NOBODYS {
                let nobodys = Cidr::containing(address, prefix);
                if nobodys.overlaps(cidr) {
                    fault(
                        &field,
                        format!("`{cidr}` has {what} in it ({nobodys}), {whose}"),
                        "give a network that is yours to hand out, such as 10.40.0.0/16 or fd00:40::/64",
                    )?;
                }
            }
            if !cidr.has_edges() {
                check_unicast(&field, cidr.first())?;
                check_unicast(&field, cidr.last())?;
            }
        }
        Ok(())
    }

    fn check_gateways(&self) -> Checked {
        let gateways = self.gateways.as_deref().unwrap_or_default();
        for (index, &gateway) in gateways.iter().enumerate() {
            let field = format!("spec.gateways[{index}]");
            let family = Family::of(gateway);
            if let Some(earlier) = gateways[..index].iter().find(|&&earlier| Family::of(earlier) == family) {
                fault(
                    &field,
                    format!("`{gateway}` is a second {family} gateway, after `{earlier}`"),
                    "keep one per family; more routers go in `routes`, with `via`",
                )?;
            }
            let Some(cidr) = self.cidr(family) else {
                return fault(
                    &field,
                    format!("`{gateway}` is {family}, and the subnet has no {family} CIDR"),
                    format!("remove it, or add an {family} CIDR to `cidrs`"),
                );
            };
            if !cidr.contains(gateway) {
                let router = match family {
                    Family::V4 => format!("{{to: 0.0.0.0/0, via: {gateway}}}"),
                    Family::V6 => format!("{{to: \"::/0\", via: \"{gateway}\"}}"),
                };
                fault(
                    &field,
                    format!("`{gateway}` is outside `{cidr}`"),
                    format!(
                        "give an address inside such as {}; a router outside goes in `routes`: {router}",
                        cidr.first_usable()
                    ),
                )?;
            }
            let edge = if cidr.has_edges() && gateway == cidr.first() {
                Some("network")
            } else if cidr.has_edges() && family == Family::V4 && gateway == cidr.last() {
                Some("broadcast")
            } else {
                None
            };
            if let Some(edge) = edge {
                fault(
                    &field,
                    format!("`{gateway}` is the {edge} address of `{cidr}`"),
                    format!("did you mean `{}`?", cidr.first_usable()),
                )?;
            }
            check_unicast(&field, gateway)?;
        }
        Ok(())
    }

    fn check_inside(&self, field: &str, range: &IpRange) -> Checked {
        let family = range.family();
        let Some(cidr) = self.cidr(family) else {
            return fault(
                field,
                format!("`{range}` is {family}, and the subnet has no {family} CIDR"),
                format!("remove it, or add an {family} CIDR to `cidrs`"),
            );
        };
        let (first, last) = (cidr.contains(range.first()), cidr.contains(range.last()));
        if first && last {
            return Ok(());
        }
        let inner = (range.first().max(cidr.first()), range.last().min(cidr.last()));
        match IpRange::new(inner.0, inner.1) {
            Ok(inner) => fault(
                field,
                format!("`{range}` reaches beyond `{cidr}`"),
                format!("the part inside is `{inner}`"),
            ),
            Err(_) => fault(
                field,
                format!("`{range}` is outside `{cidr}`"),
                "remove it, or correct it to lie inside the subnet",
            ),
        }
    }

    fn check_routes(&self) -> Checked {
        for (index, Route { to, via }) in self.routes.iter().enumerate() {
            let field = format!("spec.routes[{index}]");
            let family = to.family();
            if let Some(earlier) = self.routes[..index].iter().position(|earlier| earlier.to == *to) {
                fault(
                    format!("{field}.to"),
                    format!("`{to}` is routed already, by spec.routes[{earlier}]"),
                    "keep one of them: an interface has one route to a network",
                )?;
            }
            if self.cidr(family).is_none() {
                fault(
                    format!("{field}.to"),
                    format!("`{to}` is {family}, and the subnet has no {family} CIDR"),
                    format!("remove the route, or add an {family} CIDR to `cidrs`"),
                )?;
            }
            let Some(via) = *via else { continue };
            let field = format!("{field}.via");
            if Family::of(via) != family {
                fault(
                    &field,
                    format!("`{via}` is {}, and the route goes to {family} (`{to}`)", Family::of(via)),
                    format!("give an {family} router, or leave `via` out for the subnet's gateway"),
                )?;
            }
            check_unicast(&field, via)?;
        }
        Ok(())
    }

    fn check_mtu(&self) -> Checked {
        let Some(mtu) = self.mtu else { return Ok(()) };
        let (least, why) = match self.cidr(Family::V6) {
            Some(_) => (MIN_MTU_IPV6, "the least that IPv6 works with"),
            None => (MIN_MTU, "the least that IPv4 works with"),
        };
        if mtu < least {
            fault(
                "spec.mtu",
                format!("{mtu} is below {least}, {why}"),
                "most networks have 1500, or 9000 with jumbo frames",
            )
        } else if mtu > MAX_MTU {
            fault(
                "spec.mtu",
                format!("{mtu} is above {MAX_MTU}, the most an interface can have"),
                "most networks have 1500, or 9000 with jumbo frames",
            )
        } else {
            Ok(())
        }
    }
}

fn check_dns(dns: &Dns) -> Checked {
    for (index, &nameserver) in dns.nameservers.iter().enumerate() {
        check_unicast(&format!("spec.dns.nameservers[{index}]"), nameserver)?;
    }
    if let Some(domain) = &dns.domain {
        syntax::domain("spec.dns.domain", domain)?;
    }
    for (index, domain) in dns.search.iter().enumerate() {
        syntax::domain(&format!("spec.dns.search[{index}]"), domain)?;
    }
    for (index, option) in dns.options.iter().enumerate() {
        if option.is_empty() || !option.bytes().all(|b| b.is_ascii_graphic()) {
            fault(
                format!("spec.dns.options[{index}]"),
                format!("`{}` is no resolver option", option.escape_debug()),
                "write one option an item, as in resolv.conf: \"ndots:2\"",
            )?;
        }
    }
    Ok(())
}
