//! `allot agent`, killed again and again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use allotment_fleet::{Life, Pod, Pods, Server, Template};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use kube::Client;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::{patched, plane, sent};

/// Longer than anything here takes on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_mins(1);

const ROUNDS: usize = 8;
const PODS: usize = 6;

/// A call over the socket, as the plugin makes it; nothing while nobody answers.
async fn call(socket: &Path, body: &Value) -> Option<(u16, Value)> {
    let stream = UnixStream::connect(socket).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request =
        hyper::Request::post("/v1/cni").header("host", "a").body(Full::<Bytes>::from(body.to_string()));
    let response = sender.send_request(request.unwrap()).await.ok()?;
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.ok()?.to_bytes();
    Some((code, serde_json::from_slice(&bytes).unwrap_or_default()))
}

/// What an ADD is answered in the end.
async fn wait_for_address(socket: &Path, add: &Value) -> String {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some((200, answer)) = call(socket, add).await {
            return answer["ips"][0]["address"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "no answer: {add}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn cni(command: &str, pod: &Pod, sandbox: &str) -> Value {
    let Pod { namespace, name, uid, .. } = pod;
    json!({
        "command": command, "containerId": sandbox, "netns": "", "ifname": "net1",
        "args": format!("K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name};K8S_POD_UID={uid}"),
        "config": {"cniVersion": "1.1.0", "name": "lan", "type": "macvlan", "ipam": {"type": "allotment"}},
    })
}

async fn wait_until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct World {
    client: Client,
    pods: Pods,
    node_uid: String,
    agent: Server,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

const NODE: &str = "killed";

impl World {
    async fn new() -> World {
        let plane = plane().await;
        let client = plane.client().unwrap();
        let pods = Pods::new(client.clone());
        pods.nodes(&[NODE]).await.unwrap();
        let node =
            sent(&client, "GET", &format!("/api/v1/nodes/{NODE}"), "application/json", &json!({})).await;
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("allotment.sock");
        let agent = Server::new("agent", env!("CARGO_BIN_EXE_allot"), folder.path(), Life::Tied)
            .args(["agent", "--node", NODE, "--socket"])
            .args([&socket])
            .args(["--state"])
            .args([folder.path().join("state")])
            .args(["--kubeconfig"])
            .args([plane.kubeconfig()]);
        agent.start().unwrap();
        let node_uid = node.unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
        World { client, pods, node_uid, agent, socket, _folder: folder }
    }

    /// A pod with its grant.
    async fn pod(&self, name: &str, address: &str) -> Pod {
        let pod = self.pods.create(&Template::new("default", name).on(NODE)).await.unwrap();
        let ips = json!([{"address": address, "prefix": 16, "vrf": "default", "subnet": "a"}]);
        let entry = json!({"interface": "net1", "network": "default/lan", "config": "lan", "ips": ips});
        let grant = json!({"pod": pod.uid, "nodeUID": self.node_uid, "attachments": [entry]}).to_string();
        let patch = json!({"metadata": {"annotations": {"allotment.dev/grant": grant}}});
        let place = format!("/api/v1/namespaces/default/pods/{name}");
        patched(&self.client, &place, &patch).await.unwrap();
        pod
    }

    async fn status(&self) -> Value {
        let place = format!("/apis/allotment.dev/v1alpha1/nodeattachments/{NODE}");
        let object = sent(&self.client, "GET", &place, "application/json", &json!({})).await;
        object.map(|object| object["status"].clone()).unwrap_or_default()
    }

    async fn still(&self) -> BTreeSet<String> {
        let status = self.status().await;
        let still = status["still"].as_array().cloned().unwrap_or_default();
        still.iter().filter_map(|still| still["address"].as_str().map(str::to_owned)).collect()
    }
}

/// Whatever an ADD was answered with stays known, and whatever a DEL has ended becomes known, whenever the agent dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_agent_forgets_no_answer_and_loses_no_del() {
    let world = World::new().await;
    let (mut lives, mut ends) = (BTreeSet::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut calls = Vec::new();
        for number in 0..PODS {
            let address = format!("10.1.{round}.{number}");
            let pod = world.pod(&format!("killed-{round}-{number}"), &address).await;
            let sandbox = format!("c{round}-{number}");
            let (socket, add) = (world.socket.clone(), cni("ADD", &pod, &sandbox));
            calls.push((
                tokio::spawn(async move { wait_for_address(&socket, &add).await }),
                pod,
                sandbox,
                address,
            ));
        }
        // At a moment that is another one in each round.
        let answered = round * PODS / ROUNDS;
        wait_until("some answers", async || {
            (calls.iter().filter(|(call, ..)| call.is_finished()).count() >= answered).then_some(())
        })
        .await;
        world.agent.kill().unwrap();
        world.agent.start().unwrap();
        for (number, (call, pod, sandbox, address)) in calls.into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), format!("{address}/16"));
            if number % 2 == 0 {
                lives.insert(address);
            } else {
                ends.push((pod.clone(), sandbox));
            }
            world.pods.remove(&pod).await.unwrap();
        }
    }
    world.agent.kill().unwrap();
    world.agent.start().unwrap();
    wait_until("every answer is known", async || lives.is_subset(&world.still().await).then_some(())).await;
    for (pod, sandbox) in &ends {
        let del = cni("DEL", pod, sandbox);
        if sandbox.ends_with('1') {
            world.agent.kill().unwrap();
            world.agent.start().unwrap();
        }
        wait_until("a DEL", async || matches!(call(&world.socket, &del).await, Some((200, _))).then_some(()))
            .await;
    }
    world.agent.kill().unwrap();
    world.agent.start().unwrap();
    wait_until("what lives, and nothing else", async || (world.still().await == lives).then_some(())).await;
}
