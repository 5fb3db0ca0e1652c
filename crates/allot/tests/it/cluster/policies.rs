//! The policies, tried by everybody: a user who may edit pods and our objects, agents with their own tokens, the
//! controller, somebody who repairs, an administrator.

use allotment_fleet::objects;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::{Duration, sleep, timeout};

use super::{Answer, client_of, created, deleted, patched, plane, printed, sent};

const PODS: &str = "/api/v1/namespaces/default/pods";
const BOUND: &str = "/api/v1/namespaces/default/bindings";
const BLOCKS: &str = "/apis/allotment.dev/v1alpha1/addressblocks";
const NODES: &str = "/apis/allotment.dev/v1alpha1/nodeattachments";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1";

/// A policy is in force a moment after it is made.
const IN_FORCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// Everybody, once the policies are in force.
struct People {
    user: Client,
    repairer: Client,
    admin: Client,
    controller: Client,
    agent_a: Client,
    agent_b: Client,
    /// An agent whose token says no node.
    stray: Client,
}

async fn people() -> People {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let plane = plane().await;
    let admin = plane.client().unwrap();
    let user = client_of(&plane.kubeconfig_for("alice", &["writers"]).unwrap()).await;
    INSTALLED.get_or_init(|| install(&admin, &user)).await;
    let account = async |name: &str, node: Option<&str>| {
        client_of(&plane.kubeconfig_of("allotment-system", name, node).await.unwrap()).await
    };
    People {
        user,
        repairer: client_of(&plane.kubeconfig_for("carol", &["writers", "repairers"]).unwrap()).await,
        controller: account("allotment-controller", None).await,
        agent_a: account("allotment-agent", Some("node-a")).await,
        agent_b: account("allotment-agent", Some("node-b")).await,
        stray: account("allotment-agent", None).await,
        admin,
    }
}

async fn install(admin: &Client, user: &Client) {
    objects::apply(admin, include_str!("people.yaml")).await.unwrap();
    objects::apply(admin, &printed(&["policies"])).await.unwrap();
    let dry = |path: &str| format!("{path}?dryRun=All");
    let binding = bound("probe", &json!({"allotment.dev/grant": "{}"}));
    until(|| async { denied(&created(user, &dry(BOUND), &binding).await) }).await;
    until(|| async { denied(&created(user, &dry(BLOCKS), &block("probe")).await) }).await;
    until(|| async { denied(&created(user, &dry(NODES), &node("probe")).await) }).await;
    let definition = format!("{DEFINITIONS}/subnets.allotment.dev");
    until(|| async { denied(&deleted(admin, &dry(&definition)).await) }).await;
    until(|| async { created(admin, &dry(PODS), &granted("probe")).await.is_ok() }).await;
}

/// Whether a policy said no.
fn denied(answer: &Answer) -> bool {
    answer.as_ref().is_err_and(|message| message.contains("ValidatingAdmissionPolicy 'allotment-"))
}

/// Waits for a condition.
async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let wait = async {
        while !holds().await {
            sleep(POLL).await;
        }
    };
    timeout(IN_FORCE, wait).await.expect("it comes to be so");
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "none"}]},
    })
}

fn granted(name: &str) -> Value {
    let mut pod = pod(name);
    pod["metadata"]["annotations"] = json!({"allotment.dev/grant": "{}", "allotment.dev/refusal": "{}"});
    pod
}

fn bound(name: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "annotations": annotations},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "node-a"},
    })
}

fn grant(value: &Value) -> Value {
    json!({"metadata": {"annotations": {"allotment.dev/grant": value}}})
}

fn block(name: &str) -> Value {
    json!({
        "apiVersion": "allotment.dev/v1alpha1", "kind": "AddressBlock", "metadata": {"name": name},
        "spec": {"of": "a test", "data": "AA=="},
    })
}

fn node(name: &str) -> Value {
    json!({
        "apiVersion": "allotment.dev/v1alpha1", "kind": "NodeAttachments", "metadata": {"name": name}, "spec": {},
    })
}

fn seen(epoch: u64) -> Value {
    json!({"status": {"nodeUID": "u", "bootID": "b", "epoch": epoch, "asOf": "1"}})
}

/// The answer is no, in these words.
#[track_caller]
fn refused(answer: Answer, says: &str) {
    match answer {
        Err(message) => assert!(message.contains(says), "{message}"),
        Ok(object) => panic!("it was done: {object}"),
    }
}

