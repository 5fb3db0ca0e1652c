//! From YAML to a ping, on a machine made of network namespaces.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use allotment_lab::{Lab, Programs, isolate};
use anyhow::Result;

use crate::{dist, needs, tree};

mod crash;
mod pods;
mod screen;
mod story;

const OBJECTS: &str = include_str!("demo/objects.yaml");

const NEEDS_ROOT: &str = "\
The demo makes network namespaces, so it needs root:

    sudo cargo xtask demo

It needs Linux and cargo. `ip`, `ping` and the stock CNI plugins are looked for and, where they are missing,
installed (apt) or built (Go). What it makes lives in namespaces of its own and is gone when it ends.";

pub(crate) fn run() -> Result<ExitCode> {
    if let Some(folder) = isolate::folder() {
        return inside(&folder);
    }
    if !isolate::is_root() {
        eprintln!("{NEEDS_ROOT}");
        return Ok(ExitCode::from(crate::COULD_NOT_RUN));
    }
    needs::ip()?;
    needs::ping()?;
    needs::stock_plugins()?;
    dist::build()?;
    let start = Instant::now();
    let code = isolate::run_inside()?;
    screen::say(&format!(
        "\nEverything of the demo is gone again. It took {:.0} s.",
        start.elapsed().as_secs_f32()
    ));
    Ok(code)
}

fn inside(folder: &Path) -> Result<ExitCode> {
    isolate::settle()?;
    let programs = Programs::new(&tree::bin(), &needs::stock_plugins()?)?;
    let lab = Lab::new(&programs, folder, OBJECTS)?.on_default_socket();
    let mut stage = story::Stage::new(lab)?;
    match stage.play() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("error: {error:#}");
            eprintln!("the daemon said:\n{}", stage.log());
            Ok(ExitCode::FAILURE)
        }
    }
}
