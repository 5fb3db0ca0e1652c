//! Flannel's CNI plugin, as `tests/flannel` pins it: the last version that came with the stock plugins.

use std::path::PathBuf;

use allotment_fleet::programs::root;
use allotment_lab::go::{self, Module};
use anyhow::{Context, Result};

/// The program; built if it is not there yet.
pub fn program() -> Result<PathBuf> {
    let module = Module::new(root().canonicalize()?.join("tests/flannel"));
    let folder = module.build(&go::tools(&module.manifest()?)).context("Flannel's plugin cannot be built")?;
    Ok(folder.join("flannel"))
}
