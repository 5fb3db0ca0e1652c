//! `docs/guides/kubernetes.md`: its accounts run a controller and an agent, and its pods get what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use allotment_api::annotation;
use allotment_fleet::programs::{self, root};
use allotment_fleet::{ControlPlane, Pod, Pods, Template, objects};
use kube::Client;
use serde_json::{Value, json};

/// Longer than anything here takes on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_mins(1);

/// The blocks of the guide in one language.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/guides/kubernetes.md")).unwrap();
    let begin = format!("```{language}\n");
    let blocks = text.split(&begin).skip(1).map(|rest| rest.split_once("\n```").expect("a block ends").0);
    blocks.map(str::to_owned).collect()
}

/// The objects of the guide.
fn documents() -> Vec<Value> {
    blocks("yaml").iter().flat_map(|block| serde_saphyr::from_multiple::<Value>(block).unwrap()).collect()
}

/// A program of ours that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn wait_a_little() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

struct Cluster {
    plane: ControlPlane,
    client: Client,
    pods: Pods,
    folder: tempfile::TempDir,
}

impl Cluster {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The kubeconfig of an account of the guide, as a pod of its namespace has it.
    async fn account(&self, name: &str, node: Option<&str>) -> PathBuf {
        let file = self.plane.kubeconfig_of("allotment-system", name, node).await.unwrap();
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        config["contexts"][0]["context"]["namespace"] = json!("allotment-system");
        fs::write(&file, config.to_string()).unwrap();
        file
    }

    /// `kubectl`, and `allot` under both of its names.
    fn programs(&self) {
        let (bin, allot) = (self.path("bin"), env!("CARGO_BIN_EXE_allot"));
        fs::create_dir(&bin).unwrap();
        symlink(programs::path("kubectl").unwrap(), bin.join("kubectl")).unwrap();
        symlink(allot, bin.join("allot")).unwrap();
        symlink(allot, bin.join("kubectl-allot")).unwrap();
    }

    /// What a person sees who enters this block at the root of the checkout.
    fn enter(&self, block: &str) -> String {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell
            .args(["-euc", block])
            .current_dir(root())
            .env("PATH", path)
            .env("KUBECONFIG", self.plane.kubeconfig());
        let Output { status, stdout, stderr } = shell.output().unwrap();
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert!(status.success(), "{block}\n{said}");
        said
    }

    fn run(&self, args: &[&str], kubeconfig: &Path) -> Running {
        let log = fs::File::create(self.path(args[0])).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
        command.args(args).arg("--kubeconfig").arg(kubeconfig).stdin(Stdio::null()).stderr(log);
        Running(command.spawn().unwrap())
    }

    /// A pod as its workload's controller would make it, bound.
    async fn replica(&self, workload: &Value, name: &str) -> Pod {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (kind, of) = match text(&workload["kind"]).as_str() {
            "Deployment" => ("ReplicaSet", format!("{}-1", text(&workload["metadata"]["name"]))),
            kind => (
                if kind == "StatefulSet" { "StatefulSet" } else { panic!("{kind}") },
                text(&workload["metadata"]["name"]),
            ),
        };
        let template = &workload["spec"]["template"];
        let made = Template::new(&text(&workload["metadata"]["namespace"]), name)
            .on("n1")
            .label("pod-template-hash", "1")
            .owned_by("apps/v1", kind, &of, "00000000-0000-4000-8000-000000000001")
            .edit(|pod| pod["metadata"]["annotations"] = template["metadata"]["annotations"].clone());
        self.pods.create(&made).await.unwrap()
    }

    /// What a pod shows under a key, once it does.
    async fn shown(&self, pod: &Pod, key: &str) -> Value {
        let deadline = Instant::now() + LIMIT;
        loop {
            let object = self.pods.get(pod).await.unwrap().expect("nobody deletes it");
            if let Some(text) = object.metadata.annotations.unwrap_or_default().get(key) {
                return serde_json::from_str(text).unwrap();
            }
            let logs =
                ["controller", "agent"].map(|name| fs::read_to_string(self.path(name)).unwrap_or_default());
            assert!(Instant::now() < deadline, "{} shows no {key}:\n{}", pod.name, logs.join("\n"));
            wait_a_little().await;
        }
    }

