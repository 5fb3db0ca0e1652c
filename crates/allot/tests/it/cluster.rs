//! What `allot` puts into a cluster, tried on a real API server.

mod acts;
mod agent;
mod definitions;
mod policies;
mod whereabouts;

use std::path::Path;
use std::process::{Command, Output};

use allotment_fleet::{ControlPlane, objects};
use hyper::Request;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::sync::OnceCell;

/// The one control plane of these tests, with the custom resource definitions in it.
async fn plane() -> &'static ControlPlane {
    static PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    PLANE
        .get_or_init(|| async {
            let plane = ControlPlane::start().expect("a control plane starts");
            objects::apply(&plane.client().unwrap(), &printed(&["crds"])).await.unwrap();
            plane
        })
        .await
}

/// What a command prints to standard output.
fn printed(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_allot")).args(arguments).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// A client for the user of a file.
async fn client_of(file: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(file).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// What the API server answered: the object, or why not.
type Answer = Result<Value, String>;

async fn created(client: &Client, path: &str, object: &Value) -> Answer {
    sent(client, "POST", path, "application/json", object).await
}

/// Changes fields as a JSON merge patch (RFC 7396) says.
async fn patched(client: &Client, path: &str, change: &Value) -> Answer {
    sent(client, "PATCH", path, "application/merge-patch+json", change).await
}

async fn deleted(client: &Client, path: &str) -> Answer {
    sent(client, "DELETE", path, "application/json", &Value::Object(serde_json::Map::new())).await
}

async fn sent(client: &Client, method: &str, path: &str, kind: &str, body: &Value) -> Answer {
    let body = serde_json::to_vec(body).unwrap();
    let request = Request::builder().method(method).uri(path).header("content-type", kind).body(body);
    client.request(request.unwrap()).await.map_err(|error| match error {
        kube::Error::Api(status) => status.message,
        other => panic!("{other}"),
    })
}
