//! A program that does nothing: what starting one costs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::{run, target};

/// A static program that does nothing, built as the plugin is.
pub fn empty_program(folder: &Path) -> Result<PathBuf> {
    let source = folder.join("empty.rs");
    let program = folder.join("empty");
    std::fs::write(&source, "fn main() {}\n").with_context(|| source.display().to_string())?;
    let mut rustc = Command::new("rustc");
    rustc.args([
        "--edition=2024",
        "-Copt-level=s",
        "-Cpanic=abort",
        "-Cstrip=symbols",
        "-Ctarget-feature=+crt-static",
    ]);
    rustc.args(["--target", &target::quick()?]);
    run(rustc.arg("-o").args([&program, &source]).stdin(Stdio::null()))?;
    Ok(program)
}
