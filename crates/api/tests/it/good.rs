//! What is read, and as what.

use allotment_api::parse;
use allotment_core::{
    DEFAULT_COOLING_MS, Dns, Object, Operator, Order, Owner, PoolSpec, Requirement, ReservationSpec, Route,
    Selector, SubnetSpec,
};

use crate::{names, one, one_subnet, subnet, told};

fn list<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn every_field_of_a_subnet() {
    let written = one(r#"
apiVersion: allotment.dev/v1alpha1
kind: Subnet
metadata: {name: rack-a}
spec:
  vrf: blue
  cidrs: [10.40.0.0/16, "fd00:40::/64"]
  gateways: [10.40.0.1]
  exclude: ["10.40.0.2-10.40.0.9", 10.40.255.0/24, 10.40.7.7]
  routes: [{to: 10.0.0.0/8, via: 10.40.0.1}, {to: ::/0}]
  dns: {nameservers: [10.40.0.53], domain: rack-a.example, search: [rack-a.example], options: ["ndots:2"]}
  mtu: 9000
  cooling: 1h30m
  order: sequential
  namespaces: [shop]
  namespaceSelector: {matchLabels: {team: shop}}
  networks: [telecom/macvlan-a]
  default: true
"#);
    let expected = SubnetSpec {
        name: "rack-a".to_owned(),
        vrf: "blue".to_owned(),
        cidrs: list(&["10.40.0.0/16", "fd00:40::/64"]),
        gateways: Some(list(&["10.40.0.1"])),
        exclude: list(&["10.40.0.2-10.40.0.9", "10.40.255.0/24", "10.40.7.7"]),
        within: Vec::new(),
        routes: vec![
            Route { to: "10.0.0.0/8".parse().unwrap(), via: Some("10.40.0.1".parse().unwrap()) },
            Route { to: "::/0".parse().unwrap(), via: None },
        ],
        dns: Dns {
            nameservers: list(&["10.40.0.53"]),
            domain: Some("rack-a.example".to_owned()),
            search: words(&["rack-a.example"]),
            options: words(&["ndots:2"]),
        },
        mtu: Some(9000),
        cooling_ms: 5_400_000,
        order: Order::Sequential,
        namespaces: words(&["shop"]),
        namespace_selector: Some(Selector {
            match_labels: [("team".to_owned(), "shop".to_owned())].into(),
            match_expressions: Vec::new(),
        }),
        networks: words(&["telecom/macvlan-a"]),
        default: true,
        draining: false,
    };
    assert_eq!(written, Object::Subnet(expected));
}

#[test]
fn every_field_of_a_pool() {
    let written = one(r"
apiVersion: allotment.dev/v1alpha1
kind: IPPool
metadata: {name: rack-a-db}
spec:
  subnet: rack-a
  ranges: [10.40.3.0/24, 10.40.4.1-10.40.4.9]
  namespaces: [shop, db]
  podSelector:
    matchExpressions:
    - {key: app, operator: In, values: [db, cache]}
    - {key: old, operator: DoesNotExist}
  namespaceSelector: {}
  nodeSelector: {matchLabels: {zone: '1'}}
");
    let line = |key: &str, operator, values: &[&str]| Requirement {
        key: key.to_owned(),
        operator,
        values: words(values),
    };
    let expected = PoolSpec {
        name: "rack-a-db".to_owned(),
        subnet: "rack-a".to_owned(),
        ranges: list(&["10.40.3.0/24", "10.40.4.1-10.40.4.9"]),
        namespaces: words(&["shop", "db"]),
        pod_selector: Some(Selector {
            match_labels: [].into(),
            match_expressions: vec![
                line("app", Operator::In, &["db", "cache"]),
                line("old", Operator::DoesNotExist, &[]),
            ],
        }),
        namespace_selector: Some(Selector::default()),
        node_selector: Some(Selector {
            match_labels: [("zone".to_owned(), "1".to_owned())].into(),
            match_expressions: Vec::new(),
        }),
    };
    assert_eq!(written, Object::IPPool(expected));
}

#[test]
fn every_field_of_a_reservation() {
    let written = one(r"
apiVersion: allotment.dev/v1alpha1
kind: Reservation
metadata: {name: db-0}
spec:
  subnet: rack-a
  addresses: [10.40.0.77, fd00:40::77]
  owner: {kind: Pod, namespace: shop, name: db-0, uid: 6d1b-77}
  reason: 'the first: db'
");
    let expected = ReservationSpec {
        name: "db-0".to_owned(),
        subnet: "rack-a".to_owned(),
        addresses: list(&["10.40.0.77", "fd00:40::77"]),
        owner: Some(Owner {
            kind: "Pod".to_owned(),
            namespace: "shop".to_owned(),
            name: "db-0".to_owned(),
            uid: "6d1b-77".to_owned(),
        }),
        reason: "the first: db".to_owned(),
    };
    assert_eq!(written, Object::Reservation(expected));
}

#[test]
fn what_is_left_out_or_empty_has_its_default() {
    let bare = SubnetSpec::new("a", list(&["10.0.0.0/8"]));
    assert_eq!(bare.cooling_ms, DEFAULT_COOLING_MS);
    assert_eq!(one_subnet("cidrs: [10.0.0.0/8]"), bare);
    assert_eq!(
        one_subnet("cidrs: [10.0.0.0/8]\ngateways:\nvrf: null\nmtu: ~\norder:\ncooling:\nexclude:\ndns:"),
        bare
    );
}

#[test]
fn no_list_of_gateways_is_not_an_empty_one() {
    assert_eq!(one_subnet("cidrs: [10.0.0.0/8]").gateways, None);
    assert_eq!(one_subnet("cidrs: [10.0.0.0/8]\ngateways: []").gateways, Some(Vec::new()));
}

#[test]
fn what_the_api_server_adds_is_taken() {
    let written = one(r#"
apiVersion: allotment.dev/v1alpha1
kind: Subnet
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"allotment.dev/v1alpha1","kind":"Subnet"}
  creationTimestamp: "2026-11-02T10:00:00Z"
  generation: 3
  labels: {team: net}
  managedFields:
  - apiVersion: allotment.dev/v1alpha1
    fieldsType: FieldsV1
    fieldsV1: {"f:spec": {".": {}, "f:cidrs": {}}}
  name: a
  resourceVersion: "4711"
  uid: 0b7e4b52-3a4b-4f9a-9d5e-1a2b3c4d5e6f
spec:
  cidrs: [10.0.0.0/8]
status:
  conditions: [{type: Ready, status: "True"}]
  unheardOf: 1
"#);
    assert_eq!(written, Object::Subnet(SubnetSpec::new("a", list(&["10.0.0.0/8"]))));
}

#[test]
fn json_is_yaml() {
    let json = r#"{"apiVersion": "allotment.dev/v1alpha1", "kind": "Subnet", "metadata": {"name": "a"},
        "spec": {"cidrs": ["10.0.0.0\/8"], "mtu": 1500}}"#;
    assert_eq!(one(json), one(&subnet("cidrs: [10.0.0.0/8]\nmtu: 1500")));
}

#[test]
fn several_documents_and_lists() {
    let object = |name: &str| subnet("cidrs: [10.0.0.0/8]").replace("name: a", &format!("name: {name}"));
    let text = format!(
        "\u{feff}%YAML 1.2\n---\n# the first\n{}---\n---   # nothing\n\n--- \r\n{}...\n---\n{}",
        object("a"),
        object("b").replace('\n', "\r\n"),
        "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems:\n\
         - {apiVersion: allotment.dev/v1alpha1, kind: Subnet, metadata: {name: c}, spec: {cidrs: [10.0.0.0/8]}}\n\
         - {apiVersion: allotment.dev/v1alpha1, kind: Subnet, metadata: {name: d}, spec: {cidrs: [10.0.0.0/8]}}\n\
         ---\napiVersion: v1\nkind: List\nitems:\n---\napiVersion: v1\nkind: List\nitems: []\n",
    );
    let parsed = parse("f", &text);
    assert_eq!(told(&parsed), [""; 0]);
    assert_eq!(names(&parsed), ["Subnet `a`", "Subnet `b`", "Subnet `c`", "Subnet `d`"]);
    let lines: Vec<u32> = parsed.objects.iter().map(allotment_api::Located::line).collect();
    assert_eq!(lines, [4, 13, 24, 25]);
}

#[test]
fn nothing_is_nothing() {
    for text in [
        "",
        "\n",
        "# only a comment",
        "---",
        "---\n---\n",
        "---\n# a\n...\n",
        "null",
        "~",
        "\u{feff}",
        "%YAML 1.2\n---\n",
    ] {
        let parsed = parse("f", text);
        assert_eq!((told(&parsed).len(), parsed.objects.len()), (0, 0), "{text:?}: {:?}", told(&parsed));
    }
}

#[test]
fn a_marker_ends_a_block_scalar() {
    let reservation = "apiVersion: allotment.dev/v1alpha1\nkind: Reservation\nmetadata: {name: a}\n\
        spec:\n  subnet: s\n  addresses: [10.0.0.1]\n  reason: |\n    one\n    --- two\n   \n";
    let parsed = parse("f", &format!("{reservation}---\n{}", subnet("cidrs: [10.0.0.0/8]")));
    assert_eq!(told(&parsed), [""; 0]);
    assert_eq!(names(&parsed), ["Reservation `a`", "Subnet `a`"]);
    let Object::Reservation(spec) = &parsed.objects[0].value else { panic!() };
    assert_eq!(spec.reason, "one\n--- two\n");
}

#[test]
fn anchors_and_merges_are_written_out() {
    let spec = one_subnet(
        "cidrs: [10.0.0.0/8]\ngateways: [&router 10.0.0.1]\nroutes:\n- &one {to: 0.0.0.0/0, via: *router}\n- {<<: *one, to: 11.0.0.0/8}",
    );
    let router = Some("10.0.0.1".parse().unwrap());
    assert_eq!(
        spec.routes,
        [
            Route { to: "0.0.0.0/0".parse().unwrap(), via: router },
            Route { to: "11.0.0.0/8".parse().unwrap(), via: router }
        ]
    );
}
