//! The cgroups of a cluster's containers: all below one name of its own, in every hierarchy that the machine has.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use allotment_lab::wait_until;
use anyhow::{Context, Result};

const ROOT: &str = "/sys/fs/cgroup";

/// For the kernel to see that a killed process is gone.
const LIMIT: Duration = Duration::from_secs(20);

/// Makes the cgroup `PARENT/NAME` in every hierarchy, for a kubelet to take as its root.
pub(crate) fn make(path: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        let mut folder = hierarchy.clone();
        for part in path.split('/') {
            let parent = folder.clone();
            folder.push(part);
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
            inherit(&parent, &folder)?;
        }
    }
    Ok(())
}

/// In version 1 a new cpuset has no processor and no memory, and takes no process until it has both (cpusets(7)); in version 2 a
/// cgroup has the controllers that its parent hands on, and kubelet asks for all of them (cgroups(7)).
fn inherit(parent: &Path, folder: &Path) -> Result<()> {
    if let Ok(controllers) = fs::read_to_string(parent.join("cgroup.controllers")) {
        let words: Vec<String> = controllers.split_whitespace().map(|name| format!("+{name}")).collect();
        let file = parent.join("cgroup.subtree_control");
        return fs::write(&file, words.join(" ")).with_context(|| file.display().to_string());
    }
    for file in ["cpuset.cpus", "cpuset.mems"].map(Path::new) {
        if parent.join(file).exists() {
            fs::write(folder.join(file), fs::read(parent.join(file))?)?;
        }
    }
    Ok(())
}

/// Removes the cgroups of this name with all below them; no process may be left in them.
pub(crate) fn remove(name: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        let top = hierarchy.join(name);
        let gone = || {
            remove_below(&top);
            (!top.exists()).then_some(())
        };
        wait_until(&format!("{} is empty", top.display()), LIMIT, gone)?;
    }
    Ok(())
}

/// Version 2 has one, at the root; version 1 one for each controller, below it.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![root.to_owned()]);
    }
    let below = fs::read_dir(root).context(ROOT)?.flatten().map(|entry| entry.path());
    Ok(below.filter(|path| path.join("cgroup.procs").exists()).collect())
}

/// A folder here is removed when nothing is below it; its files do not count.
fn remove_below(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_below(&entry.path());
        }
    }
    // One with a process in it, dying, is tried again.
    let _ = fs::remove_dir(folder);
}
