//! One mistake each, and the line, field and words that a person gets.

use allotment_api::{Problem, parse};
use allotment_core::{ObjectError, ObjectKey, ObjectKind, Obstacle};

use crate::{names, subnet, told};

/// Texts and what is told of each.
fn check(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        let parsed = parse("f", text);
        assert_eq!(told(&parsed), *expected, "{text}");
        assert!(parsed.objects.is_empty(), "{text}");
    }
}

/// The same for what is under the `spec` of a subnet, from line 5.
fn check_spec(cases: &[(&str, &[&str])]) {
    for (spec, expected) in cases {
        check(&[(&subnet(spec), expected)]);
    }
}

#[test]
fn syntax() {
    check(&[
        ("a: [1, 2\nb: 3\n", &["f:2: is not YAML: illegal placement of ':' indicator"]),
        ("a:\n\tb: 1\n", &["f:2: is not YAML: tabs disallowed within this context (block indentation)"]),
        ("a: 'x\nb: 2\n", &["f:1: is not YAML: unclosed quote"]),
        (
            "spec:\n   cidrs:\n  - a\n",
            &["f:3: is not YAML: while parsing a block mapping, did not find expected key"],
        ),
        ("a: 1\nb: 1\na: 2\n", &["f:3: the key `a` is there twice"]),
        ("a: 1\nb: *nope\n", &["f:2: is not YAML: alias references unknown anchor"]),
        ("a: !secret x\n", &["f:1: is not YAML: unsupported tag `!secret`"]),
    ]);
}

#[test]
fn what_is_no_object() {
    check(&[
        ("hello\n", &["f:1: an object is expected, and this is the text `hello`"]),
        ("\n- 1\n", &["f:2: an object is expected, and this is a list"]),
        ("spec: {}\n", &["f:1: apiVersion: is missing"]),
        (
            "kind: ConfigMap\napiVersion: v1\n",
            &["f:2: apiVersion: `v1` (ConfigMap) is no object of Allotment"],
        ),
        (
            "kind: Subnet\napiVersion: allotment.dev/v1\n",
            &["f:2: apiVersion: the version `allotment.dev/v1` is not known here"],
        ),
        ("apiVersion: 1\n", &["f:1: apiVersion: a string is expected, and this is the number 1"]),
        ("apiVersion: allotment.dev/v1alpha1\n", &["f:1: kind: is missing"]),
        (
            "apiVersion: allotment.dev/v1alpha1\nkind: ippool\n",
            &["f:2: kind: the kind `ippool` is not known; did you mean `IPPool`?"],
        ),
        ("apiVersion: allotment.dev/v1alpha1\nkind: VLAN\n", &["f:2: kind: the kind `VLAN` is not known"]),
        (
            "apiVersion: v1\nkind: List\nitems: {}\n",
            &["f:3: items: a list is expected, and this is a mapping"],
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- 7\n- {apiVersion: v1, kind: List}\n",
            &[
                "f:4: an object is expected, and this is the number 7",
                "f:5: apiVersion: `v1` (List) is no object of Allotment",
            ],
        ),
    ]);
}

