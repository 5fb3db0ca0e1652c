//! What an object may say by itself, for an API server: limits and rules in CEL, put on the schemas that are derived from
//! the types.
//!
//! The rules are core's (`validate`), as far as CEL can see; their words are core's, too. What it cannot see here is
//! refused by the webhook, or said in the object's condition: overlapping IPv6 ranges of one list, the order of two IPv6
//! addresses that differ before the last group, and everything between objects.
//!
//! Every list and text has a limit, since the API server estimates from them what a rule may cost, and takes none that is
//! too dear. They are far above what people write, and the same YAML on one machine has none of them.

mod parts;
mod scalar;
mod sharing;
mod subnet;

use schemars::Schema;
use serde_json::{Value, json};

pub(crate) use parts::{dns, owner, requirement, route, selector};
pub(crate) use scalar::{Cidr, IpRange, Mac};
pub(crate) use sharing::{pool, reservation};
pub(crate) use subnet::subnet;

/// Ranges of a pool, a reservation or an exclusion.
const MAX_RANGES: u64 = 256;
/// Namespaces, networks, routes, values: what people list by hand.
const MAX_NAMES: u64 = 256;
/// A name as DNS and Kubernetes have it.
const MAX_NAME: u64 = 253;
const MAX_NAMESPACE: u64 = 63;

const OBJECT_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const NAMESPACE: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// Puts constraints on a schema, or on a part of it.
trait Constrain {
    fn set(&mut self, key: &str, value: Value) -> &mut Self;

    /// The schema of a field.
    fn field(&mut self, name: &str) -> &mut Value;

    /// The schema of a field's items.
    fn items(&mut self, name: &str) -> &mut Value;

    /// Adds a rule in CEL. Where it does not hold, the API server says what `text`, an expression, makes, and then `hint`.
    fn rule(&mut self, holds: &str, text: &str, hint: &str) -> &mut Self {
        self.validation(json!({"rule": holds, "message": hint, "messageExpression": said(text, hint)}))
    }

    /// A rule about a field that has to look at others.
    fn rule_for(&mut self, field: &str, holds: &str, text: &str, hint: &str) -> &mut Self {
        self.validation(json!({
            "rule": holds, "message": hint, "messageExpression": said(text, hint), "fieldPath": format!(".{field}"),
        }))
    }

    /// A rule whose text needs no value.
    fn plain(&mut self, holds: &str, message: &str) -> &mut Self {
        self.validation(json!({"rule": holds, "message": message}))
    }

    fn plain_for(&mut self, field: &str, holds: &str, message: &str) -> &mut Self {
        self.validation(json!({"rule": holds, "message": message, "fieldPath": format!(".{field}")}))
    }

    fn validation(&mut self, rule: Value) -> &mut Self;
}

/// `text; hint` as an expression.
fn said(text: &str, hint: &str) -> String {
    let hint = hint.replace('\\', "\\\\").replace('\'', "\\'");
    format!("{text} + '; {hint}'")
}

impl Constrain for Value {
    fn set(&mut self, key: &str, value: Value) -> &mut Self {
        self[key] = value;
        self
    }

    fn field(&mut self, name: &str) -> &mut Value {
        let field = self.get_mut("properties").and_then(|properties| properties.get_mut(name));
        field.expect("a test makes every schema")
    }

    fn items(&mut self, name: &str) -> &mut Value {
        self.field(name).get_mut("items").expect("a test makes every schema")
    }

    fn validation(&mut self, rule: Value) -> &mut Self {
        let rules = &mut self["x-kubernetes-validations"];
        match rules {
            Value::Array(rules) => rules.push(rule),
            _ => *rules = json!([rule]),
        }
        self
    }
}

/// Changes a derived schema.
fn change(schema: &mut Schema, with: impl FnOnce(&mut Value)) {
    let mut value = schema.as_value().clone();
    with(&mut value);
    *schema = value.try_into().expect("it was a schema and is one");
}

/// Names of namespaces.
fn namespaces(schema: &mut Value) {
    schema.field("namespaces").set("maxItems", json!(MAX_NAMES));
    schema.items("namespaces").set("maxLength", json!(MAX_NAMESPACE)).rule(
        &format!("self.matches('{NAMESPACE}')"),
        "'`' + self + '` is no name of a namespace'",
        "use at most 63 lower-case letters, digits and `-`, with a letter or digit at both ends",
    );
}

/// The name of another object.
fn object_name(schema: &mut Value) {
    schema.set("maxLength", json!(MAX_NAME)).rule(
        &format!("self.matches('{OBJECT_NAME}')"),
        "'`' + self + '` is no name of an object'",
        "use lower-case letters, digits, `-` and `.`, with a letter or digit at both ends",
    );
}
