//! A real cluster on this machine, until it is taken down.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use allotment_lab::{go, isolate};
use anyhow::{Context, Result, bail, ensure};

use crate::{dist, needs, tree};

const NODES: &str = "2";

/// Builds what is needed and starts a cluster with Allotment on it; says which kubeconfig to use.
pub(crate) fn up(options: &[&str]) -> Result<ExitCode> {
    let nodes = match options {
        [] => NODES,
        // Before minutes of building.
        ["--nodes", number] if number.parse::<u8>().is_ok_and(|number| number > 0) => number,
        _ => bail!("`cluster up` takes `--nodes N`, N from 1 on, and nothing else"),
    };
    ensure!(
        isolate::is_root(),
        "nodes are made of namespaces, so this needs root: sudo cargo xtask cluster up"
    );
    needs::cluster()?;
    dist::build()?;
    run(program()?.arg("up").arg(folder()?).arg(nodes).env("ALLOTMENT_BIN", tree::bin()))
}

/// Ends it, whatever state it is in.
pub(crate) fn down() -> Result<ExitCode> {
    run(program()?.arg("down").arg(folder()?))
}

/// Runs what README shows, on the cluster that is up, or on one that goes again.
pub(crate) fn tour() -> Result<ExitCode> {
    let is_up = bin()?.join("kubectl").exists();
    if !is_up && up(&[])? != ExitCode::SUCCESS {
        return Ok(ExitCode::FAILURE);
    }
    let toured = run(program()?.arg("tour").arg(folder()?));
    if !is_up {
        down()?;
    }
    toured
}

/// The cluster's kubectl; it takes this program's place, so that its exit code and signals are its own.
pub(crate) fn kubectl(args: &[&str]) -> Result<ExitCode> {
    let program = bin()?.join("kubectl");
    become_program(inside(&program.to_string_lossy())?.args(args))
}

/// A shell in which `kubectl` finds the cluster; or one on a node.
pub(crate) fn shell(node: &[&str]) -> Result<ExitCode> {
    let shell = env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
    match node {
        [] => become_program(&mut inside(&shell)?),
        [node] => {
            let file = folder()?.join(node).join("pid");
            let id = std::fs::read_to_string(&file).with_context(|| format!("there is no node `{node}`"))?;
            let children = format!("/proc/{0}/task/{0}/children", id.trim());
            let children =
                std::fs::read_to_string(children).with_context(|| format!("{node} does not run"))?;
            let first = children.split_whitespace().next().with_context(|| format!("{node} does not run"))?;
            become_program(inside("nsenter")?.args(["--target", first, "--all", "--", &shell]))
        }
        _ => bail!("`cluster shell` takes the name of one node, or nothing"),
    }
}

fn become_program(command: &mut Command) -> Result<ExitCode> {
    let line = allotment_lab::shown(command);
    Err(command.exec()).with_context(|| format!("`{line}` cannot be started"))
}

/// A command that finds the cluster, and its programs first of all.
fn inside(program: &str) -> Result<Command> {
    let (folder, bin) = (folder()?, bin()?);
    ensure!(bin.join("kubectl").exists(), "no cluster is up; `cargo xtask cluster up` makes one");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command
        .env("KUBECONFIG", folder.join("kubeconfig"))
        .env("PATH", env::join_paths([bin].into_iter().chain(env::split_paths(&path)))?);
    Ok(command)
}

fn bin() -> Result<PathBuf> {
    Ok(folder()?.join("bin"))
}

/// The same for every checkout of a user, or the folder of one's own in `ALLOTMENT_CLUSTER`.
fn folder() -> Result<PathBuf> {
    match env::var_os("ALLOTMENT_CLUSTER") {
        Some(folder) => Ok(std::path::absolute(folder)?),
        None => Ok(go::cache()?.join("cluster")),
    }
}

/// The program that does it: what it is made of would slow down the building of this one.
pub(crate) fn program() -> Result<Command> {
    dist::cargo_build(&mut tree::cargo(), &["--quiet", "--package", "allotment-nodes"])?;
    Ok(Command::new(dist::target_folder()?.join("debug/nodes")))
}

fn run(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| allotment_lab::shown(command))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
