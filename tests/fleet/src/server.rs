//! One program that serves: started, stopped, killed, measured, and started again.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use allotment_lab::wait_until;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::standing::MARK;

/// Longer than any of them takes to end, even on a machine with all cores busy.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How much of a log an error shows.
const TAIL: usize = 4_000;

/// Who outlives whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The kernel kills the program when this process ends, however it ends.
    Tied,
    /// It stays until somebody ends it, such as [`standing::down`](crate::standing::down).
    Detached,
}

/// What a program has used since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Time on a processor, in the program and in the kernel.
    pub cpu: Duration,
    /// Bytes of memory that it holds now, and the most it ever held.
    pub resident: u64,
    pub peak: u64,
}

/// A program and how to start it. What it says goes to the end of one file, across all its starts.
pub struct Server {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    log: PathBuf,
    life: Life,
    child: Mutex<Option<Child>>,
}

impl Server {
    /// Not started yet. Its log is `NAME.log` in the folder.
    pub fn new(name: &str, program: impl Into<PathBuf>, folder: &Path, life: Life) -> Server {
        Server {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            log: folder.join(format!("{name}.log")),
            life,
            child: Mutex::new(None),
        }
    }

    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Server {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Server {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Has it start in a network namespace.
    #[must_use]
    pub fn within(mut self, netns: &Path) -> Server {
        let program = std::mem::replace(&mut self.program, "nsenter".into());
        let net = [OsStr::new("--net="), netns.as_os_str()].join(OsStr::new(""));
        self.args.splice(0..0, [net, "--".into(), program.into_os_string()]);
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it; it need not serve yet.
    pub fn start(&self) -> Result<()> {
        let mut child = self.child();
        if let Some(running) = child.as_mut()
            && running.try_wait()?.is_none()
        {
            bail!("{} runs already, as process {}", self.name, running.id());
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("{} cannot be written", self.log.display()))?;
        let mut command = match self.life {
            Life::Tied => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
                command
            }
            Life::Detached => {
                let mut command = Command::new(&self.program);
                command.env(MARK, self.log.parent().context("a log is in a folder")?);
                command
            }
        };
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        // A group of its own: Ctrl-C is for us, and we see to the rest.
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        *child =
            Some(spawn(command).with_context(|| format!("{} cannot be started", self.program.display()))?);
        Ok(())
    }

    /// Its process id while it runs.
    pub fn id(&self) -> Option<u32> {
        let mut child = self.child();
        let child = child.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child().as_mut()?.try_wait().ok()?
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&self) -> Result<()> {
        if let Some(child) = self.child().as_mut() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    pub fn stop(&self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        let ended = wait_until(&format!("{} ends", self.name), STOP_LIMIT, || self.ended());
        ended.with_context(|| self.words())
    }

    /// Sends it a signal, such as SIGSTOP and SIGCONT for a program that hangs for a while.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.id().with_context(|| format!("{} does not run", self.name))?;
        kill(Pid::from_raw(i32::try_from(id)?), signal).with_context(|| format!("{signal} to {}", self.name))
    }

    /// What it has used since its last start; it has to be running.
    pub fn usage(&self) -> Result<Usage> {
        let id = self.id().with_context(|| format!("{} does not run", self.name))?;
        usage(id).with_context(|| format!("what {} uses", self.name))
    }

    /// Bytes of memory that are its own, and its part of those that it shares with others: what one more of it costs.
    pub fn share(&self) -> Result<u64> {
        let id = self.id().with_context(|| format!("{} does not run", self.name))?;
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        bytes(&rollup, "Pss:").context("/proc/PID/smaps_rollup has no Pss")
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last it said, for an error.
    pub fn words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let tail = &text[text.len().saturating_sub(TAIL)..];
        format!("{} said: {}", self.name, String::from_utf8_lossy(tail).trim())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.life == Life::Tied {
            // It fails only if the program has ended already.
            let _ = self.kill();
        }
    }
}

/// The kernel sends the signal for a parent's death when the *thread* ends that started the child, and a test's thread
/// ends long before the process. So one thread that never ends starts them all.
fn spawn(command: Command) -> Result<Child> {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                // Nobody listens only if the caller is gone, and its child then is nobody's.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (sender, answer) = mpsc::channel();
    spawner.send((command, sender)).context("the thread that starts programs is gone")?;
    Ok(answer.recv().context("the thread that starts programs is gone")??)
}

/// What a process has used, from `/proc` (proc(5)).
fn usage(id: u32) -> Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let ticks = cpu_ticks(&stat).context("/proc/PID/stat has too few fields")?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the kernel does not say its clock ticks")?;
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    Ok(Usage {
        cpu: Duration::from_millis(ticks * 1000 / u64::try_from(per_second)?),
        resident: bytes(&status, "VmRSS:").context("/proc/PID/status has no VmRSS")?,
        peak: bytes(&status, "VmHWM:").context("/proc/PID/status has no VmHWM")?,
    })
}

/// utime and stime: fields 14 and 15, counted from 1; the name in field 2 may hold anything but a last parenthesis.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Server {
        Server::new("sleeper", "sleep", folder, Life::Tied).args(["600"])
    }

    #[test]
    fn a_server_outlives_the_thread_that_started_it_and_ends_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let server = sleeper(folder.path());
        std::thread::scope(|scope| scope.spawn(|| server.start()).join().unwrap()).unwrap();
        let id = server.id().unwrap();
        assert!(server.start().unwrap_err().to_string().contains("runs already"));
        assert!(server.usage().unwrap().resident > 0);
        assert!(server.share().unwrap() <= server.usage().unwrap().peak);
        drop(server);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn a_server_is_stopped_and_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let server = sleeper(folder.path());
        server.start().unwrap();
        assert!(!server.stop().unwrap().success());
        assert!(server.id().is_none() && server.stop().is_err());
        server.start().unwrap();
        server.kill().unwrap();
        assert!(server.ended().is_some());
    }

    #[test]
    fn fields_of_proc() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 7 5 0 0 20 0 1 0 100 1000 10";
        assert_eq!(cpu_ticks(stat), Some(12));
        assert_eq!(bytes("Name:\tx\nVmRSS:\t    1234 kB\n", "VmRSS:"), Some(1234 * 1024));
        assert_eq!(bytes("Name:\tx\n", "VmRSS:"), None);
    }
}
