//! One document: an object, or a `List` of them.

use std::sync::Arc;

use allotment_core::{Object, ObjectKey, ObjectKind};

use super::fault::{Fault, Spot, nearest};
use super::node::{Entry, Node, Value};
use super::reader::{self, unknown_fields};
use crate::v1alpha1::{IPPoolSpec, ReservationSpec, SubnetSpec};
use crate::{API_VERSION, Located, Parsed, Problem};

const KINDS: [(&str, ObjectKind); 3] = [
    ("Subnet", ObjectKind::Subnet),
    ("IPPool", ObjectKind::IPPool),
    ("Reservation", ObjectKind::Reservation),
];

/// What an object has outside of its `spec`. All that is under `metadata` and `status` is the API server's matter.
const FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// Reads a document into `parsed`; an empty one is nothing.
pub(super) fn read(file: &Arc<str>, document: &Node, parsed: &mut Parsed) {
    if matches!(document.value, Value::Null) {
        return;
    }
    if text(document, "kind") == Some("List") && text(document, "apiVersion") == Some("v1") {
        match document.entry("items").map(|entry| (&entry.node.value, entry)) {
            None => {}
            Some((Value::List(items), _)) => items.iter().for_each(|item| read_object(file, item, parsed)),
            Some((_, entry)) => {
                let fault = Fault::new(
                    "items",
                    entry.spot(),
                    format!("a list is expected, and this is {}", entry.node),
                    "",
                );
                parsed.errors.push(Problem::new(file, None, fault));
            }
        }
        return;
    }
    read_object(file, document, parsed);
}

fn read_object(file: &Arc<str>, node: &Node, parsed: &mut Parsed) {
    let kind = match kind(node) {
        Ok(kind) => kind,
        Err(fault) => return parsed.errors.push(Problem::new(file, None, fault)),
    };
    let (name, mut faults) = match name(node) {
        Ok(name) => (Some(name.to_owned()), Vec::new()),
        Err(fault) => (None, vec![fault]),
    };
    let object = name.clone().map(|name| ObjectKey { kind, name });
    if let Value::Map(entries) = &node.value {
        faults.extend(unknown_fields("", entries, &FIELDS));
    }
    let read = match node.entry("spec") {
        Some(spec) => read_spec(kind, name.unwrap_or_default(), spec),
        None => Err(vec![Fault::new("spec", node.at, "is missing", "put the object's fields under `spec`")]),
    };
    match read {
        Ok(value) if faults.is_empty() => {
            let located = Located::new(value, file, node);
            match located.value.validate() {
                Ok(()) => parsed.objects.push(located),
                Err(error) => parsed.errors.push(located.problem(&error)),
            }
        }
        Ok(_) => {}
        Err(more) => faults.extend(more),
    }
    parsed.errors.extend(faults.into_iter().map(|fault| Problem::new(file, object.clone(), fault)));
}

fn read_spec(kind: ObjectKind, name: String, spec: &Entry) -> Result<Object, Vec<Fault>> {
    Ok(match kind {
        ObjectKind::Subnet => Object::Subnet(reader::read::<SubnetSpec>(spec)?.into_core(name)),
        ObjectKind::IPPool => Object::IPPool(reader::read::<IPPoolSpec>(spec)?.into_core(name)),
        ObjectKind::Reservation => {
            Object::Reservation(reader::read::<ReservationSpec>(spec)?.into_core(name))
        }
    })
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match &node.entry(key)?.node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// The text under a key, at `path`, or why there is none.
fn required<'a>(node: &'a Node, at: Spot, path: &str, hint: &str) -> Result<(&'a str, Spot), Fault> {
    let key = path.rsplit('.').next().unwrap_or(path);
    match node.entry(key) {
        None => Err(Fault::new(path, at, "is missing", hint)),
        Some(entry) => match &entry.node.value {
            Value::Text(text) => Ok((text, entry.spot())),
            _ => Err(Fault::new(
                path,
                entry.spot(),
                format!("a string is expected, and this is {}", entry.node),
                hint,
            )),
        },
    }
}

fn kind(node: &Node) -> Result<ObjectKind, Fault> {
    let known = KINDS.map(|(name, _)| name);
    if !matches!(node.value, Value::Map(_)) {
        let hint = "begin with `apiVersion`, `kind`, `metadata` and `spec`, each on a line of its own";
        return Err(Fault::new("", node.at, format!("an object is expected, and this is {node}"), hint));
    }
    let hint = format!("write `apiVersion: {API_VERSION}`");
    let (version, at) = required(node, node.at, "apiVersion", &hint)?;
    if version != API_VERSION {
        let (text, hint) = if version.starts_with("allotment.dev/") {
            (format!("the version `{}` is not known here", version.escape_debug()), hint)
        } else {
            let what = text(node, "kind").unwrap_or("object").escape_debug();
            let only = "only Subnet, IPPool and Reservation of allotment.dev/v1alpha1 are read here";
            (format!("`{}` ({what}) is no object of Allotment", version.escape_debug()), only.to_owned())
        };
        return Err(Fault::new("apiVersion", at, text, hint));
    }
    let (kind, at) =
        required(node, node.at, "kind", "write `kind: Subnet`, `kind: IPPool` or `kind: Reservation`")?;
    if let Some((_, kind)) = KINDS.into_iter().find(|(name, _)| *name == kind) {
        return Ok(kind);
    }
    let text = match nearest(kind, &known) {
        Some(near) => format!("the kind `{}` is not known; did you mean `{near}`?", kind.escape_debug()),
        None => format!("the kind `{}` is not known", kind.escape_debug()),
    };
    Err(Fault::new("kind", at, text, "it can be `Subnet`, `IPPool` or `Reservation`"))
}

fn name(node: &Node) -> Result<&str, Fault> {
    let hint = "give the object a name: `metadata: {name: rack-a}`";
    let Some(metadata) = node.entry("metadata") else {
        return Err(Fault::new("metadata.name", node.at, "is missing", hint));
    };
    if !matches!(metadata.node.value, Value::Map(_)) {
        let text = format!("a mapping is expected, and this is {}", metadata.node);
        return Err(Fault::new("metadata", metadata.spot(), text, hint));
    }
    required(&metadata.node, metadata.spot(), "metadata.name", hint).map(|(name, _)| name)
}
