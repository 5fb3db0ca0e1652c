//! Moving from Whereabouts: what the real plugin has given stays where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use allotment_api::annotation::{GRANT, PodGrant};
use allotment_fleet::{
    Allot, ControlPlane, Kubelet, Namespace, Networks, Pod, Pods, Template, Whereabouts, objects, programs,
    publish,
};
use kube::Client;
use serde_json::{Value, json};

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// Longer than anything here takes on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_mins(1);

const SETS: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  replicas: 1
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: none}]}
";

struct Cluster {
    plane: ControlPlane,
    client: Client,
    pods: Pods,
    folder: tempfile::TempDir,
    whereabouts: Whereabouts,
}

/// What interfaces have, by pod and interface.
type Addresses = BTreeMap<(String, String), BTreeSet<String>>;

impl Cluster {
    async fn start() -> Cluster {
        let plane = tokio::task::spawn_blocking(|| ControlPlane::start().unwrap()).await.unwrap();
        let client = plane.client().unwrap();
        objects::install(&client, Path::new(env!("CARGO_BIN_EXE_allot"))).await.unwrap();
        let pods = Pods::new(client.clone());
        pods.namespace("shop").await.unwrap();
        pods.nodes(&["n1"]).await.unwrap();
        let whereabouts = Whereabouts::install(&plane, &client).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(programs::path("kubectl").unwrap(), bin.join("kubectl")).unwrap();
        symlink(env!("CARGO_BIN_EXE_allot"), bin.join("allot")).unwrap();
        Cluster { plane, client, pods, folder, whereabouts }
    }

    /// The networks, with the `ipam` section that each has; as the API server and as Multus knows them.
    async fn networks(&self, ipam: impl Fn(&str) -> Value) -> Networks {
        let mut networks = Networks::default();
        for name in ["lan", "both"] {
            let config = json!({"cniVersion": "1.0.0", "name": name, "type": "macvlan", "ipam": ipam(name)});
            let object = json!({
                "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
                "metadata": {"namespace": "shop", "name": name}, "spec": {"config": config.to_string()},
            });
            objects::apply(&self.client, &object.to_string()).await.unwrap();
            networks = networks.define(&format!("shop/{name}"), config);
        }
        networks
    }

