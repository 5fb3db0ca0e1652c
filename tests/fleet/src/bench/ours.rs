//! What Allotment does for the crowd.

use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_fleet::Template;
use anyhow::{Result, bail};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::Value;
use tokio::time::sleep;

use super::grants::Grants;
use super::meter::Reading;
use super::scene::{self, Scene};
use super::stage::Stage;
use super::system::System;

/// How often a subnet is asked what is still held.
const POLL: Duration = Duration::from_millis(50);

/// For everything of a scene to be free again.
const LIMIT: Duration = Duration::from_mins(2);

/// How long nothing happens.
const IDLE: Duration = Duration::from_mins(1);

/// Grants of pods that no node starts.
pub(crate) struct Granted {
    /// From the first pod's creation to the last one's grant.
    pub(crate) took: Duration,
    pub(crate) cost: Reading,
}

/// The pods get their grants, and go again.
pub(crate) async fn grants(stage: &Stage<'_>, system: &Arc<System>, scene: &Scene<'_>) -> Result<Granted> {
    let grants = Grants::watch(stage.client.clone()).await?;
    let before = stage.read(&system.servers()).await?;
    let (took, made) = scene.grants_only(&grants).await?;
    let cost = stage.read(&system.servers()).await?.since(&before);
    scene::remove(&stage.pods, &made).await?;
    Ok(Granted { took, cost })
}

/// The templates, for this subnet.
pub(crate) fn of_subnet(templates: Vec<Template>, subnet: &str) -> Vec<Template> {
    templates.into_iter().map(|template| template.annotate("allotment.dev/subnets", subnet)).collect()
}

/// Waits until nothing of the subnet is held any more: when that was seen.
pub(crate) async fn released(client: &Client, subnet: &str) -> Result<Instant> {
    gone(client, subnet, &["held"]).await
}

/// Waits until all of the subnet is free: none of these is other than 0 in its status.
async fn gone(client: &Client, subnet: &str, states: &[&str]) -> Result<Instant> {
    usage(client, subnet, |usage| states.iter().all(|state| usage[state] == "0")).await
}

/// Waits until so many addresses of the subnet are held, as its status says: the last that the grants are followed by.
pub(crate) async fn held(client: &Client, subnet: &str, count: usize) -> Result<()> {
    let count = count.to_string();
    usage(client, subnet, |usage| usage["held"] == count.as_str()).await.map(drop)
}

/// Waits until the subnet's status has such a usage: when that was seen.
async fn usage(client: &Client, subnet: &str, is_meant: impl Fn(&Value) -> bool) -> Result<Instant> {
    let kind = GroupVersionKind::gvk("allotment.dev", "v1alpha1", "Subnet");
    let api: Api<DynamicObject> =
        Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&kind, "subnets"));
    let deadline = Instant::now() + LIMIT;
    loop {
        let object = api.get(subnet).await?;
        let usage = &object.data["status"]["usage"][0];
        if is_meant(usage) {
            return Ok(Instant::now());
        }
        if Instant::now() > deadline {
            bail!("{subnet} after {} s: {usage}", LIMIT.as_secs());
        }
        sleep(POLL).await;
    }
}

/// Everything runs and nothing happens: what that costs.
pub(crate) async fn idle(stage: &Stage<'_>, system: &System, subnet: &str) -> Result<(Duration, Reading)> {
    gone(&stage.client, subnet, &["held", "cooling"]).await?;
    let before = stage.read(&system.servers()).await?;
    sleep(IDLE).await;
    Ok((IDLE, stage.read(&system.servers()).await?.since(&before)))
}
