//! What the manifests allow controllers and agents: all that they ask for, and nothing that they do not.
//!
//! They run as the manifests' accounts and do whatever they ever do, while the API server's audit log notes each request. Then
//! each right is taken away alone, and the very request that it was for is refused.

mod right;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use allotment_fleet::{
    Agent, Allot, ControlPlane, Controller, Kubelet, Namespace, Networks, Pod, Pods, Server, Settings,
    Template, bin, objects, wait_published,
};
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use self::right::{Asked, Right};
use crate::client_of;
use crate::world::{PATIENCE, config};

const MANIFESTS: &str = include_str!("../../../../deploy/manifests/allotment.yaml");
const NAMESPACE: &str = "allotment-system";
pub(crate) const NODES: [&str; 2] = ["rights-1", "rights-2"];
const POLL: Duration = Duration::from_millis(20);

/// Every request of our accounts, and of nobody else.
const AUDIT: &str = r#"{
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts:allotment-system"]}, {"level": "None"}]
}"#;

/// The same event again is written after five minutes: the controller's unit tests have it.
const LATER: [(&str, &str, &str); 1] = [("events.k8s.io", "events", "patch")];

/// Whose rights, and where they stand.
const ROLES: [(&str, &str); 3] = [
    ("allotment-controller", "/apis/rbac.authorization.k8s.io/v1/clusterroles/allotment-controller"),
    (
        "allotment-controller",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/allotment-system/roles/allotment-controller",
    ),
    ("allotment-agent", "/apis/rbac.authorization.k8s.io/v1/clusterroles/allotment-agent"),
];

/// A cluster installed from the manifests, but for the pods that they make.
pub(crate) struct Installed {
    pub(crate) plane: ControlPlane,
    pub(crate) admin: Client,
    pub(crate) pods: Pods,
    pub(crate) allot: Allot,
    log: PathBuf,
    pub(crate) folder: TempDir,
}

impl Installed {
    /// An agent on each node, with its own account; all of them have published.
    pub(crate) async fn agents(&self) -> Vec<Agent> {
        let mut agents = Vec::new();
        for node in NODES {
            let file = self.account("allotment-agent", Some(node)).await;
            let agent = self.allot.agent(node, &file).unwrap();
            agent.start().unwrap();
            agents.push(agent);
        }
        wait_published(&self.admin, NODES.len()).await.unwrap();
        agents
    }

    /// Plays kubelet beside an agent; the default network asks it for its addresses.
    pub(crate) fn kubelet(&self, agent: &Agent) -> Kubelet {
        let default = Some(config("pods", &json!({"type": "allotment"})));
        Kubelet::new(self.allot.plugin(agent), Networks { default, ..Networks::default() })
    }

    pub(crate) async fn new() -> Installed {
        let folder = tempfile::tempdir().unwrap();
        let (policy, log) = (folder.path().join("audit.json"), folder.path().join("audit.log"));
        fs::write(&policy, AUDIT).unwrap();
        let api_server = vec![
            format!("--audit-policy-file={}", policy.display()),
            format!("--audit-log-path={}", log.display()),
        ];
        let plane = ControlPlane::start_with(Settings { api_server, ..Settings::default() }).unwrap();
        let admin = plane.client().unwrap();
        objects::apply(&admin, MANIFESTS).await.unwrap();
        objects::apply(&admin, objects::NETWORKS).await.unwrap();
        objects::apply(&admin, include_str!("rights/objects.yaml")).await.unwrap();
        let pods = Pods::new(admin.clone());
        pods.nodes(&NODES).await.unwrap();
        let allot = Allot::new(&plane, &bin().unwrap()).unwrap();
        Installed { plane, admin, pods, allot, log, folder }
    }

    pub(crate) async fn account(&self, name: &str, node: Option<&str>) -> PathBuf {
        self.plane.kubeconfig_of(NAMESPACE, name, node).await.unwrap()
    }

    pub(crate) async fn controller(&self, name: &str) -> Controller {
        let allot = self.allot.clone().args(&["--webhook", "127.0.0.1:0"]);
        let controller = allot.controller(name, &self.account("allotment-controller", None).await).unwrap();
        controller.start().unwrap();
        controller
    }