    /// Interface, subnet and addresses of each attachment.
    async fn granted(&self, pod: &Pod) -> Vec<(String, String, Vec<String>)> {
        let grant = self.shown(pod, annotation::GRANT).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let attachments = grant["attachments"].as_array().unwrap().iter();
        let line = |at: &Value| {
            let ips = at["ips"].as_array().unwrap();
            (
                text(&at["interface"]),
                text(&ips[0]["subnet"]),
                ips.iter().map(|ip| text(&ip["address"])).collect(),
            )
        };
        attachments.map(line).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_from_its_accounts_to_its_addresses() {
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start().unwrap()).await.unwrap();
    let client = plane.client().unwrap();
    // Multus brings the kind of its networks.
    objects::apply(&client, objects::NETWORKS).await.unwrap();
    let pods = Pods::new(client.clone());
    pods.nodes(&["n1"]).await.unwrap();
    let cluster = Cluster { plane, client, pods, folder: tempfile::tempdir().unwrap() };
    cluster.programs();
    let blocks = blocks("sh");
    let [install, published, look] = &blocks[..] else { panic!("{blocks:?}") };
    cluster.enter(install);

    let mut bound: BTreeMap<String, Pod> = BTreeMap::new();
    let mut workloads = BTreeMap::new();
    for document in documents() {
        objects::apply(&cluster.client, &document.to_string()).await.unwrap();
        let name = document["metadata"]["name"].as_str().unwrap().to_owned();
        match document["kind"].as_str().unwrap() {
            "Pod" => {
                let template = Template::new(document["metadata"]["namespace"].as_str().unwrap(), &name);
                let pod = cluster.pods.find(&template).await.unwrap();
                bound.insert(name, cluster.pods.bind(&pod, "n1").await.unwrap());
            }
            "Deployment" | "StatefulSet" => drop(workloads.insert(name, document)),
            _ => {}
        }
    }
    let controller = cluster.account("allotment-controller", None).await;
    let agent = cluster.account("allotment-agent", Some("n1")).await;
    let controller = cluster.run(&["controller"], &controller);
    let (socket, state) = (cluster.path("a.sock"), cluster.path("state"));
    let (socket, state) = (socket.to_str().unwrap(), state.to_str().unwrap());
    let agent = cluster.run(&["agent", "--node", "n1", "--socket", socket, "--state", state], &agent);

    single_pods(&cluster, &bound).await;
    replicas(&cluster, &workloads).await;
    assert!(cluster.enter(published).contains("n1"));
    let said = cluster.enter(look);
    for words in ["rack-a", "10.40.0.53", "Pod shop/dns: has 10.40.0.53", "0 errors"] {
        assert!(said.contains(words), "`{words}` was expected:\n{said}");
    }
    drop((controller, agent));
}

async fn single_pods(cluster: &Cluster, pods: &BTreeMap<String, Pod>) {
    let recorder = cluster.granted(&pods["recorder"]).await;
    let short: Vec<_> =
        recorder.iter().map(|(at, subnet, ips)| (at.as_str(), subnet.as_str(), ips.len())).collect();
    assert_eq!(short, [("net1", "rack-a", 2), ("net2", "media", 1), ("backup", "rack-a", 1)]);
    assert!(recorder[2].2[0].starts_with("10.40."), "{recorder:?}");
    assert_eq!(cluster.granted(&pods["gateway"]).await[0].1, "core-1");
    assert_eq!(
        cluster.shown(&pods["gateway"], annotation::GRANT).await["attachments"][0]["mac"],
        "02:00:5e:00:00:17"
    );
    let dns = &cluster.granted(&pods["dns"]).await[0];
    assert_eq!((dns.0.as_str(), dns.2.join(" ")), ("eth0", "10.40.0.53 fd00:40::53".to_owned()));
}

async fn replicas(cluster: &Cluster, workloads: &BTreeMap<String, Value>) {
    let mut taken = BTreeSet::new();
    let first = cluster.replica(&workloads["cart"], "cart-1-a").await;
    taken.insert(cluster.granted(&first).await[0].2[0].clone());
    let second = cluster.replica(&workloads["cart"], "cart-1-b").await;
    taken.insert(cluster.granted(&second).await[0].2[0].clone());
    assert_eq!(taken, ["10.40.1.1", "10.40.1.2"].map(str::to_owned).into());
    let third = cluster.replica(&workloads["cart"], "cart-1-c").await;
    assert_eq!(cluster.shown(&third, annotation::REFUSAL).await["code"], "taken");
    // What an old pod gave back its sibling has at once, without cooling.
    cluster.pods.remove(&first).await.unwrap();
    let freed = cluster.granted(&third).await[0].2[0].clone();
    assert!(taken.contains(&freed), "{freed}");

    for (ordinal, address, mac) in
        [(0, "10.40.2.1", "02:00:5e:00:02:01"), (1, "10.40.2.2", "02:00:5e:00:02:02")]
    {
        let pod = cluster.replica(&workloads["db"], &format!("db-{ordinal}")).await;
        assert_eq!(cluster.granted(&pod).await[0].2[0], address);
        assert_eq!(cluster.shown(&pod, annotation::GRANT).await["attachments"][0]["mac"], mac);
    }
    let ledger = cluster.replica(&workloads["ledger"], "ledger-0").await;
    assert_eq!(cluster.granted(&ledger).await[0].1, "rack-a");
}
