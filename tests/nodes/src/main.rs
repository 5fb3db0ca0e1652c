//! What `cargo xtask cluster` and `cargo xtask image` run: xtask itself has to compile in seconds.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use allotment_fleet::{Life, bin, programs};
use allotment_nodes::{Cluster, Layout, Number, Plan, images, tour};
use anyhow::{Context, Result, ensure};

const USAGE: &str = "\
usage: nodes up FOLDER NUMBER     a cluster of so many nodes, until it is taken down
       nodes down FOLDER
       nodes tour FOLDER          what README shows of a cluster, in this one
       nodes image BIN FILE       an image of the programs in the folder BIN
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["up", folder, number] => up(Path::new(folder), number),
        ["down", folder] => down(Path::new(folder)),
        ["tour", folder] => tour(Path::new(folder)),
        ["image", bin, file] => images::allotment(Path::new(bin), Path::new(file)),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn up(folder: &Path, number: &str) -> Result<()> {
    let nodes: Number = number.parse().with_context(|| format!("`--nodes {number}`: no number of nodes"))?;
    let plan = Plan { folder: PathBuf::from(folder), nodes, life: Life::Detached, bin: bin()? };
    let cluster = Cluster::up(&plan)?;
    eprintln!("{nodes} nodes are up; `cargo xtask cluster down` ends them. To use them:\n");
    say(&format!("export KUBECONFIG={}", cluster.layout.kubeconfig().display()));
    Ok(())
}

fn down(folder: &Path) -> Result<()> {
    let ended = allotment_nodes::down(folder)?;
    eprintln!("{ended} processes were ended; nothing is left of the cluster.");
    Ok(())
}

fn tour(folder: &Path) -> Result<()> {
    let layout = Layout::new(std::path::absolute(folder)?);
    ensure!(layout.kubeconfig().exists(), "no cluster is up; `cargo xtask cluster up` makes one");
    let readme = std::fs::read_to_string(programs::root().join("README.md"))?;
    tour::play(&layout, &readme, &mut std::io::stdout())
}

#[expect(clippy::print_stdout, reason = "a shell may evaluate it")]
fn say(line: &str) {
    println!("{line}");
}
