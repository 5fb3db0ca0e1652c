//! A thousand pods on ten nodes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_fleet::{Allot, ControlPlane, Template, objects};
use allotment_lab::figures::{Row, Times};
use anyhow::{Context, Result};

use super::grants::Grants;
use super::meter::Reading;
use super::scene::{self, Outcome, PATIENCE, Scene};
use super::stage::Stage;
use super::system::{self, Range, System};
use super::{held, leader, ours, quiet};

mod table;

pub(crate) const PODS: usize = 1000;
const NODES: usize = 10;

/// Addresses of the churned subnet that are held, and that were once: all but two and the gateway.
const HELD: u32 = 32_768;
const USED: u32 = 65_533 - HELD;

/// How often the pods are made with nobody watching.
const ALONE: usize = 3;

/// What one system did for the crowd.
struct Done {
    name: &'static str,
    outcome: Outcome,
    /// While the pods came up.
    cost: Reading,
    /// Pods that were taken down again, and how long that took; none of Whereabouts', which would need minutes.
    ended: (usize, Duration),
    ending: Reading,
    /// From the moment that the grant was there, or the ADD began: for ours.
    after: Times,
}

/// The pods, their addresses and their ADDs, ours beside the peers'.
pub(crate) async fn rows(plane: &ControlPlane, bin: &Path) -> Result<Vec<Row>> {
    let stage = Stage::new(plane, NODES).await?;
    eprintln!("host-local …");
    let files = system::host_local(plane.folder(), &stage.nodes, &[Range::new("files", "10.1.0.0/16")])?;
    let files = crowd(&stage, &Arc::new(files), stage.templates("files", PODS, NODES)).await?;
    eprintln!("Allotment …");
    let ranges = [Range::new("fresh", "10.3.0.0/16"), exact()];
    let ours = Arc::new(system::allotment(&stage, bin, &ranges, system::own_network()).await?);
    let fresh = of_subnet(&stage, &ours, "fresh").await?;
    let exact = of_subnet(&stage, &ours, "exact").await?;
    stop(&ours)?;
    eprintln!("Whereabouts, two minutes at most …");
    let polled = [Range::new("polled", "10.2.0.0/16")];
    let polled = Arc::new(system::whereabouts(plane, &stage.client, &stage.nodes, &polled).await?);
    let polled = up(&stage, &polled, stage.templates("polled", PODS, NODES)).await?;
    let mut rows = table::up(&fresh.0, &polled, &files);
    rows.extend(table::exact(&exact.0, &fresh.0));
    rows.extend(table::ended(&fresh));
    Ok(rows)
}

/// The grants alone: no node starts the pods.
pub(crate) async fn grants(plane: &ControlPlane, bin: &Path) -> Result<Vec<Row>> {
    let stage = Stage::new(plane, NODES).await?;
    let alone = alone(&stage).await?;
    let allot = Allot::new(plane, bin)?;
    objects::install(&stage.client, &allot.tool()).await?;
    held::fill_ledger(&stage, "churned", "10.5.0.0/16", HELD, USED).await?;
    let ranges = [Range::new("fresh", "10.3.0.0/16"), exact()];
    let ours = Arc::new(system::allotment(&stage, bin, &ranges, system::own_network()).await?);
    let mut rows = table::alone(&alone);
    for (subnet, what) in
        [("fresh", "a fresh /16"), ("exact", "exactly 1000 addresses"), ("churned", "a churned /16")]
    {
        eprintln!("{what} …");
        let scene = scene(&stage, ours::of_subnet(stage.templates(subnet, PODS, NODES), subnet));
        let granted = ours::grants(&stage, &ours, &scene).await.with_context(|| what.to_owned())?;
        rows.extend(table::grants(what, &alone, &granted));
    }
    Ok(rows)
}

