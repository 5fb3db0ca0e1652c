//! What a decision costs, in instructions: a count is the same on a busy machine, a time is not.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::tally::Tally;
use crate::tree;

/// Has the pinned count: instructions of one pair of plan + apply and release, on x86-64.
const PINNED: &str = "crates/core/benches/instructions.txt";
/// Percent above the pinned count that compilers and libraries may add. As much below, and the pin is to be renewed.
const TOLERANCE: u64 = 4;
/// Two runs of so many pairs: their difference leaves out what comes before the first one.
const PAIRS: [u64; 2] = [1_024, 11_264];

/// Counts the instructions of core's bench and compares them with the pinned number.
pub(super) fn check() -> Result<Tally> {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !cfg!(target_arch = "x86_64") || !valgrind.is_ok_and(|status| status.success()) {
        eprintln!("skipped: counting instructions needs x86-64 and valgrind in PATH");
        return Ok(Tally { skipped: 1, ..Tally::default() });
    }
    let text = tree::read(Path::new(PINNED))?;
    let pinned = text.lines().find(|line| !line.starts_with('#')).and_then(|line| line.trim().parse().ok());
    let pinned: u64 = pinned.with_context(|| format!("{PINNED} has no number"))?;
    let [few, many] = PAIRS.map(collected);
    let each = (many? - few?) / (PAIRS[1] - PAIRS[0]);
    eprintln!("{each} instructions for plan + apply + release; {pinned} are pinned in {PINNED}");
    let allowed = pinned * TOLERANCE / 100;
    ensure!(
        each.abs_diff(pinned) <= allowed,
        "the count has moved by more than {TOLERANCE} %: find out why, or write {each} into {PINNED}"
    );
    Ok(Tally::PASSED)
}

/// Instructions that callgrind counts in the bench's timed part.
fn collected(pairs: u64) -> Result<u64> {
    let runner = "valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect=*space*run*";
    let mut cargo = tree::cargo();
    cargo
        .args(["bench", "--quiet", "--package", "allotment-core", "--bench", "core", "--"])
        .args(["--instructions", &pairs.to_string()])
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner)
        .stdin(Stdio::null());
    let output = cargo.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    count.with_context(|| format!("`{}` gave no count:\n{said}", allotment_lab::shown(&cargo)))
}
