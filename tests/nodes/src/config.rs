//! The configuration of a node's programs. All of them find their files where they are on any machine: see `init`.

use std::path::Path;

use serde_json::{Value, json};

use crate::layout::{self, Number};

pub(crate) const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
pub(crate) const CNI_CONFIGS: &str = "/etc/cni/net.d";
pub(crate) const CNI_PROGRAMS: &str = "/opt/cni/bin";
/// What is put there runs on the node, whoever leads the cluster.
pub const STATIC_PODS: &str = "/etc/kubernetes/manifests";
pub(crate) const MULTUS_KUBECONFIG: &str = "/etc/cni/multus.kubeconfig";

/// containerd's, version 2 of its format.
pub(crate) fn containerd(runc: &Path) -> String {
    let runc = runc.display();
    format!(
        r#"version = 2
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.local/pause:1"
  # Root of a container cannot always do these, and nothing here is about them.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PROGRAMS}"
    conf_dir = "{CNI_CONFIGS}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
"#
    )
}

/// kubelet's. It is JSON, which YAML takes in.
pub(crate) fn kubelet(number: Number, cgroup: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout::node_address(number).to_string(),
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD_SOCKET}"),
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "staticPodPath": STATIC_PODS,
        "maxPods": 250,
        "serializeImagePulls": false,
        // A node that is gone is seen to be within half a minute instead of one.
        "nodeLeaseDurationSeconds": 12,
        "nodeStatusUpdateFrequency": "5s",
        // Several nodes share this machine: none takes its cgroups, its memory or its disk for its own.
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": false,
        "failSwapOn": false,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%",
        },
        "makeIPTablesUtilChains": false,
        // Pods resolve nothing: nobody has this address. Without one kubelet complains at every pod.
        "clusterDNS": ["10.200.0.10"],
        "resolvConf": "",
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "eventRecordQPS": 100,
        "eventBurst": 200,
    })
}

/// Multus, as a plugin that the runtime starts ("thin"), with the cluster's own network inside.
pub(crate) fn multus() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "multus",
        "type": "multus",
        "kubeconfig": MULTUS_KUBECONFIG,
        "logLevel": "error",
        "logFile": "/var/log/multus.log",
        "delegates": [pods()],
    })
}

/// The cluster's own network: one wire for all pods, whichever node they are on, and one subnet of ours for all of it.
pub(crate) fn pods() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "type": "bridge",
        "bridge": "cni0",
        "ipam": {"type": "allotment", "subnets": ["pods"]},
    })
}
