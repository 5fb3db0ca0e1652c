//! The chart on a real API server: installed, upgraded, taken away.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use allotment_fleet::{Allot, ControlPlane, bin, programs};
use allotment_lab::helm;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::rights::sent;
use crate::world::PATIENCE;

const NAMESPACE: &str = "allotment-system";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/allotment-system/deployments/allotment-controller";
const WEBHOOK: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/allotment";
const POLICY: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/allotment-keep";
const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/addressblocks.allotment.dev";

/// What somebody may set, all of it but for what needs kinds of others.
const VALUES: &str = r#"
image: {name: "example.org/allotment:1.2.3", pullSecrets: [{name: ours}]}
apiServer: {host: 192.0.2.1}
controller:
  replicas: 3
  retain: [{kind: StatefulSet, group: apps.kruise.io, how: ordinal}]
defaultNetwork:
  config: |
    {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "ipam": {"type": "allotment"}}]}
monitoring: {dashboard: true}
"#;

struct Helm {
    program: PathBuf,
    folder: TempDir,
    kubeconfig: PathBuf,
}

impl Helm {
    fn new(plane: &ControlPlane) -> Helm {
        let program = helm::program(&programs::root()).unwrap();
        Helm { program, folder: tempfile::tempdir().unwrap(), kubeconfig: plane.kubeconfig() }
    }

    fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program);
        // Nothing of a user's own settings.
        command.env("HOME", self.folder.path()).env("KUBECONFIG", &self.kubeconfig);
        allotment_lab::run(command.args(args).args(["--namespace", NAMESPACE]))
    }

    fn chart() -> String {
        programs::root().join("deploy/chart").display().to_string()
    }

    fn file(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

async fn read(client: &Client, path: &str) -> Result<Value, String> {
    sent(client, "GET", path, "application/json", &Value::Null).await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_installed_upgraded_and_taken_away() {
    let plane = ControlPlane::start().unwrap();
    let (client, helm, chart) = (plane.client().unwrap(), Helm::new(&plane), Helm::chart());
    helm.run(&["install", "allotment", &chart, "--create-namespace"]).unwrap();
    let webhook = read(&client, WEBHOOK).await.unwrap()["webhooks"][0]["clientConfig"].clone();
    let service = json!({"namespace": NAMESPACE, "name": "allotment-webhook", "port": 443});
    assert_eq!(webhook, json!({ "service": service }));
    let believed = believed(&plane, &client).await;

    let values = helm.file("values.yaml", VALUES.as_bytes()).display().to_string();
    helm.run(&["upgrade", "allotment", &chart, "--values", &values]).unwrap();
    let webhook = read(&client, WEBHOOK).await.unwrap()["webhooks"][0]["clientConfig"].clone();
    assert_eq!(webhook["caBundle"], believed, "an upgrade leaves the leader's certificate alone");
    let spec = read(&client, DEPLOYMENT).await.unwrap()["spec"].clone();
    assert_eq!(spec["replicas"], 3);
    let container = &spec["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "example.org/allotment:1.2.3");
    let args: Vec<String> = container["args"].as_array().unwrap().iter().map(text).collect();
    for arg in [
        "--retain=StatefulSet.apps.kruise.io=ordinal",
        "--default-network=/etc/allotment/network/10-allotment.conflist",
        "--webhook=0.0.0.0:9443",
    ] {
        assert!(args.iter().any(|given| given == arg), "{arg} in {args:?}");
    }

    read(&client, POLICY).await.unwrap();
    helm.run(&["uninstall", "allotment"]).unwrap();
    read(&client, DEPLOYMENT).await.unwrap_err();
    read(&client, POLICY).await.unwrap_err();
    read(&client, DEFINITION).await.expect("the ledger outlives the release");
}

/// Whom the API server believes once a controller leads.
async fn believed(plane: &ControlPlane, client: &Client) -> Value {
    let allot = Allot::new(plane, &bin().unwrap()).unwrap().args(&["--webhook=127.0.0.1:0"]);
    let controller = allot.controller("webhook", &plane.kubeconfig()).unwrap();
    controller.start().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let believed = loop {
        let webhook = read(client, WEBHOOK).await.unwrap()["webhooks"][0]["clientConfig"].clone();
        if webhook["caBundle"].is_string() {
            break webhook["caBundle"].clone();
        }
        assert!(Instant::now() < deadline, "no certificate was told of: {webhook}");
        sleep(Duration::from_millis(20)).await;
    };
    controller.server.stop().unwrap();
    let certificate = String::from_utf8(STANDARD.decode(text(&believed)).unwrap()).unwrap();
    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"), "{certificate}");
    believed
}

#[test]
fn what_the_chart_does_not_know_is_refused() {
    let helm = Helm {
        program: helm::program(&programs::root()).unwrap(),
        folder: tempfile::tempdir().unwrap(),
        kubeconfig: PathBuf::new(),
    };
    for (set, says) in [
        ("controler.replicas=1", "additional properties 'controler' not allowed"),
        ("controller.replicas=-1", "/controller/replicas"),
        ("defaultNetwork.fileName=10-pods", "/defaultNetwork/fileName"),
        ("agent.retire=now", "/agent/retire"),
    ] {
        let refused =
            helm.run(&["template", "allotment", &Helm::chart(), "--set", set]).unwrap_err().to_string();
        assert!(refused.contains(says), "{set}: {refused}");
    }
    let every = "monitoring.serviceMonitor=true,monitoring.alerts=true,monitoring.dashboard=true,namespace.create=true";
    let rendered = helm.run(&["template", "allotment", &Helm::chart(), "--set", every]).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&rendered).unwrap();
    let of = |kind: &str| documents.iter().find(|document| document["kind"] == kind).unwrap();
    assert_eq!(of("ServiceMonitor")["spec"]["endpoints"][0]["port"], "http");
    let rules = of("PrometheusRule")["spec"]["groups"][0]["rules"].as_array().unwrap();
    assert!(
        rules
            .iter()
            .all(|rule| !text(&rule["expr"]).is_empty() && !text(&rule["annotations"]["summary"]).is_empty())
    );
}
