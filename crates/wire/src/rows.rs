//! What the tool lists. Unknown is `null`, never absent; fields are only added (O7).

use serde::{Deserialize, Serialize};

/// One address (O7).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IpRow {
    /// Without prefix length.
    pub address: String,
    pub subnet: Option<String>,
    pub pool: Option<String>,
    pub vrf: String,
    /// `reserved`, `active` or `cooling`; `free` for one that cooled and still remembers its last owner.
    pub state: String,
    pub mac: Option<String>,
    pub owner: Option<OwnerRow>,
    pub attachment: Option<AttachmentRow>,
    pub node: Option<String>,
    /// RFC 3339, UTC: the last change of state.
    pub since: Option<String>,
    /// How subnet and address were chosen.
    pub rule: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerRow {
    pub kind: String,
    /// Null for owners whose kind has none, such as a container.
    pub namespace: Option<String>,
    pub name: String,
    /// Null where it is not known, as in a reservation for an owner that does not exist yet.
    pub uid: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentRow {
    /// Null while no runtime has asked.
    pub container_id: Option<String>,
    pub interface: String,
    pub network: String,
}

/// One subnet, one row per family. Counts are decimal strings: a /64 does not fit in an integer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubnetRow {
    pub name: String,
    pub vrf: String,
    pub family: String,
    pub cidr: String,
    pub gateway: Option<String>,
    /// Addresses that can be handed out, pools included; excluded, reserved and gateway addresses left out.
    pub total: String,
    /// In use; also those asked for by name that are not in `total`.
    pub active: String,
    /// In state `reserved`: kept for an owner that outlives its holders, in use by nobody. Not what Reservations set aside.
    pub reserved: String,
    pub cooling: String,
    pub free: String,
    /// What Reservations set aside, in use or not; left out of `total`.
    #[serde(default)]
    pub set_aside: String,
    pub order: String,
    pub default: bool,
    pub namespaces: Vec<String>,
    pub networks: Vec<String>,
    /// What keeps the declared object from being in force, where something does: this row is then the last accepted
    /// one (O6).
    #[serde(default)]
    pub condition: Option<String>,
}

/// One pool, one row per family.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolRow {
    pub name: String,
    pub subnet: String,
    pub family: String,
    pub ranges: Vec<String>,
    pub total: String,
    /// In use; also those asked for by name that are not in `total`.
    pub active: String,
    /// In state `reserved`: kept for an owner that outlives its holders, in use by nobody. Not what Reservations set aside.
    pub reserved: String,
    pub cooling: String,
    pub free: String,
    /// What Reservations set aside, in use or not; left out of `total`.
    #[serde(default)]
    pub set_aside: String,
    /// What keeps the declared object from being in force, where something does: this row is then the last accepted
    /// one (O6).
    #[serde(default)]
    pub condition: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservationRow {
    pub name: String,
    pub subnet: String,
    pub addresses: Vec<String>,
    pub owner: Option<OwnerRow>,
    pub reason: String,
    /// How many of its addresses are in use.
    pub active: String,
    /// What keeps the declared object from being in force, where something does: this row is then the last accepted
    /// one (O6).
    #[serde(default)]
    pub condition: Option<String>,
}

/// Why an owner has what it has, or what stands in its way now.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyRow {
    pub owner: OwnerRow,
    pub address: Option<IpRow>,
    /// A sentence.
    pub why: String,
    /// The last refusal's code, where there is one.
    pub code: Option<String>,
    /// The numbers behind a refusal, in the order in which they are read.
    #[serde(default)]
    pub counts: Vec<CountRow>,
    pub hint: Option<String>,
    /// RFC 3339, UTC: when it was refused; of an address, its last change of state.
    #[serde(default)]
    pub since: Option<String>,
}

/// One number of a refusal, such as `held` 254.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CountRow {
    pub what: String,
    pub value: String,
}

/// What one VRF knows of an address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhoHasRow {
    pub address: String,
    pub vrf: String,
    pub subnet: Option<String>,
    pub pool: Option<String>,
    /// `active`, `reserved` or `cooling` as in an [`IpRow`]; else `free`, `excluded`, `gateway`, `edge` (the network or
    /// broadcast address) or `outside` every subnet.
    pub state: String,
    /// Its record, where somebody has or had it.
    pub allocation: Option<IpRow>,
    /// A sentence.
    pub text: String,
}

/// What `audit` found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub severity: Severity,
    /// `outside-subnet`, `doubled`, `unrecorded`, `no-namespace`, `overdue-cooling` (O9).
    pub code: String,
    pub address: Option<String>,
    pub vrf: Option<String>,
    pub owner: Option<OwnerRow>,
    pub text: String,
    pub hint: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// `audit` exits 1.
    Error,
    Warning,
}

/// One file, as `POST /v1/check` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckFile {
    /// As the rows shall name it.
    pub name: String,
    /// YAML, one or more documents.
    pub text: String,
}

/// What would be wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckRow {
    pub file: String,
    pub line: Option<u64>,
    pub object: Option<String>,
    pub field: Option<String>,
    pub text: String,
    pub hint: Option<String>,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportRow {
    /// Objects and addresses taken over.
    pub objects: u64,
    pub addresses: u64,
    /// Those that were there already.
    pub unchanged: u64,
}

/// Why an endpoint other than `/v1/cni` could not answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    pub error: String,
    #[serde(default)]
    pub hint: String,
    /// What stood in the way, one line each.
    #[serde(default)]
    pub details: Vec<String>,
}