    fn asked(&self) -> Vec<Asked> {
        Asked::all(&self.log).unwrap()
    }

    /// Does it again and again until a request has needed this right.
    async fn until_used(&self, account: &str, right: (&str, &str, &str), mut act: impl AsyncFnMut()) {
        let (group, resource, verb) = right;
        let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": [verb]}]);
        let right = Right::all(&rules).remove(0);
        let deadline = Instant::now() + PATIENCE;
        while !self.asked().iter().any(|asked| asked.user == user(account) && right.allows(asked)) {
            assert!(Instant::now() < deadline, "{account} has not used {right:?}");
            act().await;
            sleep(POLL).await;
        }
    }

    async fn annotate(&self, path: &str, value: u64) {
        let change = json!({"metadata": {"annotations": {"example.com/touched": value.to_string()}}});
        let _ = sent(&self.admin, "PATCH", path, "application/merge-patch+json", &change).await;
    }
}

fn user(account: &str) -> String {
    format!("system:serviceaccount:{NAMESPACE}:{account}")
}

/// What the API server answered, or why not.
pub(crate) async fn sent(
    client: &Client,
    method: &str,
    path: &str,
    kind: &str,
    body: &Value,
) -> Result<Value, String> {
    let body = serde_json::to_vec(body).unwrap();
    let request = hyper::Request::builder().method(method).uri(path).header("content-type", kind).body(body);
    client.request(request.unwrap()).await.map_err(|error| error.to_string())
}

async fn read(client: &Client, path: &str) -> Value {
    sent(client, "GET", path, "application/json", &Value::Null).await.unwrap()
}

/// Everything that controllers and agents ever do.
async fn live(cluster: &Installed) {
    let (first, second) = (cluster.controller("first").await, cluster.controller("second").await);
    let agents = cluster.agents().await;
    let kubelet = cluster.kubelet(&agents[0]);
    let namespace = Namespace::new(cluster.folder.path()).unwrap();
    let mut number = 0;
    let mut pod = async |annotations: &[(&str, &str)], node: &str| -> Pod {
        number += 1;
        let template = Template::new("default", &format!("rights-{number}")).on(node);
        let template =
            annotations.iter().fold(template, |template, (key, value)| template.annotate(key, value));
        cluster.pods.create(&template).await.unwrap()
    };
    let subnet = [("allotment.dev/subnets", "rights")];

    // A grant, one that the node has to ask for, and a refusal.
    for annotations in [&subnet[..], &[]] {
        let pod = pod(annotations, NODES[0]).await;
        let started = kubelet.start(&pod, namespace.path(), PATIENCE).await.unwrap();
        cluster.pods.delete(&pod).await.unwrap();
        kubelet.stop(&started.sandbox).await.unwrap();
        cluster.pods.remove(&pod).await.unwrap();
    }
    let full = pod(&[("allotment.dev/subnets", "full")], NODES[0]).await;
    let controller = "allotment-controller";
    cluster.until_used(controller, ("events.k8s.io", "events", "create"), async || ()).await;
    cluster.pods.remove(&full).await.unwrap();

    // Others write what controllers and agents write.
    let mut value = 0;
    let mut touch = async |path: &str| {
        value += 1;
        cluster.annotate(path, value).await;
    };
    let blocks = "/apis/allotment.dev/v1alpha1/addressblocks";
    let listed = read(&cluster.admin, blocks).await;
    let block = format!("{blocks}/{}", listed["items"][0]["metadata"]["name"].as_str().unwrap());
    cluster
        .until_used(controller, ("allotment.dev", "addressblocks", "get"), async || touch(&block).await)
        .await;
    let lease = "/apis/coordination.k8s.io/v1/namespaces/allotment-system/leases/allotment-controller";
    cluster
        .until_used(controller, ("coordination.k8s.io", "leases", "get"), async || touch(lease).await)
        .await;
    let object = format!("/apis/allotment.dev/v1alpha1/nodeattachments/{}", NODES[0]);
    let get = ("allotment.dev", "nodeattachments", "get");
    cluster
        .until_used("allotment-agent", get, async || {
            let pod = pod(&subnet, NODES[0]).await;
            let started = kubelet.start(&pod, namespace.path(), PATIENCE).await.unwrap();
            kubelet.stop(&started.sandbox).await.unwrap();
            cluster.pods.remove(&pod).await.unwrap();
            for _ in 0..100 {
                touch(&object).await;
            }
        })
        .await;

    objects_go(cluster, &agents[1].server).await;
    for controller in [first, second] {
        controller.server.stop().unwrap();
    }
    agents[0].server.stop().unwrap();
}

