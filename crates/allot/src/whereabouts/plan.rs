//! Which subnets there have to be, so that every network draws from what it has drawn from.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

use allotment_api::to_yaml;
use allotment_core::{Cidr, DEFAULT_VRF, Dns, Family, IpRange, Object, PoolSpec, Route, SubnetSpec};

use super::config::{Network, Part};
use super::source::Source;

/// Objects that are to be declared, and what a person has to know of them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    subnets: Vec<Planned>,
    /// What could not be planned.
    pub(super) problems: Vec<String>,
}

/// A subnet with its pools, and what its networks are to say.
#[derive(Debug, PartialEq)]
struct Planned {
    objects: Vec<Object>,
    notes: Vec<String>,
}

/// Networks and ranges that have to share a subnet: their ranges overlap, or one interface draws from both.
#[derive(Default)]
struct Group {
    domain: String,
    cidrs: Vec<Cidr>,
    networks: Vec<Network>,
}

impl Plan {
    pub(super) fn new(source: &Source) -> Plan {
        let mut plan = Plan::default();
        let mut groups: Vec<Group> = Vec::new();
        for network in source.networks.iter().filter_map(Network::of) {
            match network {
                Ok(network) => {
                    let cidrs = network.ranges.iter().map(|part| part.cidr).collect();
                    merge(
                        &mut groups,
                        Group { domain: network.domain.clone(), cidrs, networks: vec![network] },
                    );
                }
                Err(why) => plan.problems.push(why),
            }
        }
        for pool in &source.pools {
            let group =
                Group { domain: source.network_of(pool), cidrs: vec![pool.cidr], networks: Vec::new() };
            merge(&mut groups, group);
        }
        let mut names = BTreeSet::new();
        for group in groups {
            match group.planned() {
                Ok(planned) => {
                    let name = planned.objects[0].key().name;
                    if names.insert(name.clone()) {
                        plan.subnets.push(planned);
                    } else {
                        plan.problems
                            .push(format!("two subnets would be called `{name}`: write one of them by hand"));
                    }
                }
                Err(why) => plan.problems.push(why),
            }
        }
        plan.subnets.sort_by_cached_key(|planned| planned.objects[0].key());
        plan
    }

    /// As a file of objects, with what is to be done in comments.
    pub(super) fn to_yaml(&self) -> String {
        let mut text = String::from(
            "# Subnets in place of what Whereabouts has. Read and edit them; what an address in use lies in has to stay.\n",
        );
        for why in &self.problems {
            line(&mut text, &format!("# Left out: {why}"));
        }
        for Planned { objects, notes } in &self.subnets {
            text.push_str("---\n");
            for note in notes {
                line(&mut text, &format!("# {note}"));
            }
            let documents: Vec<String> = objects.iter().map(to_yaml).collect();
            text.push_str(&documents.join("---\n"));
        }
        text
    }
}

fn line(text: &mut String, words: &str) {
    writeln!(text, "{words}").expect("a string takes all that is written to it");
}

/// Adds a group, and joins those that it touches.
fn merge(groups: &mut Vec<Group>, mut new: Group) {
    let touches = |group: &Group, new: &Group| {
        group.domain == new.domain
            && group.cidrs.iter().any(|one| new.cidrs.iter().any(|other| one.overlaps(other)))
    };
    while let Some(at) = groups.iter().position(|group| touches(group, &new)) {
        let old = groups.remove(at);
        new.cidrs.splice(0..0, old.cidrs);
        new.networks.splice(0..0, old.networks);
    }
    groups.push(new);
}

impl Group {
    /// Those of its ranges that lie in no other.
    fn widest(&self, family: Family) -> Vec<Cidr> {
        let is_wide = |cidr: &&Cidr| {
            cidr.family() == family
                && !self.cidrs.iter().any(|other| other.prefix() < cidr.prefix() && other.overlaps(cidr))
        };
        let wide: BTreeSet<String> = self.cidrs.iter().filter(is_wide).map(ToString::to_string).collect();
        wide.iter().filter_map(|text| text.parse().ok()).collect()
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.networks.iter().map(|network| network.name.as_str()).collect();
        names.join(", ")
    }

