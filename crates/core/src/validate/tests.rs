//! Each rule once broken, with the field and the words that a person gets; and what may look odd but is right.

use crate::{
    Object, ObjectError, Operator, Order, Owner, PoolSpec, Requirement, ReservationSpec, Route, Selector,
    SubnetSpec,
};

fn rack() -> SubnetSpec {
    SubnetSpec::new("rack-a", vec!["10.40.0.0/16".parse().unwrap(), "fd00:40::/64".parse().unwrap()])
}

fn subnet(change: impl FnOnce(&mut SubnetSpec)) -> Object {
    let mut spec = rack();
    change(&mut spec);
    Object::Subnet(spec)
}

fn pool(change: impl FnOnce(&mut PoolSpec)) -> Object {
    let mut spec = PoolSpec {
        name: "db".to_owned(),
        subnet: "rack-a".to_owned(),
        ranges: vec!["10.40.3.0/24".parse().unwrap()],
        namespaces: Vec::new(),
        pod_selector: None,
        namespace_selector: None,
        node_selector: None,
    };
    change(&mut spec);
    Object::IPPool(spec)
}

fn reservation(change: impl FnOnce(&mut ReservationSpec)) -> Object {
    let mut spec = ReservationSpec {
        name: "printer".to_owned(),
        subnet: "rack-a".to_owned(),
        addresses: vec!["10.40.0.77".parse().unwrap()],
        owner: None,
        reason: "the printer on floor 2".to_owned(),
    };
    change(&mut spec);
    Object::Reservation(spec)
}

fn owner(kind: &str, namespace: &str, name: &str) -> Object {
    reservation(|spec| {
        let (kind, namespace, name) = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        spec.owner = Some(Owner { kind, namespace, name, uid: String::new() });
    })
}

fn list<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn route(to: &str, via: Option<&str>) -> Route {
    Route { to: to.parse().unwrap(), via: via.map(|via| via.parse().unwrap()) }
}

fn line(operator: Operator, values: &[&str]) -> Selector {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    Selector {
        match_expressions: vec![Requirement { key: "app".to_owned(), operator, values }],
        ..Selector::default()
    }
}

fn refused(object: &Object) -> ObjectError {
    let error = object.validate().expect_err(&format!("{object:?}"));
    assert_eq!(error.object, object.key());
    assert!(!error.hint.is_empty(), "{error}");
    error
}

/// The field and the text of each.
fn check(cases: &[(Object, &str, &str)]) {
    for (object, field, text) in cases {
        let error = refused(object);
        assert_eq!((error.field.as_str(), error.text.as_str()), (*field, *text));
    }
}

#[test]
fn cidrs() {
    let cidrs = |texts: &[&str]| subnet(|spec| spec.cidrs = list(texts));
    check(&[
        (cidrs(&[]), "spec.cidrs", "is empty"),
        (
            cidrs(&["10.0.0.0/8", "fd00::/64", "11.0.0.0/8"]),
            "spec.cidrs[2]",
            "`11.0.0.0/8` is a second IPv4 CIDR, after `10.0.0.0/8`",
        ),
        (
            cidrs(&["0.0.0.0/0"]),
            "spec.cidrs[0]",
            "`0.0.0.0/0` is the whole of IPv4, where no address is left for anybody else",
        ),
        (
            cidrs(&["239.1.0.0/16"]),
            "spec.cidrs[0]",
            "`239.1.0.0/16` has multicast addresses in it (224.0.0.0/4), which no interface can have",
        ),
        (
            cidrs(&["fe00::/7"]),
            "spec.cidrs[0]",
            "`fe00::/7` has multicast addresses in it (ff00::/8), which no interface can have",
        ),
        (
            cidrs(&["0.0.0.0/1"]),
            "spec.cidrs[0]",
            "`0.0.0.0/1` has loopback addresses in it (127.0.0.0/8), which each machine has for itself",
        ),
        (
            cidrs(&["::1/128"]),
            "spec.cidrs[0]",
            "`::1/128` has the loopback address in it (::1/128), which each machine has for itself",
        ),
        (
            cidrs(&["169.254.7.0/24"]),
            "spec.cidrs[0]",
            "`169.254.7.0/24` has link-local addresses in it (169.254.0.0/16), which the interfaces of each link choose for \
             themselves",
        ),
        (
            cidrs(&["fe80::/64"]),
            "spec.cidrs[0]",
            "`fe80::/64` has link-local addresses in it (fe80::/10), which the interfaces of each link choose for themselves",
        ),
        (
            cidrs(&["::/64"]),
            "spec.cidrs[0]",
            "`::/64` has the IPv4-mapped addresses in it (::ffff:0:0/96), which are IPv4's",
        ),
        (cidrs(&["::/128"]), "spec.cidrs[0]", "`::` is the unspecified address, which no interface can have"),
        (
            cidrs(&["255.255.255.254/31"]),
            "spec.cidrs[0]",
            "`255.255.255.255` is the broadcast address, which no interface can have",
        ),
    ]);
    for good in
        ["64.0.0.0/3", "10.0.0.1/32", "10.0.0.0/31", "240.0.0.0/4", "169.253.0.0/16", "fd00::/48", "2000::/3"]
    {
        assert_eq!(cidrs(&[good]).validate(), Ok(()), "{good}");
    }
}

