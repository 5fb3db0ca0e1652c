//! A subnet.

use schemars::Schema;
use serde_json::{Value, json};

use super::scalar::{DURATION, is_range, v4, v4_sizes};
use super::{Constrain, MAX_NAME, MAX_NAMES, MAX_NAMESPACE, MAX_RANGES, change, namespaces, object_name};

/// 30 days, as long as history is kept.
const MAX_COOLING: &str = "720h";
/// The smallest MTU that IPv4 works with (RFC 791).
const MIN_MTU: u32 = 68;
/// The smallest MTU that IPv6 works with (RFC 8200).
const MIN_MTU_IPV6: u32 = 1280;
/// Linux takes no larger one.
const MAX_MTU: u32 = 65_535;
const USUAL_MTU: &str = "most networks have 1500, or 9000 with jumbo frames";
/// Each is compared with each.
const MAX_ROUTES: u64 = 64;

const NETWORK: &str = "^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/)?[A-Za-z0-9][-A-Za-z0-9_.]{0,252}$";

/// Two texts of a list are of two families.
const FAMILIES_DIFFER: &str = "size(self) != 2 || self[0].contains(':') != self[1].contains(':')";

pub(crate) fn subnet(schema: &mut Schema) {
    change(schema, |subnet| {
        let vrf = subnet.field("vrf");
        object_name(vrf);
        vrf.rule(
            "self == oldSelf",
            "'the VRF is immutable; it is `' + oldSelf + '`'",
            "make a new Subnet in the other VRF",
        );
        cidrs(subnet);
        gateways(subnet);
        exclude(subnet);
        routes(subnet);
        mtu(subnet);
        subnet.field("cooling").plain(
            &format!(
                "self == '' || !self.matches('{DURATION}') || duration(self) <= duration('{MAX_COOLING}')"
            ),
            "is longer than 30 days (720h), the most an address may cool; to keep an address for good, make a Reservation \
             of it",
        );
        namespaces(subnet);
        subnet.field("networks").set("maxItems", json!(MAX_NAMES));
        subnet.items("networks").set("maxLength", json!(MAX_NAMESPACE + 1 + MAX_NAME)).rule(
            &format!("self.matches('{NETWORK}')"),
            "'`' + self + '` is no name of a network'",
            "give the `name` of the CNI configuration, or `namespace/name` of a NetworkAttachmentDefinition",
        );
    });
}

fn cidrs(subnet: &mut Value) {
    subnet
        .field("cidrs")
        .set("maxItems", json!(2))
        .plain(
            "size(self) > 0",
            "is empty; give one CIDR, or one per family: [10.40.0.0/16, \"fd00:40::/64\"]",
        )
        .rule(
            FAMILIES_DIFFER,
            "'`' + self[1] + '` is a second ' + (self[1].contains(':') ? 'IPv6' : 'IPv4') + ' CIDR, after `' + self[0] + '`'",
            "a Subnet has one CIDR per family: make another Subnet of it",
        );
    let network = "isCIDR(self) && cidr(self).prefixLength() > 0";
    subnet
        .items("cidrs")
        .rule(
            "!isCIDR(self) || cidr(self).prefixLength() > 0",
            "'`' + self + '` is the whole of ' + (self.contains(':') ? 'IPv6' : 'IPv4')",
            "give the network whose addresses are yours to hand out, such as 10.40.0.0/16 or fd00:40::/64",
        )
        // No CIDR within ::ffff:0:0/96 can be written, and a larger one that has it has what is just below it.
        .rule(
            &format!("!({network}) || !cidr(self).containsIP('::fffe:0:0')"),
            "'`' + self + '` has the IPv4-mapped addresses in it (::ffff:0:0/96), which are IPv4\\'s'",
            "give a network that is yours, such as fd00:40::/64",
        )
        .rule(
            &format!(
                "!({network}) || ['224.0.0.0/4', 'ff00::/8'].all(multicast, \
                 !cidr(self).containsCIDR(multicast) && !cidr(multicast).containsCIDR(self))"
            ),
            "'`' + self + '` has multicast addresses in it, which no interface can have'",
            "give a network that is yours to hand out, such as 10.40.0.0/16 or fd00:40::/64",
        )
        .rule(
            &format!(
                "!({network}) || ['127.0.0.0/8', '::1/128', '169.254.0.0/16', 'fe80::/10'].all(local, \
                 !cidr(self).containsCIDR(local) && !cidr(local).containsCIDR(self))"
            ),
            "'`' + self + '` has loopback or link-local addresses in it, which machines and links have for themselves'",
            "give a network that is yours to hand out, such as 10.40.0.0/16 or fd00:40::/64",
        )
        // Elsewhere the first and the last address are nobody's.
        .rule(
            "!isCIDR(self) || cidr(self).prefixLength() < (self.contains(':') ? 127 : 31) || \
             ['0.0.0.0', '::', '255.255.255.255'].all(nobodys, !cidr(self).containsIP(nobodys))",
            "'`' + self + '` has an address in it that no interface can have'",
            "give a network of unicast addresses",
        );
}

