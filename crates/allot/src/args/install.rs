//! The arguments of what installs, and of what looks at an installation.

use std::path::PathBuf;

use clap::Args;

use super::Output;

#[derive(Debug, Args)]
pub(crate) struct InstallCniArgs {
    /// The folder that the runtime looks for plugins in; it gets `allotment`.
    #[arg(long, default_value = "/opt/cni/bin", value_name = "DIR")]
    pub(crate) bin_dir: PathBuf,
    /// The plugin that is put there.
    #[arg(long, default_value = "/opt/allotment/allotment", value_name = "FILE")]
    pub(crate) plugin: PathBuf,
    /// A network's configuration, which is put into `--config-dir` under its own name.
    #[arg(long, value_name = "FILE", requires = "config_dir")]
    pub(crate) config: Option<PathBuf>,
    /// The folder that the runtime looks for configurations in, such as `/etc/cni/net.d`.
    #[arg(long, value_name = "DIR", requires = "config")]
    pub(crate) config_dir: Option<PathBuf>,
    /// Takes both away again: the configuration first, so that nobody is sent to a plugin that is gone.
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Where controllers and agents are.
    #[arg(long, default_value = "allotment-system", value_name = "NAMESPACE")]
    pub(crate) namespace: String,
    #[command(flatten)]
    pub(crate) output: Output,
}