/// People delete what they declared, and a node.
async fn objects_go(cluster: &Installed, agent: &Server) {
    let controller = "allotment-controller";
    let nothing = json!({});
    let delete = async |path: &str| {
        sent(&cluster.admin, "DELETE", path, "application/json", &nothing).await.unwrap();
    };
    delete("/apis/allotment.dev/v1alpha1/reservations/rights").await;
    delete("/apis/allotment.dev/v1alpha1/ippools/rights").await;
    cluster.until_used(controller, ("allotment.dev", "addressblocks", "delete"), async || ()).await;
    agent.stop().unwrap();
    delete(&format!("/api/v1/nodes/{}", NODES[1])).await;
    cluster.until_used(controller, ("allotment.dev", "nodeattachments", "delete"), async || ()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_right_is_needed_and_none_is_missing() {
    let cluster = Installed::new().await;
    live(&cluster).await;
    let asked = cluster.asked();
    let refused: Vec<&Asked> = asked.iter().filter(|asked| asked.code == 403).collect();
    assert!(refused.is_empty(), "a right is missing: {refused:#?}");
    let mut unused = Vec::new();
    for (account, role) in ROLES {
        let file = cluster.account(account, (account == "allotment-agent").then_some(NODES[0])).await;
        let client = client_of(&file).await;
        let rights = Right::all(&read(&cluster.admin, role).await["rules"]);
        for right in &rights {
            let needs = |asked: &&Asked| asked.user == user(account) && right.allows(asked);
            match asked.iter().find(needs) {
                Some(asked) => taken_away(&cluster.admin, role, &rights, right, &client, asked).await,
                None => unused.push(right.clone()),
            }
        }
    }
    unused.retain(|Right { group, resource, verb, .. }| !LATER.contains(&(group, resource, verb)));
    assert!(unused.is_empty(), "nobody needs these: {unused:#?}");
}

/// Without this right the request is refused; with it, it is not.
async fn taken_away(
    admin: &Client,
    role: &str,
    all: &[Right],
    right: &Right,
    client: &Client,
    asked: &Asked,
) {
    for (rights, is_refused) in [
        (all.iter().filter(|other| *other != right).collect::<Vec<_>>(), true),
        (all.iter().collect::<Vec<_>>(), false),
    ] {
        let rules: Vec<Value> = rights.into_iter().map(Right::rule).collect();
        let kind = "application/merge-patch+json";
        sent(admin, "PATCH", role, kind, &json!({ "rules": rules })).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        // Whoever decides reads the role a moment later.
        while is_refused_by_role(client, right, asked).await != is_refused {
            assert!(Instant::now() < deadline, "refused without {right:?}: not {is_refused}; {asked:?}");
            sleep(POLL).await;
        }
    }
}

/// Asks the same again, for nothing to come of it.
async fn is_refused_by_role(client: &Client, right: &Right, asked: &Asked) -> bool {
    let (method, further) = match asked.verb() {
        "get" | "list" => ("GET", ""),
        "watch" => ("GET", "timeoutSeconds=1"),
        "create" => ("POST", "dryRun=All"),
        "update" => ("PUT", "dryRun=All"),
        "patch" => ("PATCH", "dryRun=All"),
        "delete" => ("DELETE", "dryRun=All"),
        other => panic!("no request has the verb {other}"),
    };
    // The first one counts.
    let uri = match asked.uri.split_once('?') {
        Some((path, query)) => format!("{path}?{further}&{query}"),
        None => format!("{}?{further}", asked.uri),
    };
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let answer = sent(client, method, &uri, kind, &json!({})).await;
    let resource = right.resource.split('/').next().unwrap_or_default();
    answer.is_err_and(|error| error.contains(&format!("cannot {} resource \"{resource}", right.verb)))
}
