//! What the commands need on the machine besides cargo: found, or got.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use allotment_lab::{isolate, stock};
use anyhow::{Context, Result, bail, ensure};

use crate::{elf, tree};

/// `ip`, without which there are no network namespaces.
pub(crate) fn ip() -> Result<()> {
    program("ip", "iproute2")
}

pub(crate) fn ping() -> Result<()> {
    program("ping", "iputils-ping")
}

/// `strace`, allowed to trace.
pub(crate) fn strace() -> Result<()> {
    program("strace", "strace")?;
    allotment_lab::run(Command::new("strace").args(["-o", "/dev/null", "true"])).map(drop)
}

/// What takes the tables of lines off an image's program.
pub(crate) fn strip() -> Result<()> {
    program("strip", "binutils")
}

/// What a cluster has from the distribution: containerd with its tool, runc, and a busybox without libraries for images.
pub(crate) fn cluster() -> Result<()> {
    ip()?;
    strip()?;
    for (name, package) in [("containerd", "containerd"), ("ctr", "containerd"), ("runc", "runc")] {
        program(name, package)?;
    }
    // Package `busybox` has one that needs libraries, which an image has not.
    let is_static = || {
        let file = find("busybox").and_then(|path| std::fs::read(path).ok());
        file.is_some_and(|file| elf::ensure_static(&file).is_ok())
    };
    if !is_static() {
        install("busybox-static")?;
        ensure!(
            is_static(),
            "`busybox` in PATH needs libraries, even after package busybox-static was installed"
        );
    }
    Ok(())
}

/// The stock plugins for the demo: any that the machine has, else those that we pin, else the distribution's.
pub(crate) fn stock_plugins() -> Result<PathBuf> {
    const NEEDED: [&str; 2] = ["bridge", "macvlan"];
    if let Some(folder) = stock::installed(&NEEDED) {
        return Ok(folder);
    }
    match stock::pinned(tree::root()) {
        Ok(folder) => Ok(folder),
        Err(reason) => {
            eprintln!("the stock CNI plugins cannot be built here ({reason:#})");
            install("containernetworking-plugins")?;
            stock::installed(&NEEDED).context("containernetworking-plugins has no bridge and macvlan")
        }
    }
}

/// Installs the package unless the program is there.
fn program(name: &str, package: &str) -> Result<()> {
    if in_path(name) {
        return Ok(());
    }
    install(package)?;
    if !in_path(name) {
        bail!("`{name}` is not in PATH, even after package {package} was installed");
    }
    Ok(())
}

fn in_path(name: &str) -> bool {
    find(name).is_some()
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// With apt, as root; anybody else is told what to install.
fn install(package: &str) -> Result<()> {
    if !isolate::is_root() || !Path::new("/usr/bin/apt-get").exists() {
        bail!("package {package} is needed; install it and try again");
    }
    eprintln!("installing package {package} …");
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["--quiet", "--yes"])
            .args(args)
            .stdin(Stdio::null());
        allotment_lab::run(&mut command)
    };
    let get = ["install", "--no-install-recommends", package];
    // A new machine has no package lists yet, or old ones.
    apt(&get).or_else(|_| apt(&["update"]).and_then(|_| apt(&get))).map(drop)
}
