//! `cargo xtask bench fleet`: ours, Whereabouts and host-local on one API server, played by one driver.

use std::path::Path;

use allotment_fleet::{ControlPlane, Durability, Settings, bin};
use allotment_lab::figures::{Machine, Row, table};
use anyhow::{Context, Result, bail, ensure};

mod ai;
mod crowd;
mod grants;
mod held;
mod leader;
mod meter;
mod nodes;
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

/// What can be measured by itself, each on a control plane of its own, in this order.
pub(crate) const PARTS: [&str; 5] = ["grants", "crowd", "calm", "ai", "held"];

/// What is measured only where it is asked for: it needs most of the memory.
const LARGE: &str = "nodes";

/// Measures these parts. Files go into `folder`, whose disk is what etcd writes to. A part that fails says so and leaves
/// the others alone.
#[tokio::main]
pub(crate) async fn run(folder: &Path, parts: &[&str], output: Output) -> Result<()> {
    let bin = bin()?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let machine = Machine::look(folder)?;
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for part in parts {
        eprintln!("=== {part}");
        match measure(part, folder, &bin).await {
            Ok(measured) => rows.extend(measured),
            Err(error) => {
                eprintln!("error: {error:#}");
                failed.push(*part);
            }
        }
    }
    print(output, &machine, &rows);
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

async fn measure(part: &str, folder: &Path, bin: &Path) -> Result<Vec<Row>> {
    let plane = plane(folder)?;
    match part {
        "grants" => crowd::grants(&plane, bin).await,
        "crowd" => crowd::rows(&plane, bin).await,
        "calm" => crowd::calm(&plane, bin).await,
        "ai" => ai::rows(&plane, bin).await,
        "held" => held::rows(&plane, bin).await,
        LARGE => nodes::rows(&plane, bin).await,
        other => bail!("there is no part `{other}`; there are {} and {LARGE}", PARTS.join(", ")),
    }
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
