//! What the machine does and has: its disk, its processors, the use that processes make of them.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::{SysconfVar, sysconf};

/// A file that is synced and nothing else: what durability costs here at best.
pub(crate) struct Disk {
    file: fs::File,
    page: u64,
}

/// Pages of the file. They are there before they are measured: a file that grows costs more, and a ledger seldom does.
const PAGES: u64 = 1024;

impl Disk {
    pub(crate) fn new(folder: &Path) -> Result<Disk> {
        let path = folder.join("bare");
        fs::write(&path, vec![0; 4096 * usize::try_from(PAGES)?])?;
        let file = fs::File::options().write(true).open(path)?;
        file.sync_all()?;
        Ok(Disk { file, page: 0 })
    }

    /// One `fdatasync` after 4 KiB.
    pub(crate) fn sync(&mut self) -> Result<Duration> {
        self.page = (self.page + 1) % PAGES;
        self.file.write_all_at(&[1; 4096], self.page * 4096)?;
        let start = Instant::now();
        self.file.sync_data()?;
        Ok(start.elapsed())
    }
}

/// User and system time of all processes that we started and that have ended.
pub(crate) fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}

/// User and system time of a running process, as fine as the kernel tells.
pub(crate) fn cpu_of(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in the second field may have blanks and parentheses itself.
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has no name")?;
    let field = |at: usize| fields.split_whitespace().nth(at).context("/proc/PID/stat ends early");
    let ticks = field(11)?.parse::<f64>()? + field(12)?.parse::<f64>()?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no CLK_TCK")?;
    #[expect(clippy::cast_precision_loss, reason = "it is 100")]
    Ok(Duration::from_secs_f64(ticks / per_second as f64))
}

/// Resident memory in MB.
pub(crate) fn resident(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}
