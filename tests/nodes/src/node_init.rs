//! The first process of a node: `node-init FOLDER NUMBER`, in namespaces of its own. See `allotment_nodes::init`.

use std::process::ExitCode;

use allotment_nodes::{Layout, init};
use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, number] = words.as_slice() else { bail!("usage: node-init FOLDER NUMBER") };
    let number = number.parse().with_context(|| format!("`{number}` is no node's number"))?;
    init::run_node(&Layout::new(folder), number)
}