#[test]
fn around_the_spec() {
    let head = "apiVersion: allotment.dev/v1alpha1\nkind: Subnet\n";
    for (rest, expected) in [
        ("spec: {cidrs: [10.0.0.0/8]}\n", &["f:1: metadata.name: is missing"][..]),
        ("metadata: {}\nspec: {cidrs: [10.0.0.0/8]}\n", &["f:3: metadata.name: is missing"]),
        (
            "metadata: a\nspec: {cidrs: [10.0.0.0/8]}\n",
            &["f:3: metadata: a mapping is expected, and this is the text `a`"],
        ),
        (
            "metadata: {name: 1e3}\nspec: {cidrs: [10.0.0.0/8]}\n",
            &["f:3: metadata.name: a string is expected, and this is the number 1000"],
        ),
        (
            "metadata:\n  labels: {}\n  name: Rack A\nspec: {cidrs: [10.0.0.0/8]}\n",
            &["f:5: metadata.name: `Rack A` is no name of an object"],
        ),
        ("metadata: {name: a}\n", &["f:1: spec: is missing"]),
        ("metadata: {name: a}\nspec:\n", &["f:1: spec: is missing"]),
        (
            "metadata: {name: a}\nspec: [10.0.0.0/8]\n",
            &["f:4: spec: a mapping is expected, and this is a list"],
        ),
        (
            "metadata: {name: a}\ncidrs: [10.0.0.0/8]\nsepc: {}\n",
            &[
                "f:4: cidrs: the field `cidrs` is not known",
                "f:5: sepc: the field `sepc` is not known; did you mean `spec`?",
                "f:1: spec: is missing",
            ],
        ),
    ] {
        check(&[(&format!("{head}{rest}"), expected)]);
    }
}

#[test]
fn fields_that_are_not_known() {
    check_spec(&[
        ("cidr: 10.0.0.0/8", &["f:5: spec.cidr: the field `cidr` is not known; did you mean `cidrs`?"]),
        (
            "cidrs: [10.0.0.0/8]\ngateway: 10.0.0.1\nexcludeIPs: []\nvlan: 7",
            &[
                "f:6: spec.gateway: the field `gateway` is not known; did you mean `gateways`?",
                "f:7: spec.excludeIPs: the field `excludeIPs` is not known; did you mean `exclude`?",
                "f:8: spec.vlan: the field `vlan` is not known",
            ],
        ),
        (
            "cidrs: [10.0.0.0/8]\nroutes:\n- to: 0.0.0.0/0\n- to: 1.0.0.0/8\n  gw: 10.0.0.1",
            &["f:9: spec.routes[1].gw: the field `gw` is not known"],
        ),
        (
            "cidrs: [10.0.0.0/8]\nnamespaceSelector: {matchlabels: {a: b}}",
            &[
                "f:6: spec.namespaceSelector.matchlabels: the field `matchlabels` is not known; did you mean `matchLabels`?",
            ],
        ),
        ("cidrs: [10.0.0.0/8]\nwithin: [10.0.0.1]", &["f:6: spec.within: the field `within` is not known"]),
    ]);
}

#[test]
fn values_of_the_wrong_type() {
    check_spec(&[
        ("mtu: 1500", &["f:4: spec.cidrs: is missing"]),
        ("cidrs: 10.0.0.0/8", &["f:5: spec.cidrs: a list is expected, and this is the text `10.0.0.0/8`"]),
        (
            "cidrs:\n- 10.0.0.0/8\n- 7",
            &["f:7: spec.cidrs[1]: a string is expected, and this is the number 7"],
        ),
        ("cidrs: [~]", &["f:5: spec.cidrs[0]: a string is expected, and this is nothing"]),
        (
            "cidrs:\n- 10.0.0.0/8\n- fd00::",
            &["f:7: spec.cidrs[1]: a string is expected, and this is a mapping"],
        ),
        (
            "cidrs: [10.0.0.0/8]\nmtu: 9k",
            &["f:6: spec.mtu: a whole number is expected, and this is the text `9k`"],
        ),
        (
            "cidrs: [10.0.0.0/8]\nmtu: \"9000\"",
            &["f:6: spec.mtu: a whole number is expected, and this is the text `9000`"],
        ),
        (
            "cidrs: [10.0.0.0/8]\nmtu: -1",
            &["f:6: spec.mtu: a whole number is expected, and this is the number -1"],
        ),
        (
            "cidrs: [10.0.0.0/8]\nmtu: 1.5",
            &["f:6: spec.mtu: a whole number is expected, and this is the number 1.5"],
        ),
        (
            "cidrs: [10.0.0.0/8]\nmtu: 99999999999",
            &["f:6: spec.mtu: a whole number is expected, and this is the number 99999999999"],
        ),
        (
            "cidrs: [10.0.0.0/8]\ndefault: maybe",
            &["f:6: spec.default: `true` or `false` is expected, and this is the text `maybe`"],
        ),
        (
            "cidrs: [10.0.0.0/8]\nvrf: yes",
            &["f:6: spec.vrf: a string is expected, and this is the boolean `true`"],
        ),
        (
            "cidrs: [10.0.0.0/8]\nnamespaces: [shop, 0815]",
            &["f:6: spec.namespaces[1]: a string is expected, and this is the number 815"],
        ),
        (
            "cidrs: [10.0.0.0/8]\nroutes: [10.0.0.0/8]",
            &["f:6: spec.routes[0]: a mapping is expected, and this is the text `10.0.0.0/8`"],
        ),
        ("cidrs: [10.0.0.0/8]\nroutes:\n- via: 10.0.0.1", &["f:7: spec.routes[0].to: is missing"]),
        (
            "cidrs: [10.0.0.0/8]\nnamespaceSelector:\n  matchLabels:\n    app: 1",
            &["f:8: spec.namespaceSelector.matchLabels.app: a string is expected, and this is the number 1"],
        ),
        (
            "cidrs: [10.0.0.0/8]\ndns: [10.0.0.53]",
            &["f:6: spec.dns: a mapping is expected, and this is a list"],
        ),
    ]);
}

