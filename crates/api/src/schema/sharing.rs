//! What is a part of a subnet: pools and reservations.

use schemars::Schema;
use serde_json::{Value, json};

use super::scalar::apart_v4;
use super::{Constrain, MAX_RANGES, change, namespaces, object_name};

/// Bytes; a reason is read in a table.
const MAX_REASON: u64 = 1024;

pub(crate) fn pool(schema: &mut Schema) {
    change(schema, |pool| {
        part_of(pool, "a pool", "remove the IPPool and make a new one");
        ranges(pool.field("ranges"));
        namespaces(pool);
    });
}

pub(crate) fn reservation(schema: &mut Schema) {
    change(schema, |reservation| {
        part_of(reservation, "a reservation", "remove the Reservation and make a new one");
        ranges(reservation.field("addresses"));
        reservation
            .field("reason")
            .set("maxLength", json!(MAX_REASON))
            .plain(
                &format!("size(bytes(self)) <= {MAX_REASON}"),
                &format!("is longer than {MAX_REASON} bytes; shorten it: it is shown in tables"),
            )
            .plain(
                r"!self.matches('[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x{9f}]')",
                "has control characters in it; write it as plain text",
            );
        reservation.plain(
            "has(self.owner) || has(self.reason) && self.reason.trim() != ''",
            "says neither for whom nor why the addresses are reserved; give an `owner` with kind and name, or a `reason`",
        );
    });
}

/// The subnet it is in.
fn part_of(schema: &mut Value, what: &str, hint: &str) {
    let subnet = schema.field("subnet");
    object_name(subnet);
    subnet.rule(
        "self == oldSelf",
        &format!("'{what} stays in its subnet, which is `' + oldSelf + '`'"),
        hint,
    );
}

/// At least one, and of IPv4 none that overlaps another.
fn ranges(schema: &mut Value) {
    schema
        .set("maxItems", json!(MAX_RANGES))
        .plain(
            "size(self) > 0",
            "is empty; give at least one address, range (10.40.3.1-10.40.3.9) or CIDR (10.40.3.0/24)",
        )
        .plain(&apart_v4(), "two of them overlap; remove one, or make them meet without overlapping");
}
