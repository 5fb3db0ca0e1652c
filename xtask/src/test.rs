//! Every test, and how long each part took.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use allotment_lab::{isolate, stock};
use anyhow::{Context, Result, bail, ensure};

use crate::{dist, fleet, needs, tidy, tree};

mod instructions;
mod tally;

use tally::Tally;

/// Whether to run what needs root and network namespaces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    Yes,
    No,
}

/// A part: its name, and what it does.
type Part = (&'static str, fn() -> Result<Tally>);

/// The quick ones first.
const PARTS: [Part; 9] = [
    ("fmt", || command(tree::cargo().args(["fmt", "--all", "--check"]))),
    ("tidy", rules),
    ("clippy", clippy),
    ("control plane", || command(&mut fleet::programs()?)),
    ("unit and integration", crates),
    ("dist", programs),
    ("README", readme),
    ("instructions", instructions::check),
    ("generated files", || command(ourselves()?.args(["gen", "--check"]))),
];

const SYSTEM: [Part; 5] = [
    ("system", system),
    ("fleet", fleets),
    ("cluster", cluster),
    ("counts", counts),
    ("demo", || command(ourselves()?.arg("demo"))),
];

/// Runs every part, whatever became of the others; the last line counts them all.
pub(crate) fn run(system: System) -> Result<ExitCode> {
    let parts = PARTS.iter().chain(if system == System::Yes { &SYSTEM[..] } else { &[] });
    let mut rows = Vec::new();
    for &(name, part) in parts {
        println_header(name);
        let start = Instant::now();
        let tally = part().unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Tally::FAILED
        });
        rows.push((name, tally, start.elapsed()));
    }
    report(&rows)
}

#[expect(clippy::print_stdout, reason = "stdout is where test results go")]
fn println_header(name: &str) {
    println!("\n=== {name}");
}

#[expect(clippy::print_stdout, reason = "stdout is where test results go")]
fn report(rows: &[(&str, Tally, Duration)]) -> Result<ExitCode> {
    println!("\n{:<22}{:>8}{:>8}{:>9}{:>9}", "part", "passed", "failed", "skipped", "seconds");
    for (name, tally, time) in rows {
        let seconds = time.as_secs_f32();
        println!("{name:<22}{:>8}{:>8}{:>9}{seconds:>9.1}", tally.passed, tally.failed, tally.skipped);
    }
    let sum: Tally = rows.iter().map(|(_, tally, _)| *tally).sum();
    println!("\n{sum}");
    ensure!(sum.passed + sum.failed > 0, "no test was run");
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn rules() -> Result<Tally> {
    let verdicts = tidy::verdicts()?;
    let failed = tidy::report(&verdicts);
    Ok(Tally { passed: verdicts.len() - failed, failed, skipped: 0 })
}

fn clippy() -> Result<Tally> {
    command(tree::cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
}

/// Everything that needs neither root nor the programs in `dist/bin`.
fn crates() -> Result<Tally> {
    let workspace = ["test", "--workspace", "--no-fail-fast"];
    let outside =
        ["--exclude", "allotment-lab", "--exclude", "allotment-fleet", "--exclude", "allotment-nodes"];
    let rest = tests(tree::cargo().args(workspace).args(outside))?;
    let inside = [
        "--package",
        "allotment-lab",
        "--package",
        "allotment-fleet",
        "--package",
        "allotment-nodes",
        "--lib",
    ];
    let tools = tests(tree::cargo().arg("test").args(inside))?;
    Ok([rest, tools].into_iter().sum())
}

fn programs() -> Result<Tally> {
    dist::build()?;
    dist::check()?;
    Ok(Tally::PASSED)
}

/// The tool knows every subcommand that README shows.
fn readme() -> Result<Tally> {
    let mut tallies = Vec::new();
    for subcommand in tidy::tool_commands(&tree::read(Path::new("README.md"))?) {
        let mut help = Command::new(tree::bin().join("allot"));
        help.args([&subcommand, "--help"]).stdout(Stdio::null());
        tallies.push(command(&mut help)?);
    }
    ensure!(!tallies.is_empty(), "README shows no command of `allot`");
    Ok(tallies.into_iter().sum())
}

fn system() -> Result<Tally> {
    if !isolate::is_root() {
        bail!(
            "the system tests need root (network namespaces); `cargo xtask test --no-system` leaves them out"
        );
    }
    needs::ip()?;
    stock::pinned(tree::root()).context("the system tests need the stock CNI plugins")?;
    let mut cargo = tree::cargo();
    cargo.args(["test", "--package", "allotment-lab", "--test", "it"]).env("ALLOTMENT_BIN", tree::bin());
    tests(&mut cargo)
}

/// The real programs on a real API server, as one cluster.
fn fleets() -> Result<Tally> {
    if !isolate::is_root() {
        bail!("pods of the fleet have network namespaces, which need root; `--no-system` leaves them out");
    }
    let mut cargo = tree::cargo();
    cargo.args(["test", "--package", "allotment-fleet", "--test", "it"]).env("ALLOTMENT_BIN", tree::bin());
    tests(&mut cargo)
}

/// The same on real nodes.
fn cluster() -> Result<Tally> {
    if !isolate::is_root() {
        bail!("nodes are made of namespaces, which need root; `--no-system` leaves them out");
    }
    needs::cluster()?;
    let mut cargo = tree::cargo();
    cargo.args(["test", "--package", "allotment-nodes", "--test", "it"]).env("ALLOTMENT_BIN", tree::bin());
    tests(&mut cargo)
}

/// System calls and writes, which no busy machine changes.
fn counts() -> Result<Tally> {
    match needs::strace() {
        Ok(()) => command(ourselves()?.args(["bench", "--counts"])),
        Err(reason) => {
            eprintln!("skipped, as nothing can be traced here: {reason:#}");
            Ok(Tally { passed: 0, failed: 0, skipped: 1 })
        }
    }
}

/// This program.
fn ourselves() -> Result<Command> {
    isolate::this_program().map(Command::new)
}

/// A command that succeeds or fails as a whole.
fn command(command: &mut Command) -> Result<Tally> {
    let status = command.stdin(Stdio::null()).status().with_context(|| allotment_lab::shown(command))?;
    Ok(if status.success() { Tally::PASSED } else { Tally::FAILED })
}

/// A command that runs test binaries: what they count.
fn tests(command: &mut Command) -> Result<Tally> {
    use std::io::{BufRead, BufReader};
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut sum = Tally::default();
    let lines = BufReader::new(child.stdout.take().context("stdout is a pipe")?).lines();
    for line in lines {
        let line = line?;
        sum = [sum, Tally::of_line(&line).unwrap_or_default()].into_iter().sum();
        echo(&line);
    }
    let status = child.wait()?;
    if !status.success() && sum.failed == 0 {
        eprintln!("`{}` failed: {status}", allotment_lab::shown(command));
        sum.failed = 1;
    }
    Ok(sum)
}

#[expect(clippy::print_stdout, reason = "what the tests print is passed on")]
fn echo(line: &str) {
    println!("{line}");
}