#[test]
fn values_that_say_nothing() {
    check_spec(&[
        (
            "cidrs:\n- 10.0.0.5/16",
            &["f:6: spec.cidrs[0]: `10.0.0.5/16` has host bits set; did you mean `10.0.0.0/16`?"],
        ),
        (
            "cidrs: [10.0.0.0]",
            &[
                "f:5: spec.cidrs[0]: `10.0.0.0` has no prefix length; write a network such as 10.0.0.0/16 or fd00::/64",
            ],
        ),
        (
            "cidrs: [10.0.0.0/8]\ngateways: [10.0.0.1/8]",
            &[
                "f:6: spec.gateways[0]: `10.0.0.1/8` has a prefix length, and one address is expected; did you mean `10.0.0.1`?",
            ],
        ),
        (
            "cidrs: [10.0.0.0/8]\nexclude: [10.0.0.9-10.0.0.2]",
            &[
                "f:6: spec.exclude[0]: `10.0.0.9-10.0.0.2` ends before it begins; did you mean `10.0.0.2-10.0.0.9`?",
            ],
        ),
        ("cidrs: [10.0.0.0/8]\ncooling: 30", &["f:6: spec.cooling: `30` has no unit; did you mean `30s`?"]),
        (
            "cidrs: [10.0.0.0/8]\ncooling: true",
            &["f:6: spec.cooling: a duration such as `30s` is expected, and this is the boolean `true`"],
        ),
        (
            "cidrs: [10.0.0.0/8]\ncooling: 1d",
            &[
                "f:6: spec.cooling: `1d` is no duration: its units are h, m, s and ms, each at most once, the longest first; \
               write it as `30s`, `5m`, `1h30m` or `0s`",
            ],
        ),
        (
            "cidrs: [10.0.0.0/8]\norder: randm",
            &["f:6: spec.order: `randm` is not known; did you mean `random`?"],
        ),
        ("cidrs: [10.0.0.0/8]\norder: next-after-last", &["f:6: spec.order: `next-after-last` is not known"]),
        ("cidrs: [10.0.0.0/8]\norder: nextAfterLast", &["f:6: spec.order: `nextAfterLast` is not known"]),
        (
            "cidrs: [10.0.0.0/8]\norder: 1",
            &[
                "f:6: spec.order: one of `oldest`, `sequential` or `random` is expected, and this is the number 1",
            ],
        ),
        (
            "cidrs: [10.0.0.0/8]\nroutes:\n- to: 0.0.0.0/0\n- to: 1.0.0.0/8\n  via: nowhere",
            &["f:9: spec.routes[1].via: `nowhere` is neither an IPv4 nor an IPv6 address"],
        ),
    ]);
}

