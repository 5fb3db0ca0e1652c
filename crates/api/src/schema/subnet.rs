//! A subnet.

use schemars::Schema;
use serde_json::json;

use super::scalar::{DURATION, is_range, v4, v4_sizes};
use super::{Constrain, MAX_NAME, MAX_NAMES, MAX_RANGES, change, namespaces, object_name};

/// 30 days, as long as history is kept.
const MAX_COOLING: &str = "720h";
/// The smallest MTU that IPv6 works with (RFC 8200), and IPv4 (RFC 791); Linux takes no larger one than the last.
const MTU: (u32, u32, u32) = (1280, 68, 65_535);
/// `namespace/name`.
const MAX_NETWORK: u64 = MAX_NAME + 64;

const NETWORK: &str = "^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/)?[A-Za-z0-9][-A-Za-z0-9_.]{0,252}$";

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
            &format!("self == '' || !self.matches('{DURATION}') || duration(self) <= duration('{MAX_COOLING}')"),
            "is longer than 30 days (720h), the most an address may cool; to keep an address for good, make a Reservation of it",
        );
        namespaces(subnet);
        subnet.field("networks").set("maxItems", json!(MAX_NAMES));
        subnet.items("networks").set("maxLength", json!(MAX_NETWORK)).rule(
            &format!("self.matches('{NETWORK}')"),
            "'`' + self + '` is no name of a network'",
            "give the `name` of the CNI configuration, or `namespace/name` of a NetworkAttachmentDefinition",
        );
    });
}

fn cidrs(subnet: &mut serde_json::Value) {
    subnet
        .field("cidrs")
        .set("maxItems", json!(2))
        .plain("size(self) > 0", "is empty; give one CIDR, or one per family: [10.40.0.0/16, \"fd00:40::/64\"]")
        .rule(
            "size(self) != 2 || self[0].contains(':') != self[1].contains(':')",
            "'`' + self[1] + '` is a second ' + (self[1].contains(':') ? 'IPv6' : 'IPv4') + ' CIDR, after `' + self[0] + '`'",
            "a Subnet has one CIDR per family: make another Subnet of it",
        );
    subnet
        .items("cidrs")
        .rule(
            "!isCIDR(self) || cidr(self).prefixLength() > 0",
            "'`' + self + '` is the whole of ' + (self.contains(':') ? 'IPv6' : 'IPv4')",
            "give the network whose addresses are yours to hand out, such as 10.40.0.0/16 or fd00:40::/64",
        )
        // Nothing in ::ffff:0:0/96 can be written; a larger network that has it has what lies below it, too.
        .rule(
            "!isCIDR(self) || cidr(self).prefixLength() == 0 || !cidr(self).containsIP('::fffe:0:0')",
            "'`' + self + '` has the IPv4-mapped addresses in it (::ffff:0:0/96), which are IPv4\\'s'",
            "give a network that is yours, such as fd00:40::/64",
        )
        .rule(
            "!isCIDR(self) || cidr(self).prefixLength() == 0 || ['224.0.0.0/4', 'ff00::/8'].all(m, !cidr(self).containsCIDR(m) && !cidr(m).containsCIDR(self))",
            "'`' + self + '` has multicast addresses in it, which no interface can have'",
            "give a network of unicast addresses",
        )
        .rule(
            &format!("!isCIDR(self) || cidr(self).prefixLength() < (self.contains(':') ? 127 : 31) || [cidr(self)].all(c, !c.ip().isUnspecified() && !c.containsIP('255.255.255.255'))"),
            "'`' + self + '` has an address in it that no interface can have'",
            "give a network of unicast addresses",
        );
}

