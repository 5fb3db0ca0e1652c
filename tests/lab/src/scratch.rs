//! A folder that goes with its owner.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

const PREFIX: &str = "allotment-lab-";

/// A folder on the machine's own disk (so that a commit costs what it costs), removed when this is dropped.
///
/// Its name carries the process id: what a killed process left behind, the next one sweeps away.
pub struct Scratch {
    dir: TempDir,
}

impl Scratch {
    pub fn new() -> Result<Scratch> {
        Scratch::new_in(&std::env::temp_dir())
    }

    /// In `parent`, where temporary files are kept in memory.
    pub fn new_in(parent: &Path) -> Result<Scratch> {
        sweep(parent);
        let dir = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir_in(parent)
            .with_context(|| format!("no folder can be made in {}", parent.display()))?;
        Ok(Scratch { dir })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes the folders of processes that are no more.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // Somebody else may be sweeping too; the next one finds what is left.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_dead_are_swept_and_others_are_left() {
        let parent = TempDir::new().unwrap();
        // Above the largest process id that Linux gives (2^22).
        let dead = parent.path().join(format!("{PREFIX}99999999-x"));
        let alive = parent.path().join(format!("{PREFIX}{}-x", std::process::id()));
        let foreign = parent.path().join("allotment-99999999-x");
        for dir in [&dead, &alive, &foreign] {
            fs::create_dir(dir).unwrap();
        }
        sweep(parent.path());
        assert!(!dead.exists() && alive.exists() && foreign.exists());
    }
}
