//! A cluster that holds many addresses: how soon its controllers can go on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use allotment_fleet::{Allot, ControlPlane, Controller, Template, objects, publish};
use allotment_lab::figures::{Bar, Row};
use allotment_lab::run;
use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::time::sleep;

use super::grants::Grants;
use super::stage::Stage;
use super::{ours, scene};

const HELD: u32 = 100_000;
const POLL: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_mins(1);

/// The program that fills a ledger.
fn fill() -> Result<PathBuf> {
    let path = std::env::var_os("ALLOTMENT_FILL")
        .context("ALLOTMENT_FILL names the example `fill` of the controller")?;
    Ok(path.into())
}

pub(crate) async fn rows(plane: &ControlPlane, bin: &Path) -> Result<Vec<Row>> {
    let stage = Stage::new(plane, 1).await?;
    let allot = Allot::new(plane, bin)?;
    objects::install(&stage.client, &allot.tool()).await?;
    fill_ledger(&stage, "held", "10.128.0.0/15", HELD, 0).await?;
    publish(&stage.client, &stage.nodes[0]).await?;
    let first = allot.controller("controller-1", &plane.kubeconfig())?;
    let began = Instant::now();
    first.server.start()?;
    until(&first, "leading").await?;
    let took = began.elapsed().as_secs_f64();
    let second = allot.controller("controller-2", &plane.kubeconfig())?;
    second.server.start()?;
    until(&second, "standing by").await?;
    let (leading, standing) = (first.server.usage()?, second.server.usage()?);
    let handed = hand_over(&stage, &first).await?;
    let mb = |bytes: u64| f64::from(u32::try_from(bytes / 1000).unwrap_or(u32::MAX)) / 1e3;
    Ok(vec![
        Row::new(format!("{HELD} held: start of the controller → it leads"), took, "s").bar(Bar::Most(5.0)),
        Row::new("… RSS of the leader", mb(leading.resident), "MB").bar(Bar::Most(300.0)).detail(format!(
            "peak {:.0} MB; standby {:.0} MB",
            mb(leading.peak),
            mb(standing.resident)
        )),
        Row::new("… lease free → grant by the standby", handed.as_secs_f64(), "s").bar(Bar::Most(1.0)),
    ])
}

/// A subnet of which so many addresses are held, and so many were once. No controller may run yet.
pub(crate) async fn fill_ledger(
    stage: &Stage<'_>,
    subnet: &str,
    cidr: &str,
    held: u32,
    used: u32,
) -> Result<()> {
    let object = json!({"apiVersion": "allotment.dev/v1alpha1", "kind": "Subnet", "metadata": {"name": subnet},
        "spec": {"cidrs": [cidr], "cooling": "0s"}});
    objects::apply(&stage.client, &object.to_string()).await?;
    eprintln!("{held} addresses of {cidr} held, {used} used once …");
    let kubeconfig = stage.plane.kubeconfig();
    let mut command = Command::new(fill()?);
    command.arg(kubeconfig).args([subnet, cidr, &held.to_string(), &used.to_string()]);
    run(&mut command).map(drop)
}

/// The leader stops, a pod comes, the standby gives it an address: how long that is after the lease was free.
async fn hand_over(stage: &Stage<'_>, leader: &Controller) -> Result<Duration> {
    let grants = Grants::watch(stage.client.clone()).await?;
    // It gives the lease back before it ends.
    leader.server.stop()?;
    let free = Instant::now();
    let template: Vec<Template> = ours::of_subnet(stage.templates("handed", 1, 1), "held");
    let made = stage.pods.create_all(&template).await?;
    let granted = grants.wait(&made, LIMIT).await?;
    scene::remove(&stage.pods, &made).await?;
    Ok(granted - free)
}

async fn until(controller: &Controller, words: &str) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let said = controller.readiness();
        if said.as_ref().is_ok_and(|said| said.contains(words)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{} is not `{words}`: {said:?}; {}", controller.server.name(), controller.server.words());
        }
        sleep(POLL).await;
    }
}
