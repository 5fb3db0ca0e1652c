//! The two programs, as they are shipped: each is one file that needs nothing but the kernel, and so is an image of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use allotment_lab::target;
use anyhow::{Context, Result, ensure};

use crate::{elf, tree};

const PROGRAMS: [&str; 2] = ["allot", "allotment"];

/// Bytes: the plugin is read from disk once per ADD on every node.
const PLUGIN_LIMIT: u64 = 1_300_000;

/// What a person can do about a plugin that starts slowly.
const MUSL: &str =
    "`rustup target add x86_64-unknown-linux-musl` (or your processor's) lets it be built with musl";

/// Builds both, checks them, and says where they are.
pub(crate) fn run() -> Result<()> {
    build()?;
    check()?;
    for program in PROGRAMS {
        let path = tree::bin().join(program);
        let size = fs::metadata(&path)?.len();
        eprintln!("dist/bin/{program:<10} {:>6} kB", size.div_ceil(1000));
    }
    Ok(())
}

/// Builds both into `dist/bin`.
pub(crate) fn build() -> Result<()> {
    let target = target_folder()?;
    let (host, quick) = (target::host()?, target::quick()?);
    if quick == host {
        eprintln!("the plugin is built with glibc, which starts slowly in a virtual machine: {MUSL}");
    }
    for (program, package, profile, triple) in
        [("allot", "allot", "release", host), ("allotment", "allotment-plugin", "plugin", quick)]
    {
        let mut cargo = tree::cargo();
        // With an explicit target the flag reaches neither build scripts nor what the rest of the tree is built of.
        cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
        cargo_build(&mut cargo, &["--profile", profile, "--package", package, "--target", &triple])?;
        place(&target.join(&triple).join(profile).join(program), program)?;
    }
    Ok(())
}

/// They run on whatever a node or an image has, and the plugin is small.
pub(crate) fn check() -> Result<()> {
    for program in PROGRAMS {
        let path = tree::bin().join(program);
        let file = fs::read(&path).with_context(|| path.display().to_string())?;
        elf::ensure_static(&file).with_context(|| format!("dist/bin/{program} is not static"))?;
        let size = file.len() as u64;
        ensure!(
            program != "allotment" || size < PLUGIN_LIMIT,
            "dist/bin/{program} has {size} bytes, {PLUGIN_LIMIT} are allowed"
        );
    }
    Ok(())
}

pub(crate) fn cargo_build(cargo: &mut Command, args: &[&str]) -> Result<()> {
    let status = cargo.arg("build").args(args).status().context("cargo cannot be started")?;
    ensure!(status.success(), "`cargo build {}` failed", args.join(" "));
    Ok(())
}

/// Puts a program into `dist/bin` at once and whole, even while an older one of it is running.
fn place(built: &Path, name: &str) -> Result<()> {
    let bin = tree::bin();
    fs::create_dir_all(&bin)?;
    let new = bin.join(format!(".{name}.new"));
    fs::copy(built, &new).with_context(|| built.display().to_string())?;
    fs::rename(&new, bin.join(name)).with_context(|| format!("dist/bin/{name}"))
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> Result<std::path::PathBuf> {
    let metadata = tree::metadata()?;
    Ok(metadata["target_directory"].as_str().context("cargo metadata has no target_directory")?.into())
}
