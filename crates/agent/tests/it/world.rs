//! One node with its agent, and all who deal with it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use allotment_agent::{Agent, AgentVerbs, Settings};
use allotment_api::annotation;
use allotment_api::v1alpha1::{NodeAttachments, NodeAttachmentsStatus};
use allotment_fleet::{ControlPlane, Namespace, Pod, Pods, Template, objects};
use allotment_node::{BindError, CniService, NodeMetrics, Socket, cni_router, serve};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long something may take that has to come.
const LIMIT: Duration = Duration::from_mins(1);

/// The one control plane of these tests.
pub(crate) fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| ControlPlane::start().expect("a control plane starts"))
}

/// Waits for something that has to come.
pub(crate) async fn wait_until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("it never came: {what}"))
}

/// An error that the runtime was told.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u64,
    pub(crate) msg: String,
    pub(crate) details: String,
}

/// A running agent.
pub(crate) struct Running {
    pub(crate) agent: Arc<Agent>,
    service: Arc<CniService<AgentVerbs>>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    work: JoinHandle<()>,
}

pub(crate) struct World {
    pub(crate) node: String,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) pods: Pods,
    pub(crate) objects: Api<NodeAttachments>,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) running: Option<Running>,
}

impl World {
    /// A node of this name, and its agent, which has published.
    pub(crate) async fn new(node: &str) -> World {
        let mut world = World::without_agent(node).await;
        world.start().await;
        world.ready().await;
        world
    }

    pub(crate) async fn without_agent(node: &str) -> World {
        let plane = tokio::task::spawn_blocking(plane).await.unwrap();
        let client = plane.client().unwrap();
        objects::apply(&client, &allotment_api::crds_yaml()).await.unwrap();
        let pods = Pods::new(client.clone());
        pods.nodes(&[node]).await.unwrap();
        World {
            node: node.to_owned(),
            folder: tempfile::tempdir().unwrap(),
            pods,
            objects: Api::all(client),
            kubeconfig: plane.kubeconfig(),
            running: None,
        }
    }

    pub(crate) fn client(&self) -> &Client {
        self.pods.client()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("allotment.sock")
    }

