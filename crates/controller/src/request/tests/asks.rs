//! What a node asks for in a pod's name (K1).

use allotment_api::v1alpha1::Ask;

use super::*;

fn ask(interface: &str, network: &str) -> Ask {
    Ask {
        id: "1".to_owned(),
        namespace: "shop".to_owned(),
        name: "cart-7".to_owned(),
        pod_uid: "u1".to_owned(),
        interface: interface.to_owned(),
        network: network.to_owned(),
        ..Ask::default()
    }
}

impl Cluster {
    fn asked(&self, ask: &Ask, pod: &PodView) -> Result<String, String> {
        let wanted = read_ask(ask, pod, self.world());
        wanted
            .map(|wanted| line(&wanted.interfaces[0], &wanted.request.wants[0]))
            .map_err(|why| why.to_string())
    }
}

#[test]
fn networks_get_the_key_that_they_have_when_pods_announce_them() {
    let cluster = cluster();
    let rows = [
        ("eth0", "cbr0", "a", "eth0@(cbr0)"),
        ("net1", "lan-a", "a", "net1@shop/a(lan-a)"),
        ("net7", "lan-a", "a", "net7@shop/a(lan-a)"),
        ("net1", "lan-a", "", "net1@lan-a(lan-a)"),
        ("net3", "plugged", "a", "net3@plugged(plugged)"),
    ];
    for (interface, network, networks, expect) in rows {
        assert_eq!(
            cluster.asked(&ask(interface, network), &pod(&[(NETWORKS, networks)])),
            Ok(expect.to_owned())
        );
    }
    assert_eq!(
        cluster.asked(&ask("eth0", "lan"), &pod(&[(DEFAULT_NETWORK, "lan")])),
        Ok("eth0@kube-system/lan(lan)".to_owned())
    );
}

#[test]
fn pod_and_namespace_go_before_what_the_node_says() {
    let mut cluster = cluster();
    let mut ask = ask("eth0", "cbr0");
    (ask.subnets, ask.pools) = (vec!["s".to_owned()], vec!["p".to_owned()]);
    ask.ips = vec!["10.0.0.5".parse().unwrap()];
    ask.mac = Some("02:00:00:00:00:05".to_owned());
    assert_eq!(
        cluster.asked(&ask, &pod(&[])),
        Ok("eth0@(cbr0) s pool:p by network each [10.0.0.5] 02:00:00:00:00:05".to_owned())
    );
    cluster.namespace.subnets = Some("n".to_owned());
    let of_set = pod_of("apps", "ReplicaSet", "cart", "cart-7", &[]);
    assert_eq!(
        cluster.asked(&ask, &of_set),
        Ok("eth0@(cbr0) n by namespace one of [10.0.0.5] 02:00:00:00:00:05".to_owned())
    );
    (ask.ips, ask.mac) = (Vec::new(), None);
    let own = pod(&[("allotment.dev/subnets", "own"), ("allotment.dev/ips", "10.0.0.9")]);
    assert_eq!(cluster.asked(&ask, &own), Ok("eth0@(cbr0) own by pod each [10.0.0.9]".to_owned()));
}

#[test]
fn k1_a_family_is_asked_for_as_the_ipam_section_has_it() {
    let cluster = cluster();
    let asked = |family: &str, policy: &str| {
        let (family, family_policy) = (family.to_owned(), policy.to_owned());
        cluster.asked(&Ask { family, family_policy, ..ask("eth0", "cbr0") }, &pod(&[]))
    };
    assert_eq!(asked("IPv6", ""), Ok("eth0@(cbr0) Require(V6)".to_owned()));
    assert_eq!(asked("IPv4", "prefer"), Ok("eth0@(cbr0) Prefer(V4)".to_owned()));
    for (family, policy) in [("v6", ""), ("", "prefer"), ("IPv4", "maybe")] {
        assert!(asked(family, policy).unwrap_err().contains("interface `eth0`"), "{family} {policy}");
    }
    let own = pod(&[("allotment.dev/request", "[{family: IPv4}]")]);
    let ask = Ask { family: "IPv6".to_owned(), ..ask("eth0", "cbr0") };
    assert_eq!(
        cluster.asked(&ask, &own),
        Ok("eth0@(cbr0) Require(V4)".to_owned()),
        "the pod's goes before it"
    );
}

#[test]
fn an_ask_counts_for_the_pod_it_names() {
    let cluster = cluster();
    let other = PodView { uid: "u2".to_owned(), ..pod(&[]) };
    assert_eq!(
        cluster.asked(&ask("eth0", "cbr0"), &other),
        Err("interface `eth0` on network `cbr0`: pod shop/cart-7 has UID u2, not u1".to_owned())
    );
    // A static pod has the UID that the runtime knows (K6).
    let mirror = PodView { is_mirror: true, ..other };
    assert_eq!(cluster.asked(&ask("eth0", "cbr0"), &mirror), Ok("eth0@(cbr0)".to_owned()));
    let request = read_ask(&ask("eth0", "cbr0"), &mirror, cluster.world()).unwrap().request;
    assert_eq!((request.owner.kind.as_str(), request.owner.uid.as_str()), ("Pod", "u1"));
}

#[test]
fn what_makes_no_sense() {
    let cluster = cluster();
    let bad = Ask { mac: Some("x".to_owned()), ..ask("eth0", "cbr0") };
    assert!(cluster.asked(&bad, &pod(&[])).unwrap_err().contains("`x` is no MAC address"));
    assert!(cluster.asked(&ask("a/b", "cbr0"), &pod(&[])).unwrap_err().contains("no name for an interface"));
    assert!(cluster.asked(&ask("", "cbr0"), &pod(&[])).is_err());
}