#[tokio::test]
async fn k2_the_controller_alone_writes_a_grant() {
    let people = people().await;
    let says = "the annotation allotment.dev/grant is written by Allotment's controller alone; leave it as it is, or out of a \
                new pod, and ask with allotment.dev/request, /subnets, /pools or /ips";
    created(&people.user, PODS, &pod("guarded")).await.unwrap();
    let guarded = format!("{PODS}/guarded");
    for subresource in ["", "/status"] {
        let answer = patched(&people.user, &format!("{guarded}{subresource}"), &grant(&"{}".into())).await;
        refused(answer, says);
    }
    for subresource in ["/ephemeralcontainers", "/resize"] {
        // They take nothing but what they are for.
        let pod =
            patched(&people.user, &format!("{guarded}{subresource}"), &grant(&"{}".into())).await.unwrap();
        assert_eq!(pod["metadata"]["annotations"], Value::Null, "{subresource}");
    }
    let granting = bound("guarded", &json!({"allotment.dev/grant": "{}"}));
    refused(created(&people.user, &format!("{guarded}/binding"), &granting).await, says);
    refused(created(&people.user, BOUND, &granting).await, says);
    let refusal = json!({"metadata": {"annotations": {"allotment.dev/refusal": "{}"}}});
    refused(
        patched(&people.user, &guarded, &refusal).await,
        "the annotation allotment.dev/refusal is written by",
    );

    patched(&people.controller, &guarded, &grant(&"{}".into())).await.unwrap();
    refused(patched(&people.user, &guarded, &grant(&Value::Null)).await, says);
    refused(patched(&people.agent_a, &guarded, &grant(&"[]".into())).await, says);
    let plain = bound("guarded", &Value::Null);
    created(&people.user, &format!("{guarded}/binding"), &plain).await.unwrap();
    let labelled =
        json!({"metadata": {"labels": {"a": "b"}, "annotations": {"allotment.dev/subnets": "rack-a"}}});
    patched(&people.user, &guarded, &labelled).await.unwrap();
    let status = json!({"status": {"phase": "Running"}});
    let after = patched(&people.user, &format!("{guarded}/status"), &status).await.unwrap();
    assert_eq!(after["metadata"]["annotations"]["allotment.dev/grant"], "{}");
    patched(&people.repairer, &guarded, &grant(&Value::Null)).await.unwrap();
    patched(&people.admin, &guarded, &grant(&"{}".into())).await.unwrap();
}

#[tokio::test]
async fn k2_a_copy_begins_without_a_grant() {
    let people = people().await;
    for (name, client) in [("copy-of-user", &people.user), ("copy-of-admin", &people.admin)] {
        let mut copy = granted(name);
        copy["metadata"]["annotations"]["example.com/kept"] = "yes".into();
        let copy = created(client, PODS, &copy).await.unwrap();
        assert_eq!(copy["metadata"]["annotations"], json!({"example.com/kept": "yes"}));
    }
    // Where the API has no MutatingAdmissionPolicy, a copy is refused.
    let mutating = format!("{BINDINGS}/mutatingadmissionpolicybindings/allotment-copies");
    deleted(&people.admin, &mutating).await.unwrap();
    let unchanged = format!("{PODS}?dryRun=All");
    until(|| async { created(&people.user, &unchanged, &granted("copy")).await.is_err() }).await;
    for client in [&people.user, &people.admin, &people.controller] {
        let answer = created(client, &unchanged, &granted("copy")).await;
        refused(answer, "leave it as it is, or out of a new pod");
    }
    objects::apply(&people.admin, &printed(&["policies"])).await.unwrap();
    until(|| async { created(&people.user, &unchanged, &granted("copy")).await.is_ok() }).await;
}

