//! The proxy: what each of its faults looks like to a client.

use std::pin::pin;
use std::time::{Duration, Instant};

use allotment_fleet::Proxy;
use allotment_fleet::proxy::{Fault, Rule, Which};
use futures_util::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};

use crate::{client_of, plane};

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

async fn create(maps: &Api<ConfigMap>, name: &str) -> kube::Result<ConfigMap> {
    let map = ConfigMap { metadata: named(name), ..ConfigMap::default() };
    maps.create(&PostParams::default(), &map).await
}

/// A proxy, and an administrator behind it.
async fn behind() -> (Proxy<'static>, Client) {
    let proxy = Proxy::start(plane()).unwrap();
    let client = client_of(&proxy.kubeconfig().unwrap()).await;
    (proxy, client)
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("no answer of the API server: {other}"),
    }
}

#[tokio::test]
async fn requests_are_counted_and_answered_for_the_api_server() {
    let (proxy, client) = behind().await;
    let maps = Api::<ConfigMap>::default_namespaced(client);
    let creates = Which::any().verb("create").resource("configmaps");
    proxy.inject(Rule::new(creates.clone(), Fault::Answer(500)).spare(1).times(1));
    create(&maps, "counted-1").await.unwrap();
    assert_eq!(code(&create(&maps, "counted-2").await.unwrap_err()), 500);
    create(&maps, "counted-2").await.unwrap();
    assert_eq!(proxy.count(&creates), 3);
    proxy.forget();
    assert!(proxy.requests().is_empty());
}

#[tokio::test]
async fn a_lost_request_was_never_made_and_one_with_a_lost_answer_was() {
    let (proxy, client) = behind().await;
    let maps = Api::<ConfigMap>::default_namespaced(client);
    let creates = Which::any().verb("create");
    proxy.inject(Rule::new(creates.clone(), Fault::Lose).times(1));
    proxy.inject(Rule::new(creates, Fault::LoseAnswer).times(1));
    assert!(!matches!(create(&maps, "lost").await.unwrap_err(), kube::Error::Api(_)));
    assert!(maps.get_opt("lost").await.unwrap().is_none());
    assert!(!matches!(create(&maps, "lost").await.unwrap_err(), kube::Error::Api(_)));
    assert!(maps.get_opt("lost").await.unwrap().is_some());
}

#[tokio::test]
async fn latency_delays_and_refusal_closes_until_healed() {
    let (proxy, client) = behind().await;
    let maps = Api::<ConfigMap>::default_namespaced(client);
    proxy.latency(Duration::from_millis(300));
    let start = Instant::now();
    maps.get_opt("none").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
    proxy.refuse();
    assert!(maps.get_opt("none").await.is_err());
    proxy.heal();
    maps.get_opt("none").await.unwrap();
}

#[tokio::test]
async fn a_held_watch_waits_while_another_goes_on() {
    let (proxy, client) = behind().await;
    let direct = plane().client().unwrap();
    let watch = WatchParams::default().disable_bookmarks();
    let (maps, secrets) =
        (Api::<ConfigMap>::default_namespaced(client.clone()), Api::<Secret>::default_namespaced(client));
    let mut of_maps = pin!(maps.watch(&watch.clone().fields("metadata.name=held"), "0").await.unwrap());
    let mut of_secrets = pin!(secrets.watch(&watch.fields("metadata.name=later"), "0").await.unwrap());
    proxy.hold(Which::any().verb("watch").resource("configmaps"));
    create(&Api::default_namespaced(direct.clone()), "held").await.unwrap();
    let secret = Secret { metadata: named("later"), ..Secret::default() };
    Api::<Secret>::default_namespaced(direct).create(&PostParams::default(), &secret).await.unwrap();
    assert!(matches!(of_secrets.next().await, Some(Ok(WatchEvent::Added(_)))));
    assert!(of_maps.next().now_or_never().is_none());
    proxy.heal();
    assert!(matches!(of_maps.next().await, Some(Ok(WatchEvent::Added(_)))));
}

#[tokio::test]
async fn a_watch_expires_and_is_cut() {
    let (proxy, client) = behind().await;
    let maps = Api::<ConfigMap>::default_namespaced(client);
    let params = WatchParams::default().disable_bookmarks().fields("metadata.name=nothing-to-see");
    let mut watch = pin!(maps.watch(&params, "0").await.unwrap());
    proxy.expire(Which::any().resource("configmaps"));
    match watch.next().await {
        Some(Ok(WatchEvent::Error(status))) => assert_eq!(status.code, 410),
        other => panic!("{other:?}"),
    }
    assert!(watch.next().await.is_none());
    let mut watch = pin!(maps.watch(&params, "0").await.unwrap());
    proxy.cut();
    assert!(!matches!(watch.next().await, Some(Ok(_))));
    maps.get_opt("none").await.unwrap();
}