    fn planned(self) -> Result<Planned, String> {
        let mut cidrs = Vec::new();
        for family in Family::BOTH {
            let wide = self.widest(family);
            if wide.len() > 1 {
                let wide: Vec<String> = wide.iter().map(ToString::to_string).collect();
                return Err(format!(
                    "{} share {} ranges of {family}, and a Subnet has one of each family: {}",
                    self.names(),
                    wide.len(),
                    wide.join(", ")
                ));
            }
            cidrs.extend(wide);
        }
        let vrf = if self.domain.is_empty() { DEFAULT_VRF } else { &self.domain };
        let mut subnet = SubnetSpec::new(&name_of(&self.domain, cidrs[0]), cidrs);
        vrf.clone_into(&mut subnet.vrf);
        let gateways: BTreeSet<IpAddr> = self.networks.iter().filter_map(|network| network.gateway).collect();
        let inside = |gateway: &IpAddr| subnet.cidrs.iter().any(|cidr| cidr.contains(*gateway));
        subnet.gateways = Some(gateways.iter().copied().filter(inside).collect());
        for network in &self.networks {
            extend(&mut subnet.routes, &network.routes);
            for part in &network.ranges {
                extend(&mut subnet.exclude, &part.exclude);
            }
            if subnet.dns == Dns::default() {
                subnet.dns = network.dns.clone();
            }
        }
        subnet.exclude.retain(|range| {
            subnet.cidrs.iter().any(|cidr| cidr.contains(range.first()) && cidr.contains(range.last()))
        });
        subnet
            .routes
            .retain(|route: &Route| subnet.cidrs.iter().any(|cidr| cidr.family() == route.to.family()));
        Ok(self.with_parts(subnet))
    }

    /// What of the subnet each of its networks draws from.
    fn with_parts(&self, mut subnet: SubnetSpec) -> Planned {
        let ipam = |of: &str| format!("{{\"type\": \"allotment\", {of}}}");
        let own = format!("\"subnets\": [\"{}\"]", subnet.name);
        let mut bounds: Vec<(Vec<IpRange>, Vec<&str>)> = Vec::new();
        for network in &self.networks {
            let of: Vec<IpRange> = network.ranges.iter().map(bounds_of).collect();
            match bounds.iter_mut().find(|(known, _)| *known == of) {
                Some((_, names)) => names.push(&network.name),
                None => bounds.push((of, vec![&network.name])),
            }
        }
        let mut notes: Vec<String> = Vec::new();
        let say = |names: &[&str], of: &str| format!("{}: \"ipam\": {}", names.join(", "), ipam(of));
        let mut pools = Vec::new();
        if let [(of, names)] = &bounds[..] {
            for bound in of {
                let around = subnet.cidrs.iter().flat_map(|cidr| around(*cidr, *bound)).collect::<Vec<_>>();
                extend(&mut subnet.exclude, &around);
            }
            notes.push(say(names, &own));
        } else if bounds
            .iter()
            .enumerate()
            .all(|(at, one)| bounds[..at].iter().all(|other| apart(one, other)))
        {
            for (number, (ranges, names)) in bounds.iter().enumerate() {
                let name = format!("{}-{}", subnet.name, number + 1);
                notes.push(say(names, &format!("\"pools\": [\"{name}\"]")));
                let ranges = ranges.clone();
                let (namespaces, pod_selector, namespace_selector, node_selector) =
                    (Vec::new(), None, None, None);
                let pool = PoolSpec {
                    name,
                    subnet: subnet.name.clone(),
                    ranges,
                    namespaces,
                    pod_selector,
                    namespace_selector,
                    node_selector,
                };
                pools.push(Object::IPPool(pool));
            }
        } else {
            for (ranges, names) in &bounds {
                notes.push(say(names, &own));
                let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
                notes.push(format!(
                    "  it drew from {} alone, which overlaps with others; now it draws from the whole subnet",
                    ranges.join(", ")
                ));
            }
        }
        if self.networks.is_empty() {
            notes.push("no NetworkAttachmentDefinition that uses it was found".to_owned());
        }
        let objects = [Object::Subnet(subnet)].into_iter().chain(pools).collect();
        Planned { objects, notes }
    }
}