#[tokio::test]
async fn k1_an_agent_writes_the_status_of_its_own_node() {
    let people = people().await;
    let (own, other) = (format!("{NODES}/node-a"), format!("{NODES}/node-b"));
    let mut answered = node("node-a");
    answered["spec"] = json!({"answers": [{"id": "1"}]});
    let status_alone = "an agent writes the status alone, or makes the object with an empty spec; the spec is the controller's";
    refused(created(&people.agent_a, NODES, &answered).await, status_alone);
    let own_alone = "an agent writes the object of its own node alone, and its token is bound to node";
    refused(created(&people.agent_a, NODES, &node("node-b")).await, &format!("{own_alone} node-a"));
    created(&people.agent_a, NODES, &node("node-a")).await.unwrap();
    created(&people.agent_b, NODES, &node("node-b")).await.unwrap();

    let status = |path: &str| format!("{path}/status");
    patched(&people.agent_a, &status(&own), &seen(1)).await.unwrap();
    patched(&people.agent_b, &status(&other), &seen(1)).await.unwrap();
    refused(patched(&people.agent_a, &status(&other), &seen(2)).await, own_alone);
    refused(patched(&people.agent_b, &status(&own), &seen(2)).await, &format!("{own_alone} node-b"));
    let whole = sent(&people.agent_b, "GET", &own, "application/json", &Value::Null).await.unwrap();
    refused(sent(&people.agent_b, "PUT", &status(&own), "application/json", &whole).await, own_alone);
    let unbound = "its token is bound to no node; run the agent as a pod of a DaemonSet";
    refused(patched(&people.stray, &status(&own), &seen(2)).await, unbound);
    refused(patched(&people.agent_a, &own, &json!({"spec": {"epoch": 7}})).await, status_alone);
    refused(deleted(&people.agent_a, &own).await, status_alone);
    refused(deleted(&people.agent_a, &other).await, own_alone);

    let nobody = "NodeAttachments are written by Allotment's agents and its controller alone";
    refused(patched(&people.user, &status(&own), &seen(2)).await, nobody);
    refused(patched(&people.user, &own, &json!({"spec": {"epoch": 7}})).await, nobody);
    refused(deleted(&people.user, &own).await, nobody);

    patched(&people.controller, &own, &json!({"spec": {"epoch": 7}})).await.unwrap();
    refused(
        patched(&people.controller, &status(&own), &seen(2)).await,
        "the controller writes the spec alone",
    );
    patched(&people.repairer, &status(&own), &seen(3)).await.unwrap();
    deleted(&people.controller, &own).await.unwrap();
    deleted(&people.admin, &other).await.unwrap();
}

#[tokio::test]
async fn l3_the_controller_alone_writes_the_ledger() {
    let people = people().await;
    let says = "AddressBlocks are the ledger, and the controller alone writes them; to release an address, end its holder or use \
                `allot release --force`";
    for client in [&people.user, &people.agent_a] {
        refused(created(client, BLOCKS, &block("default.10-0-0-0")).await, says);
    }
    created(&people.controller, BLOCKS, &block("default.10-0-0-0")).await.unwrap();
    let path = format!("{BLOCKS}/default.10-0-0-0");
    let change = json!({"spec": {"data": "AQ=="}});
    refused(patched(&people.user, &path, &change).await, says);
    let apply = format!("{path}?fieldManager=me&force=true");
    let body = block("default.10-0-0-0");
    refused(sent(&people.agent_a, "PATCH", &apply, "application/apply-patch+yaml", &body).await, says);
    for client in [&people.controller, &people.repairer, &people.admin] {
        patched(client, &path, &change).await.unwrap();
    }
}

#[tokio::test]
async fn l6_nobody_deletes_the_ledger_before_the_policies_are_lifted() {
    let people = people().await;
    created(&people.controller, BLOCKS, &block("kept")).await.unwrap();
    let path = format!("{BLOCKS}/kept");
    let says = "would lose who has which address; if Allotment is to go for good, lift its policies first (allot policies | \
                kubectl delete -f -), and delete it again";
    for client in [&people.user, &people.repairer, &people.admin] {
        refused(deleted(client, &path).await, &format!("deleting kept {says}"));
        refused(deleted(client, BLOCKS).await, says);
    }
    let definition = format!("{DEFINITIONS}/addressblocks.allotment.dev");
    refused(
        deleted(&people.admin, &definition).await,
        &format!("deleting addressblocks.allotment.dev {says}"),
    );
    objects::apply(&people.admin, objects::NETWORKS).await.unwrap();
    let others = format!("{DEFINITIONS}/network-attachment-definitions.k8s.cni.cncf.io");
    deleted(&people.admin, &others).await.unwrap();
    refused(deleted(&people.admin, DEFINITIONS).await, says);
    sent(&people.admin, "GET", &definition, "application/json", &Value::Null).await.unwrap();

    created(&people.controller, BLOCKS, &block("emptied")).await.unwrap();
    deleted(&people.controller, &format!("{BLOCKS}/emptied")).await.unwrap();

    deleted(&people.admin, &format!("{BINDINGS}/validatingadmissionpolicybindings/allotment-keep"))
        .await
        .unwrap();
    until(|| async { deleted(&people.admin, &path).await.is_ok() }).await;
    objects::apply(&people.admin, &printed(&["policies"])).await.unwrap();
}
