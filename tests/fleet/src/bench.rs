//! `cargo xtask bench fleet`: ours, Whereabouts and host-local on one API server, played by one driver.

use std::path::Path;

use allotment_fleet::{ControlPlane, Durability, Settings, bin};
use allotment_lab::figures::{Machine, Row, table};
use anyhow::{Context, Result};

mod ai;
mod crowd;
mod grants;
mod held;
mod leader;
mod meter;
mod ours;
mod quiet;
mod scene;
mod stage;
mod system;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Table,
    Json,
}

/// Measures everything. Files go into `folder`, whose disk is what etcd writes to.
#[tokio::main]
pub(crate) async fn run(folder: &Path, output: Output) -> Result<()> {
    let bin = bin()?.canonicalize()?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let machine = Machine::look(folder)?;
    let mut rows = crowd::rows(&plane(folder)?, &bin).await?;
    rows.extend(ai::rows(&plane(folder)?, &bin).await?);
    rows.extend(held::rows(&plane(folder)?, &bin).await?);
    print(output, &machine, &rows);
    Ok(())
}

/// A control plane that makes every write durable, on the disk of this folder.
fn plane(folder: &Path) -> Result<ControlPlane> {
    let parent = Some(folder.to_owned());
    ControlPlane::start_with(Settings { durability: Durability::Fsync, parent, ..Settings::default() })
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn print(output: Output, machine: &Machine, rows: &[Row]) {
    match output {
        Output::Table => println!("{}\n\n{}", machine.line(), table(rows)),
        Output::Json => {
            println!("{}", serde_json::json!({"machine": machine.json()}));
            for row in rows {
                println!("{}", row.json());
            }
        }
    }
}