fn bounds_of(part: &Part) -> IpRange {
    part.bounds.unwrap_or(part.cidr.into())
}

fn apart(one: &(Vec<IpRange>, Vec<&str>), other: &(Vec<IpRange>, Vec<&str>)) -> bool {
    let overlap = |a: &IpRange, b: &IpRange| a.contains(b.first()) || b.contains(a.first());
    !one.0.iter().any(|a| other.0.iter().any(|b| overlap(a, b)))
}

/// What of a CIDR lies before and after a range of its family.
fn around(cidr: Cidr, bound: IpRange) -> Vec<IpRange> {
    if cidr.family() != bound.family() {
        return Vec::new();
    }
    let step = |address: IpAddr, up: bool| match address {
        IpAddr::V4(address) => {
            let address = u32::from(address);
            IpAddr::V4((if up { address.saturating_add(1) } else { address.saturating_sub(1) }).into())
        }
        IpAddr::V6(address) => {
            let address = u128::from(address);
            IpAddr::V6((if up { address.saturating_add(1) } else { address.saturating_sub(1) }).into())
        }
    };
    let before = (bound.first() > cidr.first()).then(|| (cidr.first(), step(bound.first(), false)));
    let after = (bound.last() < cidr.last()).then(|| (step(bound.last(), true), cidr.last()));
    before.into_iter().chain(after).filter_map(|(first, last)| IpRange::new(first, last).ok()).collect()
}

