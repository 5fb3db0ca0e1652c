//! An image of both programs, without a registry or a builder of images.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{cluster, dist, needs, tree};

/// Builds the programs, and writes the image here, else into `dist`.
pub(crate) fn run(out: Option<&Path>) -> Result<()> {
    needs::strip()?;
    dist::build()?;
    dist::check()?;
    let file = match out {
        Some(file) => std::path::absolute(file)?,
        None => tree::root().join("dist/allotment-image.tar"),
    };
    allotment_lab::run(cluster::program()?.arg("image").args([&tree::bin(), &file]))?;
    let size = std::fs::metadata(&file).with_context(|| file.display().to_string())?.len();
    eprintln!(
        "{} {} kB; `ctr --namespace k8s.io images import` takes it",
        file.display(),
        size.div_ceil(1000)
    );
    Ok(())
}
