//! What people write, right and wrong, and what they are told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad;
mod examples;
mod folder;
mod good;
mod hostile;
mod round_trip;

use allotment_api::{Parsed, parse};
use allotment_core::{Object, SubnetSpec};

/// The problems of a file `f`, as they are printed.
fn told(parsed: &Parsed) -> Vec<String> {
    parsed.errors.iter().map(ToString::to_string).collect()
}

fn names(parsed: &Parsed) -> Vec<String> {
    parsed.objects.iter().map(|object| object.value.key().to_string()).collect()
}

/// The only object of a text that has nothing wrong with it.
fn one(text: &str) -> Object {
    let mut parsed = parse("f", text);
    assert_eq!(told(&parsed), [""; 0], "{text}");
    assert_eq!(parsed.objects.len(), 1, "{text}");
    parsed.objects.remove(0).value
}

/// A Subnet `a` with these lines under `spec`, which begins on line 5.
fn subnet(spec: &str) -> String {
    let spec: Vec<String> = spec.lines().map(|line| format!("  {line}")).collect();
    let head = "apiVersion: allotment.dev/v1alpha1\nkind: Subnet\nmetadata: {name: a}\nspec:";
    format!("{head}\n{}\n", spec.join("\n"))
}

fn one_subnet(spec: &str) -> SubnetSpec {
    match one(&subnet(spec)) {
        Object::Subnet(spec) => spec,
        other => panic!("{other:?}"),
    }
}
