//! Programs of a Go module in the tree, built once for every checkout on the machine.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::run;

/// A Go module whose packages are programs. What it requires, and how it is built, decides where they are kept.
pub struct Module {
    folder: PathBuf,
    name: String,
    ldflags: String,
}

impl Module {
    /// The module in this folder; its last part names the module.
    pub fn new(folder: impl Into<PathBuf>) -> Module {
        let folder = folder.into();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Module { folder, name, ldflags: "-s -w".to_owned() }
    }

    /// Has the linker set a variable of the package, such as the version that a program says it has.
    #[must_use]
    pub fn set(mut self, variable: &str, value: &str) -> Module {
        self.ldflags = format!("{} -X {variable}={value}", self.ldflags);
        self
    }

    /// What `go.mod` says.
    pub fn manifest(&self) -> Result<String> {
        self.read("go.mod")
    }

    /// The folder that has the programs of these packages; those that are not there yet are built.
    pub fn build(&self, packages: &[&str]) -> Result<PathBuf> {
        let manifest = self.manifest()?;
        let key = format!("{}-{:016x}", self.name, self.fingerprint(&manifest)?);
        let cache = cache()?.join("programs");
        let folder = cache.join(&key);
        if missing(&folder, packages).is_empty() {
            return Ok(folder);
        }
        go(&manifest)?;
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        // One builder at a time: two would take each other's processors, and the second finds it all done.
        let lock = File::create(cache.join(format!("{key}.lock")))?;
        lock.lock().context("the cache of programs cannot be locked")?;
        let packages = missing(&folder, packages);
        if !packages.is_empty() {
            self.build_into(&folder, &cache.join(format!("{key}.building")), &packages)?;
        }
        Ok(folder)
    }

    /// Each program arrives whole or not at all. Whoever calls this has the lock.
    fn build_into(&self, folder: &Path, building: &Path, packages: &[&str]) -> Result<()> {
        let names = packages.iter().map(|package| program(package)).collect::<Vec<_>>().join(", ");
        eprintln!("building {names} in {} …", folder.display());
        let start = Instant::now();
        if building.exists() {
            fs::remove_dir_all(building)?;
        }
        fs::create_dir(building)?;
        // The slash makes it a folder for `go build`.
        let mut out = OsString::from(building);
        out.push("/");
        run(Command::new("go")
            .current_dir(&self.folder)
            .env("CGO_ENABLED", "0")
            .args(["build", "-mod=readonly", "-trimpath", "-ldflags", &self.ldflags, "-o"])
            .arg(out)
            .args(packages))?;
        for package in packages {
            let name = program(package);
            fs::rename(building.join(name), folder.join(name)).with_context(|| name.to_owned())?;
        }
        fs::remove_dir_all(building)?;
        eprintln!("built {names} in {:.0} s", start.elapsed().as_secs_f32());
        Ok(())
    }

    /// Versions, checksums and flags decide; nothing else does.
    fn fingerprint(&self, manifest: &str) -> Result<u64> {
        let sums = self.read("go.sum")?;
        Ok(fnv([manifest, &sums, &self.ldflags]))
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.folder.join(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }
}

/// The packages that the module's `tool` lines name: one alone, or a block of them.
pub fn tools(manifest: &str) -> Vec<&str> {
    let mut in_block = false;
    let mut tools = Vec::new();
    for line in manifest.lines().map(str::trim) {
        match line.strip_prefix("tool ") {
            Some("(") => in_block = true,
            Some(tool) => tools.push(tool),
            None if line == ")" => in_block = false,
            None if in_block && !line.is_empty() => tools.push(line),
            None => {}
        }
    }
    tools
}

/// The version of a module that `go.mod` requires, without its `v`.
pub fn version<'a>(manifest: &'a str, module: &str) -> Result<&'a str> {
    let version = manifest.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next() == Some(module)).then(|| words.next()?.strip_prefix('v')).flatten()
    });
    version.with_context(|| format!("go.mod does not require {module}"))
}

/// What `go build` calls the program of a package.
fn program(package: &str) -> &str {
    package.rsplit('/').next().unwrap_or(package)
}

fn missing<'a>(folder: &Path, packages: &[&'a str]) -> Vec<&'a str> {
    packages.iter().copied().filter(|package| !folder.join(program(package)).is_file()).collect()
}

/// Whether this machine has a Go that is new enough for the module, and if not, what it has.
fn go(manifest: &str) -> Result<()> {
    let needed = manifest.lines().find_map(|line| line.trim().strip_prefix("go "));
    let needed = needed.and_then(numbers).context("go.mod names no version of Go")?;
    let found = run(Command::new("go").args(["env", "GOVERSION"])).context("no `go` in PATH")?;
    match found.trim().strip_prefix("go").and_then(numbers) {
        Some(version) if version >= needed => Ok(()),
        _ => bail!("Go {}.{} or newer is needed, this is {}", needed.0, needed.1, found.trim()),
    }
}

/// `1.26.8` is (1, 26).
fn numbers(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// FNV-1a: the same in every build of this program, as a key in a cache has to be.
fn fnv<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    // The zero keeps two texts from running into each other.
    let bytes = texts.into_iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The folder of what is kept outside the tree, so that a clean clone need not build it again.
pub fn cache() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("ALLOTMENT_CACHE") {
        return Ok(folder.into());
    }
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    Ok(base
        .context("set ALLOTMENT_CACHE, XDG_CACHE_HOME or HOME: programs in Go are built there")?
        .join("allotment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go() {
        assert_eq!(numbers("1.26.8"), Some((1, 26)));
        assert_eq!(numbers("1.25rc1"), Some((1, 25)));
        assert_eq!(numbers("devel"), None);
    }

    const MANIFEST: &str = "module x\n\ngo 1.25.0\n\ntool (\n\texample.org/a/cmd/first\n\texample.org/b\n)\n\n\
                            require (\n\texample.org/a v1.3.0 // indirect\n)\nrequire example.org/ab v2.0.1\n";

    #[test]
    fn a_manifest_names_its_tools_and_versions() {
        assert_eq!(tools(MANIFEST), ["example.org/a/cmd/first", "example.org/b"]);
        assert_eq!(tools("go 1.26\n\ntool example.org/a\n\nrequire (\n\tx v1\n)\n"), ["example.org/a"]);
        assert_eq!(version(MANIFEST, "example.org/a").unwrap(), "1.3.0");
        assert_eq!(version(MANIFEST, "example.org/ab").unwrap(), "2.0.1");
        assert!(version(MANIFEST, "example.org/b").is_err());
        assert_eq!(program("example.org/a/cmd/first"), "first");
    }

    #[test]
    fn flags_and_requirements_make_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = |module: Module| module.fingerprint(&module.manifest().unwrap()).unwrap();
        let plain = || Module::new(folder.path());
        fs::write(folder.path().join("go.mod"), MANIFEST).unwrap();
        fs::write(folder.path().join("go.sum"), "sums").unwrap();
        let first = key(plain());
        assert_eq!(key(plain()), first);
        assert_ne!(key(plain().set("main.version", "1")), first);
        fs::write(folder.path().join("go.sum"), "other sums").unwrap();
        assert_ne!(key(plain()), first);
    }
}
