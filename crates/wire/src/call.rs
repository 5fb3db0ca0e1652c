//! One call of the plugin, carried to the daemon as it came.

use serde::{Deserialize, Serialize};

/// What the runtime told the plugin: the environment and the network configuration of CNI SPEC 1.1.0, section 2.
///
/// This is the body of `POST /v1/cni`, and of a file in `pending-del/`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CniCall {
    pub command: Command,
    /// `CNI_CONTAINERID`; empty for GC and STATUS.
    #[serde(default)]
    pub container_id: String,
    /// `CNI_NETNS`; a DEL may have none.
    #[serde(default)]
    pub netns: String,
    /// `CNI_IFNAME`.
    #[serde(default)]
    pub ifname: String,
    /// `CNI_ARGS` as it came: `K=V;K=V`, keys may repeat.
    #[serde(default)]
    pub args: String,
    /// The network configuration from stdin, as it came; null where a DEL came without one that can be read.
    pub config: serde_json::Value,
}

/// `CNI_COMMAND`, without VERSION: the plugin answers that one itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Command {
    Add,
    Del,
    Check,
    Gc,
    Status,
}
