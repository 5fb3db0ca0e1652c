//! A leader that is killed while pods come.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_fleet::Controller;
use allotment_lab::figures::{Bar, Row};
use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::time::sleep;

use super::grants::{GRANT, Grants};
use super::ours;
use super::scene;
use super::stage::Stage;
use super::system::System;

const PODS: usize = 1000;

/// Enough to be working when the leader dies, and few enough that pods still come long after that.
const AT_ONCE: usize = 2;

/// Pods that have their grants when it is killed.
const BEFORE: usize = 200;

pub(crate) async fn rows(stage: &Stage<'_>, system: &Arc<System>, subnet: &str) -> Result<Vec<Row>> {
    let templates = ours::of_subnet(stage.templates("leader", PODS, stage.nodes.len()), subnet);
    let grants = Grants::watch(stage.client.clone()).await?;
    let making = stream::iter(&templates).map(|template| stage.pods.create(template)).buffered(AT_ONCE);
    let killing = async {
        while grants.seen().len() < BEFORE {
            sleep(POLL).await;
        }
        let leader = leader(system)?;
        let killed = Instant::now();
        leader.server.kill()?;
        anyhow::Ok((leader, killed))
    };
    let (made, killed) = tokio::join!(making.try_collect::<Vec<_>>(), killing);
    let (made, (leader, killed)) = (made?, killed?);
    grants.wait(&made, scene::PATIENCE).await?;
    let seen = grants.seen();
    let next = seen.values().filter(|at| **at > killed + SETTLED).min().context("grants after the kill")?;
    let gap = (*next - killed).as_secs_f64();
    let doubled = doubled(stage, &made).await?;
    leader.start()?;
    scene::remove(&stage.pods, &made).await?;
    Ok(vec![
        Row::new("leader killed under load: until the next grant", gap, "s").bar(Bar::Most(5.0)),
        Row::new(format!("… of {PODS} pods, without an address or with another's"), doubled, "")
            .bar(Bar::Most(0.0)),
    ])
}

const POLL: Duration = Duration::from_millis(5);

/// What the leader sent before it died is seen a moment later.
const SETTLED: Duration = Duration::from_millis(200);

/// The controller that leads.
pub(crate) fn leader(system: &System) -> Result<&Controller> {
    let leads = |controller: &&Controller| controller.readiness().is_ok_and(|text| text.contains("leading"));
    system.controllers.iter().find(leads).context("no controller leads")
}

/// How many of the pods have no address, or one that another has as well.
#[expect(clippy::cast_precision_loss, reason = "a thousand at most")]
async fn doubled(stage: &Stage<'_>, made: &[allotment_fleet::Pod]) -> Result<f64> {
    let mut seen = BTreeSet::new();
    for pod in made {
        let object = stage.pods.get(pod).await?.context("nobody removes it")?;
        let annotations = object.metadata.annotations.unwrap_or_default();
        let Some(grant) = annotations.get(GRANT) else { continue };
        let grant: Value = serde_json::from_str(grant).context("a grant is JSON")?;
        let address =
            grant["attachments"][0]["ips"][0]["address"].as_str().context("a grant has an address")?;
        seen.insert(address.to_owned());
    }
    ensure!(seen.len() <= made.len(), "more addresses than pods");
    Ok((made.len() - seen.len()) as f64)
}
