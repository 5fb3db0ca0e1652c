//! What `cargo xtask image` runs: xtask itself has to compile in seconds.

use std::path::Path;
use std::process::ExitCode;

use allotment_nodes::images;

const USAGE: &str = "\
usage: nodes image BIN FILE     an image of the programs in the folder BIN
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ["image", bin, file] = words.as_slice() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match images::allotment(Path::new(bin)).write(Path::new(file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
