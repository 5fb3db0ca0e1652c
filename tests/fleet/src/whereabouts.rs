//! Whereabouts, as `tests/whereabouts` pins it: the plugin that asks the API server itself.

use std::path::PathBuf;
use std::process::Command;

use allotment_lab::go::{self, Module};
use allotment_lab::run;
use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};

use crate::{ControlPlane, Plugin, objects, programs};

const SOURCE: &str = "github.com/k8snetworkplumbingwg/whereabouts";

/// The built plugin, and what its configuration needs.
pub struct Whereabouts {
    program: PathBuf,
    file: PathBuf,
    kubeconfig: PathBuf,
}

impl Whereabouts {
    /// Builds it where it is missing, and applies its definitions.
    pub async fn install(plane: &ControlPlane, client: &Client) -> Result<Whereabouts> {
        let module = Module::new(programs::root().join("tests/whereabouts"));
        let program = module.build(&go::tools(&module.manifest()?))?.join("cmd");
        for name in ["ippools", "overlappingrangeipreservations"] {
            let file = source()?.join(format!("doc/crds/whereabouts.cni.cncf.io_{name}.yaml"));
            let definitions = std::fs::read_to_string(&file).context("Whereabouts' definitions")?;
            objects::apply(client, &definitions).await?;
        }
        // It does not start without such a file, even if there is nothing to say.
        let file = plane.folder().join("whereabouts.conf");
        std::fs::write(&file, "{}")?;
        Ok(Whereabouts { program, file, kubeconfig: plane.kubeconfig() })
    }

    /// The plugin on one node.
    pub fn plugin(&self, node: &str) -> Plugin {
        Plugin::new(&self.program).env("NODENAME", node)
    }

    /// An `ipam` section; `more` are the keys that say what to give.
    #[must_use]
    pub fn ipam(&self, more: &Value) -> Value {
        let mut ipam = json!({"type": "whereabouts", "configuration_path": self.file,
            "kubernetes": {"kubeconfig": self.kubeconfig}});
        if let (Value::Object(ipam), Value::Object(more)) = (&mut ipam, more) {
            ipam.extend(more.clone());
        }
        ipam
    }
}

/// Where Go keeps the module that was built.
fn source() -> Result<PathBuf> {
    let mut list = Command::new("go");
    list.current_dir(programs::root().join("tests/whereabouts"));
    list.args(["list", "-m", "-f", "{{.Dir}}", SOURCE]);
    Ok(PathBuf::from(run(&mut list)?.trim()))
}
