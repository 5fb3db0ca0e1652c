//! The project's own commands: `cargo xtask demo | test | bench | fleet | cluster | dist | image | gen | tidy`.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

mod bench;
mod cluster;
mod demo;
mod dist;
mod elf;
mod fleet;
mod generate;
mod image;
mod needs;
mod test;
mod tidy;
mod tree;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo                  a machine with containers, central addresses and pings, in a minute; needs root
  test [--no-system]    every test, and how long each part took; the system tests need root
  bench [PART …] [-o json]
                        our figures beside the stock plugins'; needs root
  bench --counts        system calls and writes of an ADD, against those that are pinned; needs root
  bench fleet [PART …] [-o json]
                        a cluster's figures, beside Whereabouts and host-local; needs root
  fleet up [--nodes N] [--controllers N]
                        etcd, kube-apiserver, controllers and agents, until `fleet down`
  fleet down            ends all of that, and leaves nothing
  cluster up [--nodes N]
                        a real cluster: kubelets, containerd, Multus, and Allotment on it, until `cluster down`; needs root
  cluster down          ends all of that, and leaves nothing
  cluster kubectl ARGS… the cluster's kubectl; `kubectl allot` among its commands
  cluster tour          the commands of README's tour, one after the other
  cluster shell [NODE]  a shell that finds the cluster, or one on a node
  dist                  dist/bin/allot and dist/bin/allotment
  image [--out FILE]    an OCI image of both, registry.local/allotment:dev, in dist/allotment-image.tar
  gen [--check]         the generated part of docs/reference
  tidy                  the rules that no compiler knows
";

/// Something could not be run, or was asked for wrongly.
const COULD_NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["demo"] => demo::run(),
        ["test"] => test::run(test::System::Yes),
        ["test", "--no-system"] => test::run(test::System::No),
        ["bench", "--counts"] => bench::count(),
        ["bench", "fleet", options @ ..] => fleet::bench(options),
        ["bench", parts @ .., "-o", "json"] => bench::run(parts, bench::Output::Json),
        ["bench", parts @ ..] => bench::run(parts, bench::Output::Table),
        ["fleet", "up", options @ ..] => fleet::up(options),
        ["fleet", "down"] => fleet::down(),
        ["cluster", "up", options @ ..] => cluster::up(options),
        ["cluster", "down"] => cluster::down(),
        ["cluster", "kubectl", args @ ..] => cluster::kubectl(args),
        ["cluster", "tour"] => cluster::tour(),
        ["cluster", "shell", node @ ..] => cluster::shell(node),
        ["dist"] => done(dist::run()),
        ["image"] => done(image::run(None)),
        ["image", "--out", file] => done(image::run(Some(Path::new(file)))),
        ["gen"] => generate::run(generate::Mode::Write),
        ["gen", "--check"] => generate::run(generate::Mode::Check),
        ["tidy"] => tidy::run(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(COULD_NOT_RUN);
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(COULD_NOT_RUN)
    })
}

fn done(result: Result<()>) -> Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}
