use serde_json::json;

use super::super::Section;
use super::*;

fn parse(config: &Value) -> NetConf {
    NetConf::parse(config).expect("a good configuration")
}

fn with(more: Value) -> Value {
    let mut config = json!({"cniVersion": "1.1.0", "name": "n"});
    let Value::Object(more) = more else { panic!("{more}") };
    config.as_object_mut().unwrap().extend(more);
    config
}

fn error(more: Value) -> Error {
    NetConf::parse(&with(more)).unwrap_err()
}

fn texts(ips: &[AskedIp]) -> Vec<String> {
    ips.iter().map(AskedIp::to_string).collect()
}

/// As an IPAM plugin under macvlan sees it from kubelet, containerd and Multus.
#[test]
fn as_multus_hands_it_on() {
    let conf = parse(&json!({
        "args": {"cni": {"pool": "x", "subnets": ["rack-b"]}},
        "capabilities": {"ips": true, "mac": true},
        "cniVersion": "1.1.0",
        "ipam": {"type": "allotment", "subnets": ["rack-a"]},
        "master": "p0", "name": "mv1",
        "runtimeConfig": {"ips": ["10.98.44.4/16"], "mac": "02:00:00:00:44:04", "deviceID": "0000:3b:02.1"},
        "deviceID": "0000:3b:02.1", "pciBusID": "0000:3b:02.1",
        "type": "macvlan",
    }));
    assert_eq!((conf.name.as_str(), conf.kind.as_str(), conf.version), ("mv1", "macvlan", Version::V1_1_0));
    assert_eq!((conf.previous.as_ref(), conf.valid_attachments.as_ref()), (None, None));
    let args = CniArgs::parse("K8S_POD_NAME=mp;MAC=02:00:00:00:00:01;IP=10.98.0.1").unwrap();
    let asked = conf.asked(&args).unwrap();
    assert_eq!(asked.subnets, ["rack-b"], "what is asked of one attachment comes before the network's");
    assert_eq!(texts(&asked.ips), ["10.98.44.4/16"]);
    assert_eq!(asked.mac.as_deref(), Some("02:00:00:00:44:04"));
}

#[test]
fn who_asks_first() {
    let config = |runtime: Value, cni: Value| {
        let ipam = json!({"subnets": ["s"], "ips": ["10.0.0.4"], "family": "IPv4"});
        parse(&with(json!({"runtimeConfig": runtime, "args": {"cni": cni}, "ipam": ipam})))
    };
    let own = json!({"ips": ["10.0.0.2"], "mac": "m2", "pools": ["p"], "family": "IPv6"});
    let args = CniArgs::parse("IP=10.0.0.3;MAC=m3").unwrap();
    let none = CniArgs::default();
    let asked = config(json!({"ips": ["10.0.0.1"], "mac": "m1"}), own.clone()).asked(&args).unwrap();
    assert_eq!((texts(&asked.ips), asked.mac.as_deref()), (vec!["10.0.0.1".to_owned()], Some("m1")));
    assert_eq!((asked.subnets.len(), asked.pools), (0, vec!["p".to_owned()]));
    assert_eq!(asked.family, FamilyWish::Require(super::super::Family::V6));
    let asked = config(json!({"mac": ""}), own).asked(&args).unwrap();
    assert_eq!((texts(&asked.ips), asked.mac.as_deref()), (vec!["10.0.0.2".to_owned()], Some("m2")));
    let asked = config(json!(null), json!(null)).asked(&args).unwrap();
    assert_eq!((texts(&asked.ips), asked.mac.as_deref()), (vec!["10.0.0.3".to_owned()], Some("m3")));
    let asked = config(json!({}), json!({})).asked(&none).unwrap();
    assert_eq!((texts(&asked.ips), asked.mac), (vec!["10.0.0.4".to_owned()], None));
    assert_eq!(
        (asked.subnets, asked.family),
        (vec!["s".to_owned()], FamilyWish::Require(super::super::Family::V4))
    );
    let nothing = parse(&with(json!({"ipam": {"type": "allotment"}}))).asked(&none).unwrap();
    assert_eq!(nothing, Asked::default());
}

#[test]
fn attachments_cannot_choose_subnets_where_the_network_has_ranges() {
    let config = |cni: Value| with(json!({"args": {"cni": cni}, "ipam": {"subnet": "10.0.0.0/24"}}));
    let asked = parse(&config(json!({"ips": ["10.0.0.7"]}))).asked(&CniArgs::default()).unwrap();
    assert_eq!(texts(&asked.ips), ["10.0.0.7"]);
    for cni in [json!({"subnets": ["a"]}), json!({"pools": ["a"]})] {
        assert_eq!(parse(&config(cni)).asked(&CniArgs::default()).unwrap_err().code, 7);
    }
}