#[test]
fn gateways() {
    let gateways = |texts: &[&str]| subnet(|spec| spec.gateways = Some(list(texts)));
    check(&[
        (
            gateways(&["10.40.0.1", "10.40.0.2"]),
            "spec.gateways[1]",
            "`10.40.0.2` is a second IPv4 gateway, after `10.40.0.1`",
        ),
        (gateways(&["10.41.0.1"]), "spec.gateways[0]", "`10.41.0.1` is outside `10.40.0.0/16`"),
        (
            gateways(&["10.40.0.0"]),
            "spec.gateways[0]",
            "`10.40.0.0` is the network address of `10.40.0.0/16`",
        ),
        (
            gateways(&["10.40.255.255"]),
            "spec.gateways[0]",
            "`10.40.255.255` is the broadcast address of `10.40.0.0/16`",
        ),
        (
            gateways(&["fd00:40::"]),
            "spec.gateways[0]",
            "`fd00:40::` is the network address of `fd00:40::/64`",
        ),
        (
            subnet(|spec| {
                spec.cidrs.truncate(1);
                spec.gateways = Some(list(&["10.40.0.1", "fd00:40::1"]));
            }),
            "spec.gateways[1]",
            "`fd00:40::1` is IPv6, and the subnet has no IPv6 CIDR",
        ),
    ]);
    let outside = refused(&gateways(&["fe80::1"]));
    assert_eq!(
        outside.hint,
        "give an address inside such as fd00:40::1; a router outside goes in `routes`: {to: \"::/0\", via: \"fe80::1\"}"
    );
    assert_eq!(refused(&gateways(&["10.40.0.0"])).hint, "did you mean `10.40.0.1`?");
    for good in [&[][..], &["10.40.0.1"], &["fd00:40::ffff:ffff:ffff:ffff"], &["fd00:40::1", "10.40.255.254"]]
    {
        assert_eq!(gateways(good).validate(), Ok(()), "{good:?}");
    }
    let edgeless = subnet(|spec| {
        spec.cidrs = list(&["10.0.0.0/31"]);
        spec.gateways = Some(list(&["10.0.0.0"]));
    });
    assert_eq!(edgeless.validate(), Ok(()));
}

#[test]
fn excluded_ranges() {
    let exclude = |text: &str| subnet(|spec| spec.exclude = list(&["10.40.0.9", text]));
    check(&[
        (exclude("10.41.0.0/24"), "spec.exclude[1]", "`10.41.0.0-10.41.0.255` is outside `10.40.0.0/16`"),
        (
            exclude("10.40.255.0-10.41.0.9"),
            "spec.exclude[1]",
            "`10.40.255.0-10.41.0.9` reaches beyond `10.40.0.0/16`",
        ),
        (exclude("fd01::1"), "spec.exclude[1]", "`fd01::1` is outside `fd00:40::/64`"),
    ]);
    assert_eq!(
        refused(&exclude("10.40.255.0-10.41.0.9")).hint,
        "the part inside is `10.40.255.0-10.40.255.255`"
    );
    assert_eq!(exclude("10.40.0.0/16").validate(), Ok(()));
}

