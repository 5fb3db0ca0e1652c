//! Objects as YAML.

use std::fmt::Write;

use allotment_core::{Object, Order};
use serde::Serialize;

use crate::API_VERSION;
use crate::v1alpha1::{IPPoolSpec, ReservationSpec, SubnetSpec};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a, S> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: S,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
}

/// Writes an object as `kubectl apply` takes it; [`parse`](crate::parse) reads the same object back.
///
/// A subnet implied by a `host-local` configuration has an order and limits that no field of YAML says; they are told in
/// comments above it.
pub fn to_yaml(object: &Object) -> String {
    match object {
        Object::Subnet(spec) => {
            let mut comments = String::new();
            if spec.order == Order::NextAfterLast {
                comments
                    .push_str("# order: the next free one after the last handed out, as host-local has it\n");
            }
            for range in &spec.within {
                writeln!(comments, "# within: {range}").expect("a string takes all that is written to it");
            }
            comments + &written("Subnet", &spec.name, SubnetSpec::from_core(spec))
        }
        Object::IPPool(spec) => written("IPPool", &spec.name, IPPoolSpec::from_core(spec)),
        Object::Reservation(spec) => written("Reservation", &spec.name, ReservationSpec::from_core(spec)),
    }
}

fn written<S: Serialize>(kind: &'static str, name: &str, spec: S) -> String {
    let object = Written { api_version: API_VERSION, kind, metadata: Metadata { name }, spec };
    // Folded text is for long prose; a reason stays on its line.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(&object, options)
        .expect("strings, numbers, lists and mappings are YAML")
}

/// Kubernetes objects as a stream of YAML documents.
#[cfg(feature = "kube")]
pub(crate) fn documents<T: Serialize>(objects: &[T]) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let written = |object: &T| {
        let mut value = serde_json::to_value(object).expect("what an API server takes is JSON");
        whole_numbers(&mut value);
        serde_saphyr::to_string_with_options(&value, options.clone()).expect("JSON is YAML")
    };
    objects.iter().map(written).collect::<Vec<_>>().join("---\n")
}

/// Bounds in a schema are floating-point numbers; the API server shows those that are whole without a fraction.
#[cfg(feature = "kube")]
fn whole_numbers(value: &mut serde_json::Value) {
    use serde_json::Value;

    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15)
            {
                #[expect(clippy::cast_possible_truncation, reason = "it is whole, and below 2^53")]
                let whole = whole as i64;
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
