//! What the tables show of each kind of row.

use allotment_wire::{
    CheckRow, Finding, IpRow, OwnerRow, PoolRow, ReservationRow, Severity, SubnetRow, WhoHasRow, WhyRow,
};

use crate::output::Tabular;

impl Tabular for IpRow {
    const HEAD: &'static [&'static str] = &[
        "ADDRESS",
        "STATE",
        "SUBNET",
        "POOL",
        "VRF",
        "OWNER",
        "INTERFACE",
        "NETWORK",
        "MAC",
        "NODE",
        "SINCE",
    ];

    fn cells(&self) -> Vec<String> {
        let attachment = self.attachment.as_ref();
        vec![
            self.address.clone(),
            self.state.clone(),
            text(self.subnet.as_ref()),
            text(self.pool.as_ref()),
            self.vrf.clone(),
            self.owner.as_ref().map(owner).unwrap_or_default(),
            text(attachment.map(|attachment| &attachment.interface)),
            text(attachment.map(|attachment| &attachment.network)),
            text(self.mac.as_ref()),
            text(self.node.as_ref()),
            text(self.since.as_ref()),
        ]
    }
}

impl Tabular for SubnetRow {
    const HEAD: &'static [&'static str] = &[
        "NAME",
        "VRF",
        "CIDR",
        "GATEWAY",
        "TOTAL",
        "ACTIVE",
        "RESERVED",
        "COOLING",
        "FREE",
        "SET ASIDE",
        "ORDER",
        "DEFAULT",
        "NAMESPACES",
        "NETWORKS",
        "CONDITION",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.vrf.clone(),
            self.cidr.clone(),
            text(self.gateway.as_ref()),
            self.total.clone(),
            self.active.clone(),
            self.reserved.clone(),
            self.cooling.clone(),
            self.free.clone(),
            count(&self.set_aside),
            self.order.clone(),
            if self.default { "yes".to_owned() } else { String::new() },
            self.namespaces.join(","),
            self.networks.join(","),
            text(self.condition.as_ref()),
        ]
    }
}

impl Tabular for PoolRow {
    const HEAD: &'static [&'static str] = &[
        "NAME",
        "SUBNET",
        "FAMILY",
        "RANGES",
        "TOTAL",
        "ACTIVE",
        "RESERVED",
        "COOLING",
        "FREE",
        "SET ASIDE",
        "CONDITION",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.subnet.clone(),
            self.family.clone(),
            self.ranges.join(","),
            self.total.clone(),
            self.active.clone(),
            self.reserved.clone(),
            self.cooling.clone(),
            self.free.clone(),
            count(&self.set_aside),
            text(self.condition.as_ref()),
        ]
    }
}

impl Tabular for ReservationRow {
    const HEAD: &'static [&'static str] =
        &["NAME", "SUBNET", "ADDRESSES", "OWNER", "ACTIVE", "REASON", "CONDITION"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.subnet.clone(),
            self.addresses.join(","),
            self.owner.as_ref().map(owner).unwrap_or_default(),
            self.active.clone(),
            self.reason.split_whitespace().collect::<Vec<_>>().join(" "),
            text(self.condition.as_ref()),
        ]
    }
}

impl Tabular for WhoHasRow {
    const HEAD: &'static [&'static str] =
        &["ADDRESS", "VRF", "SUBNET", "POOL", "STATE", "OWNER", "INTERFACE", "NETWORK", "SINCE", "WHAT"];

    fn cells(&self) -> Vec<String> {
        let record = self.allocation.as_ref();
        let attachment = record.and_then(|record| record.attachment.as_ref());
        vec![
            self.address.clone(),
            self.vrf.clone(),
            text(self.subnet.as_ref()),
            text(self.pool.as_ref()),
            self.state.clone(),
            record.and_then(|record| record.owner.as_ref()).map(owner).unwrap_or_default(),
            text(attachment.map(|attachment| &attachment.interface)),
            text(attachment.map(|attachment| &attachment.network)),
            text(record.and_then(|record| record.since.as_ref())),
            self.text.clone(),
        ]
    }
}

impl Tabular for WhyRow {
    const HEAD: &'static [&'static str] = &["OWNER", "ADDRESS", "CODE", "WHY", "HINT"];

    fn cells(&self) -> Vec<String> {
        vec![
            owner(&self.owner),
            text(self.address.as_ref().map(|row| &row.address)),
            text(self.code.as_ref()),
            self.why.clone(),
            text(self.hint.as_ref()),
        ]
    }
}

impl Tabular for Finding {
    const HEAD: &'static [&'static str] = &["SEVERITY", "CODE", "ADDRESS", "VRF", "OWNER", "WHAT", "HINT"];

    fn cells(&self) -> Vec<String> {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        vec![
            severity.to_owned(),
            self.code.clone(),
            text(self.address.as_ref()),
            text(self.vrf.as_ref()),
            self.owner.as_ref().map(owner).unwrap_or_default(),
            self.text.clone(),
            self.hint.clone(),
        ]
    }
}

impl Tabular for CheckRow {
    const HEAD: &'static [&'static str] = &["FILE", "LINE", "OBJECT", "FIELD", "WHAT", "HINT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.file.clone(),
            self.line.map(|line| line.to_string()).unwrap_or_default(),
            text(self.object.as_ref()),
            text(self.field.as_ref()),
            self.text.clone(),
            text(self.hint.as_ref()),
        ]
    }
}

/// `Pod shop/cart-7`, as [`allotment_core::Owner`] prints it.
pub(crate) fn owner(row: &OwnerRow) -> String {
    match &row.namespace {
        None => format!("{} {}", row.kind, row.name),
        Some(namespace) => format!("{} {namespace}/{}", row.kind, row.name),
    }
}

/// Nothing for none: the column is left out where there are no Reservations.
fn count(count: &str) -> String {
    if count == "0" { String::new() } else { count.to_owned() }
}

fn text(value: Option<&String>) -> String {
    value.cloned().unwrap_or_default()
}