/// When nothing happens, and when the leader dies.
pub(crate) async fn calm(plane: &ControlPlane, bin: &Path) -> Result<Vec<Row>> {
    let stage = Stage::new(plane, NODES).await?;
    let ranges = [Range::new("fresh", "10.3.0.0/16")];
    let ours = Arc::new(system::allotment(&stage, bin, &ranges, system::own_network()).await?);
    let mut rows = quiet::rows(&stage, &ours, "fresh", plane.folder()).await?;
    eprintln!("a minute of nothing …");
    rows.extend(table::idle(&ours::idle(&stage, &ours, "fresh").await?));
    eprintln!("the leader is killed …");
    rows.extend(leader::rows(&stage, &ours, "fresh").await?);
    Ok(rows)
}

/// Of 1024 addresses, network, broadcast and gateway are nobody's.
fn exact() -> Range {
    Range { exclude: "10.4.0.2-10.4.0.22".to_owned(), ..Range::new("exact", "10.4.0.0/22") }
}

/// The crowd with ADDs on one of our subnets, and the time until nothing of it is held any more.
async fn of_subnet(stage: &Stage<'_>, ours: &Arc<System>, subnet: &str) -> Result<(Done, Duration)> {
    let templates = ours::of_subnet(stage.templates(subnet, PODS, NODES), subnet);
    let done = crowd(stage, ours, templates).await?;
    released(stage, ours, done, subnet).await
}

/// Waits until nothing is held any more: how long after the last pod, and what all of the ending cost.
async fn released(
    stage: &Stage<'_>,
    ours: &System,
    mut done: Done,
    subnet: &str,
) -> Result<(Done, Duration)> {
    let before = stage.read(&ours.servers()).await?;
    let began = Instant::now();
    let took = ours::released(&stage.client, subnet).await? - began;
    done.ending.add(stage.read(&ours.servers()).await?.since(&before));
    Ok((done, took))
}

/// What it takes to make the pods with nobody watching.
#[derive(Default)]
struct Alone {
    times: Times,
    /// Seconds on a processor of all programs, each time, and of each the last time.
    processors: Times,
    last: Reading,
}

async fn alone(stage: &Stage<'_>) -> Result<Alone> {
    let mut alone = Alone::default();
    for turn in 0..ALONE {
        let templates = stage.templates(&format!("alone-{turn}"), PODS, NODES);
        let before = stage.read(&[]).await?;
        let (took, made) = scene(stage, templates).create_only().await?;
        alone.last = stage.read(&[]).await?.since(&before);
        alone.times.push(took);
        alone.processors.push(Duration::from_secs_f64(alone.last.processors()));
        scene::remove(&stage.pods, &made).await?;
    }
    Ok(alone)
}

fn scene<'a>(stage: &'a Stage<'_>, templates: Vec<Template>) -> Scene<'a> {
    Scene { pods: &stage.pods, templates, netns: stage.netns(), patience: PATIENCE }
}

/// The pods come up, are counted, and go again.
async fn crowd(stage: &Stage<'_>, system: &Arc<System>, templates: Vec<Template>) -> Result<Done> {
    let mut done = up(stage, system, templates).await?;
    let before = stage.read(&system.servers()).await?;
    let scene = scene(stage, Vec::new());
    done.ended = scene.end(system, &done.outcome.started).await?;
    stage.clear().await?;
    done.ending = stage.read(&system.servers()).await?.since(&before);
    Ok(done)
}

/// The pods come up and are counted.
async fn up(stage: &Stage<'_>, system: &Arc<System>, templates: Vec<Template>) -> Result<Done> {
    let scene = scene(stage, templates);
    let before = stage.read(&system.servers()).await?;
    let grants =
        if system.agents.is_empty() { None } else { Some(Grants::watch(stage.client.clone()).await?) };
    let outcome = scene.run(system).await?;
    let after = grants.map(|grants| outcome.adds_after(&grants.seen())).unwrap_or_default();
    let cost = stage.read(&system.servers()).await?.since(&before);
    if let Some(error) = outcome.errors.first() {
        eprintln!("{}, the first of {} errors: {error:#}", system.name, outcome.errors.len());
    }
    Ok(Done {
        name: system.name,
        outcome,
        cost,
        ended: (0, Duration::ZERO),
        ending: Reading::default(),
        after,
    })
}

/// Ends the programs of a system, so that they cost the next one nothing.
fn stop(system: &System) -> Result<()> {
    system.servers().into_iter().try_for_each(|server| server.stop().map(drop))
}
