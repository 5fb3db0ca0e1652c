//! Network namespaces of pods.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use allotment_lab::wait_until;
use anyhow::{Context, Result, bail};

use crate::{Life, Server};

const LIMIT: Duration = Duration::from_secs(30);

/// A network namespace that lives as long as a process that does nothing: no mount is left behind, whatever happens.
/// Root is needed.
pub struct Namespace {
    keeper: Server,
    path: PathBuf,
}

impl Namespace {
    /// A new one with nothing in it but `lo`. What its keeper says goes into a file in `folder`.
    pub fn new(folder: &Path) -> Result<Namespace> {
        let keeper =
            Server::new("namespace", "unshare", folder, Life::Tied).args(["--net", "sleep", "infinity"]);
        keeper.start()?;
        let id = keeper.id().with_context(|| format!("no new namespace; {}", keeper.words()))?;
        let path = PathBuf::from(format!("/proc/{id}/ns/net"));
        let ours = fs::metadata("/proc/self/ns/net")?.ino();
        let entered = wait_until("a new network namespace", LIMIT, || match fs::metadata(&path) {
            Ok(metadata) if metadata.ino() != ours => Some(Ok(())),
            Ok(_) if keeper.id().is_some() => None,
            _ => Some(Err(keeper.words())),
        })?;
        if let Err(words) = entered {
            bail!("no new network namespace can be made; {words}");
        }
        Ok(Namespace { keeper, path })
    }

    /// What a runtime gives as `CNI_NETNS`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its end; nothing of it is left.
    pub fn end(&self) -> Result<()> {
        self.keeper.kill()
    }
}
