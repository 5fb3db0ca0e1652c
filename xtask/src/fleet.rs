//! A control plane with controllers and agents, on this machine, until it is taken down.

use std::process::{Command, ExitCode};

use allotment_lab::isolate;
use anyhow::{Context, Result, ensure};

use crate::{dist, tree};

/// Builds what is needed and starts the fleet; says which kubeconfig to use.
pub(crate) fn up(options: &[&str]) -> Result<ExitCode> {
    dist::build()?;
    run(Command::new(program()?).arg("up").arg(folder()?).args(options).env("ALLOTMENT_BIN", tree::bin()))
}

/// Ends it, whatever state it is in.
pub(crate) fn down() -> Result<ExitCode> {
    run(Command::new(program()?).arg("down").arg(folder()?))
}

/// Measures ours beside the peers. All that takes time on a processor is built as it is shipped, the driver included.
pub(crate) fn bench(options: &[&str]) -> Result<ExitCode> {
    ensure!(
        isolate::is_root(),
        "pods have network namespaces, so the bench needs root: sudo cargo xtask bench fleet"
    );
    dist::build()?;
    let release = ["--release", "--package"];
    dist::cargo_build(&mut tree::cargo(), &[&release[..], &["allotment-fleet", "--bin", "fleet"]].concat())?;
    dist::cargo_build(
        &mut tree::cargo(),
        &[&release[..], &["allotment-controller", "--example", "fill"]].concat(),
    )?;
    let target = dist::target_folder()?;
    run(Command::new(target.join("release/fleet"))
        .arg("bench")
        .arg(target.join("tmp"))
        .args(options)
        .env("ALLOTMENT_BIN", tree::bin())
        .env("ALLOTMENT_FILL", target.join("release/examples/fill")))
}

/// The command that builds etcd and kube-apiserver, unless they are there.
pub(crate) fn programs() -> Result<Command> {
    let mut command = Command::new(program()?);
    command.arg("programs");
    Ok(command)
}

/// The fleet's own program: what it is made of would slow down the building of this one.
fn program() -> Result<std::path::PathBuf> {
    dist::cargo_build(&mut tree::cargo(), &["--quiet", "--package", "allotment-fleet", "--bin", "fleet"])?;
    Ok(dist::target_folder()?.join("debug/fleet"))
}

fn folder() -> Result<std::path::PathBuf> {
    Ok(dist::target_folder()?.join("fleet"))
}

fn run(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| allotment_lab::shown(command))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
