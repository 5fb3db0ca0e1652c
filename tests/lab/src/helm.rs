//! Helm, of the version that `tests/helm/go.mod` names.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::go::{self, Module};

/// `helm`; it is built if it is not there yet, which takes minutes.
pub fn program(root: &Path) -> Result<PathBuf> {
    let module = Module::new(root.join("tests/helm"));
    Ok(module.build(&go::tools(&module.manifest()?))?.join("helm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_module_pins_it() {
        let manifest = include_str!("../../helm/go.mod");
        assert!(go::version(manifest, "helm.sh/helm/v4").unwrap().starts_with("4."));
        assert_eq!(go::tools(manifest), ["helm.sh/helm/v4/cmd/helm"]);
    }
}
