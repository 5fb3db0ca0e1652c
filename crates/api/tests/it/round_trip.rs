//! What is written reads back as the same object.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use allotment_api::to_yaml;
use allotment_core::{
    Cidr, Dns, Family, IpRange, Object, Operator, Order, Owner, PoolSpec, Requirement, ReservationSpec,
    Route, Selector, SubnetSpec,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::one;

fn address(cidr: Cidr) -> impl Strategy<Value = IpAddr> + Clone {
    let (first, last) = (cidr.first(), cidr.last());
    any::<u128>().prop_map(move |number| match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let low = number.to_le_bytes();
            let bits =
                u32::from_le_bytes([low[0], low[1], low[2], low[3]]) & (last.to_bits() - first.to_bits());
            IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() | bits))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() | number & (last.to_bits() - first.to_bits())))
        }
        _ => unreachable!("a CIDR has one family"),
    })
}

fn range(cidr: Cidr) -> impl Strategy<Value = IpRange> {
    (address(cidr), address(cidr)).prop_map(|(a, b)| IpRange::new(a.min(b), a.max(b)).unwrap())
}

/// Ranges of which none overlaps another, of both families.
fn disjoint() -> impl Strategy<Value = Vec<IpRange>> {
    vec((any::<u8>(), any::<u8>(), any::<bool>()), 1..6).prop_map(|parts| {
        let ranges = parts.into_iter().enumerate().map(|(index, (a, b, v4))| {
            let at = |low: u8| {
                let low = u16::from_be_bytes([u8::try_from(index).unwrap(), low]);
                if v4 {
                    IpAddr::V4(Ipv4Addr::from_bits(0x0a28_0000 | u32::from(low)))
                } else {
                    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x40, 0, 0, 0, 0, 0, low))
                }
            };
            IpRange::new(at(a.min(b)), at(a.max(b))).unwrap()
        });
        ranges.collect()
    })
}

/// Names, among them those that YAML would take for something else.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]([-a-z0-9]{0,10}[a-z0-9])?",
        select(vec![
            "null",
            "true",
            "yes",
            "on",
            "n",
            "1e3",
            "0x10",
            "123",
            "0o7",
            "0777",
            "2026-11-02",
            "1.5"
        ])
        .prop_map(str::to_owned),
    ]
}

fn namespace() -> impl Strategy<Value = String> {
    name().prop_map(|name| name.replace('.', "-"))
}

fn selector() -> impl Strategy<Value = Selector> {
    let value = || prop_oneof!["[A-Za-z0-9]{0,5}", name()];
    let line = (name(), any::<bool>(), vec(value(), 0..3)).prop_map(|(key, positive, values)| {
        let operator = match (values.is_empty(), positive) {
            (false, true) => Operator::In,
            (false, false) => Operator::NotIn,
            (true, true) => Operator::Exists,
            (true, false) => Operator::DoesNotExist,
        };
        Requirement { key: format!("example.com/{key}"), operator, values }
    });
    (btree_map(name(), value(), 0..3), vec(line, 0..3))
        .prop_map(|(match_labels, match_expressions)| Selector { match_labels, match_expressions })
}

fn dns() -> impl Strategy<Value = Dns> {
    let nameservers = vec(prop_oneof![Just("10.40.0.53"), Just("fd00::"), Just("::1")], 0..3);
    let word = select(vec!["ndots:2", "rotate", "#x", "a:", "true"]);
    (nameservers, option::of(name()), vec(name(), 0..3), vec(word, 0..3)).prop_map(
        |(servers, domain, search, options)| Dns {
            nameservers: servers.into_iter().map(|server| server.parse().unwrap()).collect(),
            domain,
            search,
            options: options.into_iter().map(str::to_owned).collect(),
        },
    )
}

