//! What the tool is told by a cluster, on a real API server, and whom it asks.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_api::annotation;
use allotment_controller::ledger::KubeLedger;
use allotment_core::{Attachment, Object, Owner, Release, ReleaseMode, Request, SubnetSpec, Target, Want};
use allotment_engine::{Engine, Handle};
use allotment_fleet::{ControlPlane, Pod, Pods, Template, objects};
use kube::Client;
use serde_json::{Value, json};

use crate::daemon::{Done, wait_for};
use crate::metrics;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// A cluster whose ledger has a subnet `rack-a`.
struct Cluster {
    plane: ControlPlane,
    client: Client,
    pods: Pods,
    handle: Handle,
}

impl Cluster {
    async fn start() -> Cluster {
        let plane = ControlPlane::start().unwrap();
        let client = plane.client().unwrap();
        objects::install(&client, Path::new(env!("CARGO_BIN_EXE_allot"))).await.unwrap();
        let pods = Pods::new(client.clone());
        pods.namespace("shop").await.unwrap();
        pods.nodes(&["n1"]).await.unwrap();
        let ledger = KubeLedger::new(client.clone(), tokio::runtime::Handle::current());
        let handle = tokio::task::spawn_blocking(|| Engine::open(ledger)).await.unwrap().unwrap();
        let mut rack = SubnetSpec::new("rack-a", vec!["10.40.0.0/24".parse().unwrap()]);
        rack.networks = vec!["shop/lan".to_owned()];
        handle.put(Object::Subnet(rack)).await.unwrap();
        Cluster { plane, client, pods, handle }
    }

    /// Runs the tool as somebody with this kubeconfig would.
    fn tool(&self, args: &[&str]) -> Done {
        let file = self.plane.kubeconfig();
        let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
        done(
            command
                .args(args)
                .arg("--kubeconfig")
                .arg(file)
                .env_remove("KUBECONFIG")
                .env_remove("ALLOTMENT_SOCKET"),
        )
    }

    fn rows(&self, args: &[&str]) -> Vec<Value> {
        let done = self.tool(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {done:?}"))
    }

    async fn pod(&self, name: &str) -> Pod {
        let template = Template::new("shop", name).on("n1").annotate(annotation::SUBNETS, "rack-a");
        self.pods.create(&template).await.unwrap()
    }

    /// Records an address for a pod, and shows it.
    async fn grant(&self, pod: &Pod) -> String {
        let attachment = Attachment {
            holder: pod.uid.clone(),
            interface: "eth0".to_owned(),
            node: "n1".to_owned(),
            ..Attachment::default()
        };
        let targets = vec![Target::Subnet("rack-a".to_owned())];
        let owner = Owner {
            kind: "Pod".to_owned(),
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        };
        let wants = vec![Want { attachment, targets, ..Want::default() }];
        let request = Request { owner, namespace: pod.namespace.clone(), wants, ..Request::default() };
        let grant = self.handle.allocate(request, soon()).await.unwrap();
        let address = grant.entries[0].ips[0].address.to_string();
        let ip = json!({"address": address, "prefix": 24, "vrf": "default", "subnet": "rack-a"});
        let shown = json!({"pod": pod.uid, "attachments": [{"interface": "eth0", "ips": [ip]}]});
        self.annotate(pod, annotation::GRANT, &shown).await;
        address
    }

    async fn annotate(&self, pod: &Pod, key: &str, value: &Value) {
        let merge = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "namespace": pod.namespace, "name": pod.name, "annotations": {key: value.to_string()},
        }});
        objects::apply(&self.client, &merge.to_string()).await.unwrap();
    }
}

