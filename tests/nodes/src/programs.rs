//! The programs of a node that are not ours.

use std::env;
use std::fs;
use std::path::PathBuf;

use allotment_fleet::programs::{path, root};
use allotment_lab::{helm, stock};
use anyhow::{Context, Result};

/// Multus and the stock CNI plugins, as `tests/cluster` and `tests/cni-plugins` pin them; built if they are not there.
pub(crate) fn cni() -> Result<Vec<PathBuf>> {
    let mut programs = vec![path("multus")?];
    let folder = stock::pinned(&root().canonicalize()?)?;
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        programs.push(entry?.path());
    }
    Ok(programs)
}

/// A program in PATH.
pub(crate) fn found(name: &str) -> Result<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("`{name}` is not in PATH"))
}

/// Builds or finds all that a cluster needs, so that what is missing is said before anything is started.
pub fn prepare() -> Result<()> {
    for name in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl"]
    {
        path(name)?;
    }
    cni()?;
    helm::program(&root().canonicalize()?)?;
    for name in ["containerd", "ctr", "runc", "busybox", "strip", "ip", "nsenter", "unshare"] {
        found(name)?;
    }
    Ok(())
}
