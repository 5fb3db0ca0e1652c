//! One ADD at a time on a quiet node, its grant long there, beside a program that does nothing.

use std::path::Path;
use std::sync::Arc;

use allotment_fleet::Plugin;
use allotment_lab::figures::{Bar, Row, Times, digits, empty_program};
use anyhow::{Context, Result};

use super::meter::Reading;
use super::ours;
use super::scene;
use super::stage::Stage;
use super::system::System;

const PODS: usize = 200;

pub(crate) async fn rows(
    stage: &Stage<'_>,
    system: &Arc<System>,
    subnet: &str,
    folder: &Path,
) -> Result<Vec<Row>> {
    let templates = ours::of_subnet(stage.templates("quiet", PODS, 1), subnet);
    let grants = super::grants::Grants::watch(stage.client.clone()).await?;
    let made = stage.pods.create_all(&templates).await?;
    grants.wait(&made, scene::PATIENCE).await?;
    drop(grants);
    // What the grants entail is not the ADDs'.
    ours::held(&stage.client, subnet, PODS).await?;
    let kubelet = system.kubelets.get(&made[0].node).context("the first node")?;
    let empty = Plugin::new(empty_program(folder)?);
    let before = stage.read(&system.servers()).await?;
    let (mut adds, mut nothings, mut sandboxes) = (Times::default(), Times::default(), Vec::new());
    for pod in &made {
        let sandbox = kubelet.attempt(pod, stage.netns()).await?;
        let added = sandbox.adds.first().context("a pod has one interface")?;
        added.answered.answer.clone().ok()?;
        adds.push(added.answered.took);
        let call = sandbox.call(allotment_lab::Verb::Add, &added.attachment);
        nothings.push(empty.call(&call).await?.took);
        sandboxes.push(sandbox);
    }
    let cost = stage.read(&system.servers()).await?.since(&before);
    for sandbox in &sandboxes {
        kubelet.stop(sandbox).await?;
    }
    scene::remove(&stage.pods, &made).await?;
    Ok(table(&adds, &nothings, &cost))
}

fn table(adds: &Times, nothings: &Times, cost: &Reading) -> Vec<Row> {
    let asked = cost.without_leases();
    vec![
        Row::new("an ADD, its grant long there, quiet node", adds.median(), "ms")
            .beside("empty static program", nothings.median())
            .bar(Bar::MostAbove(1.0))
            .detail(format!("{}; p99 {} ms", adds.spread(), digits(nothings.at(99)))),
        Row::new(format!("… API requests in {PODS} of them, leases aside"), asked, "")
            .bar(Bar::Most(0.0))
            .detail(cost.summary()),
    ]
}
