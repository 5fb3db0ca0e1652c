//! The control plane: users, kills, restarts.

use allotment_fleet::{ControlPlane, Settings, objects};
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, UserInfo};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use crate::{client_of, plane};

async fn who_am_i(client: Client) -> UserInfo {
    let review = Api::<SelfSubjectReview>::all(client);
    let review = review.create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
    review.status.unwrap().user_info.unwrap()
}

#[tokio::test]
async fn a_file_makes_anybody_of_its_user() {
    let admin = who_am_i(client_of(&plane().kubeconfig()).await).await;
    assert_eq!(admin.username.unwrap(), "admin");
    assert!(admin.groups.unwrap().contains(&"system:masters".to_owned()));
    let file = plane().kubeconfig_for("mallory", &["developers", "visitors"]).unwrap();
    let user = who_am_i(client_of(&file).await).await;
    assert_eq!(user.username.unwrap(), "mallory");
    assert_eq!(user.groups.unwrap(), ["developers", "visitors", "system:authenticated"]);
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

#[tokio::test]
async fn a_kind_is_served_once_its_definition_is_applied() {
    let client = plane().client().unwrap();
    objects::apply(&client, objects::NETWORKS).await.unwrap();
    let network = "{apiVersion: k8s.cni.cncf.io/v1, kind: NetworkAttachmentDefinition, metadata: {name: a}, spec: {config: '{}'}}";
    objects::apply(&client, network).await.unwrap();
    let error =
        objects::apply(&client, "{apiVersion: v1, kind: Nothing, metadata: {name: a}}").await.unwrap_err();
    assert!(format!("{error:#}").contains("Nothing a"), "{error:#}");
}

#[tokio::test]
async fn the_token_of_an_account_carries_its_node() {
    let client = plane().client().unwrap();
    objects::apply(&client, "{apiVersion: v1, kind: Node, metadata: {name: token-node}}").await.unwrap();
    let file = plane().kubeconfig_of("default", "carrier", Some("token-node")).await.unwrap();
    let user = who_am_i(client_of(&file).await).await;
    assert_eq!(user.username.unwrap(), "system:serviceaccount:default:carrier");
    assert_eq!(user.extra.unwrap()["authentication.kubernetes.io/node-name"], ["token-node"]);
}
