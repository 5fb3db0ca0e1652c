//! The types that fields have.

use schemars::Schema;
use serde_json::{Value, json};

use super::{Constrain, MAX_NAME, MAX_NAMES, MAX_NAMESPACE, NAMESPACE, change};

/// Kubernetes' own limits of a label: a key is at most 253 + 1 + 63, a value at most 63.
const MAX_LABEL_KEY: u64 = 317;
const MAX_LABEL_VALUE: u64 = 63;
/// Labels that one selector names.
const MAX_LABELS: u64 = 64;
const MAX_RESOLVER: u64 = 32;

const LABEL_KEY: &str =
    "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";
const KEY_HINT: &str =
    "write it as `app` or `example.com/app`, at most 63 letters, digits, `-`, `_` and `.` after the slash";
const VALUE_HINT: &str =
    "use at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends";
const DOMAIN: &str = "^([.]|[-A-Za-z0-9_]{1,63}([.][-A-Za-z0-9_]{1,63})*[.]?)$";
const DOMAIN_HINT: &str = "write it as `rack-a.example`, labels of at most 63 letters, digits and `-`; others in their ASCII form (xn--…)";

pub(crate) fn route(schema: &mut Schema) {
    change(schema, |route| {
        route.rule_for(
            "via",
            "!has(self.via) || self.via.contains(':') == self.to.contains(':')",
            "'`' + self.via + '` is not of the family that the route goes to (`' + self.to + '`)'",
            "give a router of its family, or leave `via` out for the subnet's gateway",
        );
    });
}

pub(crate) fn dns(schema: &mut Schema) {
    change(schema, |dns| {
        for list in ["nameservers", "search", "options"] {
            dns.field(list).set("maxItems", json!(MAX_RESOLVER));
        }
        domain(dns.field("domain"));
        domain(dns.items("search"));
        dns.items("options").set("maxLength", json!(MAX_NAME)).rule(
            "self.matches('^[!-~]+$')",
            "'`' + self + '` is no resolver option'",
            "write one option an item, as in resolv.conf: \"ndots:2\"",
        );
    });
}

fn domain(schema: &mut Value) {
    schema.set("maxLength", json!(MAX_NAME + 1)).rule(
        &format!("self.matches('{DOMAIN}')"),
        "'`' + self + '` is no DNS domain'",
        DOMAIN_HINT,
    );
}

pub(crate) fn selector(schema: &mut Schema) {
    change(schema, |selector| {
        let labels = selector.field("matchLabels");
        labels.set("maxProperties", json!(MAX_LABELS));
        labels["additionalProperties"].set("maxLength", json!(MAX_LABEL_VALUE)).rule(
            &format!("self.matches('{LABEL_VALUE}')"),
            "'`' + self + '` is no value of a label'",
            VALUE_HINT,
        );
        labels.rule(
            &format!("self.all(key, key.matches('{LABEL_KEY}'))"),
            &format!("'`' + self.filter(key, !key.matches('{LABEL_KEY}'))[0] + '` is no key of a label'"),
            KEY_HINT,
        );
        selector.field("matchExpressions").set("maxItems", json!(MAX_LABELS));
    });
}

pub(crate) fn requirement(schema: &mut Schema) {
    change(schema, |line| {
        line.field("key").set("maxLength", json!(MAX_LABEL_KEY)).rule(
            &format!("self.matches('{LABEL_KEY}')"),
            "'`' + self + '` is no key of a label'",
            KEY_HINT,
        );
        line.field("values").set("maxItems", json!(MAX_NAMES));
        line.items("values").set("maxLength", json!(MAX_LABEL_VALUE)).rule(
            &format!("self.matches('{LABEL_VALUE}')"),
            "'`' + self + '` is no value of a label'",
            VALUE_HINT,
        );
        line.rule(
            "!(self.operator in ['In', 'NotIn']) || has(self.values) && size(self.values) > 0",
            "'`' + self.operator + '` compares with a list, and `values` is empty'",
            "give the values, or use Exists or DoesNotExist",
        )
        .rule(
            "self.operator in ['In', 'NotIn'] || !has(self.values) || size(self.values) == 0",
            "'`' + self.operator + '` looks at no values, and there are some'",
            "remove the values, or use In or NotIn",
        );
    });
}

pub(crate) fn owner(schema: &mut Schema) {
    change(schema, |owner| {
        owner.field("kind").set("maxLength", json!(MAX_NAMESPACE)).rule(
            "self.matches('^[A-Z][A-Za-z0-9]*$')",
            "'`' + self + '` is no kind of owner'",
            "write it as Kubernetes does: Pod, StatefulSet, VirtualMachine, Container, Machine, …",
        );
        owner.field("namespace").set("maxLength", json!(MAX_NAMESPACE)).rule(
            &format!("self == '' || self.matches('{NAMESPACE}')"),
            "'`' + self + '` is no name of a namespace'",
            "use at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends",
        );
        owner.field("name").set("maxLength", json!(MAX_NAME)).rule(
            r"self.matches('^[^/\\pZ\\pC]+$')",
            "'`' + self + '` is no name of an owner'",
            "give the name alone, without spaces; the namespace has a field of its own",
        );
        owner.field("uid").set("maxLength", json!(MAX_NAME)).rule(
            "self.matches('^[!-~]*$')",
            "'`' + self + '` is no UID'",
            "copy it from the object's metadata.uid, or leave it out",
        );
        owner
            .rule_for(
                "namespace",
                "!(self.kind in ['Pod', 'StatefulSet']) || has(self.namespace) && self.namespace != ''",
                "'a ' + self.kind + ' is always in a namespace, and none is given'",
                "give the namespace, such as `default`",
            )
            .rule_for(
                "name",
                "self.kind != 'StatefulSet' || self.name.matches('.-[0-9]+$')",
                "'`' + self.name + '` is a set, and an address belongs to one of its ordinals'",
                "name the pod, such as `db-0`",
            );
    });
}
