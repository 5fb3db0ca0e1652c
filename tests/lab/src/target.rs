//! What our programs are built for.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// The triple of the machine that builds.
pub fn host() -> Result<String> {
    let text = run(Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// The triple for a program that is started for every call: with musl, where the toolchain has it. glibc asks the processor
/// for its features before `main`, some dozen times, and in a virtual machine each of them leaves the guest: 0.3 ms.
pub fn quick() -> Result<String> {
    let host = host()?;
    let musl = host.replace("-linux-gnu", "-linux-musl");
    let folder = run(Command::new("rustc").args(["--print", "target-libdir", "--target", &musl]))?;
    Ok(if Path::new(folder.trim()).is_dir() { musl } else { host })
}
