//! The plugins of containernetworking: found on the machine, or built from the module in `tests/cni-plugins`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run;

/// The first Go that builds them.
const GO: (u32, u32) = (1, 25);

/// Where distributions and runtimes put them.
const INSTALLED: [&str; 2] = ["/opt/cni/bin", "/usr/lib/cni"];

/// The folders that the machine has them in.
pub fn installed(needed: &[&str]) -> Option<PathBuf> {
    INSTALLED.iter().map(PathBuf::from).find(|folder| has(folder, needed))
}

fn has(folder: &Path, needed: &[&str]) -> bool {
    needed.iter().all(|name| folder.join(name).is_file())
}

/// Whether this machine has a Go that can build them, and if not, what it has.
pub fn go() -> Result<()> {
    let version = run(Command::new("go").args(["env", "GOVERSION"])).context("no `go` in PATH")?;
    match go_version(version.trim()) {
        Some(found) if found >= GO => Ok(()),
        _ => bail!("Go {}.{} or newer is needed, this is {}", GO.0, GO.1, version.trim()),
    }
}

/// `go1.26.8` is (1, 26).
fn go_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("go")?.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The folder of the pinned plugins, and `cnitool`; they are built if they are not there yet.
pub fn pinned(root: &Path) -> Result<PathBuf> {
    let module = root.join("tests/cni-plugins");
    let manifest = fs::read_to_string(module.join("go.mod")).context("tests/cni-plugins/go.mod")?;
    let cache = cache()?;
    let folder = cache.join(key(&manifest)?);
    if folder.is_dir() {
        return Ok(folder);
    }
    go()?;
    eprintln!("building the stock CNI plugins in {} …", folder.display());
    fs::create_dir_all(&cache).with_context(|| format!("{} cannot be made", cache.display()))?;
    let building = tempfile::Builder::new().prefix("building-").tempdir_in(&cache)?;
    // The slash makes it a folder for `go build`.
    let mut out = OsString::from(building.path());
    out.push("/");
    run(Command::new("go")
        .current_dir(&module)
        .env("CGO_ENABLED", "0")
        .args(["build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(out)
        .arg("tool"))?;
    // Whole or not at all. When somebody else was faster, theirs is as good.
    let built = building.keep();
    if let Err(error) = fs::rename(&built, &folder) {
        fs::remove_dir_all(&built)?;
        if !folder.is_dir() {
            return Err(error).with_context(|| format!("{} cannot be made", folder.display()));
        }
    }
    Ok(folder)
}

/// Every tool and its version decide; nothing else does.
fn key(manifest: &str) -> Result<String> {
    let version = |module: &str| {
        let mut lines = manifest.lines().map(str::trim);
        let version = lines.find_map(|line| line.strip_prefix(module)?.split_whitespace().next());
        version.with_context(|| format!("go.mod does not require {module}"))
    };
    let plugins = version("github.com/containernetworking/plugins v")?;
    let cni = version("github.com/containernetworking/cni v")?;
    let tools =
        manifest.lines().map(str::trim).filter(|line| line.starts_with("github.com/") && !line.contains(' '));
    Ok(format!("cni-plugins-{plugins}-cni-{cni}-{}", tools.count()))
}

/// Outside the tree, so that a clean clone need not build them again.
fn cache() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("ALLOTMENT_CACHE") {
        return Ok(folder.into());
    }
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    Ok(base
        .context("set ALLOTMENT_CACHE, XDG_CACHE_HOME or HOME: the stock plugins are built there")?
        .join("allotment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go() {
        assert_eq!(go_version("go1.26.8"), Some((1, 26)));
        assert_eq!(go_version("go1.25rc1"), Some((1, 25)));
        assert_eq!(go_version("devel"), None);
    }

    #[test]
    fn the_key_follows_the_versions_and_the_number_of_tools() {
        let manifest = "tool (\n\tgithub.com/containernetworking/plugins/plugins/main/tap\n)\nrequire (\n\
                        \tgithub.com/containernetworking/cni v1.3.0 // indirect\n\
                        \tgithub.com/containernetworking/plugins v1.9.1 // indirect\n)\n";
        assert_eq!(key(manifest).unwrap(), "cni-plugins-1.9.1-cni-1.3.0-1");
        assert!(key("module x").is_err());
    }

    #[test]
    fn our_module_pins_them() {
        let manifest = include_str!("../../cni-plugins/go.mod");
        assert!(key(manifest).unwrap().starts_with("cni-plugins-1.9."));
    }
}
