//! The driver: real pods, and plugins that are called as a runtime calls them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use allotment_fleet::{Kubelet, Namespace, Networks, Plugin, Pods, Template};
use allotment_lab::stock;
use futures_util::future::join_all;
use serde_json::json;

use crate::plane;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn pods_get_addresses_of_a_real_plugin_and_give_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let plugin = Plugin::new(stock::pinned(&root).unwrap().join("host-local"));
    let data = folder.path().join("data");
    let config = json!({"cniVersion": "1.0.0", "name": "pods", "type": "host-local",
        "ipam": {"type": "host-local", "dataDir": data, "ranges": [[{"subnet": "10.9.0.0/24"}]]}});
    let kubelet = Kubelet::new(plugin, Networks { default: Some(config), ..Networks::default() });
    let pods = Pods::new(plane().client().unwrap());
    pods.nodes(&["driver-1"]).await.unwrap();
    let templates: Vec<_> =
        (0..20).map(|number| Template::new("default", &format!("driven-{number}")).on("driver-1")).collect();
    let made = pods.create_all(&templates).await.unwrap();
    let namespace = Namespace::new(folder.path()).unwrap();
    let started = join_all(made.iter().map(|pod| kubelet.start(pod, namespace.path(), PATIENCE))).await;
    let started: Vec<_> = started.into_iter().map(Result::unwrap).collect();
    let addresses: BTreeSet<_> = started.iter().flat_map(|pod| pod.sandbox.addresses().unwrap()).collect();
    assert_eq!(addresses.len(), 20);
    for pod in &started {
        kubelet.stop(&pod.sandbox).await.unwrap();
        pods.remove(&pod.sandbox.pod).await.unwrap();
    }
    assert!(pods.get(&made[0]).await.unwrap().is_none());
    let left = fs::read_dir(data.join("pods")).unwrap().flatten().map(|entry| entry.file_name());
    assert!(left.filter(|name| name.to_string_lossy().starts_with("10.")).count() == 0);
}

#[tokio::test]
async fn a_failed_attempt_is_taken_back_and_the_next_has_another_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("plugin");
    // It refuses the second interface of the first sandbox.
    let text = format!(
        "#!/bin/sh\necho \"$CNI_COMMAND $CNI_IFNAME $CNI_CONTAINERID\" >>{0}/calls\n\
         if [ $CNI_COMMAND$CNI_IFNAME = ADDnet1 ] && mkdir {0}/once 2>/dev/null; then echo '{{\"code\":100}}'; exit 1; fi\n\
         echo '{{\"ips\":[{{\"address\":\"10.0.0.2/24\"}}]}}'\n",
        folder.path().display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let config = json!({"cniVersion": "1.0.0", "name": "pods"});
    let networks =
        Networks { default: Some(config.clone()), ..Networks::default() }.define("default/a", config);
    let pods = Pods::new(plane().client().unwrap());
    let template = Template::new("default", "attempted").annotate("k8s.v1.cni.cncf.io/networks", "a");
    let pod = pods.create(&template).await.unwrap();
    pods.nodes(&["driver-2"]).await.unwrap();
    let pod = pods.bind(&pod, "driver-2").await.unwrap();
    let kubelet = Kubelet::new(Plugin::new(script), networks);
    let started = kubelet.start(&pod, Path::new("/proc/self/ns/net"), PATIENCE).await.unwrap();
    assert_eq!(started.failed.len(), 1);
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    let calls: Vec<Vec<&str>> = calls.lines().map(|line| line.split(' ').collect()).collect();
    let verbs: Vec<String> = calls.iter().map(|call| format!("{} {}", call[0], call[1])).collect();
    assert_eq!(verbs, ["ADD eth0", "ADD net1", "DEL net1", "DEL eth0", "ADD eth0", "ADD net1"]);
    assert!(calls[..4].iter().all(|call| call[2] == calls[0][2]) && calls[4][2] != calls[0][2]);
}

#[test]
fn a_namespace_is_another_one_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let namespace = Namespace::new(folder.path()).unwrap();
    let id = |path: &Path| fs::read_link(path).unwrap();
    assert_ne!(id(namespace.path()), id(Path::new("/proc/self/ns/net")));
    namespace.end().unwrap();
    assert!(!namespace.path().exists());
}
