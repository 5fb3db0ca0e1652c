//! Calls of a CNI plugin by the hundred.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use allotment_lab::{Answer, Call};
use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// What kubelet gives a container runtime to start a sandbox in.
const CALL_LIMIT: Duration = Duration::from_mins(2);

/// The plugin that a node's runtime finds.
#[derive(Clone, Debug)]
pub struct Plugin {
    program: PathBuf,
    env: Vec<(String, String)>,
}

/// An answer, and what it took.
#[derive(Clone, Debug)]
pub struct Answered {
    pub answer: Answer,
    pub began: Instant,
    pub took: Duration,
}

impl Plugin {
    pub fn new(program: impl Into<PathBuf>) -> Plugin {
        Plugin { program: program.into(), env: Vec::new() }
    }

    /// Adds a variable that the runtime passes on to plugins.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<Path>) -> Plugin {
        self.env.push((name.to_owned(), value.as_ref().to_string_lossy().into_owned()));
        self
    }

    /// One call. A plugin that does not end in kubelet's time is killed, and that is an error.
    pub async fn call(&self, call: &Call) -> Result<Answered> {
        let folder = self.program.parent().context("the plugin's path has a folder")?;
        let mut command = call.prepare(Command::new(&self.program), &folder.to_string_lossy());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let began = Instant::now();
        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.program.display()))?;
        let mut stdin = child.stdin.take().context("the plugin's stdin is a pipe")?;
        // A call that is refused at once need not be read.
        let _ = stdin.write_all(call.stdin.as_bytes()).await;
        drop(stdin);
        let output = timeout(CALL_LIMIT, child.wait_with_output()).await;
        let output = output.with_context(|| format!("no answer in {} s", CALL_LIMIT.as_secs()))??;
        Ok(Answered { answer: Answer::new(&self.program, call.verb, &output), began, took: began.elapsed() })
    }
}