prop_compose! {
    fn subnet()(
        v4 in 8_u8..=30, v6 in 48_u8..=126, families in 1_u8..=3,
    )(
        excluded in vec(range(Cidr::containing("10.40.0.0".parse().unwrap(), v4)), 0..3),
        gateway in option::of(option::of(Just(()))),
        cidrs in Just([(1, "10.40.0.0", v4), (2, "fd00:40::", v6)].into_iter().filter(|(bit, ..)| families & bit != 0)
            .map(|(_, base, prefix)| Cidr::containing(base.parse().unwrap(), prefix)).collect::<Vec<_>>()),
        names in (name(), name(), vec(namespace(), 0..3)),
        networks in vec("[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", 0..3),
        routed in any::<[bool; 2]>(),
        dns in dns(),
        mtu in option::of(1280_u32..=65_535),
        cooling_ms in prop_oneof![Just(0), 0..=2_592_000_000_u64, (0..720_u64).prop_map(|hours| hours * 3_600_000)],
        order in select(vec![Order::Oldest, Order::Sequential, Order::Random]),
        namespace_selector in option::of(selector()),
        default in any::<bool>(),
    ) -> SubnetSpec {
        let routes = cidrs.iter().zip(routed).map(|(cidr, via)| Route {
            to: if cidr.family() == Family::V4 { "0.0.0.0/0".parse().unwrap() } else { "::/0".parse().unwrap() },
            via: via.then(|| cidr.first_usable()),
        }).collect();
        let gateways = gateway.map(|some| some.map(|()| cidrs[0].first_usable()).into_iter().collect());
        let exclude = if cidrs[0].family() == Family::V4 { excluded } else { Vec::new() };
        SubnetSpec {
            name: names.0, vrf: names.1, namespaces: names.2, cidrs, gateways, exclude, within: Vec::new(), routes, dns, mtu,
            cooling_ms, order, namespace_selector, networks, default, draining: false,
        }
    }
}

prop_compose! {
    fn pool()(
        name in name(), subnet in name(), ranges in disjoint(), namespaces in vec(namespace(), 0..3),
        selectors in [option::of(selector()), option::of(selector()), option::of(selector())],
    ) -> PoolSpec {
        let [pod_selector, namespace_selector, node_selector] = selectors;
        PoolSpec { name, subnet, ranges, namespaces, pod_selector, namespace_selector, node_selector }
    }
}

/// Text as people write it, and as nobody should.
fn reason() -> impl Strategy<Value = String> {
    prop_oneof![
        name(),
        "[ -~]{1,60}",
        "[-:#\\[\\]{}?&*!|>'\"%@`, \n\ta]{1,30}",
        "\\PC{1,20}",
        select(vec![
            "---",
            "...",
            "--- a",
            " a ",
            "a\n\nb\n",
            "\n",
            "#",
            "<<",
            "~",
            "a: b",
            "- a",
            "é…",
            "a\n---\nb",
            "\u{feff}a"
        ])
        .prop_map(str::to_owned),
    ]
    .prop_filter("says something", |reason| {
        !reason.trim().is_empty() && !reason.contains(|c: char| c.is_control() && c != '\n' && c != '\t')
    })
}

prop_compose! {
    fn reservation()(
        name in name(), subnet in name(), addresses in disjoint(), reason in reason(),
        owner in option::of((select(vec!["Pod", "Container", "Machine"]), namespace(), name_of_owner(), "[!-~]{0,8}")),
    ) -> ReservationSpec {
        let owner = owner.map(|(kind, namespace, name, uid)| Owner { kind: kind.to_owned(), namespace, name, uid });
        ReservationSpec { name, subnet, addresses, owner, reason }
    }
}

fn name_of_owner() -> impl Strategy<Value = String> {
    prop_oneof![name(), "[!-.0-~]{1,8}"]
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        object in prop_oneof![
            subnet().prop_map(Object::Subnet), pool().prop_map(Object::IPPool), reservation().prop_map(Object::Reservation)
        ]
    ) {
        prop_assert_eq!(object.validate(), Ok(()));
        let yaml = to_yaml(&object);
        prop_assert_eq!(one(&yaml), object, "{}", yaml);
    }
}

#[test]
fn as_a_person_would_write_it() {
    let mut spec =
        SubnetSpec::new("rack-a", vec!["10.40.0.0/16".parse().unwrap(), "fd00::/64".parse().unwrap()]);
    spec.gateways = Some(Vec::new());
    spec.mtu = Some(9000);
    spec.vrf = "on".to_owned();
    let expected = "apiVersion: allotment.dev/v1alpha1
kind: Subnet
metadata:
  name: rack-a
spec:
  vrf: \"on\"
  cidrs:
  - 10.40.0.0/16
  - fd00::/64
  gateways: []
  mtu: 9000
  cooling: 30s
  order: oldest
";
    assert_eq!(to_yaml(&Object::Subnet(spec)), expected);
}

#[test]
fn what_an_implied_subnet_has_more_is_told_in_comments() {
    let mut spec = SubnetSpec::new("implied", vec!["10.40.0.0/16".parse().unwrap()]);
    spec.order = Order::NextAfterLast;
    spec.within = vec!["10.40.1.0/24".parse().unwrap()];
    let yaml = to_yaml(&Object::Subnet(spec.clone()));
    assert!(
        yaml.starts_with(
            "# order: the next free one after the last handed out, as host-local has it\n\
             # within: 10.40.1.0-10.40.1.255\napiVersion:"
        ),
        "{yaml}"
    );
    (spec.order, spec.within) = (Order::Oldest, Vec::new());
    assert_eq!(one(&yaml), Object::Subnet(spec));
}