#[test]
fn what_an_object_contradicts_in_itself() {
    check_spec(&[
        ("cidrs: []", &["f:5: spec.cidrs: is empty"]),
        (
            "cidrs:\n- 10.0.0.0/8\n- 11.0.0.0/8",
            &["f:7: spec.cidrs[1]: `11.0.0.0/8` is a second IPv4 CIDR, after `10.0.0.0/8`"],
        ),
        (
            "cidrs: [10.0.0.0/8]\ngateways:\n  - 11.0.0.1",
            &["f:7: spec.gateways[0]: `11.0.0.1` is outside `10.0.0.0/8`"],
        ),
        (
            "cidrs: [\"fd00::/64\"]\nmtu: 1200",
            &["f:6: spec.mtu: 1200 is below 1280, the least that IPv6 works with"],
        ),
        (
            "cidrs: [10.0.0.0/8]\nnamespaceSelector:\n  matchExpressions:\n  - key: a\n    operator: In",
            &[
                "f:8: spec.namespaceSelector.matchExpressions[0].values: is empty, and `In` compares with a list",
            ],
        ),
    ]);
    check(&[(
        "apiVersion: allotment.dev/v1alpha1\nkind: Reservation\nmetadata: {name: a}\nspec:\n  subnet: s\n  addresses: [10.0.0.1]\n",
        &["f:4: spec: says neither for whom nor why the addresses are reserved"],
    )]);
}

#[test]
fn a_problem_in_full() {
    let text = format!("# one\n---\n{}", subnet("cidrs:\n  - \"10.0.0.5/16\""));
    let [problem] = parse("f", &text).errors.try_into().unwrap();
    let expected = Problem {
        file: "f".to_owned(),
        line: 8,
        column: 7,
        object: Some(ObjectKey { kind: ObjectKind::Subnet, name: "a".to_owned() }),
        field: "spec.cidrs[0]".to_owned(),
        text: "`10.0.0.5/16` has host bits set; did you mean `10.0.0.0/16`?".to_owned(),
        hint: String::new(),
    };
    assert_eq!(problem, expected);
}

#[test]
fn hints_where_the_text_is_not_enough() {
    for (spec, hint) in [
        ("cidrs: 10.0.0.0/8", "write it as a list: [\"10.0.0.0/8\"]"),
        ("cidrs: [fd00::]", "put an address that ends in a colon in quotes: \"fd00::\""),
        ("cidrs: [10.0.0.0/8]\nmtu: \"9000\"", "remove the quotes"),
        ("cidrs: [10.0.0.0/8]\nvrf: 7", "put it in quotes if it is meant as text"),
        ("cidrs: [10.0.0.0/8]\norder: best", "it can be `oldest`, `sequential` or `random`"),
        ("cidrs: [10.0.0.0/8]\nroutes: [{too: ::/0}]", "the fields here are `to` and `via`"),
        ("cidrs: []", "give one CIDR, or one per family: [10.40.0.0/16, \"fd00:40::/64\"]"),
    ] {
        assert_eq!(parse("f", &subnet(spec)).errors[0].hint, hint, "{spec}");
    }
}

#[test]
fn what_is_told_can_be_printed() {
    let told = told(&parse("f", &subnet("cidrs: [\"\\e[2J\", 10.0.0.0/8]\n\"\\a\": 1")));
    assert_eq!(
        told,
        [
            "f:6: spec.\\u{7}: the field `\\u{7}` is not known",
            "f:5: spec.cidrs[0]: `\\u{1b}[2J` has no prefix length; write a network such as 10.0.0.0/16 or fd00::/64",
        ]
    );
    let long = parse("f", &subnet(&format!("cidrs: [{}]", "x".repeat(1_000_000))));
    assert_eq!(long.errors[0].text.chars().count(), 401);
}

