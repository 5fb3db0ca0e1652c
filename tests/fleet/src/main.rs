//! `cargo xtask fleet`: a fleet that stays up. `cargo xtask bench fleet`: what one can do.

use std::path::Path;
use std::process::ExitCode;

use allotment_fleet::{bin, programs, standing};
use anyhow::{Context, Result, bail};
use standing::Size;

mod bench;

use bench::Output;

const USAGE: &str = "\
usage: fleet up FOLDER [--nodes N] [--controllers N]
       fleet down FOLDER
       fleet bench FOLDER [PART …] [-o json]
       fleet programs         builds etcd and kube-apiserver, unless they are there
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["up", folder, options @ ..] => size(options).and_then(|size| up(Path::new(folder), size)),
        ["bench", folder, options @ ..] => bench(Path::new(folder), options),
        ["programs"] => build(),
        ["down", folder] => down(Path::new(folder)),
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

fn size(options: &[&str]) -> Result<Size> {
    let mut size = Size { nodes: 3, controllers: 2 };
    for option in options.chunks(2) {
        let [name, value] = option else { bail!("`{}` needs a number", option[0]) };
        let number = value.parse().with_context(|| format!("`{name} {value}`: no number"))?;
        match *name {
            "--nodes" => size.nodes = number,
            "--controllers" => size.controllers = number,
            _ => bail!("`{name}` is not known; {USAGE}"),
        }
    }
    Ok(size)
}

fn up(folder: &Path, size: Size) -> Result<()> {
    let bin = bin()?;
    let standing = standing::up(folder, &bin, size)?;
    eprintln!(
        "{} nodes and {} controllers are up. Their logs are in {}.",
        size.nodes,
        size.controllers,
        folder.display()
    );
    if let Some((node, socket)) = standing.sockets.first() {
        eprintln!("The plugin of {node} finds its agent with ALLOTMENT_SOCKET={}.", socket.display());
    }
    eprintln!("`cargo xtask fleet down` ends it all. To use it:\n");
    say(&format!("export KUBECONFIG={}", standing.kubeconfig.display()));
    Ok(())
}

fn bench(folder: &Path, options: &[&str]) -> Result<()> {
    let (parts, output) = match options {
        [parts @ .., "-o", "json"] => (parts, Output::Json),
        parts => (parts, Output::Table),
    };
    bench::run(folder, if parts.is_empty() { &bench::PARTS } else { parts }, output)
}

fn build() -> Result<()> {
    for program in ["etcd", "kube-apiserver"] {
        eprintln!("{}", programs::path(program)?.display());
    }
    Ok(())
}

fn down(folder: &Path) -> Result<()> {
    let ended = standing::down(folder)?;
    eprintln!("{ended} processes were ended; nothing is left of the fleet.");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a shell may evaluate it")]
fn say(line: &str) {
    println!("{line}");
}
