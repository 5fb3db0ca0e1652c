//! Containers that vanish without a DEL (rule R1).

use std::time::Duration;

use allotment_lab::wait_until;
use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::world::{Test, World, add, lan, rows, site};

pub(crate) const TESTS: &[Test] = &[("sweep::a_vanished_namespace_frees_its_addresses", vanished)];

/// Two looks, half a minute apart, and a machine with other things to do.
const LIMIT: Duration = Duration::from_secs(100);

fn vanished(world: &World) -> Result<()> {
    let (lab, pod, config) = site(world, &lan())?;
    let gone = lab.netns("gone")?;
    add(&lab, &config, "stays", &pod)?.ok()?;
    add(&lab, &config, "goes", &gone)?.ok()?;
    drop(gone);
    let found = wait_until("the sweep finds the vanished container", LIMIT, || {
        rows(&lab, "cooling").ok().filter(|rows| !rows.is_empty())
    })?;
    ensure!(found.len() == 1, "{found:?}");
    ensure!(
        found[0]["owner"] == json!({"kind": "Container", "namespace": null, "name": "goes", "uid": "goes"}),
        "{found:?}"
    );
    let active = rows(&lab, "active")?;
    let stays = active.first().context("the other container keeps its address")?;
    ensure!(stays["attachment"]["containerId"] == "stays", "{active:?}");
    Ok(())
}
