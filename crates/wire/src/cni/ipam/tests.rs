use serde_json::{Value, json};

use super::*;

fn read(ipam: &Value) -> Result<Ipam, Error> {
    Ipam::read(Some(&Field::root(ipam)), Vec::new())
}

fn error(ipam: &Value) -> (u32, String) {
    let error = read(ipam).expect_err(&ipam.to_string());
    (error.code, error.msg)
}

fn host_local(ipam: &Value) -> HostLocal {
    match read(ipam).expect("it is host-local's").section {
        Section::HostLocal(section) => section,
        other => panic!("{other:?}"),
    }
}

fn net(text: &str) -> Net {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn whole(subnet: &str) -> Range {
    Range { subnet: net(subnet), first: None, last: None, gateway: None }
}

#[test]
fn our_own_section() {
    let ipam = read(&json!({
        "type": "allotment", "subnets": ["a", "b"], "pools": ["p"], "ips": ["10.0.0.7", "fd00::7/64"], "socket": "/s",
        "family": "IPv6", "familyPolicy": "prefer", "unknown": [1],
    }));
    let wish = Wish {
        subnets: vec!["a".to_owned(), "b".to_owned()],
        pools: vec!["p".to_owned()],
        ips: vec!["10.0.0.7".parse().unwrap(), "fd00::7/64".parse().unwrap()],
        family: FamilyWish::Prefer(Family::V6),
    };
    assert_eq!(ipam, Ok(Ipam { kind: "allotment".to_owned(), section: Section::Ours(wish) }));
    for bare in [
        json!({"type": "allotment"}),
        json!({"subnets": null, "ranges": null}),
        json!({"type": "host-local"}),
    ] {
        assert_eq!(read(&bare).unwrap().section, Section::default());
    }
    assert_eq!(Ipam::read(None, Vec::new()), Ok(Ipam::default()));
}

#[test]
fn families() {
    for (ipam, expect) in [
        (json!({}), FamilyWish::All),
        (json!({"family": "IPv4"}), FamilyWish::Require(Family::V4)),
        (json!({"family": "IPv4", "familyPolicy": "require"}), FamilyWish::Require(Family::V4)),
        (json!({"family": "IPv6", "familyPolicy": "prefer"}), FamilyWish::Prefer(Family::V6)),
    ] {
        assert_eq!(read(&ipam).unwrap().section, Section::Ours(Wish { family: expect, ..Wish::default() }));
        let [family, policy] = expect.words();
        let written =
            if family.is_empty() { json!({}) } else { json!({"family": family, "familyPolicy": policy}) };
        assert_eq!(read(&written), read(&ipam), "it is written as it is read");
    }
    for bad in [
        json!({"family": "ipv4"}),
        json!({"family": "IPv4", "familyPolicy": "maybe"}),
        json!({"familyPolicy": "prefer"}),
    ] {
        assert_eq!(error(&bad).0, 7);
    }
}

#[test]
fn wrong_types_are_code_6_and_wrong_values_code_7() {
    for (ipam, code, start) in [
        (json!([]), 6, "the configuration is not an object: []"),
        (json!({"subnets": "a"}), 6, "`subnets` is not a list: \"a\""),
        (json!({"subnets": [7]}), 6, "`subnets[0]` is not a string: 7"),
        (json!({"subnets": [""]}), 7, "`subnets[0]` \"\": a name cannot be empty"),
        (json!({"ips": ["10.0.0.300"]}), 7, "`ips[0]` \"10.0.0.300\": neither an IPv4"),
        (json!({"type": 1}), 6, "`type` is not a string: 1"),
        (json!({"ranges": [{}]}), 6, "`ranges[0]` is not a list: {}"),
        (
            json!({"addresses": [{"address": "10.0.0.1"}]}),
            7,
            "`addresses[0].address` \"10.0.0.1\": has no prefix",
        ),
        (json!({"addresses": [{}]}), 7, "`addresses[0]` {}: it has no `address`"),
        (json!({"addresses": ["10.0.0.1/8"]}), 6, "`addresses[0]` is not an object"),
    ] {
        let (got, msg) = error(&ipam);
        assert!(got == code && msg.starts_with(start), "{ipam}: {got} {msg}");
    }
}

#[test]
fn the_keys_decide_and_do_not_mix() {
    let ours = [
        json!({"subnets": ["a"]}),
        json!({"pools": []}),
        json!({"ips": ["10.0.0.7"]}),
        json!({"family": "IPv4"}),
    ];
    let theirs = [
        json!({"subnet": "10.0.0.0/24"}),
        json!({"ranges": [[{"subnet": "10.0.0.0/24"}]]}),
        json!({"dataDir": "/d"}),
        json!({"resolvConf": "/r"}),
        json!({"gateway": "10.0.0.1"}),
        json!({"rangeStart": "10.0.0.1"}),
        json!({"rangeEnd": "10.0.0.1"}),
        json!({"addresses": []}),
        json!({"dns": {}}),
        json!({"routes": []}),
    ];
    let both = |one: &Value, other: &Value| {
        let mut one = one.clone();
        one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        one
    };
    for ours in &ours {
        for theirs in &theirs {
            let (code, msg) = error(&both(ours, theirs));
            assert!(code == 7 && msg.contains("cannot be mixed"), "{ours} {theirs}: {code} {msg}");
        }
        let runtime = vec![vec![whole("10.0.0.0/24")]];
        let error = Ipam::read(Some(&Field::root(ours)), runtime).unwrap_err();
        assert!(error.code == 7 && error.msg.contains("`runtimeConfig.ipRanges`"), "{error}");
    }
    for host_local in &theirs[..7] {
        for fixed in &theirs[7..9] {
            assert_eq!(error(&both(host_local, fixed)).0, 7, "{host_local} {fixed}");
        }
    }
    for name in ["allotment", "host-local", "static"] {
        let kind = json!({"type": name});
        assert!(matches!(read(&both(&kind, &theirs[0])).unwrap().section, Section::HostLocal(_)));
        assert!(matches!(read(&both(&kind, &theirs[7])).unwrap().section, Section::Static(_)));
        assert!(matches!(read(&both(&kind, &theirs[9])).unwrap().section, Section::Static(_)));
        assert!(matches!(read(&both(&kind, &ours[0])).unwrap().section, Section::Ours(_)));
    }
}

#[test]
fn host_locals_section() {
    let ipam = json!({
        "type": "host-local",
        "ranges": [
            [{"subnet": "10.10.0.0/16", "rangeStart": "10.10.1.20", "rangeEnd": "10.10.3.50", "gateway": "10.10.0.254"},
             {"subnet": "172.16.5.0/24"}],
            [{"subnet": "fd00:1::/64"}],
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.168.0.0/16", "gw": "10.10.5.1", "mtu": 1400}],
        "dataDir": "/run/my-orchestrator", "resolvConf": "/etc/resolv.conf",
    });
    let section = host_local(&ipam);
    let first = Range {
        subnet: net("10.10.0.0/16"),
        first: Some(ip("10.10.1.20")),
        last: Some(ip("10.10.3.50")),
        gateway: Some(ip("10.10.0.254")),
    };
    assert_eq!(section.ranges, [vec![first, whole("172.16.5.0/24")], vec![whole("fd00:1::/64")]]);
    assert_eq!(section.routes[0], Route::new(net("0.0.0.0/0"), None));
    assert_eq!(
        (section.routes[1].gw, section.routes[1].rest["mtu"].as_u64()),
        (Some(ip("10.10.5.1")), Some(1400))
    );
    assert_eq!(section.data_dir.as_deref(), Some("/run/my-orchestrator"));
    assert_eq!(section.resolv_conf.as_deref(), Some("/etc/resolv.conf"));
}

#[test]
fn sets_come_in_host_locals_order() {
    let ipam = json!({"subnet": "10.2.0.0/24", "ranges": [[{"subnet": "10.3.0.0/24"}]]});
    let runtime = vec![vec![whole("10.1.0.0/24")]];
    let read = Ipam::read(Some(&Field::root(&ipam)), runtime.clone()).unwrap();
    let Section::HostLocal(section) = read.section else { panic!("{read:?}") };
    assert_eq!(
        section.ranges,
        ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"].map(|subnet| vec![whole(subnet)])
    );
    let read = Ipam::read(None, runtime.clone()).unwrap();
    assert_eq!(read.section, Section::HostLocal(HostLocal { ranges: runtime, ..HostLocal::default() }));
}

#[test]
fn ranges_that_make_no_sense() {
    for (range, why) in [
        (json!({"rangeStart": "10.0.0.1"}), "has no `subnet`"),
        (json!({"subnet": "10.0.0.1/24"}), "did you mean 10.0.0.0/24?"),
        (json!({"subnet": "10.0.0.0/31"}), "too small"),
        (json!({"subnet": "fd00::/127"}), "too small"),
        (json!({"subnet": "10.0.0.0"}), "has no prefix length"),
        (json!({"subnet": "10.0.0.0/24", "rangeStart": "10.0.1.1"}), "it is not in 10.0.0.0/24"),
        (json!({"subnet": "10.0.0.0/24", "rangeEnd": "fd00::1"}), "it is not in 10.0.0.0/24"),
        (json!({"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.9", "rangeEnd": "10.0.0.8"}), "lies behind"),
        (json!({"subnet": "10.0.0.0/24", "gateway": "fd00::1"}), "another family"),
    ] {
        for ipam in [range.clone(), json!({"ranges": [[range]]})] {
            let (code, msg) = error(&ipam);
            assert!(code == 7 && msg.contains(why), "{ipam}: {code} {msg}");
        }
    }
    assert!(error(&json!({"ranges": []})).1.contains("no ranges"));
    assert!(error(&json!({"dataDir": "/d"})).1.contains("no ranges"));
    assert!(error(&json!({"ranges": [[]]})).1.contains("cannot be empty"));
    assert!(
        error(&json!({"ranges": [[{"subnet": "10.0.0.0/24"}, {"subnet": "fd00::/64"}]]}))
            .1
            .contains("one family")
    );
    assert!(
        read(&json!({"subnet": "10.0.0.0/30", "rangeStart": "10.0.0.1", "rangeEnd": "10.0.0.1"})).is_ok()
    );
}

#[test]
fn statics_section() {
    let ipam = read(&json!({
        "type": "static",
        "addresses": [{"address": "10.10.0.1/24", "gateway": "10.10.0.254"}, {"address": "3ffe:ffff:0:01ff::1/64"}],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dns": {"nameservers": ["8.8.8.8"], "domain": "example.com", "search": ["example.com"]},
    }));
    let Section::Static(section) = ipam.unwrap().section else { panic!("it is static's") };
    let expect = [
        StaticAddress { address: net("10.10.0.1/24"), gateway: Some(ip("10.10.0.254")) },
        StaticAddress { address: net("3ffe:ffff:0:1ff::1/64"), gateway: None },
    ];
    assert_eq!(section.addresses, expect);
    assert_eq!(section.dns.domain.as_deref(), Some("example.com"));
    assert_eq!(section.routes, [Route::new(net("0.0.0.0/0"), None)]);
}
