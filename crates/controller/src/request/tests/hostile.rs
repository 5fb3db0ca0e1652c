//! What nobody should write: every refusal says where, what and what instead; nothing panics.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proptest::prelude::*;

use super::*;

const fn request(text: &'static str) -> (&'static str, &'static str) {
    ("allotment.dev/request", text)
}

/// Annotations, and what their refusal says.
const OWN: &[(&[(&str, &str)], &str)] = &[
    (&[request("7")], "annotation `allotment.dev/request`: `request` is not a list: 7"),
    (&[request("[7]")], "annotation `allotment.dev/request`: `request[0]` is not an object: 7"),
    (
        &[request("[{subnet: a}]")],
        "`subnet` in `request[0]` is not known; known are `interface`, `network`, `mac`, `keep`, `subnets`",
    ),
    (&[request("[{subnets: a}]")], "`request[0].subnets` is not a list: \"a\""),
    (&[request("[{subnets: ['']}]")], "`request[0].subnets[0]` \"\": a name cannot be empty"),
    (&[request("[{ips: [10.0.0]}]")], "`request[0].ips[0]` \"10.0.0\": neither an IPv4 nor an IPv6 address"),
    (&[request("[{ips: [10.0]}]")], "`request[0].ips[0]` is not a string: 10.0"),
    (&[request("[{mac: 01:00:00:00:00:01}]")], "a multicast address"),
    (&[request("[{family: ipv4}]")], "it is `IPv4` or `IPv6`"),
    (&[request("[{familyPolicy: prefer}]")], "it says nothing without `family`"),
    (&[request("[{keep: {onScaleDown: true}}]")], "`request[0].keep.onScaleDown` is not a string: true"),
    (&[request("[{keep: {onScaleDown: maybe}}]")], "onScaleDown` \"maybe\": it is `free` or `keep`"),
    (&[request("[{keep: {forever: keep}}]")], "`forever` in `request[0].keep` is not known"),
    (&[request("[{interface: net1, network: a}]")], "it has both `interface` and `network`"),
    (
        &[request("[{interface: net1}]")],
        "[0]: the pod has no interface `net1`; it has `eth0` on the default network",
    ),
    (
        &[request("[{network: a}]"), (NETWORKS, "other")],
        "no interface on network `shop/a`; it has `eth0` on the default network, `net1` on `shop/other`",
    ),
    (
        &[request("[{network: other}]"), (NETWORKS, "other")],
        "network `shop/other` has its addresses from `whereabouts`, not from here",
    ),
    (
        &[request("[{}, {interface: eth0}]")],
        "[1]: annotation `allotment.dev/request`[0] says already what interface `eth0` gets; say it in one place",
    ),
    (
        &[request("[{subnets: [a]}]"), ("allotment.dev/ips", "10.0.0.1")],
        "[0]: annotation `allotment.dev/ips` says already",
    ),
    (
        &[request("[{network: a, ips: [10.0.0.1]}]"), (NETWORKS, "a,a")],
        "the pod has this network 2 times; say which `interface`",
    ),
    (
        &[
            request("[{interface: net1, ips: [10.0.0.1]}]"),
            (NETWORKS, r#"[{"name": "a", "ips": ["10.0.0.2"]}]"#),
        ],
        "it asks for other addresses than annotation `k8s.v1.cni.cncf.io/networks`[0], whose `ips` are given to the plugin",
    ),
    (
        &[
            request("[{interface: net1, mac: 02:00:00:00:00:01}]"),
            (NETWORKS, r#"[{"name": "a", "mac": "02:00:00:00:00:02"}]"#),
        ],
        "it asks for another MAC than",
    ),
    (&[request("[{interface: a b}]")], "`a b` is no name for an interface: 1 to 15 bytes"),
    (&[request("[{subnets: [a], subnets: [b]}]")], "it is neither YAML nor JSON"),
    (&[request("a: &a [*a]")], "it is neither YAML nor JSON"),
    (&[request("[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]")], "annotation `allotment.dev/request`"),
    (
        &[("allotment.dev/ips", "10.0.0.1, ten")],
        "annotation `allotment.dev/ips`: `ten`: neither an IPv4 nor an IPv6 address; write `10.1.2.3, fd00::3`",
    ),
    (&[("allotment.dev/mac", "x")], "annotation `allotment.dev/mac`: `x` is no MAC address"),
    (&[("allotment.dev/subnets", "[1]")], "annotation `allotment.dev/subnets`: 1 is not a text"),
    (&[("allotment.dev/subnets", "{a: b}")], "annotation `allotment.dev/subnets`: is not a list"),
];

#[test]
fn refusals_of_the_pods_own_annotations() {
    let cluster = cluster();
    for (annotations, says) in OWN {
        let refusal = cluster.refusal(&pod(annotations));
        assert!(
            refusal.starts_with("invalid: annotation `") && refusal.contains(says),
            "{annotations:?}: {refusal}"
        );
    }
}

#[test]
fn refusals_of_networks() {
    let cluster = cluster();
    // They are Multus' to complain of, unless the pod means us.
    let own = ("allotment.dev/subnets", "x");
    let rows = [
        ("[", "it is not JSON"),
        ("{}", "`networks` is not a list: {}"),
        ("[null]", "`networks[0]` is not an object: null"),
        ("[{}]", "`networks[0]` {}: it has no `name`"),
        (r#"[{"name": "A"}]"#, "`networks[0].name` \"A\": it is no name"),
        (r#"[{"name": "a", "ips": "10.0.0.1"}]"#, "`networks[0].ips` is not a list"),
        (r#"[{"name": "a", "ips": ["x"]}]"#, "`networks[0].ips[0]` \"x\""),
        (r#"[{"name": "a", "mac": "x"}]"#, "`networks[0].mac` \"x\""),
        (r#"[{"name": "a", "interface": "too-long-for-linux"}]"#, "is no name for an interface"),
        ("a@eth0", "[0]: interface `eth0` is the default network's already"),
        ("a@net2,a", "[1]: interface `net2` is network `shop/a`'s already"),
        ("a,,a", "[1]: `` names no network"),
        ("x/y/z", "`y/z` in `x/y/z` is no name"),
        ("a@x@y", "is no name for an interface"),
    ];
    for (networks, says) in rows {
        let refused = pod(&[(NETWORKS, networks), own]);
        if networks == "a@x@y" {
            assert_eq!(cluster.lines(&refused).len(), 2, "an interface may have any name that Linux takes");
            continue;
        }
        let refusal = cluster.refusal(&refused);
        let at = "invalid: annotation `k8s.v1.cni.cncf.io/networks`";
        assert!(refusal.starts_with(at) && refusal.contains(says), "{networks}: {refusal}");
        assert_eq!(cluster.read(&pod(&[(NETWORKS, networks)])), Reading::Nothing, "{networks}");
    }
    let two = cluster.refusal(&pod(&[(DEFAULT_NETWORK, "a,b"), own]));
    assert!(two.contains("names 2 networks, and a pod has one default network"), "{two}");
    let args = cluster.refusal(&pod(&[(NETWORKS, r#"[{"name": "a", "cni-args": {"subnets": 1}}]"#)]));
    assert!(args.contains("networks`[0]: `cni-args.subnets` is not a list: 1"), "{args}");
}

#[test]
fn a_network_that_means_us_and_cannot_be_followed() {
    assert_eq!(
        cluster().refusal(&pod(&[(NETWORKS, "broken")])),
        "invalid: NetworkAttachmentDefinition `shop/broken`, spec.config: `ipam.subnets` is not a list: 7; correct the network \
         configuration"
    );
    assert_eq!(Nad::parse("x", None), Nad::Others(String::new()));
    assert_eq!(Nad::parse("x", Some("{")), Nad::Others(String::new()), "Multus will say so");
    assert!(matches!(Nad::parse("x", Some("{\"ipam\": {\"type\": \"allotment\"}")), Nad::Broken(_)));
}

#[test]
fn names_that_yaml_once_took_for_booleans_are_names() {
    let request = "- {subnets: [no, on, y]}";
    assert_eq!(cluster().lines(&pod(&[("allotment.dev/request", request)])), ["eth0@() no on y by pod"]);
}

#[test]
fn what_is_too_much_is_refused_in_few_words() {
    let cluster = cluster();
    let many = |count: usize, one: &str| vec![one; count].join(",");
    let own = ("allotment.dev/pools", "x");
    let list = |count: usize| format!("[{{ips: [{}]}}]", many(count, "10.0.0.1"));
    let rows: &[(&str, String, &str)] = &[
        (NETWORKS, many(257, "a"), "it names 257 networks, 256 are allowed"),
        (NETWORKS, format!("[{}]", many(257, r#"{"name": "a"}"#)), "it names 257 networks, 256 are allowed"),
        (NETWORKS, many(120_000, "a"), "it has more than the 65536 bytes that are read"),
        ("allotment.dev/ips", many(1025, "10.0.0.1"), "it lists 1025, and 1024 are allowed"),
        ("allotment.dev/subnets", "x".repeat(100_000), "it has more than the 65536 bytes that are read"),
        ("allotment.dev/request", list(1025), "1025 items are too many, 1024 are allowed"),
        ("allotment.dev/request", list(20_000), "it has more than the 65536 bytes that are read"),
        ("allotment.dev/request", format!("[{}]", many(1025, "{network: a}")), "1025 items are too many"),
        ("allotment.dev/ips", "\u{e9}".repeat(30_000), "neither an IPv4 nor an IPv6 address"),
    ];
    for (key, text, says) in rows {
        let Reading::Refused(refusal) = cluster.read(&pod(&[(key, text), own])) else {
            panic!("{key}: {says}")
        };
        let shown = pod_refusal("u1", &refusal);
        assert!(shown.text.len() + shown.hint.len() < 5000, "{key}: {}", shown.text.len());
        assert!(refusal.text.contains(says), "{key}: {}", shown.text);
    }
    let config = json!({"ipam": {"type": "allotment"}, "args": {"cni": {"a": "b".repeat(70_000)}}});
    assert!(matches!(Nad::parse("x", Some(&config.to_string())), Nad::Broken(_)));
}

#[test]
fn no_more_of_an_annotation_is_kept_than_is_read() {
    let annotations = [("allotment.dev/subnets".to_owned(), "\u{20ac}".repeat(80_000))];
    let meta = ObjectMeta { annotations: Some(annotations.into()), ..ObjectMeta::default() };
    let view = PodView::new(&meta, "node-1");
    assert!(view.annotations["allotment.dev/subnets"].len() < 66_000);
    assert!(
        matches!(cluster().read(&view), Reading::Refused(refusal) if refusal.text.contains("65536 bytes"))
    );
    assert!(NamespaceView::new(&meta).subnets.is_some_and(|text| text.len() < 66_000));
}

#[test]
fn json_indented_with_tabs_is_json() {
    let request = "[\n\t{\n\t\t\"subnets\": [\"a\"]\n\t}\n]";
    assert_eq!(cluster().lines(&pod(&[("allotment.dev/request", request)])), ["eth0@() a by pod"]);
}

/// Fragments of what is right.
const PIECES: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "\"",
    "'",
    "\n",
    "\t",
    " ",
    "- ",
    "&a",
    "*a",
    "@",
    "/",
    "|",
    "null",
    "1",
    "\u{e9}",
    "\u{0}",
    "a",
    "shop/a",
    "net1",
    "eth0",
    "10.0.0.1",
    "10.0.0.1/24",
    "fd00::1",
    "02:00:00:00:00:01",
    "subnets",
    "ips",
    "mac",
    "interface",
    "network",
    "name",
    "namespace",
    "cni-args",
    "keep",
    "family",
    "IPv4",
    "free",
    "{\"name\": \"a\"}",
    "[{\"interface\": \"net1\"}]",
    "{ips: [10.0.0.1]}",
    "a: ",
];

/// Fragments of what is right, put together at random: it reaches deeper than noise.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::collection::vec(proptest::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat()),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_input_panics(
        texts in proptest::collection::vec(proptest::option::of(text()), 7),
        controller in proptest::option::of((prop_oneof![Just("apps"), Just("kubevirt.io"), Just("")], prop_oneof![Just("StatefulSet"), Just("ReplicaSet"), Just("VirtualMachineInstance")], "[a-z]{0,3}-?\u{e9}?")),
        name in "[a-z]{0,3}-?[0-9]{0,22}",
        config in text(),
    ) {
        let keys = [NETWORKS, DEFAULT_NETWORK, "allotment.dev/request", "allotment.dev/subnets", "allotment.dev/pools", "allotment.dev/ips", "allotment.dev/mac"];
        let annotations = keys.iter().zip(&texts).filter_map(|(key, text)| Some(((*key).to_owned(), text.clone()?)));
        let controller = controller.map(|(group, kind, name)| Controller { group: group.to_owned(), kind: kind.to_owned(), name, uid: "c".to_owned() });
        let pod = PodView { name, controller, annotations: annotations.collect(), ..pod(&[]) };
        let mut cluster = cluster();
        cluster.nads.insert("shop/net1".to_owned(), Nad::parse("net1", Some(&config)));
        cluster.namespace.subnets.clone_from(&texts[3]);
        let first = cluster.read(&pod);
        prop_assert_eq!(&first, &cluster.read(&pod), "the same pod, the same request");
        if let Reading::Wanted(wanted) = &first {
            prop_assert_eq!(wanted.interfaces.len(), wanted.request.wants.len());
            prop_assert!(!wanted.interfaces.is_empty());
        }
        let ask = allotment_api::v1alpha1::Ask {
            pod_uid: "u1".to_owned(),
            interface: texts[0].clone().unwrap_or_default(),
            network: texts[1].clone().unwrap_or_default(),
            mac: texts[6].clone(),
            ..Default::default()
        };
        let _ = read_ask(&ask, &pod, cluster.world());
    }
}
