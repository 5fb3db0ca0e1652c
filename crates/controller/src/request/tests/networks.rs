//! Which interfaces want something, and from where.

use super::*;

#[test]
fn which_pods_want_something() {
    let cluster = cluster();
    for annotations in [
        &[][..],
        &[(NETWORKS, "other")],
        &[(NETWORKS, "[not json")],
        &[(NETWORKS, "")],
        &[("allotment.dev/subnets", " ")],
    ] {
        assert_eq!(cluster.read(&pod(annotations)), Reading::Nothing, "{annotations:?}");
    }
    let waits = |refusal: bool, annotations: &[(&str, &str)]| match cluster.read(&pod(annotations)) {
        Reading::Waits { networks, refusal: said } => {
            assert_eq!(networks, ["shop/new"]);
            assert_eq!(said.is_some(), refusal, "{said:?}");
        }
        other => panic!("{other:?}"),
    };
    waits(false, &[(NETWORKS, "other,new")]);
    waits(true, &[(NETWORKS, "a,new")]);
    waits(true, &[(NETWORKS, "new"), ("allotment.dev/pools", "p")]);
}

#[test]
fn interfaces_are_numbered_as_multus_does() {
    let cluster = cluster();
    let rows: [(&str, &[&str]); 5] = [
        ("a", &["net1@shop/a(lan-a) rack-a by network"]),
        (
            "other, b,a@fast",
            &[
                "net2@shop/b(b) one of [10.0.0.8, 10.0.0.9] Require(V4)",
                "fast@shop/a(lan-a) rack-a by network",
            ],
        ),
        (
            "a,a,a",
            &[
                "net1@shop/a(lan-a) rack-a by network",
                "net2@shop/a(lan-a) rack-a by network",
                "net3@shop/a(lan-a) rack-a by network",
            ],
        ),
        (
            r#"[{"name": "a", "interface": "x", "ips": ["10.0.0.5/24"], "mac": "02-00-00-00-00-0A", "default-route": ["10.0.0.1"]}, {"name": "lan", "namespace": "kube-system"}]"#,
            &[
                "x@shop/a(lan-a) rack-a by network each [10.0.0.5] 02:00:00:00:00:0a",
                "net2@kube-system/lan(lan) pool:p by network",
            ],
        ),
        (
            r#"[{"name": "a", "cni-args": {"subnets": ["z"], "ips": ["10.9.0.1"], "mac": "02:00:00:00:00:0b", "else": 1}}]"#,
            &["net1@shop/a(lan-a) z by pod each [10.9.0.1] 02:00:00:00:00:0b"],
        ),
    ];
    for (networks, lines) in rows {
        assert_eq!(cluster.lines(&pod(&[(NETWORKS, networks)])), lines, "{networks}");
    }
    assert_eq!(
        cluster.lines(&pod(&[(DEFAULT_NETWORK, "lan"), (NETWORKS, "b")])),
        [
            "eth0@kube-system/lan(lan) pool:p by network",
            "net1@shop/b(b) one of [10.0.0.8, 10.0.0.9] Require(V4)"
        ]
    );
}

#[test]
fn prefix_lengths_go_along() {
    let networks = r#"[{"name": "a", "ips": ["10.0.0.5/24", "fd00::5"]}]"#;
    let request =
        cluster().wanted(&pod(&[(NETWORKS, networks), ("allotment.dev/ips", "10.0.0.6/16")])).request;
    let ip = |text: &str| text.parse().unwrap();
    assert_eq!(request.wants[0].prefixes, [(ip("10.0.0.6"), 16)]);
    assert_eq!(request.wants[1].prefixes, [(ip("10.0.0.5"), 24)]);
}