#[test]
fn routes() {
    let routes = |routes: &[Route]| subnet(|spec| spec.routes = routes.to_vec());
    check(&[
        (
            routes(&[route("10.0.0.0/8", Some("fd00:40::1"))]),
            "spec.routes[0].via",
            "`fd00:40::1` is IPv6, and the route goes to IPv4 (`10.0.0.0/8`)",
        ),
        (
            routes(&[route("::/0", None), route("10.0.0.0/8", None), route("::/0", Some("fd00:40::9"))]),
            "spec.routes[2].to",
            "`::/0` is routed already, by spec.routes[0]",
        ),
        (
            routes(&[route("10.0.0.0/8", Some("224.0.0.1"))]),
            "spec.routes[0].via",
            "`224.0.0.1` is a multicast address, which no interface can have",
        ),
        (
            subnet(|spec| {
                spec.cidrs.truncate(1);
                spec.routes = vec![route("fd00::/8", None)];
            }),
            "spec.routes[0].to",
            "`fd00::/8` is IPv6, and the subnet has no IPv6 CIDR",
        ),
    ]);
    let good = routes(&[
        route("0.0.0.0/0", None),
        route("::/0", Some("fe80::1")),
        route("10.0.0.0/8", Some("10.9.9.9")),
    ]);
    assert_eq!(good.validate(), Ok(()));
}

#[test]
fn numbers_have_bounds() {
    let mtu = |mtu: u32| subnet(|spec| spec.mtu = Some(mtu));
    let mtu_v4 = |mtu: u32| {
        subnet(|spec| {
            spec.cidrs.truncate(1);
            spec.mtu = Some(mtu);
        })
    };
    check(&[
        (mtu(1279), "spec.mtu", "1279 is below 1280, the least that IPv6 works with"),
        (mtu_v4(67), "spec.mtu", "67 is below 68, the least that IPv4 works with"),
        (mtu(65_536), "spec.mtu", "65536 is above 65535, the most an interface can have"),
        (
            subnet(|spec| spec.cooling_ms = 30 * 86_400_000 + 1),
            "spec.cooling",
            "is longer than 30 days (720h), the most an address may cool",
        ),
    ]);
    for good in [mtu(1280), mtu_v4(68), mtu(65_535), subnet(|spec| spec.cooling_ms = 30 * 86_400_000)] {
        assert_eq!(good.validate(), Ok(()));
    }
}

#[test]
fn names() {
    let name = |name: &str| subnet(|spec| name.clone_into(&mut spec.name));
    let network = |name: &str| subnet(|spec| spec.networks = vec![name.to_owned()]);
    let long = "a".repeat(254);
    check(&[
        (name(""), "metadata.name", "is empty"),
        (name(&long), "metadata.name", "is 254 characters long, and 253 is the most"),
        (name("Rack_A"), "metadata.name", "`Rack_A` is no name of an object"),
        (name("rack-"), "metadata.name", "`rack-` is no name of an object"),
        (name("a\u{1b}[2J"), "metadata.name", "`a\\u{1b}[2J` is no name of an object"),
        (subnet(|spec| spec.vrf.clear()), "spec.vrf", "is empty"),
        (pool(|spec| spec.subnet.clear()), "spec.subnet", "is empty"),
        (
            pool(|spec| spec.namespaces = vec!["shop".to_owned(), "a.b".to_owned()]),
            "spec.namespaces[1]",
            "`a.b` is no name of a namespace",
        ),
        (network("a/b/c"), "spec.networks[0]", "`a/b/c` is no name of a network"),
        (network("/b"), "spec.networks[0]", "`/b` is no name of a network"),
    ]);
    assert_eq!(
        refused(&name("Rack_A")).hint,
        "use lower-case letters, digits, `-` and `.`; did you mean `rack-a`?"
    );
    for good in ["a", "0", "rack-a.row-1", &long[1..]] {
        assert_eq!(name(good).validate(), Ok(()), "{good}");
    }
    for good in ["podman", "telecom/macvlan-a", "Lab_net.1"] {
        assert_eq!(network(good).validate(), Ok(()), "{good}");
    }
}

#[test]
fn dns() {
    let search =
        |domain: &str| subnet(|spec| spec.dns.search = vec!["rack-a.example".to_owned(), domain.to_owned()]);
    let option = |option: &str| subnet(|spec| spec.dns.options = vec![option.to_owned()]);
    check(&[
        (
            subnet(|spec| spec.dns.nameservers = list(&["10.40.0.53", "::"])),
            "spec.dns.nameservers[1]",
            "`::` is the unspecified address, which no interface can have",
        ),
        (
            subnet(|spec| spec.dns.domain = Some("münchen.example".to_owned())),
            "spec.dns.domain",
            "`münchen.example` is no DNS domain",
        ),
        (search("a..b"), "spec.dns.search[1]", "`a..b` is no DNS domain"),
        (search(""), "spec.dns.search[1]", "`` is no DNS domain"),
        (option("ndots:2 rotate"), "spec.dns.options[0]", "`ndots:2 rotate` is no resolver option"),
    ]);
    for good in [search("."), search("_tcp.Example.com."), option("ndots:2")] {
        assert_eq!(good.validate(), Ok(()));
    }
}

