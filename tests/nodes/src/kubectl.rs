//! kubectl, as a user of the cluster has it.

use std::env;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use allotment_fleet::standing::MARK;
use allotment_lab::shown;
use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::layout::Layout;

impl Layout {
    /// A command that finds the cluster, `kubectl` and `kubectl allot`.
    pub fn command(&self, program: &str) -> Command {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.bin()).chain(env::split_paths(&path));
        let mut command = Command::new(program);
        command.env("KUBECONFIG", self.kubeconfig());
        // What cannot be joined has a colon in it, and then nobody finds anything there.
        command.env("PATH", env::join_paths(folders).unwrap_or(path));
        command
    }

    pub fn kubectl<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.command(&self.bin().join("kubectl").to_string_lossy());
        // Whoever takes the cluster down ends this too, if we cannot.
        command.args(args).env(MARK, self.folder());
        command
    }

    /// What it prints; a failure says what it said.
    pub fn ask(&self, line: &str) -> Result<String> {
        allotment_lab::run(&mut self.kubectl(line.split_whitespace()))
    }

    /// The same, of a question with `-o json`.
    pub fn ask_json(&self, line: &str) -> Result<Value> {
        let text = self.ask(&format!("{line} -o json"))?;
        serde_json::from_str(&text).with_context(|| format!("kubectl {line} -o json"))
    }

    /// Applies objects, as the API server's side does it.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        let mut command = self.kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"]);
        let output = feed(&mut command, yaml)?;
        if !output.status.success() {
            bail!("`{}`: {}", shown(&command), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// Runs a command to its end with this as its input.
fn feed(command: &mut Command, input: &str) -> Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| shown(command))?;
    let mut stdin = child.stdin.take().context("stdin is a pipe")?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    Ok(child.wait_with_output()?)
}
