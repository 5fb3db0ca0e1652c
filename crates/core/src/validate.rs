//! What can be wrong with an object by itself. What it contradicts in others is checked by [`State`](crate::State).

mod subnet;
mod syntax;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::{
    IpRange, Object, ObjectError, ObjectKey, ObjectKind, Obstacle, Operator, Owner, PoolSpec,
    ReservationSpec, Selector,
};

/// Bytes; a reason is read in a table.
const MAX_REASON: usize = 1024;
/// One thing that is wrong: an [`ObjectError`] that does not yet say in which object.
struct Fault {
    field: String,
    text: String,
    hint: String,
}

type Checked = Result<(), Fault>;

fn fault(field: impl Into<String>, text: impl Into<String>, hint: impl Into<String>) -> Checked {
    Err(Fault { field: field.into(), text: text.into(), hint: hint.into() })
}

impl Fault {
    fn of(self, kind: ObjectKind, name: &str) -> ObjectError {
        let object = ObjectKey { kind, name: name.to_owned() };
        ObjectError {
            object,
            field: self.field,
            text: self.text,
            hint: self.hint,
            obstacle: Obstacle::Itself,
        }
    }
}

impl Object {
    /// Checks the object by itself.
    pub fn validate(&self) -> Result<(), ObjectError> {
        match self {
            Object::Subnet(spec) => spec.validate(),
            Object::IPPool(spec) => spec.validate(),
            Object::Reservation(spec) => spec.validate(),
        }
    }
}

impl PoolSpec {
    /// Checks the pool by itself; the error is about the first field that is wrong.
    pub fn validate(&self) -> Result<(), ObjectError> {
        self.check().map_err(|fault| fault.of(ObjectKind::IPPool, &self.name))
    }

    fn check(&self) -> Checked {
        syntax::object_name("metadata.name", &self.name)?;
        syntax::object_name("spec.subnet", &self.subnet)?;
        check_disjoint("spec.ranges", &self.ranges)?;
        check_namespaces(&self.namespaces)?;
        check_selector("spec.podSelector", self.pod_selector.as_ref())?;
        check_selector("spec.namespaceSelector", self.namespace_selector.as_ref())?;
        check_selector("spec.nodeSelector", self.node_selector.as_ref())
    }
}

impl ReservationSpec {
    /// Checks the reservation by itself; the error is about the first field that is wrong.
    pub fn validate(&self) -> Result<(), ObjectError> {
        self.check().map_err(|fault| fault.of(ObjectKind::Reservation, &self.name))
    }

    fn check(&self) -> Checked {
        syntax::object_name("metadata.name", &self.name)?;
        syntax::object_name("spec.subnet", &self.subnet)?;
        check_disjoint("spec.addresses", &self.addresses)?;
        match &self.owner {
            Some(owner) => check_owner(owner)?,
            None if self.reason.trim().is_empty() => fault(
                "spec",
                "says neither for whom nor why the addresses are reserved",
                "give an `owner` with kind and name, or a `reason`",
            )?,
            None => {}
        }
        if self.reason.len() > MAX_REASON {
            fault(
                "spec.reason",
                format!("is {} bytes long, and {MAX_REASON} is the most", self.reason.len()),
                "shorten it: it is shown in tables",
            )?;
        }
        if self.reason.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
            fault("spec.reason", "has control characters in it", "write it as plain text")?;
        }
        Ok(())
    }
}

/// Refuses what no interface can have, whatever the subnet.
fn check_unicast(field: &str, address: IpAddr) -> Checked {
    let what = match address {
        _ if address.is_unspecified() => "the unspecified address",
        _ if address.is_multicast() => "a multicast address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        _ => return Ok(()),
    };
    fault(field, format!("`{address}` is {what}, which no interface can have"), "give a unicast address")
}

/// Ranges of a pool or a reservation: at least one, and none overlapping another.
fn check_disjoint(field: &str, ranges: &[IpRange]) -> Checked {
    if ranges.is_empty() {
        fault(
            field,
            "is empty",
            "give at least one address, range (10.40.3.1-10.40.3.9) or CIDR (10.40.3.0/24)",
        )?;
    }
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_unstable_by_key(|&index| (ranges[index], index));
    for pair in order.windows(2) {
        let (earlier, later) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
        if ranges[pair[0]].contains(ranges[pair[1]].first()) {
            fault(
                format!("{field}[{later}]"),
                format!("`{}` overlaps `{}` of {field}[{earlier}]", ranges[later], ranges[earlier]),
                "remove one of them, or make them meet without overlapping",
            )?;
        }
    }
    Ok(())
}

fn check_namespaces(namespaces: &[String]) -> Checked {
    for (index, namespace) in namespaces.iter().enumerate() {
        syntax::namespace(&format!("spec.namespaces[{index}]"), namespace)?;
    }
    Ok(())
}

fn check_selector(field: &str, selector: Option<&Selector>) -> Checked {
    use Operator::{DoesNotExist, Exists, In, NotIn};

    let Some(selector) = selector else { return Ok(()) };
    for (key, value) in &selector.match_labels {
        let field = format!("{field}.matchLabels.{}", key.escape_debug());
        syntax::label_key(&field, key)?;
        syntax::label_value(&field, value)?;
    }
    for (index, line) in selector.match_expressions.iter().enumerate() {
        let field = format!("{field}.matchExpressions[{index}]");
        syntax::label_key(&format!("{field}.key"), &line.key)?;
        match line.operator {
            In | NotIn if line.values.is_empty() => fault(
                format!("{field}.values"),
                format!("is empty, and `{:?}` compares with a list", line.operator),
                "give the values, or use Exists or DoesNotExist",
            )?,
            Exists | DoesNotExist if !line.values.is_empty() => fault(
                format!("{field}.values"),
                format!("is not empty, and `{:?}` looks at no values", line.operator),
                "remove the values, or use In or NotIn",
            )?,
            In | NotIn | Exists | DoesNotExist => {}
        }
        for (at, value) in line.values.iter().enumerate() {
            syntax::label_value(&format!("{field}.values[{at}]"), value)?;
        }
    }
    Ok(())
}

fn check_owner(owner: &Owner) -> Checked {
    syntax::kind("spec.owner.kind", &owner.kind)?;
    syntax::owner_name("spec.owner.name", &owner.name)?;
    if !owner.namespace.is_empty() {
        syntax::namespace("spec.owner.namespace", &owner.namespace)?;
    } else if matches!(owner.kind.as_str(), "Pod" | "StatefulSet") {
        fault(
            "spec.owner.namespace",
            format!("is missing, and a {} is always in one", owner.kind),
            "give the namespace, such as `default`",
        )?;
    }
    let ordinal = owner.name.rsplit_once('-').is_some_and(|(set, ordinal)| {
        !set.is_empty() && !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit())
    });
    if owner.kind == "StatefulSet" && !ordinal {
        fault(
            "spec.owner.name",
            format!("`{}` is a set, and an address belongs to one of its ordinals", owner.name),
            format!("name the pod: `{}-0`", owner.name),
        )?;
    }
    syntax::uid("spec.owner.uid", &owner.uid)
}
