//! What does not depend on how busy the machine is: system calls and writes. `cargo xtask test` holds them against
//! `counts.json`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use allotment_lab::figures::digits;
use allotment_lab::{Netns, Programs, find, target, wait_until};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::site::Ours;

/// What is pinned: the figure, and by how much it may differ.
const PINNED: &str = include_str!("counts.json");

/// ADDs over which the daemon is watched, one after the other; folding of the journal is among it.
const ADDS: u32 = 100;

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn run(programs: &Programs, folder: &Path) -> Result<ExitCode> {
    let ours = Ours::new(programs, folder, 0)?;
    // As under `ptp`, the interface is not there yet: each container can then come without the one before having gone.
    let netns = Netns::create("counts")?;
    // The first one makes what is made once.
    ours.caller.timed(&ours.caller.next(&netns.path()))?;
    let calls = plugin_calls(programs, folder, &ours, &netns)?;
    let (writes, syncs) = daemon_writes(folder, &ours, &netns)?;
    let pinned: Value = serde_json::from_str(PINNED).context("counts.json")?;
    let mut wrong = 0;
    let plugin = if target::quick()? == target::host()? { "pluginSyscalls" } else { "pluginSyscallsMusl" };
    for (what, count) in [(plugin, calls), ("daemonWritesPerAdd", writes), ("daemonSyncsPerAdd", syncs)] {
        wrong += usize::from(!holds(what, count, &pinned[what])?);
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says how a count compares. One that became smaller has to be pinned anew too, or it could grow back unseen.
fn holds(what: &str, count: f64, pinned: &Value) -> Result<bool> {
    let get = |key: &str| pinned[key].as_f64().with_context(|| format!("counts.json has no {what}.{key}"));
    let (expected, tolerance) = (get("expected")?, get("tolerance")?);
    let holds = (count - expected).abs() <= tolerance;
    let verdict =
        if holds { "as pinned" } else { "NOT as pinned: mend it, or pin it in xtask/src/bench/counts.json" };
    eprintln!("{what:<20} {:>6}, pinned {expected} ± {tolerance}: {verdict}", digits(count));
    Ok(holds)
}

/// System calls of one ADD, from the plugin's start to its end.
fn plugin_calls(programs: &Programs, folder: &Path, ours: &Ours, netns: &Netns) -> Result<f64> {
    let log = folder.join("plugin.strace");
    let mut strace = Command::new("strace");
    strace.arg("-f").arg("-o").arg(&log).arg(find("allotment", &programs.cni_path)?);
    ours.caller.next(&netns.path()).exec_as(strace, "/")?.ok()?;
    let calls = calls(&fs::read_to_string(log)?).count();
    ensure!(calls > 0, "strace saw nothing of the plugin");
    Ok(calls as f64)
}

/// Writes to the ledger and syncs of it, per ADD. The log is not beside the objects: the daemon looks when something
/// changes there.
fn daemon_writes(folder: &Path, ours: &Ours, netns: &Netns) -> Result<(f64, f64)> {
    let log = folder.join("daemon.strace");
    let mut strace = attach(ours, &log)?;
    let adds = (0..ADDS).try_for_each(|_| ours.caller.timed(&ours.caller.next(&netns.path())).map(drop));
    kill(Pid::from_raw(i32::try_from(strace.id())?), Signal::SIGINT)?;
    strace.wait()?;
    adds?;
    let log = fs::read_to_string(log)?;
    let count = |names: &[&str]| {
        let of_ledger = calls(&log).filter(|(name, line)| names.contains(name) && line.contains("ledger"));
        of_ledger.count() as f64 / f64::from(ADDS)
    };
    Ok((
        count(&["write", "writev", "pwrite64", "pwritev", "pwritev2"]),
        count(&["fsync", "fdatasync", "msync", "sync_file_range"]),
    ))
}

fn attach(ours: &Ours, log: &Path) -> Result<Child> {
    let said = log.with_extension("said");
    let trace = "trace=write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,msync,sync_file_range";
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", trace, "-p", &ours.process.to_string(), "-o"]).arg(log);
    let child = strace.stdin(Stdio::null()).stderr(File::create(&said)?).spawn().context("strace")?;
    wait_until("strace watches the daemon", LIMIT, || {
        fs::read_to_string(&said).ok()?.contains("attached").then_some(())
    })?;
    Ok(child)
}

/// The calls in a log of strace: name and line. `12 pwrite64(13</x/ledger.redb>, …) = 320`; the second half of one that
/// was interrupted is left out.
fn calls(log: &str) -> impl Iterator<Item = (&str, &str)> {
    log.lines().filter_map(|line| {
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        let (name, _) = call.split_once('(')?;
        name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_').then_some((name, line))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_counted_once() {
        let log = "12 execve(\"/x\", [\"/x\"], 0x7f /* 5 vars */) = 0\n\
                   12 fdatasync(13</x/ledger.redb> <unfinished ...>\n\
                   13 +++ exited with 0 +++\n\
                   12 <... fdatasync resumed>)          = 0\n\
                   pwrite64(13</x/ledger.redb>, \"(\", 1, 0) = 1\n";
        assert_eq!(calls(log).map(|(name, _)| name).collect::<Vec<_>>(), ["execve", "fdatasync", "pwrite64"]);
    }

    #[test]
    fn more_and_less_are_seen() {
        let pinned = json!({"expected": 10.0, "tolerance": 1.0});
        let held: Vec<bool> = [8.9, 9.0, 11.0, 11.1].map(|count| holds("x", count, &pinned).unwrap()).into();
        assert_eq!(held, [false, true, true, false]);
        assert!(holds("x", 1.0, &json!({})).is_err());
    }
}
