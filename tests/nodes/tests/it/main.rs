//! Allotment on real nodes: what a user sees, and what becomes of addresses when parts of a cluster fail.
//!
//! Needs root, `dist/bin` (made by `cargo xtask dist`; another folder in `ALLOTMENT_BIN`) and what `cargo xtask cluster up`
//! needs. `cargo xtask test` sees to all of it. Without root every test is skipped, and says so.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use allotment_fleet::{Life, bin};
use allotment_lab::isolate;
use allotment_nodes::{Cluster, Plan, down};
use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

mod down;
mod faults;
mod flannel;
mod interfaces;
mod operate;
mod own_network;
mod thick;
mod tour;
mod world;

use world::{Test, World};

const NODES: u8 = 2;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share nodes that some of them crash.
    arguments.test_threads = Some(1);
    if arguments.list || !isolate::is_root() {
        if !arguments.list {
            eprintln!("not root: there are no nodes, every test on them is skipped");
        }
        let trials = trials(None).into_iter().map(|trial| trial.with_ignored_flag(!arguments.list));
        return libtest_mimic::run(&arguments, trials.collect()).exit_code();
    }
    run(&arguments).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

/// The cluster ends with this process, however that ends; its files go too, unless something failed.
fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster");
    down(&folder)?;
    let began = Instant::now();
    let plan = Plan { folder: folder.clone(), nodes: NODES, life: Life::Tied, bin: bin()? };
    let world: &'static World = Box::leak(Box::new(World::new(Cluster::up(&plan)?)));
    eprintln!("the cluster was up after {:.0} s", began.elapsed().as_secs_f32());
    let conclusion = libtest_mimic::run(arguments, trials(Some(world)));
    world.end();
    if conclusion.has_failed() {
        eprintln!("what every program of the cluster said is in {}, until the next run", folder.display());
    } else {
        down(&folder)?;
    }
    Ok(conclusion.exit_code())
}

fn trials(world: Option<&'static World>) -> Vec<Trial> {
    let modules = [
        tour::TESTS,
        down::TESTS,
        interfaces::TESTS,
        own_network::TESTS,
        thick::TESTS,
        flannel::TESTS,
        faults::TESTS,
        operate::TESTS,
    ];
    modules.into_iter().flatten().map(|&test| trial(world, test)).collect()
}

fn trial(world: Option<&'static World>, (name, test): Test) -> Trial {
    Trial::test(name, move || {
        let world = world.ok_or("listed only")?;
        let began = Instant::now();
        let result = test(world).map_err(|error| Failed::from(format!("{error:#}\n{}", world.state())));
        eprintln!("{name} took {:.0} s", began.elapsed().as_secs_f32());
        result
    })
}
