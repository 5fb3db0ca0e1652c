//! The plugins of containernetworking: found on the machine, or built from the module in `tests/cni-plugins`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::go::{self, Module};

/// Where distributions and runtimes put them.
const INSTALLED: [&str; 2] = ["/opt/cni/bin", "/usr/lib/cni"];

/// The folders that the machine has them in.
pub fn installed(needed: &[&str]) -> Option<PathBuf> {
    INSTALLED.iter().map(PathBuf::from).find(|folder| has(folder, needed))
}

fn has(folder: &Path, needed: &[&str]) -> bool {
    needed.iter().all(|name| folder.join(name).is_file())
}

/// The folder of the pinned plugins, and `cnitool`; they are built if they are not there yet.
pub fn pinned(root: &Path) -> Result<PathBuf> {
    let module = Module::new(root.join("tests/cni-plugins"));
    module.build(&go::tools(&module.manifest()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_module_pins_them() {
        let manifest = include_str!("../../cni-plugins/go.mod");
        assert!(go::version(manifest, "github.com/containernetworking/plugins").unwrap().starts_with("1.9."));
        let tools = go::tools(manifest);
        assert!(tools.iter().any(|tool| tool.ends_with("/host-local")) && tools.len() >= 13, "{tools:?}");
    }
}