#[test]
fn static_addresses_are_appended_or_replaced() {
    let addresses = |runtime: Value, cni: Value, args: &str| {
        let ipam = json!({"addresses": [{"address": "10.0.0.1/24", "gateway": "10.0.0.254"}]});
        let conf = parse(&with(json!({"runtimeConfig": runtime, "args": {"cni": cni}, "ipam": ipam})));
        let Section::Static(section) = &conf.ipam.section else { panic!("{conf:?}") };
        let addresses = section.addresses(&conf, &CniArgs::parse(args).unwrap())?;
        let text = |address: &StaticAddress| {
            let gateway = address.gateway.map_or(String::new(), |gateway| format!(" via {gateway}"));
            format!("{}{gateway}", address.address)
        };
        Ok::<_, Error>(addresses.iter().map(text).collect::<Vec<_>>().join(", "))
    };
    let own = json!({"ips": ["10.0.0.2/24"]});
    for (runtime, cni, args, expect) in [
        (json!({}), json!({}), "", "10.0.0.1/24 via 10.0.0.254"),
        (
            json!({}),
            json!({}),
            "IP=10.0.0.3/24,fd00::3/64;GATEWAY=10.0.0.9,fd00::9,192.0.2.1",
            "10.0.0.1/24 via 10.0.0.9, 10.0.0.3/24 via 10.0.0.9, fd00::3/64 via fd00::9",
        ),
        (json!({}), own.clone(), "IP=10.0.0.3/24", "10.0.0.2/24"),
        (json!({"ips": ["10.0.0.4/24", "10.1.0.4/24"]}), own, "", "10.0.0.4/24, 10.1.0.4/24"),
    ] {
        assert_eq!(addresses(runtime, cni, args).as_deref(), Ok(expect));
    }
    for (cni, args) in [(json!({"ips": ["10.0.0.2"]}), ""), (json!({}), "IP=10.0.0.2")] {
        let error = addresses(json!({}), cni, args).unwrap_err();
        assert!(error.code == 7 && error.msg.contains("10.0.0.2 is asked for without"), "{error}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (more, code, part) in [
        (json!({"cniVersion": ""}), 1, "missing, which means 0.1.0"),
        (json!({"cniVersion": "0.2.0"}), 1, "0.2.0: not supported"),
        (json!({"cniVersion": 1}), 6, "`cniVersion` is not a string: 1"),
        (json!({"name": null}), 7, "no `name`"),
        (json!({"name": "a/b"}), 7, "`name` \"a/b\""),
        (json!({"name": ".a"}), 7, "`name` \".a\""),
        (json!({"name": 7}), 6, "`name` is not a string: 7"),
        (json!({"ipam": "allotment"}), 6, "`ipam` is not an object"),
        (json!({"ipam": {"subnets": "a"}}), 6, "`ipam.subnets` is not a list: \"a\""),
        (json!({"runtimeConfig": {"ips": ["x"]}}), 7, "`runtimeConfig.ips[0]` \"x\""),
        (json!({"runtimeConfig": {"ipRanges": [[{}]]}}), 7, "`runtimeConfig.ipRanges[0][0]` {}"),
        (json!({"runtimeConfig": {"mac": 1}}), 6, "`runtimeConfig.mac`"),
        (json!({"args": {"cni": {"mac": []}}}), 6, "`args.cni.mac` is not a string: []"),
        (json!({"args": []}), 6, "`args` is not an object"),
        (json!({"ipam": {"dns": {"nameservers": "8.8.8.8"}}}), 6, "`ipam.dns.nameservers` is not a list"),
        (json!({"prevResult": {"ips": [{"address": "10.0.0.1"}]}}), 7, "`prevResult.ips[0].address`"),
        (json!({"cni.dev/valid-attachments": {}}), 6, "`cni.dev/valid-attachments` is not a list"),
        (json!({"cni.dev/valid-attachments": [{"containerID": "c"}]}), 7, "no `ifname`"),
        (json!({"cni.dev/valid-attachments": [{"containerID": 1, "ifname": "e"}]}), 6, "[0].containerID`"),
    ] {
        let error = error(more.clone());
        assert!(error.code == code && error.msg.contains(part), "{more}: {error}");
        let version = if code == 1 || error.msg.contains("cniVersion") { "" } else { "1.1.0" };
        assert_eq!(error.cni_version, version);
    }
    for config in [json!(null), json!([]), json!("x")] {
        assert_eq!(NetConf::parse(&config).unwrap_err().code, 6);
    }
}

#[test]
fn the_name_can_be_had_from_whatever_a_del_brings() {
    assert_eq!(NetConf::network(&json!({"name": "n", "ipam": 7})), Some("n"));
    for config in [json!(null), json!({}), json!({"name": 7}), json!({"name": ""}), json!([]), json!("n")] {
        assert_eq!(NetConf::network(&config), None, "{config}");
    }
}

#[test]
fn previous_results() {
    let config = json!({"prevResult": {"cniVersion": "0.4.0", "ips": [
        {"version": "4", "interface": 0, "address": "10.0.0.5/16", "gateway": "10.0.0.1"}, {"address": "fd00::5/64"},
    ]}});
    let expect = [
        ResultIp { address: "10.0.0.5/16".parse().unwrap(), gateway: Some("10.0.0.1".parse().unwrap()) },
        ResultIp { address: "fd00::5/64".parse().unwrap(), gateway: None },
    ];
    assert_eq!(parse(&with(config)).previous.as_deref(), Some(expect.as_slice()));
    assert_eq!(parse(&with(json!({"prevResult": {}}))).previous, Some(vec![]));
    assert_eq!(parse(&with(json!({"prevResult": null}))).previous, None);
}

#[test]
fn valid_attachments_under_both_names() {
    let list =
        json!([{"containerID": "c1", "ifname": "eth0"}, {"containerID": "c2", "ifname": "net1", "more": 1}]);
    let expect = [("c1", "eth0"), ("c2", "net1")]
        .map(|(id, ifname)| ValidAttachment { container_id: id.to_owned(), ifname: ifname.to_owned() });
    let new = "cni.dev/valid-attachments";
    let old = "cni.dev/attachments";
    for (more, expect) in [
        (json!({}), None),
        (json!({new: null}), None),
        (json!({new: null, old: null}), None),
        (json!({new: []}), Some([].as_slice())),
        (json!({old: []}), Some(&[])),
        (json!({new: list}), Some(&expect)),
        (json!({new: list, old: list}), Some(&expect)),
        (json!({new: null, old: list}), Some(&expect)),
        (json!({new: [], old: list}), Some(&[])),
    ] {
        assert_eq!(parse(&with(more.clone())).valid_attachments.as_deref(), expect, "{more}");
    }
}