fn done(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// The findings' codes and addresses.
fn codes(rows: &[Value]) -> Vec<(&str, &str)> {
    rows.iter().map(|row| (row["code"].as_str().unwrap(), row["address"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_answers_as_a_daemon_does() {
    let cluster = Arc::new(Cluster::start().await);
    lists_and_questions(&cluster).await;
    pods_without_addresses(&cluster).await;
    audits(&cluster).await;
    let copy = cluster.tool(&["export"]);
    assert!(copy.code == 0 && copy.out.lines().count() > 3, "{copy:?}");
    let denied = cluster.plane.kubeconfig_for("nobody", &[]).unwrap();
    let done = done(Command::new(env!("CARGO_BIN_EXE_allot")).arg("ip").arg("--kubeconfig").arg(denied));
    assert_eq!(done.code, 2, "{done:?}");
    assert!(
        done.err.contains("list") && done.err.contains(".allotment.dev"),
        "it says what is not allowed: {done:?}"
    );
    cluster.handle.stop().await;
    tokio::task::spawn_blocking(move || what_is_shown_is_told(&cluster)).await.unwrap();
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

impl Cluster {
    /// Starts it with its metrics on a port that was free a moment ago.
    fn run(&self, args: &[&str]) -> (Running, String) {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
        command.args(args).arg("--kubeconfig").arg(self.plane.kubeconfig()).args(["--metrics", &address]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        (Running(child), address)
    }
}

/// The reference has every metric of controller and agent, and no other.
fn what_is_shown_is_told(cluster: &Cluster) {
    let page = cluster.tool(&["reference", "metrics"]).out;
    let wait = |section: &str, address: &str, unless_called: &[&str]| {
        let mut told = metrics::told(&page, section);
        told.retain(|name| !unless_called.contains(&name.as_str()));
        let mut last = BTreeSet::new();
        wait_for(&format!("{section} shows what the page tells"), || {
            if TcpStream::connect(address).is_ok() {
                last = metrics::shown(&metrics::get(address, "/metrics").1);
                let new: Vec<_> = last.difference(&metrics::told(&page, section)).cloned().collect();
                assert!(new.is_empty(), "{section} shows what no page tells: {new:?}");
            }
            told.is_subset(&last).then_some(())
        });
    };
    let (_controller, address) = cluster.run(&["controller"]);
    wait("Controller", &address, &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (socket, state) = (path("a.sock"), path("state"));
    let (_agent, address) = cluster.run(&["agent", "--node", "n1", "--socket", &socket, "--state", &state]);
    wait("Agent", &address, &["allotment_cni_calls_total", "allotment_cni_call_duration_seconds"]);
}

async fn lists_and_questions(cluster: &Cluster) {
    let subnet = &cluster.rows(&["subnet", "rack-a"])[0];
    assert_eq!((&subnet["total"], &subnet["active"]), (&json!("253"), &json!("0")));
    let declared = "{apiVersion: allotment.dev/v1alpha1, kind: Subnet, metadata: {name: late}, spec: {cidrs: [10.41.0.0/24]}}";
    objects::apply(&cluster.client, declared).await.unwrap();
    let table = cluster.tool(&["subnet"]);
    assert!(table.err.contains("Subnet `late`: the controller has not looked at it yet"), "{table:?}");

    let pod = cluster.pod("cart").await;
    let address = cluster.grant(&pod).await;
    let rows = cluster.rows(&["ip"]);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["address"], &rows[0]["node"], &rows[0]["state"]),
        (&json!(address), &json!("n1"), &json!("active"))
    );
    assert_eq!(rows[0]["owner"], json!({"kind": "Pod", "namespace": "shop", "name": "cart", "uid": pod.uid}));
    let who = cluster.tool(&["who-has", &address]);
    assert_eq!(who.code, 0, "{who:?}");
    assert!(who.out.contains("Pod shop/cart has it on eth0"), "{who:?}");
    assert_eq!(cluster.tool(&["who-has", "10.40.0.99"]).code, 1, "nobody has it");
    let why = cluster.tool(&["why", "shop/cart"]);
    assert!(why.code == 0 && why.out.contains("on eth0 of the default network"), "{why:?}");
    assert!(why.code == 0 && why.out.contains("because the request named it"), "{why:?}");
    let check = cluster.tool(&["check", "/nonexistent"]);
    assert_eq!(check.code, 2, "{check:?}");
}

async fn pods_without_addresses(cluster: &Cluster) {
    cluster.pod("new").await;
    let why = cluster.tool(&["why", "shop/new"]);
    assert_eq!(why.code, 1, "{why:?}");
    assert!(why.out.contains("waits for the agent of node `n1`"), "{why:?}");
    let waiting = cluster.pod("late").await;
    let refusal = json!({"pod": waiting.uid, "code": "full", "text": "subnet `rack-a` has no free address", "hint": "add one"});
    cluster.annotate(&waiting, annotation::REFUSAL, &refusal).await;
    let why = cluster.tool(&["why", "Pod/shop/late"]);
    assert_eq!(why.code, 1, "{why:?}");
    assert!(
        why.out.contains(
            "waits on node `n1`, number 1 of 1 that wait: subnet `rack-a` has no free address (full)"
        ),
        "{why:?}"
    );
    assert!(why.out.contains("hint: add one"), "{why:?}");
    let nobody = cluster.tool(&["why", "shop/nobody"]);
    assert_eq!((nobody.code, nobody.out.as_str()), (1, ""));
}

async fn audits(cluster: &Cluster) {
    let clean = cluster.tool(&["audit"]);
    assert_eq!((clean.code, clean.err.as_str()), (0, "0 errors, 0 warnings\n"), "{clean:?}");
    let gone = cluster.pod("gone").await;
    let address = cluster.grant(&gone).await;
    cluster.pods.remove(&gone).await.unwrap();
    let rows = cluster.rows(&["audit"]);
    assert_eq!(codes(&rows), [("ending", address.as_str())]);
    assert!(rows[0]["text"].as_str().unwrap().contains("no agent has published for node `n1`"), "{rows:?}");
    assert_eq!(cluster.tool(&["audit"]).code, 0, "a warning is no fault");

    let lost = cluster.pod("lost").await;
    let shown = cluster.grant(&lost).await;
    let release = Release::Address {
        vrf: "default".to_owned(),
        address: shown.parse().unwrap(),
        holder: lost.uid.clone(),
        mode: ReleaseMode::Cool,
        since: None,
    };
    cluster.handle.release(release, soon()).await.unwrap();
    let done = cluster.tool(&["audit"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.out.contains("pod shop/lost shows it, and the ledger gives it to nobody"), "{done:?}");
}

#[test]
fn nobody_to_ask_is_told_with_all_that_was_tried() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
    command.arg("ip").env_clear().env("HOME", folder.path());
    let socket = Path::new(allotment_wire::DEFAULT_SOCKET);
    assert!(!socket.exists(), "this machine has a daemon of its own");
    let told = done(&mut command);
    assert_eq!(told.code, 2, "{told:?}");
    for tried in
        [allotment_wire::DEFAULT_SOCKET, "--kubeconfig", "KUBECONFIG", ".kube/config", "pod's account"]
    {
        assert!(told.err.contains(tried), "{tried}: {told:?}");
    }
    let file = folder.path().join("none");
    let told = done(command.arg("--kubeconfig").arg(&file));
    assert!(
        told.code == 2 && told.err.contains(&format!("kubeconfig `{}` cannot be used", file.display())),
        "{told:?}"
    );
    let told = done(Command::new(env!("CARGO_BIN_EXE_allot")).args([
        "ip",
        "--socket",
        "/nonexistent",
        "--kubeconfig",
        "/k",
    ]));
    assert!(told.code == 2 && told.err.contains("one can be asked"), "{told:?}");
}