fn extend<T: Clone + PartialEq>(all: &mut Vec<T>, more: &[T]) {
    for one in more {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
}

fn name_of(domain: &str, cidr: Cidr) -> String {
    let cidr = cidr.to_string();
    let parts = [domain, "net"].into_iter().chain(cidr.split([':', '.', '/']));
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use allotment_core::State;
    use serde_json::{Value, json};

    use super::*;

    fn nad(name: &str, mut ipam: Value) -> Value {
        ipam["type"] = json!("whereabouts");
        let config = json!({"cniVersion": "1.0.0", "type": "macvlan", "master": "eth1", "ipam": ipam});
        json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
               "metadata": {"namespace": "shop", "name": name}, "spec": {"config": config.to_string()}})
    }

    fn planned(objects: &[Value]) -> Plan {
        let mut source = Source::default();
        for object in objects {
            source.add(object.clone()).unwrap();
        }
        let plan = Plan::new(&source);
        // What is planned can be declared.
        let parsed = allotment_api::parse("plan.yaml", &plan.to_yaml());
        assert_eq!(parsed.errors, []);
        let objects: Vec<Object> = parsed.objects.into_iter().map(|located| located.value).collect();
        assert_eq!(objects.len(), plan.subnets.iter().map(|planned| planned.objects.len()).sum::<usize>());
        assert_eq!(State::new().put_all(objects), []);
        plan
    }

    fn subnets(plan: &Plan) -> Vec<&SubnetSpec> {
        plan.subnets
            .iter()
            .filter_map(|planned| match &planned.objects[0] {
                Object::Subnet(spec) => Some(spec),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn one_network_is_one_subnet() {
        let plan = planned(&[nad(
            "lan",
            json!({"range": "10.0.0.10-10.0.0.20/24", "exclude": ["10.0.0.12/32"], "gateway": "10.0.0.254",
                   "routes": [{"dst": "10.9.0.0/16"}]}),
        )]);
        let [subnet] = subnets(&plan)[..] else { panic!("{plan:?}") };
        assert_eq!((subnet.name.as_str(), subnet.vrf.as_str()), ("net-10-0-0-0-24", "default"));
        let exclude: Vec<String> = subnet.exclude.iter().map(ToString::to_string).collect();
        assert_eq!(exclude, ["10.0.0.12", "10.0.0.0-10.0.0.9", "10.0.0.21-10.0.0.255"]);
        assert_eq!(subnet.gateways, Some(vec!["10.0.0.254".parse().unwrap()]));
        assert_eq!(subnet.routes[0].to.to_string(), "10.9.0.0/16");
        let note = "shop/lan: \"ipam\": {\"type\": \"allotment\", \"subnets\": [\"net-10-0-0-0-24\"]}";
        assert_eq!(plan.subnets[0].notes, [note]);
    }

    #[test]
    fn without_a_gateway_there_is_none() {
        let plan = planned(&[nad("lan", json!({"range": "10.0.0.0/24"}))]);
        assert_eq!(subnets(&plan)[0].gateways, Some(Vec::new()));
    }

    #[test]
    fn ranges_that_touch_are_one_subnet_and_both_families_too() {
        let plan = planned(&[
            nad("a", json!({"ipRanges": [{"range": "10.0.0.0/24"}, {"range": "fd00::/64"}]})),
            nad("b", json!({"range": "10.0.0.0/16"})),
            nad("c", json!({"range": "10.9.0.0/16"})),
        ]);
        let cidrs: Vec<String> = subnets(&plan).iter().map(|subnet| format!("{:?}", subnet.cidrs)).collect();
        assert_eq!(cidrs, ["[10.0.0.0/16, fd00::/64]", "[10.9.0.0/16]"]);
        assert!(plan.to_yaml().contains("overlaps with others"), "{}", plan.to_yaml());
    }

    #[test]
    fn parts_of_one_range_are_pools() {
        let plan = planned(&[
            nad("a", json!({"range": "10.0.0.10-10.0.0.19/24"})),
            nad("b", json!({"range": "10.0.0.20-10.0.0.29/24"})),
            nad("c", json!({"range": "10.0.0.20-10.0.0.29/24"})),
        ]);
        let keys: Vec<String> =
            plan.subnets[0].objects.iter().map(|object| object.key().to_string()).collect();
        assert_eq!(
            keys,
            ["Subnet `net-10-0-0-0-24`", "IPPool `net-10-0-0-0-24-1`", "IPPool `net-10-0-0-0-24-2`"]
        );
        assert!(plan.subnets[0].notes[1].starts_with("shop/b, shop/c: "), "{plan:?}");
    }

    #[test]
    fn networks_of_their_own_are_vrfs() {
        let plan = planned(&[
            nad("a", json!({"range": "10.0.0.0/24"})),
            nad("b", json!({"range": "10.0.0.0/24", "network_name": "blue"})),
        ]);
        let vrfs: Vec<_> =
            subnets(&plan).iter().map(|subnet| (subnet.name.as_str(), subnet.vrf.as_str())).collect();
        assert_eq!(vrfs, [("blue-net-10-0-0-0-24", "blue"), ("net-10-0-0-0-24", "default")]);
    }

    #[test]
    fn what_cannot_be_one_subnet_is_left_out_and_said() {
        let plan =
            planned(&[nad("a", json!({"ipRanges": [{"range": "10.0.0.0/24"}, {"range": "10.1.0.0/24"}]}))]);
        assert_eq!(
            plan.problems,
            ["shop/a share 2 ranges of IPv4, and a Subnet has one of each family: 10.0.0.0/24, 10.1.0.0/24"]
        );
        assert!(plan.to_yaml().contains("# Left out: shop/a"));
    }

    #[test]
    fn a_pool_that_no_network_names_is_kept() {
        let pool = json!({"apiVersion": "whereabouts.cni.cncf.io/v1alpha1", "kind": "IPPool",
            "metadata": {"name": "10.0.0.0-24"}, "spec": {"range": "10.0.0.0/24", "allocations": {}}});
        let plan = planned(&[pool]);
        assert_eq!(subnets(&plan)[0].cidrs[0].to_string(), "10.0.0.0/24");
        assert!(plan.subnets[0].notes[0].starts_with("no NetworkAttachmentDefinition"), "{plan:?}");
    }
}