#[test]
fn a_bad_document_hides_no_other() {
    let good = |name: &str| subnet("cidrs: [10.0.0.0/8]").replace("name: a", &format!("name: {name}"));
    let text = format!(
        "{}---\nkind: [\n---\n{}---\n{}--- 'unclosed\n---\n{}",
        good("a"),
        good("b"),
        good("c").replace("10.0.0.0/8", "10.0.0.1/8"),
        good("d")
    );
    let parsed = parse("f", &text);
    assert_eq!(names(&parsed), ["Subnet `a`", "Subnet `b`", "Subnet `d`"]);
    let lines: Vec<u32> = parsed.errors.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [7, 19, 20]);
    assert_eq!(
        told(&parsed)[1],
        "f:19: spec.cidrs[0]: `10.0.0.1/8` has host bits set; did you mean `10.0.0.0/8`?"
    );
}

#[test]
fn an_object_that_is_there_twice_counts_once() {
    let one = subnet("cidrs: [10.0.0.0/8]");
    let other = subnet("cidrs: [11.0.0.0/8]");
    let parsed = parse("f", &format!("{one}---\n{other}"));
    assert_eq!(told(&parsed), ["f:9: metadata.name: Subnet `a` is there already, at f:1"]);
    assert_eq!(names(&parsed), ["Subnet `a`"]);
    assert_eq!(parsed.objects[0].value, crate::one(&one));
}

#[test]
fn later_errors_find_their_line() {
    let text = "\napiVersion: allotment.dev/v1alpha1\nkind: Subnet\nmetadata:\n  name: a\nspec:\n  cidrs:\n    - 10.0.0.0/8\n    \
                - \"fd00::/64\"\n  exclude: [10.0.0.1,\n    10.0.0.2]\n";
    let parsed = parse("f", text);
    let located = &parsed.objects[0];
    for (field, line, column) in [
        ("spec.cidrs[0]", 8, 7),
        ("spec.cidrs[1]", 9, 7),
        ("spec.cidrs", 7, 3),
        ("spec.exclude[1]", 11, 5),
        ("spec.gateways[0]", 6, 1),
        ("spec.exclude[9]", 10, 3),
        ("metadata.name", 5, 9),
        ("status.x", 2, 1),
        ("", 2, 1),
    ] {
        let error = ObjectError {
            object: located.value.key(),
            field: field.to_owned(),
            text: "overlaps".to_owned(),
            hint: "shrink it".to_owned(),
            obstacle: Obstacle::Overlap,
        };
        let problem = located.problem(&error);
        assert_eq!((problem.line, problem.column), (line, column), "{field}");
        assert_eq!((problem.field, problem.hint), (field.to_owned(), "shrink it".to_owned()));
    }
}

#[test]
fn an_alias_is_corrected_where_it_was_anchored() {
    let text = subnet("cidrs: [10.0.0.0/8]\nexclude: [&bad 10.0.0.300]\ngateways: [*bad]");
    let told = told(&parse("f", &text));
    assert_eq!(told, ["f:6: spec.exclude[0]: `10.0.0.300` is neither an IPv4 nor an IPv6 address"]);
    let text = subnet("cidrs: [10.0.0.0/8]\nnetworks: [&far 11.0.0.1]\ngateways: [*far]");
    assert_eq!(
        crate::told(&parse("f", &text)),
        ["f:6: spec.gateways[0]: `11.0.0.1` is outside `10.0.0.0/8`"]
    );
}

#[test]
fn what_a_problem_may_hide() {
    let key = |name: &str| ObjectKey { kind: ObjectKind::Subnet, name: name.to_owned() };
    let bad = parse("f", &subnet("cidrs: []"));
    assert!(bad.may_hide(&key("a")));
    assert!(!bad.may_hide(&key("b")), "it is known which object is bad");
    assert!(parse("f", "spec: [").may_hide(&key("b")), "any object may have stood there");
    assert!(!parse("f", "").may_hide(&key("b")));
}
