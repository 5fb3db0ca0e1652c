//! The chart on a real API server: installed, upgraded, taken away.

use std::path::{Path, PathBuf};
use std::process::Command;

use allotment_fleet::{Allot, ControlPlane, bin, programs};
use allotment_lab::helm;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rights::sent;

const NAMESPACE: &str = "allotment-system";
const SECRET: &str = "/api/v1/namespaces/allotment-system/secrets/allotment-webhook";
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
    let secret = read(&client, SECRET).await.unwrap()["data"].clone();
    let webhook = read(&client, WEBHOOK).await.unwrap()["webhooks"][0]["clientConfig"].clone();
    assert_eq!(webhook["caBundle"], secret["ca.crt"]);
    assert_eq!(webhook["service"], json!({"namespace": NAMESPACE, "name": "allotment-webhook", "port": 443}));
    serves(&helm, &plane, &secret);

    let values = helm.file("values.yaml", VALUES.as_bytes()).display().to_string();
    helm.run(&["upgrade", "allotment", &chart, "--values", &values]).unwrap();
    assert_eq!(read(&client, SECRET).await.unwrap()["data"], secret, "the API server knows who signed it");
    let spec = read(&client, DEPLOYMENT).await.unwrap()["spec"].clone();
    assert_eq!(spec["replicas"], 3);
    let container = &spec["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "example.org/allotment:1.2.3");
    let args: Vec<String> = container["args"].as_array().unwrap().iter().map(text).collect();
    for arg in [
        "--retain=StatefulSet.apps.kruise.io=ordinal",
        "--default-network=/etc/allotment/network/10-allotment.conflist",
        "--webhook-key=/etc/allotment/webhook/tls.key",
    ] {
        assert!(args.iter().any(|given| given == arg), "{arg} in {args:?}");
    }

    read(&client, POLICY).await.unwrap();
    helm.run(&["uninstall", "allotment"]).unwrap();
    read(&client, DEPLOYMENT).await.unwrap_err();
    read(&client, POLICY).await.unwrap_err();
    read(&client, DEFINITION).await.expect("the ledger outlives the release");
}

/// A controller can be the server that this certificate is for.
fn serves(helm: &Helm, plane: &ControlPlane, secret: &Value) {
    let file = |name: &str| -> String {
        let bytes = STANDARD.decode(text(&secret[name])).unwrap();
        helm.file(name, &bytes).display().to_string()
    };
    let args = ["--webhook=127.0.0.1:0".to_owned(), format!("--webhook-cert={}", file("tls.crt"))];
    let args = args.into_iter().chain([format!("--webhook-key={}", file("tls.key"))]).collect::<Vec<_>>();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let allot = Allot::new(plane, &bin().unwrap()).unwrap().args(&args);
    let controller = allot.controller("webhook", Path::new(&helm.kubeconfig)).unwrap();
    controller.start().unwrap();
    controller.server.stop().unwrap();
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
