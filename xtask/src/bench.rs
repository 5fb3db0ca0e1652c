//! Our figures, beside the stock plugins' in the same run.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use allotment_lab::figures::{self, Machine, Row};
use allotment_lab::{Programs, Scratch, isolate, stock};
use anyhow::{Context, Result, bail, ensure};

use crate::{dist, needs, tree};

mod counts;
mod crates;
mod crowd;
mod machine;
mod rounds;
mod site;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Table,
    Json,
}

/// What can be measured by itself, in this order.
const PARTS: [&str; 4] = ["calls", "crowd", "core", "engine"];

/// Builds everything, then measures these parts, or all of them, in namespaces of its own.
pub(crate) fn run(parts: &[&str], output: Output) -> Result<ExitCode> {
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(part)) {
        bail!("there is no part `{unknown}`; there are {}, and `fleet`", PARTS.join(", "));
    }
    if let Some(folder) = isolate::folder() {
        return inside(if parts.is_empty() { &PARTS } else { parts }, output, &folder);
    }
    prepare()?;
    stock::pinned(tree::root()).context("the peer is the stock host-local")?;
    crates::build()?;
    isolated()
}

/// Counts system calls and writes, and holds them against what they were.
pub(crate) fn count() -> Result<ExitCode> {
    let Some(folder) = isolate::folder() else {
        prepare()?;
        needs::strace()?;
        return isolated();
    };
    isolate::settle()?;
    counts::run(&programs(Path::new("/"))?, &folder)
}

fn prepare() -> Result<()> {
    ensure!(
        isolate::is_root(),
        "network namespaces are needed, so the bench needs root: sudo cargo xtask bench"
    );
    needs::ip()?;
    dist::build()
}

/// Starts this program again inside, with a folder in `target`: what is committed there reaches a disk, which is not
/// certain of the folder for temporary files.
fn isolated() -> Result<ExitCode> {
    let target = dist::target_folder()?.join("tmp");
    fs::create_dir_all(&target)?;
    isolate::run_inside_with(&Scratch::new_in(&target)?)
}

fn programs(stock: &Path) -> Result<Programs> {
    Programs::new(&tree::bin(), stock)
}

fn inside(parts: &[&str], output: Output, folder: &Path) -> Result<ExitCode> {
    isolate::settle()?;
    let machine = Machine::look(folder)?;
    let programs = programs(&stock::pinned(tree::root())?)?;
    let empty = figures::empty_program(folder)?;
    let mut rows = Vec::new();
    for part in parts {
        eprintln!("measuring: {part} …");
        let measured = match *part {
            "calls" => rounds::rows(&programs, folder, &empty),
            "crowd" => crowd::rows(&programs, folder),
            "core" => crates::core(),
            _ => crates::engine(),
        };
        rows.extend(measured.with_context(|| format!("{part} could not be measured"))?);
    }
    print(output, &machine, &rows);
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn print(output: Output, machine: &Machine, rows: &[Row]) {
    match output {
        Output::Table => {
            println!("{}\n", machine.line());
            print!("{}", figures::table(rows));
            println!(
                "\nADD and DEL: whole processes, ours durable before the answer; host-local does not sync its files."
            );
        }
        Output::Json => {
            println!("{}", serde_json::json!({"machine": machine.json()}));
            for row in rows {
                println!("{}", row.json());
            }
        }
    }
}
