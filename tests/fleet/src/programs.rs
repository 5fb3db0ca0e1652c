//! The control plane's programs, of the versions that `tests/cluster/go.mod` names.

use std::path::{Path, PathBuf};

use allotment_lab::go::{self, Module};
use anyhow::{Context, Result};

/// The program of this name; built if it is not there yet, which takes minutes for `kube-apiserver`.
pub fn path(name: &str) -> Result<PathBuf> {
    let module = Module::new(root().join("tests/cluster"));
    let manifest = module.manifest()?;
    let version = go::version(&manifest, "k8s.io/kubernetes")?;
    let (major, rest) = version.split_once('.').context("a version of Kubernetes has two dots")?;
    let (minor, _) = rest.split_once('.').context("a version of Kubernetes has two dots")?;
    // What the Kubernetes programs say about themselves; without it they are 0.0.0 and refuse what is newer.
    let module = module
        .set("k8s.io/component-base/version.gitVersion", &format!("v{version}"))
        .set("k8s.io/component-base/version.gitMajor", major)
        .set("k8s.io/component-base/version.gitMinor", minor);
    let package = go::tools(&manifest).into_iter().find(|tool| tool.rsplit('/').next() == Some(name));
    let package = package.with_context(|| format!("tests/cluster/go.mod has no tool `{name}`"))?;
    Ok(module.build(&[package]).with_context(|| format!("{name} cannot be built"))?.join(name))
}

/// The root of the checkout that this was built from.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_unknown_program_is_named() {
        let error = super::path("kube-nothing").unwrap_err().to_string();
        assert!(error.contains("`kube-nothing`"), "{error}");
    }
}
