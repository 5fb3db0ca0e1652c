//! Our figures, beside the stock plugins' in the same run.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::tree;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Table,
    Json,
}

/// Runs every bench of the workspace's crates; each prints its own rows.
pub(crate) fn run(output: Output) -> Result<ExitCode> {
    let mut cargo = tree::cargo();
    cargo.args(["bench", "--workspace", "--benches"]);
    if output == Output::Json {
        cargo.args(["--", "-o", "json"]);
    }
    let status = cargo.status()?;
    if !status.success() {
        bail!("`{}` failed", allotment_lab::shown(&cargo));
    }
    Ok(ExitCode::SUCCESS)
}
