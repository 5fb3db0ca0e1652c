//! One call of a CNI plugin, as a container runtime makes it.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

/// `CNI_COMMAND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Add,
    Del,
    Check,
    Gc,
    Status,
    Version,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Add => "ADD",
            Verb::Del => "DEL",
            Verb::Check => "CHECK",
            Verb::Gc => "GC",
            Verb::Status => "STATUS",
            Verb::Version => "VERSION",
        }
    }
}

/// The environment and the configuration of one call (CNI SPEC 1.1.0, section 2). What is `None` is not in the
/// environment at all.
#[derive(Clone, Debug)]
pub struct Call {
    pub verb: Verb,
    pub container_id: Option<String>,
    pub netns: Option<String>,
    pub ifname: Option<String>,
    pub args: Option<String>,
    /// Beyond CNI's own variables.
    pub env: Vec<(String, String)>,
    pub stdin: String,
}

impl Call {
    /// A call with the configuration and nothing else.
    pub fn new(verb: Verb, config: &Value) -> Call {
        Call {
            verb,
            container_id: None,
            netns: None,
            ifname: None,
            args: None,
            env: Vec::new(),
            stdin: config.to_string(),
        }
    }

    #[must_use]
    pub fn interface(mut self, container_id: &str, netns: &Path, ifname: &str) -> Call {
        self.container_id = Some(container_id.to_owned());
        self.netns = Some(netns.to_string_lossy().into_owned());
        self.ifname = Some(ifname.to_owned());
        self
    }

    #[must_use]
    pub fn args(mut self, args: &str) -> Call {
        self.args = Some(args.to_owned());
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Call {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the plugin in the calling thread's network namespace and waits for its answer.
    pub fn exec(&self, plugin: &Path, cni_path: &str) -> Result<Answer> {
        self.exec_as(Command::new(plugin), cni_path)
    }

    /// The same, by a command of one's own, such as a plugin under a tracer.
    pub fn exec_as(&self, command: Command, cni_path: &str) -> Result<Answer> {
        let plugin = PathBuf::from(command.get_args().last().unwrap_or(command.get_program()));
        let mut command = self.prepare(command, cni_path);
        let mut child = command.spawn().with_context(|| format!("{} cannot be started", plugin.display()))?;
        let mut stdin = child.stdin.take().context("the plugin's stdin is a pipe")?;
        match stdin.write_all(self.stdin.as_bytes()) {
            // VERSION, and a call that is refused at once, need not read it.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
            _ => drop(stdin),
        }
        let output = child.wait_with_output().context("the plugin's end is not known")?;
        Ok(Answer::new(&plugin, self.verb, &output))
    }

    /// The command with the environment of this call, and pipes; its stdin is the caller's to fill.
    pub fn prepare(&self, mut command: Command, cni_path: &str) -> Command {
        command.env_clear().env("CNI_COMMAND", self.verb.as_str()).env("CNI_PATH", cni_path);
        // Some plugins run `ip` or `iptables`.
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let named = [
            ("CNI_CONTAINERID", &self.container_id),
            ("CNI_NETNS", &self.netns),
            ("CNI_IFNAME", &self.ifname),
            ("CNI_ARGS", &self.args),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Finds a plugin as runtimes do: by its name, in the first folder of `cni_path` that has it.
pub fn find(name: &str, cni_path: &str) -> Result<PathBuf> {
    let mut folders = cni_path.split(':').map(Path::new);
    folders
        .find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()))
        .with_context(|| format!("no plugin `{name}` in {cni_path}"))
}

/// What a plugin answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Plugin and verb.
    call: String,
    /// The exit code; nothing where a signal ended the plugin.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    /// What a plugin left behind that was called with this verb.
    pub fn new(plugin: &Path, verb: Verb, output: &Output) -> Answer {
        Answer {
            call: format!("{} {}", plugin.file_name().unwrap_or_default().to_string_lossy(), verb.as_str()),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn is_ok(&self) -> bool {
        self.code == Some(0)
    }

    /// This answer, if it is a success.
    pub fn ok(self) -> Result<Answer> {
        if self.is_ok() { Ok(self) } else { bail!("{self}") }
    }

    /// The result of an ADD, or what VERSION says.
    pub fn result(&self) -> Result<Value> {
        if !self.is_ok() {
            bail!("{self}");
        }
        serde_json::from_str(&self.stdout).map_err(|error| anyhow!("not JSON ({error}): {self}"))
    }

    /// The addresses of an ADD's result, with prefix length, in its order.
    pub fn addresses(&self) -> Result<Vec<String>> {
        let result = self.result()?;
        let ips = result["ips"].as_array().with_context(|| format!("no `ips`: {self}"))?;
        ips.iter()
            .map(|ip| {
                ip["address"].as_str().map(str::to_owned).with_context(|| format!("no `address`: {self}"))
            })
            .collect()
    }

    /// The error object of a failure.
    pub fn error(&self) -> Result<Value> {
        if self.is_ok() {
            bail!("an error was expected: {self}");
        }
        serde_json::from_str(&self.stdout)
            .map_err(|error| anyhow!("no error object on stdout ({error}): {self}"))
    }

    /// The `code` of the error object.
    pub fn error_code(&self) -> Result<u64> {
        self.error()?["code"].as_u64().with_context(|| format!("no `code`: {self}"))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ended with {:?}: {} {}", self.call, self.code, self.stdout.trim(), self.stderr.trim())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn answer(code: i32, stdout: &str) -> Answer {
        Answer {
            call: "x ADD".to_owned(),
            code: Some(code),
            stdout: stdout.to_owned(),
            stderr: String::new(),
        }
    }

    #[test]
    fn a_result_is_no_error_and_an_error_no_result() {
        let good = answer(0, r#"{"ips":[{"address":"10.0.0.2/24"},{"address":"fd00::2/64"}]}"#);
        assert_eq!(good.addresses().unwrap(), ["10.0.0.2/24", "fd00::2/64"]);
        assert!(good.error().is_err());
        let bad = answer(1, r#"{"code":100,"msg":"full"}"#);
        assert_eq!(bad.error_code().unwrap(), 100);
        assert!(bad.addresses().is_err() && bad.ok().is_err());
    }

    #[test]
    fn the_plugin_sees_the_call_and_only_that() {
        let dir = tempfile::tempdir().unwrap();
        let plugin = dir.path().join("echo");
        fs::write(&plugin, "#!/bin/sh\nread config\necho \"$CNI_COMMAND $CNI_CONTAINERID ${CNI_ARGS-none} ${HOME-none} $config\"\n")
            .unwrap();
        fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
        let folder = dir.path().to_str().unwrap();
        let call =
            Call::new(Verb::Del, &serde_json::json!({"name": "n"})).interface("c1", Path::new(""), "eth0");
        let answer = call.exec(&find("echo", &format!("/nowhere:{folder}")).unwrap(), folder).unwrap();
        assert_eq!(answer.stdout.trim(), r#"DEL c1 none none {"name":"n"}"#);
    }
}
