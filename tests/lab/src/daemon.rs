//! `allot standalone`, as a child of ours.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait_until;

/// Longer than any start or stop should take, even on a machine with all cores busy.
const LIMIT: Duration = Duration::from_secs(30);

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it; it need not serve yet. What it says goes to the end of `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Daemon> {
        let out: File = OpenOptions::new().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("`{}` cannot be started", crate::shown(command)))?;
        Ok(Daemon { child, log: log.to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it serves, as `ready` tells.
    pub fn wait_ready(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let serves = wait_until("the daemon serves", LIMIT, || match self.child.try_wait() {
            Ok(None) => ready().then_some(Ok(())),
            Ok(Some(status)) => Some(Err(anyhow::anyhow!("the daemon ended: {status}"))),
            Err(error) => Some(Err(error.into())),
        });
        serves.and_then(|result| result).with_context(|| self.words())
    }

    /// SIGKILL, and wait for its end.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and wait for its end.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        self.ended()
    }

    /// Waits for it to end by itself.
    pub fn ended(&mut self) -> Result<ExitStatus> {
        match wait_until("the daemon ends", LIMIT, || self.child.try_wait().transpose()) {
            Ok(status) => Ok(status?),
            Err(error) => bail!("{error}: {}", self.words()),
        }
    }

    /// What it said so far.
    pub fn words(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
