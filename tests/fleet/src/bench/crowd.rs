//! A thousand pods on ten nodes.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use allotment_fleet::{ControlPlane, Template};
use allotment_lab::figures::{Row, Times};
use anyhow::Result;

use super::meter::{self, Reading};
use super::ours;
use super::scene::{Outcome, Scene};
use super::stage::Stage;
use super::system::{self, Agents, Range, System};

const PODS: usize = 1000;
const NODES: usize = 10;

/// What the pods alone are made for, how often.
const ALONE: usize = 3;

/// Longer than ours and host-local's need by far; Whereabouts' do not all start in it.
const PATIENCE: Duration = Duration::from_mins(2);

/// Written and read for the pods themselves, whoever gives the addresses.
const DRIVER: [&str; 2] = ["POST pods", "DELETE pods"];

/// What one system did for the crowd.
struct Done {
    outcome: Outcome,
    /// While the pods came up.
    cost: Reading,
    /// Seconds on a processor of all plugins.
    plugin: f64,
    /// Pods that were taken down again, and how long that took.
    ended: (usize, Duration),
}

pub(crate) async fn rows(plane: &ControlPlane, bin: &Path) -> Result<Vec<Row>> {
    let stage = Stage::new(plane, NODES).await?;
    let alone = alone(&stage).await?;
    let range = |network: &str, cidr: &str| Range { network: network.to_owned(), cidr: cidr.to_owned() };
    let ranges = [range("fresh", "10.3.0.0/16"), range("exact", "10.4.0.0/22")];
    let ours = Arc::new(system::allotment(&stage, bin, &ranges, Agents::Played).await?);
    for subnet in ["fresh", "exact"] {
        let scene = scene(&stage, ours::of_subnet(stage.templates(subnet, PODS, NODES), subnet));
        let granted = ours::grants(&stage, &ours, &scene, subnet).await?;
        eprintln!("{subnet}: {:?} {:#?}", granted.took, granted.cost);
    }
    let only = std::env::var_os("ONLY").is_some();
    if !only {
        eprintln!("{PODS} pods, host-local …");
        let files = system::host_local(plane.folder(), &stage.nodes, &[range("files", "10.1.0.0/16")])?;
        let files = crowd(&stage, files, "files").await?;
        eprintln!("{PODS} pods, Whereabouts …");
        let polled = [range("polled", "10.2.0.0/16")];
        let polled = system::whereabouts(plane, &stage.client, &stage.nodes, &polled).await?;
        let polled = crowd(&stage, polled, "polled").await?;
    }
    let rows = vec![Row::new(format!("{PODS} pods made, nobody watching"), alone.median() / 1e3, "s")];
    Ok(rows)
}

/// Seconds to make the pods with nobody watching.
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
async fn crowd(stage: &Stage<'_>, system: System, name: &str) -> Result<Done> {
    let system = Arc::new(system);
    let scene = scene(stage, stage.templates(name, PODS, NODES));
    let (before, plugin) = (stage.read(&system.servers()).await?, meter::plugins()?);
    let outcome = scene.run(&system).await?;
    let cost = stage.read(&system.servers()).await?.since(&before);
    let plugin = meter::plugins()? - plugin;
    for error in outcome.lost.iter().take(3) {
        eprintln!("{}: {error:#}", system.name);
    }
    let ended = scene.end(&system, &outcome.started).await?;
    stage.clear().await?;
    eprintln!(
        "{}: up {:?} ended {ended:?} served {} lost {} retries {} {} {:.0?} {plugin:.1}\n{:#?}",
        system.name,
        outcome.up,
        outcome.started.len(),
        outcome.lost.len(),
        outcome.retries(),
        outcome.adds().spread(),
        outcome.adds().median(),
        cost
    );
    Ok(Done { outcome, cost, plugin, ended })
}