fn gateways(subnet: &mut Value) {
    subnet.field("gateways").set("maxItems", json!(2)).rule(
        FAMILIES_DIFFER,
        "'`' + self[1] + '` is a second ' + (self[1].contains(':') ? 'IPv6' : 'IPv4') + ' gateway, after `' + self[0] + '`'",
        "keep one per family; more routers go in `routes`, with `via`",
    );
    let inside = "isCIDR(c) && cidr(c).containsIP(g)";
    // Of the CIDRs that have a first and a last address which are nobody's.
    let at_edge = format!("{inside} && cidr(c).prefixLength() < (c.contains(':') ? 127 : 31)");
    let broadcast = format!(
        "!g.contains(':') && [g.split('.').map(n, int(n))].all(n, ({} + 1) % {}[cidr(c).prefixLength()] == 0)",
        v4("n", 0),
        v4_sizes()
    );
    for (wrong, text, hint) in [
        (
            format!("!self.cidrs.exists(c, {inside})"),
            "outside the CIDRs",
            "give an address inside them; a router outside goes in `routes`, with `via`",
        ),
        (
            format!("self.cidrs.exists(c, {at_edge} && ip(g) == cidr(c).masked().ip())"),
            "the network address of its CIDR",
            "give an address of a router, such as the one after it",
        ),
        (
            format!("self.cidrs.exists(c, {at_edge} && {broadcast})"),
            "the broadcast address of its CIDR",
            "give an address of a router, such as the one before it",
        ),
    ] {
        let wrong = format!("self.gateways.filter(g, isIP(g) && {wrong})");
        subnet.rule_for(
            "gateways",
            &format!("!has(self.gateways) || size({wrong}) == 0"),
            &format!("'`' + {wrong}[0] + '` is {text}'"),
            hint,
        );
    }
}

fn exclude(subnet: &mut Value) {
    subnet.field("exclude").set("maxItems", json!(MAX_RANGES));
    let outside = format!(
        "self.exclude.filter(r, {} && !self.cidrs.exists(c, isCIDR(c) && (r.contains('/') ? cidr(c).containsCIDR(r) : \
         r.split('-').all(a, cidr(c).containsIP(a.trim())))))",
        is_range("r")
    );
    subnet.rule_for(
        "exclude",
        &format!("!has(self.exclude) || size({outside}) == 0"),
        &format!("'`' + {outside}[0] + '` is not inside the CIDRs'"),
        "remove it, or correct it to lie inside one of them",
    );
}

fn routes(subnet: &mut Value) {
    subnet.field("routes").set("maxItems", json!(MAX_ROUTES)).plain(
        "self.all(a, !isCIDR(a.to) || self.exists_one(b, isCIDR(b.to) && cidr(a.to) == cidr(b.to)))",
        "two routes go to the same network; keep one of them: an interface has one route to a network",
    );
    subnet.plain_for(
        "routes",
        "!has(self.routes) || self.routes.all(r, self.cidrs.exists(c, c.contains(':') == r.to.contains(':')))",
        "a route goes to a family that the subnet has no CIDR of; remove the route, or add a CIDR of its family to `cidrs`",
    );
}

fn mtu(subnet: &mut Value) {
    subnet
        .field("mtu")
        .plain(
            &format!("self >= {MIN_MTU}"),
            &format!("is below {MIN_MTU}, the least that IPv4 works with; {USUAL_MTU}"),
        )
        .plain(
            &format!("self <= {MAX_MTU}"),
            &format!("is above {MAX_MTU}, the most an interface can have; {USUAL_MTU}"),
        );
    subnet.plain_for(
        "mtu",
        &format!(
            "!has(self.mtu) || self.mtu < {MIN_MTU} || self.mtu >= {MIN_MTU_IPV6} || \
             !self.cidrs.exists(c, c.contains(':'))"
        ),
        &format!("is below {MIN_MTU_IPV6}, the least that IPv6 works with; {USUAL_MTU}"),
    );
}
