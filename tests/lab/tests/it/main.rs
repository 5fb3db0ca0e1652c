//! The system tests: the real daemon and the real plugins in network namespaces.
//!
//! Needs root, `dist/bin` (made by `cargo xtask dist`; another folder in `ALLOTMENT_BIN`) and the pinned stock plugins
//! (built on first use). `cargo xtask test` sees to all of it. Without root every test is skipped, and says so.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use allotment_lab::{Programs, isolate, stock};
use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

mod addresses;
mod cilium;
mod cnitool;
mod compat;
mod contract;
mod crash;
mod guides;
mod matrix;
mod runtimes;
mod sweep;
mod tool;
mod world;

use world::World;

/// Tests at once: they wait for processes more than they compute.
const THREADS: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    if arguments.list || !isolate::is_root() {
        if !arguments.list {
            eprintln!("not root: no network namespaces can be made, every system test is skipped");
        }
        let trials = trials(None).into_iter().map(|trial| trial.with_ignored_flag(!arguments.list));
        return libtest_mimic::run(&arguments, trials.collect()).exit_code();
    }
    let result = if isolate::folder().is_some() { inside(&mut arguments) } else { outside() };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

/// Whatever needs the machine as it is, and then this program again in namespaces of its own.
fn outside() -> Result<ExitCode> {
    programs()?;
    isolate::run_inside()
}

fn inside(arguments: &mut Arguments) -> Result<ExitCode> {
    isolate::settle()?;
    let world = World::new(programs()?)?;
    arguments.test_threads.get_or_insert(THREADS);
    Ok(libtest_mimic::run(arguments, trials(Some(world))).exit_code())
}

fn programs() -> Result<Programs> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let bin = std::env::var_os("ALLOTMENT_BIN").map_or_else(|| root.join("dist/bin"), PathBuf::from);
    Programs::new(&bin, &stock::pinned(&root)?)
}

/// Every test, the slowest first; without a world they can be listed, but not run.
fn trials(world: Option<&'static World>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let modules = [
        sweep::TESTS,
        addresses::TESTS,
        cilium::TESTS,
        cnitool::TESTS,
        compat::TESTS,
        contract::TESTS,
        crash::TESTS,
        guides::TESTS,
        runtimes::TESTS,
        tool::TESTS,
    ];
    for &(name, test) in modules.into_iter().flatten() {
        trials.push(trial(world, name.to_owned(), test));
    }
    trials.extend(matrix::trials(world));
    trials
}

fn trial(
    world: Option<&'static World>,
    name: String,
    test: impl FnOnce(&World) -> Result<()> + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let world = world.ok_or("listed only")?;
        test(world).map_err(|error| Failed::from(format!("{error:#}")))
    })
}
