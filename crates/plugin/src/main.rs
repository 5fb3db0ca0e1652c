//! `allotment`, the CNI plugin: carries what the runtime says to the daemon, and the answer back.
//!
//! ```text
//!   environment ─▶ call ─┐                                   ┌─▶ stdout, exit code
//!                        ├─▶ daemon ── POST /v1/cni ─▶ answer ┤
//!   stdin ──────▶ config ┘   (http)                           └─▶ pending: a DEL while the daemon is away
//! ```
//!
//! It starts once per ADD on every node, so it is one static binary on std alone, has no runtime, understands no more
//! of the configuration than where the daemon listens, and never panics. VERSION it answers itself.
//!
//! Nothing but the answer goes to stdout, and nothing to stderr: both are the runtime's.

mod call;
mod config;
mod daemon;
mod error;
mod http;
mod json;
mod pending;
mod version;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use call::{Call, Command};
use config::Config;
use error::Error;

fn main() -> ExitCode {
    let (text, code) = match run() {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(text) => (text, ExitCode::FAILURE),
    };
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&text).and_then(|()| stdout.flush()) {
        Ok(()) => code,
        // Whoever could not be told of success must not believe in it.
        Err(_) => ExitCode::FAILURE,
    }
}

/// What goes to stdout, on success and on failure.
fn run() -> Result<Vec<u8>, Vec<u8>> {
    let name = env::var_os("CNI_COMMAND").unwrap_or_default();
    if name == "VERSION" {
        return Ok(version::answer());
    }
    let early = |error: Error| error.to_json(None);
    let command = Command::parse(&name.to_string_lossy()).map_err(early)?;
    let call = Call::read(command, |name| env::var_os(name)).map_err(early)?;
    let stdin = config::read(&mut io::stdin().lock());
    let config = Config::check(command, &stdin).map_err(early)?;
    daemon::carry(&call, &config)
}