    /// Starts the agent; it serves at once, whatever the API server does.
    pub(crate) async fn start(&mut self) {
        let client = allotment_cluster::connect(Some(&self.kubeconfig)).await.unwrap();
        let settings = Settings { node: self.node.clone(), state: self.state() };
        let agent =
            wait_until("the state folder", async || Agent::open(&settings, client.clone()).ok()).await;
        let agent = Arc::new(agent);
        let path = self.socket();
        let socket = wait_until("the socket", async || match Socket::bind(&path) {
            Err(BindError::Taken(_)) => None,
            other => Some(other.unwrap()),
        });
        let socket = socket.await;
        let service = CniService::new(agent.verbs(), &path, &NodeMetrics::default()).unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(socket, cni_router(service.clone()), async {
            let _ = stopped.await;
        }));
        let at_work = Arc::clone(&agent);
        let work = tokio::spawn(async move { Box::pin(at_work.run()).await });
        self.running = Some(Running { agent, service, stop, server, work });
    }

    pub(crate) async fn ready(&self) {
        let agent = &self.running.as_ref().unwrap().agent;
        wait_until("the first publication", async || agent.is_ready().then_some(())).await;
    }

    /// Ends the agent, whatever it is about to do.
    pub(crate) async fn stop(&mut self) {
        let Running { agent, service, stop, server, work } = self.running.take().unwrap();
        work.abort();
        let _ = work.await;
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
        drop((agent, service));
    }

    /// A pod that is bound to the node.
    pub(crate) async fn pod(&self, name: &str, annotations: &[(&str, &str)]) -> Pod {
        let name = format!("{}-{name}", self.node);
        let template = Template::new("default", &name).on(&self.node);
        let template =
            annotations.iter().fold(template, |template, (key, value)| template.annotate(key, value));
        self.pods.create(&template).await.unwrap()
    }

    pub(crate) async fn node_uid(&self) -> String {
        let api: Api<allotment_cluster::Node> = Api::all(self.client().clone());
        api.get(&self.node).await.unwrap().metadata.uid.unwrap()
    }

    /// What the controller writes on a pod: `(interface, network, address)`.
    pub(crate) async fn grant(&self, pod: &Pod, entries: &[(&str, &str, &str)]) {
        let grant = grant(&pod.uid, &self.node_uid().await, entries);
        self.annotate(pod, annotation::GRANT, &grant.to_string()).await;
    }

    pub(crate) async fn annotate(&self, pod: &Pod, key: &str, value: &str) {
        let api: Api<allotment_cluster::Pod> = Api::namespaced(self.client().clone(), &pod.namespace);
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        api.patch_metadata(&pod.name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// What the controller writes in the node's object.
    pub(crate) async fn spec(&self, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.objects.patch(&self.node, &PatchParams::default(), &patch).await.unwrap();
    }

    pub(crate) async fn object(&self) -> Option<NodeAttachments> {
        self.objects.get_opt(&self.node).await.unwrap()
    }

    pub(crate) async fn status(&self) -> NodeAttachmentsStatus {
        self.object().await.and_then(|object| object.status).unwrap_or_default()
    }

    /// Waits for a status.
    pub(crate) async fn published(
        &self,
        what: &str,
        is_it: impl Fn(&NodeAttachmentsStatus) -> bool,
    ) -> NodeAttachmentsStatus {
        wait_until(what, async || {
            let status = self.status().await;
            is_it(&status).then_some(status)
        })
        .await
    }

    /// Waits until the agent has told of everything up to a version of the pod, and says which of its addresses live on.
    pub(crate) async fn still(&self, pod: &Pod, as_of: u64) -> Vec<String> {
        self.spec(json!({"reach": as_of.to_string()})).await;
        let status = self.published("a newer asOf", |status| reached(status) >= as_of).await;
        let still = status.still.iter().filter(|still| still.pod == pod.uid);
        still.map(|still| still.address.to_string()).collect()
    }

    /// Makes one call over the socket, as the plugin does.
    pub(crate) fn call(&self, call: &Call) -> impl Future<Output = Result<Value, Failure>> + use<> {
        let (path, body) = (self.socket(), call.0.to_string());
        async move {
            let (status, body) = tokio::task::spawn_blocking(move || exchange(&path, &body)).await.unwrap();
            if status == 200 {
                return Ok(body);
            }
            let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
            Err(Failure { code: body["code"].as_u64().unwrap(), msg: text("msg"), details: text("details") })
        }
    }

    /// The addresses of an ADD's answer.
    pub(crate) async fn add(&self, call: &Call) -> Result<Vec<String>, Failure> {
        let answer = self.call(call).await?;
        let ips = answer["ips"].as_array().unwrap();
        Ok(ips.iter().map(|ip| ip["address"].as_str().unwrap().to_owned()).collect())
    }

    pub(crate) fn namespace(&self) -> Namespace {
        Namespace::new(self.folder.path()).unwrap()
    }
}

/// A grant as it stands on a pod.
pub(crate) fn grant(pod: &str, node_uid: &str, entries: &[(&str, &str, &str)]) -> Value {
    let entries: Vec<Value> = entries.iter().map(attachment).collect();
    json!({"pod": pod, "nodeUID": node_uid, "attachments": entries})
}

/// `(interface, network, address)` of a /16 with a gateway and a default route.
pub(crate) fn attachment((interface, config, address): &(&str, &str, &str)) -> Value {
    json!({
        "interface": interface, "network": format!("default/{config}"), "config": config,
        "ips": [{"address": address, "prefix": 16, "gateway": "10.1.0.1", "vrf": "default", "subnet": "a"}],
        "routes": [{"to": "0.0.0.0/0"}], "dns": {"nameservers": ["10.1.0.53"]},
    })
}

pub(crate) fn reached(status: &NodeAttachmentsStatus) -> u64 {
    status.as_of.parse().unwrap_or_default()
}

/// Puts an address on the `lo` of a namespace, as a main plugin would on an interface, or takes it off.
pub(crate) fn address(namespace: &Namespace, verb: &str, address: &str) {
    let net = format!("--net={}", namespace.path().display());
    let mut command = Command::new("nsenter");
    let output = command.args([&net, "ip", "address", verb, address, "dev", "lo"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn exchange(path: &Path, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(path).unwrap();
    let length = body.len();
    let head =
        format!("POST /v1/cni HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
    (status, if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() })
}

/// A call of the plugin.
#[derive(Clone)]
pub(crate) struct Call(Value);

/// For a pod's interface on a network; the namespace is none unless [`Call::netns`] says so.
pub(crate) fn call(command: &str, pod: &Pod, sandbox: &str, interface: &str, network: &str) -> Call {
    let Pod { namespace, name, uid, .. } = pod;
    let args = format!("K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name};K8S_POD_UID={uid}");
    Call(json!({
        "command": command, "containerId": sandbox, "netns": "/nonexistent/netns", "ifname": interface, "args": args,
        "config": {"cniVersion": "1.1.0", "name": network, "type": "macvlan", "ipam": {"type": "allotment"}},
    }))
}

impl Call {
    pub(crate) fn netns(mut self, namespace: &Namespace) -> Call {
        self.0["netns"] = json!(namespace.path());
        self
    }

    pub(crate) fn args(mut self, args: &str) -> Call {
        self.0["args"] = json!(args);
        self
    }

    pub(crate) fn config(mut self, key: &str, value: Value) -> Call {
        self.0["config"][key] = value;
        self
    }
}
