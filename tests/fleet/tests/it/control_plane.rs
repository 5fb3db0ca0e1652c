//! The control plane: users, kills, restarts.

use allotment_fleet::{ControlPlane, Settings};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;

use crate::plane;

async fn client_of(path: &std::path::Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

async fn who_am_i(client: Client) -> (String, Vec<String>) {
    let review = Api::<SelfSubjectReview>::all(client);
    let review = review.create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
    let user = review.status.unwrap().user_info.unwrap();
    (user.username.unwrap(), user.groups.unwrap())
}

#[tokio::test]
async fn a_file_makes_anybody_of_its_user() {
    let (name, groups) = who_am_i(client_of(&plane().kubeconfig()).await).await;
    assert!(name == "admin" && groups.contains(&"system:masters".to_owned()), "{groups:?}");
    let file = plane().kubeconfig_for("mallory", &["developers", "visitors"]).unwrap();
    let (name, groups) = who_am_i(client_of(&file).await).await;
    assert!(name == "mallory" && groups == ["developers", "visitors", "system:authenticated"], "{groups:?}");
}

#[tokio::test]
async fn what_was_written_survives_the_death_of_both_programs() {
    let plane = ControlPlane::start_with(Settings::default()).unwrap();
    let maps = Api::<ConfigMap>::default_namespaced(plane.client().unwrap());
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "kept"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    plane.etcd().kill().unwrap();
    plane.api_server().kill().unwrap();
    plane.etcd().start().unwrap();
    plane.api_server().start().unwrap();
    plane.wait_ready().unwrap();
    maps.get("kept").await.unwrap();
    assert!(plane.api_server().usage().unwrap().peak > 100 << 20);
}
