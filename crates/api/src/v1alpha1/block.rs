//! `AddressBlock`: the ledger's unit on the API server.

use serde::{Deserialize, Serialize};

/// Records of one 256-aligned run of addresses of a VRF, or the last accepted content of one object; the controller's own,
/// written by nobody else (L1–L3).
#[cfg_attr(feature = "kube", derive(kube::CustomResource, schemars::JsonSchema))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "allotment.dev",
        version = "v1alpha1",
        kind = "AddressBlock",
        plural = "addressblocks",
        derive = "PartialEq"
    )
)]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressBlockSpec {
    /// What is stored here, for people: `default 10.40.3.0` or `Subnet rack-a`.
    pub of: String,
    /// Records, packed: format, checksum, content. Nothing but the controller reads it.
    pub data: String,
}
