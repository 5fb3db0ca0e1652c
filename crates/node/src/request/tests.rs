use serde_json::{Value, json};

use allotment_wire::Command;

use super::*;

fn call(args: &str) -> CniCall {
    CniCall {
        command: Command::Add,
        container_id: "c1".to_owned(),
        netns: String::new(),
        ifname: "eth0".to_owned(),
        args: args.to_owned(),
        config: Value::Null,
    }
}

fn conf(more: &Value) -> NetConf {
    let mut config = json!({"cniVersion": "1.1.0", "name": "lan", "type": "macvlan"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    NetConf::parse(&config).unwrap()
}

fn request(args: &str, more: &Value, seen: Seen) -> Result<Request, Error> {
    let (conf, parsed) = (conf(more), CniArgs::parse(args)?);
    let mut request = frame(&call(args), &conf, &parsed, seen)?;
    fill(&mut request.wants[0], &conf, &parsed)?;
    Ok(request)
}

#[test]
fn whose_address_it_is() {
    let rows = [
        ("", "Container /c1 c1", "c1", ""),
        ("IgnoreUnknown=1;K8S_POD_NAME=web", "Container /web c1", "c1", ""),
        ("K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart", "Container /cart c1", "c1", "shop"),
        ("K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart;K8S_POD_UID=u1", "Pod shop/cart u1", "u1", "shop"),
        (
            "K8S_POD_UID=u0;K8S_POD_UID=u1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart",
            "Pod shop/cart u1",
            "u1",
            "shop",
        ),
        ("K8S_POD_UID=;K8S_POD_NAME=cart", "Container /cart c1", "c1", ""),
    ];
    for (args, owner, holder, namespace) in rows {
        let request = request(args, &json!({}), Seen::default()).unwrap();
        let Owner { kind, namespace: of, name, uid } = &request.owner;
        assert_eq!(format!("{kind} {of}/{name} {uid}"), owner, "{args}");
        assert_eq!(request.namespace, namespace, "{args}");
        let Attachment { holder: by, container_id, network, interface, node, netns } =
            &request.wants[0].attachment;
        assert_eq!([by, container_id, network, interface, node], [holder, "c1", "lan", "eth0", ""], "{args}");
        assert_eq!(*netns, None);
    }
}

#[test]
fn where_addresses_are_drawn_from() {
    let subnet = |name: &str| Target::Subnet(name.to_owned());
    let pool = |name: &str| Target::Pool(name.to_owned());
    let network = json!({"type": "allotment", "pools": ["p"], "subnets": ["a", "b"]});
    let rows = [
        (json!({}), vec![], None),
        (json!({"ipam": network}), vec![subnet("a"), subnet("b"), pool("p")], Some(Choice::Network)),
        (json!({"ipam": network, "args": {"cni": {"pools": ["q"]}}}), vec![pool("q")], Some(Choice::Request)),
        (
            json!({"ipam": network, "args": {"cni": {"ips": ["10.0.0.1"]}}}),
            vec![subnet("a"), subnet("b"), pool("p")],
            Some(Choice::Network),
        ),
    ];
    for (more, targets, source) in rows {
        let want = request("", &more, Seen::default()).unwrap().wants.remove(0);
        assert_eq!((want.targets, want.source), (targets, source), "{more}");
    }
}

#[test]
fn which_addresses() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let ipam = json!({"type": "allotment", "ips": ["10.0.0.1", "10.0.0.1/24", "10.0.0.2"]});
    let own = json!({"ipam": ipam, "args": {"cni": {"ips": ["10.0.0.4"]}}});
    let runtime = json!({"ipam": ipam, "runtimeConfig": {"ips": ["10.0.0.5/24", "fd00::5"]}, "args": {"cni": {"ips": ["10.0.0.4"]}}});
    let rows = [
        ("", json!({}), Asked::Nothing),
        ("", json!({"ipam": ipam}), Asked::OneOf(vec![ip("10.0.0.1"), ip("10.0.0.2")])),
        ("IP=10.0.0.3", json!({"ipam": ipam}), Asked::Each(vec![ip("10.0.0.3")])),
        ("IP=10.0.0.3", own, Asked::Each(vec![ip("10.0.0.4")])),
        ("IP=10.0.0.3", runtime, Asked::Each(vec![ip("10.0.0.5"), ip("fd00::5")])),
    ];
    for (args, more, ips) in rows {
        assert_eq!(request(args, &more, Seen::default()).unwrap().wants[0].ips, ips, "{args} {more}");
    }
}

#[test]
fn which_mac() {
    let mac = |text: &str| text.parse::<Mac>().unwrap();
    let (seen, asked) = (MacWant::Seen, MacWant::Asked);
    let rows = [
        ("", json!({}), Some(seen(mac("02:00:00:00:00:01")))),
        ("", json!({"type": "ipvlan"}), None),
        ("MAC=02-00-00-00-00-02", json!({"type": "ipvlan"}), Some(asked(mac("02:00:00:00:00:02")))),
        (
            "MAC=02:00:00:00:00:02",
            json!({"args": {"cni": {"mac": "02:00:00:00:00:03"}}}),
            Some(asked(mac("02:00:00:00:00:03"))),
        ),
        (
            "MAC=02:00:00:00:00:02",
            json!({"args": {"cni": {"mac": "02:00:00:00:00:03"}}, "runtimeConfig": {"mac": "02:00:00:00:00:04"}}),
            Some(asked(mac("02:00:00:00:00:04"))),
        ),
    ];
    for (args, more, expect) in rows {
        let seen = Seen { netns: None, mac: Some(mac("02:00:00:00:00:01")) };
        assert_eq!(request(args, &more, seen).unwrap().wants[0].mac, expect, "{args} {more}");
    }
    let error = request("MAC=01:00:00:00:00:01", &json!({}), Seen::default()).unwrap_err();
    assert!(error.code == 7 && error.msg.contains("multicast"), "{error}");
}

#[test]
fn which_family() {
    let family = |ipam: Value| request("", &json!({"ipam": ipam}), Seen::default()).unwrap().wants[0].family;
    assert_eq!(family(json!({})), FamilyWant::All);
    assert_eq!(family(json!({"family": "IPv6"})), FamilyWant::Require(Family::V6));
    assert_eq!(family(json!({"family": "IPv4", "familyPolicy": "prefer"})), FamilyWant::Prefer(Family::V4));
}