fn gateways(subnet: &mut serde_json::Value) {
    subnet.field("gateways").set("maxItems", json!(2)).rule(
        "size(self) != 2 || self[0].contains(':') != self[1].contains(':')",
        "'`' + self[1] + '` is a second ' + (self[1].contains(':') ? 'IPv6' : 'IPv4') + ' gateway, after `' + self[0] + '`'",
        "keep one per family; more routers go in `routes`, with `via`",
    );
    let outside =
        "self.gateways.filter(g, isIP(g) && !self.cidrs.exists(c, isCIDR(c) && cidr(c).containsIP(g)))";
    subnet.rule_for(
        "gateways",
        &format!("!has(self.gateways) || size({outside}) == 0"),
        &format!("'`' + {outside}[0] + '` is outside the CIDRs'"),
        "give an address inside them; a router outside goes in `routes`, with `via`",
    );
    // Masked with its own last bits gone, an edge is where it was: the network address by itself, the broadcast address
    // as the neighbour of the next network.
    let edge = |what: &str| {
        format!(
            "self.gateways.filter(g, isIP(g) && self.cidrs.exists(c, isCIDR(c) && cidr(c).containsIP(g) && cidr(c).prefixLength() < (c.contains(':') ? 127 : 31) && ({what})))"
        )
    };
    let network = edge("ip(g) == cidr(c).masked().ip()");
    subnet.rule_for(
        "gateways",
        &format!("!has(self.gateways) || size({network}) == 0"),
        &format!("'`' + {network}[0] + '` is the network address of its CIDR'"),
        "give an address of a router, such as the one after it",
    );
    let broadcast = edge(&format!(
        "!g.contains(':') && [g.split('.').map(n, int(n))].all(n, ({} + 1) % {}[cidr(c).prefixLength()] == 0)",
        v4("n", 0),
        v4_sizes()
    ));
    subnet.rule_for(
        "gateways",
        &format!("!has(self.gateways) || size({broadcast}) == 0"),
        &format!("'`' + {broadcast}[0] + '` is the broadcast address of its CIDR'"),
        "give an address of a router, such as the one before it",
    );
}

fn exclude(subnet: &mut serde_json::Value) {
    subnet.field("exclude").set("maxItems", json!(MAX_RANGES));
    let outside = format!(
        "self.exclude.filter(r, {} && !self.cidrs.exists(c, isCIDR(c) && (r.contains('/') ? cidr(c).containsCIDR(r) : r.split('-').all(a, cidr(c).containsIP(a.trim())))))",
        is_range("r")
    );
    subnet.rule_for(
        "exclude",
        &format!("!has(self.exclude) || size({outside}) == 0"),
        &format!("'`' + {outside}[0] + '` is not inside the CIDRs'"),
        "remove it, or correct it to lie inside one of them",
    );
}

fn routes(subnet: &mut serde_json::Value) {
    subnet.field("routes").set("maxItems", json!(64)).plain(
        "self.all(a, !isCIDR(a.to) || self.exists_one(b, isCIDR(b.to) && cidr(a.to) == cidr(b.to)))",
        "two routes go to the same network; keep one of them: an interface has one route to a network",
    );
    subnet.plain_for(
        "routes",
        "!has(self.routes) || self.routes.all(r, self.cidrs.exists(c, c.contains(':') == r.to.contains(':')))",
        "a route goes to a family that the subnet has no CIDR of; remove the route, or add a CIDR of its family to `cidrs`",
    );
}

fn mtu(subnet: &mut serde_json::Value) {
    let (least, least_v4, most) = MTU;
    let usual = "most networks have 1500, or 9000 with jumbo frames";
    subnet
        .field("mtu")
        .plain(
            &format!("self >= {least_v4}"),
            &format!("is below {least_v4}, the least that IPv4 works with; {usual}"),
        )
        .plain(
            &format!("self <= {most}"),
            &format!("is above {most}, the most an interface can have; {usual}"),
        );
    subnet.plain_for(
        "mtu",
        &format!("!has(self.mtu) || self.mtu < {least_v4} || self.mtu >= {least} || !self.cidrs.exists(c, c.contains(':'))"),
        &format!("is below {least}, the least that IPv6 works with; {usual}"),
    );
}
