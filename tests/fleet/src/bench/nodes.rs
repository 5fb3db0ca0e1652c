//! A thousand nodes: an agent for each, as processes of one machine.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use allotment_fleet::ControlPlane;
use allotment_lab::figures::{Bar, Row};
use anyhow::{Context, Result, ensure};

use super::ours;
use super::scene::{PATIENCE, Scene};
use super::stage::Stage;
use super::system::{self, Range, System};

const NODES: usize = 1000;
const PODS: usize = 4 * NODES;

/// Memory that has to be there for each agent: twice what one takes.
const ROOM: u64 = 12 << 20;

pub(crate) async fn rows(plane: &ControlPlane, bin: &Path) -> Result<Vec<Row>> {
    ensure_room()?;
    let stage = Stage::new(plane, NODES).await?;
    eprintln!("{NODES} agents …");
    let ranges = [Range::new("fresh", "10.0.0.0/16")];
    let began = Instant::now();
    let ours = Arc::new(system::allotment(&stage, bin, &ranges, system::own_network()).await?);
    let ready = began.elapsed().as_secs_f64();
    let started = stage.read(&ours.servers()).await?;
    let mut rows = vec![
        Row::new(format!("{NODES} agents: start → every node has published"), ready, "s")
            .detail(format!("processor time: {}", started.by_program())),
    ];
    rows.extend(memory(&ours, "idle")?);
    eprintln!("{PODS} pods …");
    let templates = ours::of_subnet(stage.templates("large", PODS, NODES), "fresh");
    let scene = Scene { pods: &stage.pods, templates, netns: stage.netns(), patience: PATIENCE };
    let outcome = scene.run(&ours).await?;
    let up = stage.read(&ours.servers()).await?;
    let cost = up.clone().since(&started);
    rows.extend([
        Row::new(
            format!("{PODS} pods on {NODES} nodes: first create → last ADD"),
            outcome.up.as_secs_f64(),
            "s",
        )
        .detail(format!(
            "{} up; {}; {} retries",
            outcome.started.len(),
            outcome.adds().spread(),
            outcome.retries()
        )),
        Row::new("… processor time of all programs", cost.processors(), "s").detail(cost.by_program()),
        Row::new("… requests per pod, leases aside", cost.without_leases() / PODS as f64, "")
            .detail(cost.summary()),
    ]);
    rows.extend(memory(&ours, "with four pods")?);
    let mb = |name: &str| up.resident.get(name).map_or(0.0, |bytes| *bytes as f64 / 1e6);
    rows.push(Row::new("… RSS of kube-apiserver", mb("kube-apiserver"), "MB").detail(format!(
        "etcd {:.0} MB, leader {:.0} MB",
        mb("etcd"),
        mb("controller-1").max(mb("controller-2"))
    )));
    let (ended, took) = scene.end(&ours, &outcome.started).await?;
    let last = Instant::now();
    let released = ours::released(&stage.client, "fresh").await? - last;
    rows.push(
        Row::new(
            format!("{ended} pods deleted and DELeted: last one → all cooling or free"),
            released.as_secs_f64(),
            "s",
        )
        .bar(Bar::Most(5.0))
        .detail(format!("they took {:.1} s", took.as_secs_f64())),
    );
    eprintln!("a minute of nothing …");
    let (time, cost) = ours::idle(&stage, &ours, "fresh").await?;
    rows.push(
        Row::new(
            format!("{} idle seconds: requests, leases aside", time.as_secs()),
            cost.without_leases(),
            "",
        )
        .bar(Bar::Most(0.0))
        .detail(format!("{}; processor time: {}", cost.summary(), cost.by_program())),
    );
    Ok(rows)
}

/// What an agent takes of the machine, on average and at most.
fn memory(ours: &System, when: &str) -> Result<Vec<Row>> {
    let shares = ours.agents.iter().map(|agent| agent.server.share()).collect::<Result<Vec<_>>>()?;
    let usages = ours.agents.iter().map(|agent| agent.server.usage()).collect::<Result<Vec<_>>>()?;
    let count = ours.agents.len() as f64;
    let mean = |all: &mut dyn Iterator<Item = u64>| all.sum::<u64>() as f64 / count / 1e6;
    let most = shares.iter().max().copied().unwrap_or(0) as f64 / 1e6;
    let resident = mean(&mut usages.iter().map(|usage| usage.resident));
    Ok(vec![
        Row::new(format!("… memory of an agent, {when}"), mean(&mut shares.iter().copied()), "MB").detail(
            format!(
                "its own and its part of the program's pages; at most {most:.1} MB; RSS {resident:.1} MB"
            ),
        ),
    ])
}

/// Says what is missing before a machine without memory starts to kill.
fn ensure_room() -> Result<()> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).context("/proc/meminfo")?;
    let available = line.trim().trim_end_matches(" kB").parse::<u64>().context("/proc/meminfo")? * 1024;
    let needed = NODES as u64 * ROOM;
    ensure!(
        available >= needed,
        "{NODES} agents need {} MB of memory, and {} MB are available; end other programs first",
        needed >> 20,
        available >> 20
    );
    Ok(())
}
