//! This program again, in namespaces that vanish with it.
//!
//! Whatever happens inside (a failure, Ctrl-C, SIGKILL), the kernel takes away every network namespace, interface,
//! mount and process as soon as the first process in there ends. The machine outside never sees them: `/run` and
//! `/var/lib` are empty and private. What remains is one folder, and that is removed from outside.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::geteuid;

use crate::{Scratch, run};

/// Set inside; names the folder for files that need a real disk.
const FOLDER_ENV: &str = "ALLOTMENT_LAB_FOLDER";

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

pub fn is_root() -> bool {
    geteuid().is_root()
}

/// The folder for this run's files, where this process is already inside.
pub fn folder() -> Option<PathBuf> {
    env::var_os(FOLDER_ENV).map(PathBuf::from)
}

/// Starts this program again with the same arguments inside, waits for its end and passes its exit code on.
pub fn run_inside() -> Result<ExitCode> {
    run_inside_with(&Scratch::new()?)
}

/// The same, with a folder for its files that the caller has made.
pub fn run_inside_with(scratch: &Scratch) -> Result<ExitCode> {
    // Before any other thread starts, so that all inherit it: the signals arrive at `wait` and nowhere else.
    let signals = ends();
    signals.thread_block().context("signals cannot be blocked")?;
    let child = start(scratch.path())?;
    wait(child, signals)
}

/// What ends a program from outside.
fn ends() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
}

/// The file of this program, even after it was built anew while this ran.
pub fn this_program() -> Result<PathBuf> {
    let path = env::current_exe().context("the path of this program is not known")?;
    let replaced = path.to_str().and_then(|text| text.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(path))
}

/// `setpriv` ties the child to us, `unshare` the namespaces to the child.
fn start(folder: &Path) -> Result<Child> {
    Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg("--")
        .arg(this_program()?)
        .args(env::args_os().skip(1))
        .env(FOLDER_ENV, folder)
        .spawn()
        .context("`setpriv` and `unshare` (package util-linux) are needed")
}

enum End {
    Exited(std::io::Result<std::process::ExitStatus>),
    Signal,
}

fn wait(mut child: Child, signals: SigSet) -> Result<ExitCode> {
    let process = nix::unistd::Pid::from_raw(i32::try_from(child.id()).context("process id")?);
    let (sender, ends) = mpsc::channel();
    let signalled = sender.clone();
    thread::spawn(move || {
        if signals.wait().is_ok() {
            let _ = signalled.send(End::Signal);
        }
    });
    thread::spawn(move || {
        let _ = sender.send(End::Exited(child.wait()));
    });
    match ends.recv().context("nothing waits for the child any more")? {
        End::Exited(status) => {
            let code = status.context("the child's end is not known")?.code().unwrap_or(1);
            Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
        }
        End::Signal => {
            nix::sys::signal::kill(process, Signal::SIGKILL).context("the child cannot be ended")?;
            // Only after its end are the files in the folder at rest.
            let _ = ends.recv();
            eprintln!("interrupted");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// Makes the inside fit for labs: private `/run` and `/var/lib`, `lo` up. To be called once, before anything else.
pub fn settle() -> Result<()> {
    if folder().is_none() || std::process::id() != 1 {
        bail!("not inside: `run_inside` has to start this process");
    }
    // Blocked outside, and processes inherit that: a daemon would never hear that it is to stop.
    ends().thread_unblock().context("signals cannot be unblocked")?;
    for path in ["/run", "/var/lib"] {
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
            .with_context(|| format!("a tmpfs cannot be mounted on {path}"))?;
    }
    // `ip netns add` makes this mount when it is missing, and two at once get in each other's way.
    fs::create_dir("/run/netns")?;
    mount(Some("/run/netns"), "/run/netns", None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    mount(None::<&str>, "/run/netns", None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>)?;
    run(Command::new("ip").args(["link", "set", "lo", "up"])).map(drop)
}