    /// Exit code, standard output and standard error.
    fn allot(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
        command.args(args).arg("--kubeconfig").arg(self.plane.kubeconfig()).stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a person sees who enters this block in the test's folder.
    fn enter(&self, block: &str) -> String {
        let mut shell = Command::new("sh");
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        shell.args(["-euc", block]).current_dir(self.folder.path()).env("PATH", path);
        let output = shell.env("KUBECONFIG", self.plane.kubeconfig()).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{block}\n{said}");
        said
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path(name);
        fs::write(&file, text).unwrap();
        file
    }

    /// What `kubectl get -o json` of these would write.
    async fn list(&self, kinds: &[(&str, &str, &str)]) -> String {
        let mut items = Vec::new();
        for (version, kind, path) in kinds {
            let list =
                super::sent(&self.client, "GET", path, "application/json", &Value::Null).await.unwrap();
            for mut item in list["items"].as_array().unwrap().clone() {
                (item["apiVersion"], item["kind"]) = (json!(version), json!(kind));
                items.push(item);
            }
        }
        json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
    }

    /// The grant that a pod shows, once it does.
    async fn granted(&self, pod: &Pod, log: impl Fn() -> String) -> Addresses {
        let deadline = Instant::now() + LIMIT;
        loop {
            let shown = self.pods.get(pod).await.unwrap().expect("nobody deletes it");
            if let Some(text) = shown.metadata.annotations.unwrap_or_default().get(GRANT) {
                let grant: PodGrant = serde_json::from_str(text).unwrap();
                let of = |given: allotment_api::annotation::GrantedAttachment| {
                    let ips = given.ips.iter().map(|ip| ip.address.to_string()).collect();
                    ((pod.name.clone(), given.interface), ips)
                };
                return grant.attachments.into_iter().map(of).collect();
            }
            assert!(Instant::now() < deadline, "{} shows no grant: {}", pod.name, log());
            wait_a_little().await;
        }
    }
}

/// The commands of the guide.
fn blocks() -> Vec<String> {
    let text = fs::read_to_string(programs::root().join("docs/guides/from-whereabouts.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split_once("\n```").expect("a block ends").0);
    blocks.map(str::to_owned).collect()
}

async fn wait_a_little() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// What the plugin has answered.
async fn start(kubelet: &Kubelet, pod: &Pod, namespace: &Namespace) -> Addresses {
    let started = kubelet.start(pod, namespace.path(), LIMIT).await.unwrap();
    let mut addresses = Addresses::new();
    for (interface, ip) in started.sandbox.addresses().unwrap() {
        let address = ip.split('/').next().unwrap().to_owned();
        addresses.entry((pod.name.clone(), interface)).or_default().insert(address);
    }
    addresses
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_that_whereabouts_gave_is_kept() {
    let cluster = Cluster::start().await;
    let whereabouts = |name: &str| {
        match name {
        "lan" => cluster.whereabouts.ipam(
            &json!({"range": "10.60.0.10-10.60.0.99/24", "gateway": "10.60.0.1", "exclude": ["10.60.0.12/32"]}),
        ),
        _ => cluster
            .whereabouts
            .ipam(&json!({"ipRanges": [{"range": "10.61.0.0/28"}, {"range": "fd00:61::/64"}]})),
    }
    };
    let networks = cluster.networks(whereabouts).await;
    let kubelet = Kubelet::new(cluster.whereabouts.plugin("n1"), networks);
    let namespace = Namespace::new(cluster.folder.path()).unwrap();
    objects::apply(&cluster.client, SETS).await.unwrap();
    let pod = |name: &str| Template::new("shop", name).on("n1").annotate(NETWORKS, "lan, both, lan@extra");
    let mut pods = Vec::new();
    for name in ["first", "gone", "second"] {
        pods.push(cluster.pods.create(&pod(name)).await.unwrap());
    }
    let set = super::sent(
        &cluster.client,
        "GET",
        "/apis/apps/v1/namespaces/shop/statefulsets/db",
        "application/json",
        &Value::Null,
    );
    let uid = set.await.unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    pods.push(
        cluster.pods.create(&pod("db-0").owned_by("apps/v1", "StatefulSet", "db", &uid)).await.unwrap(),
    );
    let mut given = Addresses::new();
    for pod in &pods {
        given.extend(start(&kubelet, pod, &namespace).await);
    }
    assert_eq!(given.values().map(BTreeSet::len).sum::<usize>(), 16, "{given:?}");
    // Its DEL never comes: Whereabouts keeps its addresses for it.
    let gone = pods.remove(1);
    cluster.pods.remove(&gone).await.unwrap();
    let (left, given): (Addresses, Addresses) =
        given.into_iter().partition(|((pod, _), _)| *pod == gone.name);
    let left: BTreeSet<String> = left.into_values().flatten().collect();

    let plan = planned(&cluster).await;
    taken_over(&cluster, &plan, &given, &left);
    // The guide from its first command on, although the addresses are there already.
    let blocks = blocks();
    let [plans, takes, declares] = &blocks[..] else { panic!("{blocks:?}") };
    cluster.enter(plans);
    assert_eq!(fs::read_to_string(cluster.path("subnets.yaml")).unwrap(), fs::read_to_string(&plan).unwrap());
    cluster.enter(takes);
    assert!(
        fs::read_to_string(cluster.path("left-over.yaml")).unwrap().contains("whereabouts-net-10-60-0-0-24")
    );
    assert!(cluster.enter(declares).contains("0 errors"));
    served(&cluster, &pods, &given, &left).await;
}

/// The plan, from the cluster and from a file alike.
async fn planned(cluster: &Cluster) -> PathBuf {
    let (code, plan, said) = cluster.allot(&["import", "whereabouts"]);
    assert_eq!(code, 0, "{said}");
    let parsed = allotment_api::parse("plan.yaml", &plan);
    assert_eq!(parsed.errors, []);
    let names: Vec<String> = parsed.objects.iter().map(|located| located.value.key().to_string()).collect();
    assert_eq!(names, ["Subnet `net-10-60-0-0-24`", "Subnet `net-10-61-0-0-28`"], "{plan}");
    assert!(
        plan.contains("shop/lan: \"ipam\": {\"type\": \"allotment\", \"subnets\": [\"net-10-60-0-0-24\"]}")
    );
    let group = "whereabouts.cni.cncf.io/v1alpha1";
    let kinds = [
        (group, "IPPool", "/apis/whereabouts.cni.cncf.io/v1alpha1/ippools"),
        (
            group,
            "OverlappingRangeIPReservation",
            "/apis/whereabouts.cni.cncf.io/v1alpha1/overlappingrangeipreservations",
        ),
        (
            "k8s.cni.cncf.io/v1",
            "NetworkAttachmentDefinition",
            "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions",
        ),
    ];
    let list = cluster.file("list.json", &cluster.list(&kinds).await);
    let (code, from_file, said) = cluster.allot(&["import", "whereabouts", "--from", list.to_str().unwrap()]);
    assert_eq!((code, from_file), (0, plan.clone()), "{said}");
    cluster.file("plan.yaml", &plan)
}

/// The import, refused, done, and done again.
fn taken_over(cluster: &Cluster, plan: &Path, given: &Addresses, left: &BTreeSet<String>) {
    let short = cluster
        .file("short.yaml", &fs::read_to_string(plan).unwrap().replace("fd00:61::/64", "fd00:99::/64"));
    let (code, _, said) = cluster.allot(&["import", "whereabouts", short.to_str().unwrap(), "--yes"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("nothing was imported") && said.contains("lies in no subnet"), "{said}");
    let plan = plan.to_str().unwrap();
    let (code, _, said) = cluster.allot(&["import", "whereabouts", plan]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("12 addresses of pods that are there") && said.contains("4 more are set aside"),
        "{said}"
    );
    let (_, rows, _) = cluster.allot(&["ip", "-o", "json"]);
    assert_eq!(rows.trim(), "[]", "nothing was done yet");

    let (code, reservations, said) = cluster.allot(&["import", "whereabouts", plan, "--yes"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("12 addresses taken over"), "{said}");
    let aside: Vec<_> = allotment_api::parse("aside.yaml", &reservations)
        .objects
        .into_iter()
        .filter_map(|located| match located.value {
            allotment_core::Object::Reservation(spec) => Some(spec.addresses),
            _ => None,
        })
        .flatten()
        .collect();
    for address in left {
        assert!(aside.iter().any(|range| range.contains(address.parse().unwrap())), "{address}: {aside:?}");
    }
    assert_eq!(aside.iter().map(allotment_core::IpRange::count).sum::<u128>(), 4);
    let rows: Vec<Value> = serde_json::from_str(&cluster.allot(&["ip", "-o", "json"]).1).unwrap();
    let mut recorded = Addresses::new();
    for row in &rows {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        assert_eq!((text(&row["state"]), text(&row["node"])), ("active".to_owned(), "n1".to_owned()));
        let key = (text(&row["owner"]["name"]), text(&row["attachment"]["interface"]));
        recorded.entry(key).or_default().insert(text(&row["address"]));
    }
    assert_eq!(recorded, *given);
    assert!(rows.iter().any(|row| row["owner"]["kind"] == "StatefulSet"), "{rows:?}");
    cluster.file("aside.yaml", &reservations);

    let (code, again, said) = cluster.allot(&["import", "whereabouts", plan, "--yes"]);
    assert_eq!((code, again), (0, reservations), "{said}");
    assert!(said.contains("0 addresses taken over") && said.contains("12 were there already"), "{said}");
}

/// From now on addresses come from here: pods that run keep theirs, new ones get others.
async fn served(cluster: &Cluster, pods: &[Pod], given: &Addresses, left: &BTreeSet<String>) {
    let ours = |name: &str| {
        let subnet = if name == "lan" { "net-10-60-0-0-24" } else { "net-10-61-0-0-28" };
        json!({"type": "allotment", "subnets": [subnet]})
    };
    cluster.networks(ours).await;
    let bin = Path::new(env!("CARGO_BIN_EXE_allot")).parent().unwrap();
    let allot = Allot::new(&cluster.plane, bin).unwrap();
    let controller = allot.controller("controller", &cluster.plane.kubeconfig()).unwrap();
    tokio::task::block_in_place(|| controller.start()).unwrap();
    publish(&cluster.client, "n1").await.unwrap();
    let mut shown = Addresses::new();
    for pod in pods {
        shown.extend(cluster.granted(pod, || controller.server.words()).await);
    }
    assert_eq!(shown, *given);
    let mut taken: BTreeSet<String> = given.values().flatten().chain(left).cloned().collect();
    for name in ["new-1", "new-2"] {
        let new = Template::new("shop", name).on("n1").annotate(NETWORKS, "lan, both");
        let new = cluster.pods.create(&new).await.unwrap();
        for address in cluster.granted(&new, || controller.server.words()).await.into_values().flatten() {
            assert!(taken.insert(address.clone()), "{address} was somebody's");
        }
    }
    assert!(!taken.contains("10.60.0.12") && taken.iter().all(|ip| ip != "10.60.0.9"), "{taken:?}");
    let (code, findings, said) = cluster.allot(&["audit"]);
    assert_eq!(code, 0, "{findings}{said}");
    controller.server.stop().unwrap();
}