#[test]
fn the_short_forms_are_about_the_primary_interface() {
    let cluster = cluster();
    let rows: [(&[(&str, &str)], &str); 4] = [
        (&[("allotment.dev/subnets", "x, y")], "eth0@() x y by pod"),
        (&[("allotment.dev/pools", r#"["p"]"#), ("allotment.dev/subnets", "x")], "eth0@() x pool:p by pod"),
        (&[("allotment.dev/ips", "10.0.0.5 fd00::5")], "eth0@() each [10.0.0.5, fd00::5]"),
        (&[("allotment.dev/mac", "02:00:00:00:00:01")], "eth0@() 02:00:00:00:00:01"),
    ];
    for (annotations, line) in rows {
        assert_eq!(cluster.lines(&pod(annotations)), [line]);
    }
}

#[test]
fn what_is_said_of_an_interface_goes_before_what_is_said_of_its_network() {
    let cluster = cluster();
    let request = r"
- {network: a, subnets: [x], family: IPv4, familyPolicy: prefer}
- {interface: net2, pools: [q], mac: 02:00:00:00:00:02}
- subnets: [home]
  keep: {onScaleDown: keep}
";
    let pod = pod(&[(NETWORKS, "a,a,shop/a@x"), ("allotment.dev/request", request)]);
    assert_eq!(
        cluster.lines(&pod),
        [
            "eth0@() home by pod",
            "net1@shop/a(lan-a) x by pod Prefer(V4)",
            "net2@shop/a(lan-a) pool:q by pod 02:00:00:00:00:02",
            "x@shop/a(lan-a) x by pod Prefer(V4)",
        ]
    );
    let keep = cluster.wanted(&pod).interfaces[0].keep;
    assert_eq!(keep, Keep { on_scale_down: Fate::Keep, on_owner_gone: Fate::Free });
}

#[test]
fn one_attachment_asks_before_its_network() {
    let cluster = cluster();
    let ask = |request: &str| {
        let networks =
            r#"[{"name": "b", "cni-args": {"subnets": ["c"], "ips": ["10.0.0.3"], "family": "IPv6"}}]"#;
        cluster.lines(&pod(&[(NETWORKS, networks), ("allotment.dev/request", request)]))
    };
    assert_eq!(ask("[]"), ["net1@shop/b(b) c by pod each [10.0.0.3] Require(V6)"]);
    assert_eq!(
        ask("[{interface: net1, subnets: [d], ips: [10.0.0.4], family: IPv4}]"),
        ["net1@shop/b(b) d by pod each [10.0.0.4] Require(V4)"]
    );
}

#[test]
fn a_namespace_chooses_for_the_default_network_and_where_a_definition_names_nothing() {
    let mut cluster = cluster();
    cluster.namespace.subnets = Some("n1, n2".to_owned());
    cluster.settings.primary =
        Some(allotment_wire::cni::Network { name: "cbr0".to_owned(), ..Default::default() });
    assert_eq!(
        cluster.lines(&pod(&[(NETWORKS, "a,bare")])),
        [
            "eth0@(cbr0) n1 n2 by namespace",
            "net1@shop/a(lan-a) rack-a by network",
            "net2@shop/bare(bare) n1 n2 by namespace"
        ]
    );
    let args = r#"[{"name": "bare", "cni-args": {"subnets": ["c"]}}]"#;
    assert_eq!(cluster.lines(&pod(&[(NETWORKS, args)]))[1], "net1@shop/bare(bare) c by pod");
    assert_eq!(cluster.lines(&pod(&[("allotment.dev/subnets", "own")])), ["eth0@(cbr0) own by pod"]);
    assert_eq!(
        cluster.lines(&pod(&[(DEFAULT_NETWORK, "lan")])),
        ["eth0@kube-system/lan(lan) pool:p by network"]
    );
    cluster.namespace.subnets = Some("[1]".to_owned());
    // Who does not need it does not mind.
    assert_eq!(
        cluster.lines(&pod(&[("allotment.dev/subnets", "own"), (NETWORKS, "a")])),
        ["eth0@(cbr0) own by pod", "net1@shop/a(lan-a) rack-a by network"]
    );
    assert_eq!(
        cluster.refusal(&pod(&[])),
        "invalid: annotation `allotment.dev/subnets` of the namespace: 1 is not a text; write `a, b` or `[\"a\", \"b\"]`"
    );
}

#[test]
fn labels_go_along() {
    let mut cluster = cluster();
    let labels = |text: &str| Labels::from([(text.to_owned(), "1".to_owned())]);
    (cluster.namespace.labels, cluster.node_labels) = (labels("namespace"), labels("node"));
    let request = cluster.wanted(&PodView { labels: labels("pod"), ..pod(&[(NETWORKS, "a")]) }).request;
    assert_eq!(
        (request.namespace.as_str(), request.pod_labels, request.namespace_labels, request.node_labels),
        ("shop", labels("pod"), labels("namespace"), labels("node"))
    );
}

#[test]
fn networks_added_to_a_running_pod_are_what_its_grant_lacks() {
    let cluster = cluster();
    let grant = |networks: &str| {
        let wanted = cluster.wanted(&pod(&[(NETWORKS, networks)]));
        let attachments =
            wanted.interfaces.into_iter().map(|at| allotment_api::annotation::GrantedAttachment {
                interface: at.interface,
                network: at.network,
                config: at.config,
                ips: Vec::new(),
                mac: None,
                routes: Vec::new(),
                dns: allotment_api::v1alpha1::Dns::default(),
                mtu: None,
            });
        allotment_api::annotation::PodGrant {
            pod: "u1".to_owned(),
            attachments: attachments.collect(),
            ..Default::default()
        }
    };
    let beyond = |has: &str, wants: &str| {
        let rest = cluster.wanted(&pod(&[(NETWORKS, wants)])).beyond(&grant(has));
        rest.map_or_else(String::new, |rest| {
            assert_eq!(rest.interfaces.len(), rest.request.wants.len());
            let at = rest.interfaces.iter().map(|at| format!("{}@{}", at.interface, at.network));
            at.collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(beyond("a,b", "a,b"), "");
    assert_eq!(beyond("a,b", "a,b,a"), "net3@shop/a");
    assert_eq!(beyond("a,b", "b,a"), "", "in another order");
    assert_eq!(beyond("a,b,a", "a"), "");
    assert_eq!(beyond("a", "b,a@x,a@y"), "net1@shop/b y@shop/a", "the n-th use of a network");
    assert_eq!(beyond("a@y", "a@x,a@y"), "x@shop/a", "the interface's name decides before the place");
}

#[test]
fn what_was_granted_stands_on_the_pod() {
    let cluster = cluster();
    let wanted = cluster.wanted(&pod(&[(NETWORKS, "a")]));
    let grant = json!({"entries": [{
        "attachment": {"holder": "u1", "network": "shop/a", "interface": "net1"},
        "ips": [{"address": "10.0.0.5", "prefix": 24, "gateway": "10.0.0.1", "vrf": "default", "subnet": "rack-a", "pool": null,
                 "rule": {"choice": "network", "pick": "fresh"}}],
        "mac": null, "routes": [{"to": "10.0.0.0/8", "via": null}],
        "dns": {"nameservers": ["10.0.0.53"]}, "mtu": 9000,
    }]});
    let grant: allotment_core::Grant = serde_json::from_value(grant).unwrap();
    assert_eq!(
        serde_json::to_value(pod_grant("u1", &wanted.interfaces, &grant)).unwrap(),
        json!({"pod": "u1", "attachments": [{
            "interface": "net1", "network": "shop/a", "config": "lan-a",
            "ips": [{"address": "10.0.0.5", "prefix": 24, "gateway": "10.0.0.1", "vrf": "default", "subnet": "rack-a"}],
            "routes": [{"to": "10.0.0.0/8"}], "dns": {"nameservers": ["10.0.0.53"]}, "mtu": 9000,
        }]})
    );
    let refusal =
        allotment_core::Refusal::new(allotment_core::Code::Full, "no room", "make some").count("held", 254);
    assert_eq!(
        serde_json::to_value(pod_refusal("u1", &refusal)).unwrap(),
        json!({"pod": "u1", "code": "full", "text": "no room", "counts": [{"what": "held", "value": "254"}], "hint": "make some"})
    );
}
