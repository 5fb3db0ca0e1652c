//! The AI job: 128 pods with 16 fast interfaces each, at one moment.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use allotment_fleet::{ControlPlane, Template};
use allotment_lab::figures::{Bar, Row};
use anyhow::{Result, ensure};

use super::meter::Reading;
use super::ours;
use super::scene::{Outcome, Scene};
use super::stage::Stage;
use super::system::{self, Range, System};

const PODS: usize = 128;
const RAILS: usize = 16;

/// As few nodes as hold them, and a node for each.
const NODES: [usize; 2] = [8, 128];

const PATIENCE: Duration = Duration::from_mins(2);

/// Interfaces of the whole job.
#[expect(clippy::cast_precision_loss, reason = "2048")]
const INTERFACES: f64 = (PODS * RAILS) as f64;

pub(crate) async fn rows(plane: &ControlPlane, bin: &Path) -> Result<Vec<Row>> {
    let most = NODES.into_iter().max().unwrap_or(1);
    let stage = Stage::new(plane, most).await?;
    // A subnet for each rail, as switches have them, with room for the job twice.
    let ranges: Vec<Range> = (1..=RAILS)
        .map(|rail| Range::new(&format!("rail-{rail}"), &format!("10.{}.0.0/23", 64 + rail)))
        .collect();
    eprintln!("AI job, host-local …");
    let files = Arc::new(system::host_local(plane.folder(), &stage.nodes, &ranges)?);
    let mut theirs = Vec::new();
    for nodes in NODES {
        let (outcome, cost) = job(&stage, &files, nodes).await?;
        theirs.push((outcome.up, cost));
    }
    eprintln!("AI job, Allotment …");
    let ours = system::allotment(&stage, bin, &ranges, system::rails(&ranges)).await?;
    let ours = Arc::new(ours);
    let mut rows = Vec::new();
    for (nodes, (theirs, their_cost)) in NODES.into_iter().zip(theirs) {
        eprintln!("… on {nodes} nodes");
        let (outcome, cost) = job(&stage, &ours, nodes).await?;
        let what = |rest: &str| format!("AI job, {PODS} pods × {RAILS} NICs on {nodes} nodes: {rest}");
        let adds = outcome.adds();
        rows.push(
            Row::new(what("first create → last ADD"), outcome.up.as_secs_f64(), "s")
                .beside("host-local", theirs.as_secs_f64())
                .bar(Bar::Faster(3.0))
                .detail(format!(
                    "an ADD: median {:.0} ms, {}; {} retries",
                    adds.median(),
                    adds.spread(),
                    outcome.retries()
                )),
        );
        rows.push(
            Row::new(what("processor time of all programs"), cost.processors(), "s")
                .beside("host-local", their_cost.processors())
                .detail(format!("{}; host-local: {}", cost.by_program(), their_cost.by_program())),
        );
        let patches = ratio(cost.count("PATCH pods"), PODS);
        rows.push(Row::new(what("pod patches per pod"), patches, "").bar(Bar::Most(1.0)));
        let writes = cost.count("PUT addressblocks") + cost.count("POST addressblocks");
        #[expect(clippy::cast_precision_loss, reason = "some hundred")]
        let writes = writes as f64 / INTERFACES;
        rows.push(
            Row::new(what("block writes per NIC"), writes, "").bar(Bar::Most(0.05)).detail(cost.summary()),
        );
    }
    Ok(rows)
}

#[expect(clippy::cast_precision_loss, reason = "some thousand")]
fn ratio(count: u64, of: usize) -> f64 {
    count as f64 / of as f64
}

/// The job comes up and goes again.
async fn job(stage: &Stage<'_>, system: &Arc<System>, nodes: usize) -> Result<(Outcome, Reading)> {
    let networks: Vec<String> = (1..=RAILS).map(|rail| format!("rail-{rail}")).collect();
    let networks = networks.join(",");
    let annotate = |template: Template| template.annotate("k8s.v1.cni.cncf.io/networks", &networks);
    let templates = stage.templates(&format!("ai-{nodes}"), PODS, nodes).into_iter().map(annotate).collect();
    let scene = Scene { pods: &stage.pods, templates, netns: stage.netns(), patience: PATIENCE };
    let before = stage.read(&system.servers()).await?;
    let outcome = scene.run(system).await?;
    let cost = stage.read(&system.servers()).await?.since(&before);
    ensure!(
        outcome.lost == 0,
        "{} of {PODS} pods of {} did not start: {:?}",
        outcome.lost,
        system.name,
        outcome.errors.first()
    );
    scene.end(system, &outcome.started).await?;
    if !system.controllers.is_empty() {
        // What the end entails is not the next job's.
        for rail in 1..=RAILS {
            ours::released(&stage.client, &format!("rail-{rail}")).await?;
        }
    }
    Ok((outcome, cost))
}