#[test]
fn selectors() {
    let with = |selector: Selector| pool(|spec| spec.pod_selector = Some(selector));
    let label = |key: &str, value: &str| {
        with(Selector { match_labels: [(key.to_owned(), value.to_owned())].into(), ..Selector::default() })
    };
    check(&[
        (
            with(line(Operator::In, &[])),
            "spec.podSelector.matchExpressions[0].values",
            "is empty, and `In` compares with a list",
        ),
        (
            with(line(Operator::Exists, &["a", "b"])),
            "spec.podSelector.matchExpressions[0].values",
            "is not empty, and `Exists` looks at no values",
        ),
        (
            with(line(Operator::NotIn, &["ok", "no way"])),
            "spec.podSelector.matchExpressions[0].values[1]",
            "`no way` is no value of a label",
        ),
        (label("a/b/c", "x"), "spec.podSelector.matchLabels.a/b/c", "`a/b/c` is no key of a label"),
        (label("app", "-x"), "spec.podSelector.matchLabels.app", "`-x` is no value of a label"),
    ]);
    for good in
        [with(Selector::default()), label("app.kubernetes.io/name", ""), with(line(Operator::Exists, &[]))]
    {
        assert_eq!(good.validate(), Ok(()));
    }
}

#[test]
fn ranges_of_a_pool_do_not_overlap() {
    let ranges = |texts: &[&str]| pool(|spec| spec.ranges = list(texts));
    check(&[
        (ranges(&[]), "spec.ranges", "is empty"),
        (
            ranges(&["10.40.9.0/24", "10.40.3.7", "10.40.3.0/24"]),
            "spec.ranges[2]",
            "`10.40.3.0-10.40.3.255` overlaps `10.40.3.7` of spec.ranges[1]",
        ),
        (ranges(&["fd00::1", "fd00::1"]), "spec.ranges[1]", "`fd00::1` overlaps `fd00::1` of spec.ranges[0]"),
        (reservation(|spec| spec.addresses.clear()), "spec.addresses", "is empty"),
    ]);
    assert_eq!(ranges(&["10.40.3.0-10.40.3.4", "10.40.3.5", "::/1"]).validate(), Ok(()));
}

#[test]
fn reservations_say_for_whom_or_why() {
    check(&[
        (
            reservation(|spec| " ".clone_into(&mut spec.reason)),
            "spec",
            "says neither for whom nor why the addresses are reserved",
        ),
        (
            reservation(|spec| spec.reason = "x".repeat(1025)),
            "spec.reason",
            "is 1025 bytes long, and 1024 is the most",
        ),
        (reservation(|spec| spec.reason.push('\u{1b}')), "spec.reason", "has control characters in it"),
        (owner("pod", "shop", "cart"), "spec.owner.kind", "`pod` is no kind of owner"),
        (owner("Pod", "shop", "shop/cart"), "spec.owner.name", "`shop/cart` is no name of an owner"),
        (owner("Pod", "", "cart"), "spec.owner.namespace", "is missing, and a Pod is always in one"),
        (
            owner("StatefulSet", "shop", "db"),
            "spec.owner.name",
            "`db` is a set, and an address belongs to one of its ordinals",
        ),
    ]);
    for good in [
        owner("StatefulSet", "shop", "db-0"),
        owner("Container", "", "My_box.1"),
        owner("Machine", "", "pdu-7"),
    ] {
        assert_eq!(good.validate(), Ok(()));
    }
}

#[test]
fn implied_subnets_have_names_of_their_own() {
    let implied = |name: &str| {
        subnet(|spec| {
            name.clone_into(&mut spec.name);
            "/var/lib/cni/networks podman".clone_into(&mut spec.vrf);
            spec.order = Order::NextAfterLast;
            spec.within = list(&["10.40.1.0/24"]);
            spec.gateways = Some(list(&["192.168.0.1"]));
        })
    };
    assert_eq!(implied("/var/lib/cni/networks podman 0").validate(), Ok(()));
    check(&[(
        subnet(|spec| spec.within = list(&["10.41.0.1"])),
        "spec.within[0]",
        "`10.41.0.1` is outside `10.40.0.0/16`",
    )]);
    assert_eq!(refused(&implied("a\n")).field, "metadata.name");
}
