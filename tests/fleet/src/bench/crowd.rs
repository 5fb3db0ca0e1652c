//! A thousand pods on ten nodes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment_fleet::{ControlPlane, Template};
use allotment_lab::figures::{Row, Times};
use anyhow::{Context, Result};

use super::grants::Grants;
use super::meter::{self, Reading};
use super::scene::{Outcome, PATIENCE, Scene};
use super::stage::Stage;
use super::system::{self, Range, System};
use super::{leader, ours, quiet};

mod table;

pub(crate) const PODS: usize = 1000;
const NODES: usize = 10;

/// How often the pods are made with nobody watching.
const ALONE: usize = 3;

/// What one system did for the crowd.
struct Done {
    name: &'static str,
    outcome: Outcome,
    /// While the pods came up.
    cost: Reading,
    /// Seconds on a processor of all plugins, meanwhile.
    plugins: f64,
    /// Pods that were taken down again, and how long that took.
    ended: (usize, Duration),
    ending: Reading,
    /// From the moment that the grant was there, or the ADD began: for ours.
    after: Times,
}

pub(crate) async fn rows(plane: &ControlPlane, bin: &Path) -> Result<Vec<Row>> {
    let stage = Stage::new(plane, NODES).await?;
    eprintln!("{PODS} pods, nobody watching …");
    let alone = alone(&stage).await?;
    eprintln!("{PODS} pods, host-local …");
    let files = system::host_local(plane.folder(), &stage.nodes, &[Range::new("files", "10.1.0.0/16")])?;
    let files = crowd(&stage, &Arc::new(files), stage.templates("files", PODS, NODES)).await?;
    eprintln!("{PODS} pods, Whereabouts: {} minutes at most …", PATIENCE.as_secs() / 30);
    let polled = [Range::new("polled", "10.2.0.0/16")];
    let polled = Arc::new(system::whereabouts(plane, &stage.client, &stage.nodes, &polled).await?);
    let polled = crowd(&stage, &polled, stage.templates("polled", PODS, NODES)).await?;
    eprintln!("{PODS} pods, Allotment …");
    // Of 1024 addresses, network, broadcast and gateway are nobody's.
    let exact = Range { exclude: "10.4.0.2-10.4.0.22".to_owned(), ..Range::new("exact", "10.4.0.0/22") };
    let ranges = [Range::new("fresh", "10.3.0.0/16"), exact];
    let ours = Arc::new(system::allotment(&stage, bin, &ranges, system::own_network()).await?);
    let granted = async |subnet: &str| {
        let scene = scene(&stage, ours::of_subnet(stage.templates(subnet, PODS, NODES), subnet));
        ours::grants(&stage, &ours, &scene, subnet).await.with_context(|| format!("grants of {subnet}"))
    };
    let fresh = granted("fresh").await?;
    let up = |name: &str, subnet: &str| ours::of_subnet(stage.templates(name, PODS, NODES), subnet);
    let fresh_up = crowd(&stage, &ours, up("fresh-up", "fresh")).await?;
    let fresh_up = released(&stage, &ours, fresh_up, "fresh").await?;
    let exact_up = crowd(&stage, &ours, up("exact-up", "exact")).await?;
    let exact_up = released(&stage, &ours, exact_up, "exact").await?;
    let mut rows = table::grants(&alone, &fresh);
    rows.extend(table::up(&fresh_up.0, &polled, &files));
    rows.extend(table::exact(&exact_up.0, &fresh_up.0));
    rows.extend(table::ended(&fresh_up));
    rows.extend(quiet::rows(&stage, &ours, "fresh", plane.folder()).await?);
    rows.extend(table::idle(&ours::idle(&stage, &ours).await?));
    rows.extend(leader::rows(&stage, &ours, "fresh").await?);
    Ok(rows)
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

/// Times to make the pods with nobody watching.
async fn alone(stage: &Stage<'_>) -> Result<Times> {
    let mut times = Times::default();
    for turn in 0..ALONE {
        let templates = stage.templates(&format!("alone-{turn}"), PODS, NODES);
        times.push(scene(stage, templates).create_only().await?);
    }
    Ok(times)
}

fn scene<'a>(stage: &'a Stage<'_>, templates: Vec<Template>) -> Scene<'a> {
    Scene { pods: &stage.pods, templates, netns: stage.netns(), patience: PATIENCE }
}

/// The pods come up, are counted, and go again.
async fn crowd(stage: &Stage<'_>, system: &Arc<System>, templates: Vec<Template>) -> Result<Done> {
    let scene = scene(stage, templates);
    let (before, plugins) = (stage.read(&system.servers()).await?, meter::plugins()?);
    let grants =
        if system.agents.is_empty() { None } else { Some(Grants::watch(stage.client.clone()).await?) };
    let outcome = scene.run(system).await?;
    let after = grants.map(|grants| outcome.adds_after(&grants.seen())).unwrap_or_default();
    let up = stage.read(&system.servers()).await?;
    let plugins = meter::plugins()? - plugins;
    if let Some(error) = outcome.errors.first() {
        eprintln!("{}, the first of {} errors: {error:#}", system.name, outcome.errors.len());
    }
    let ended = scene.end(system, &outcome.started).await?;
    stage.clear().await?;
    let ending = stage.read(&system.servers()).await?.since(&up);
    Ok(Done { name: system.name, outcome, cost: up.since(&before), plugins, ended, ending, after })
}
