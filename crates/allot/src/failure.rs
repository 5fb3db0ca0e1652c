//! How a command ends (O8).

use std::io;
use std::process::ExitCode;

use crate::output;

/// Every exit code, for the reference: the code, its meaning, and what to do.
pub(crate) const EXIT_CODES: [(u8, &str, &str); 3] = [
    (0, "done", "nothing"),
    (1, "refused, not found, or something was found", "read what was found, or the error and its hint"),
    (
        2,
        "not reachable, wrong usage, could not run",
        "see that the daemon runs (`allot ready`), or correct the command",
    ),
];

/// A command's answer, when it could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Done: exit 0.
    Done,
    /// Refused, not found, or something was found: exit 1.
    Found,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> ExitCode {
        match verdict {
            Verdict::Done => ExitCode::SUCCESS,
            Verdict::Found => ExitCode::from(1),
        }
    }
}

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The daemon said no: exit 1.
    #[error("{text}")]
    Refused { text: String, details: Vec<String>, hint: String },
    /// It could not be done or asked: exit 2.
    #[error("{text}")]
    Unable { text: String, hint: String },
    /// Whoever read our output has seen enough: quietly exit 0.
    #[error("nobody reads the output any more")]
    BrokenPipe,
}

impl Failure {
    pub(crate) fn refused(text: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::Refused { text: text.into(), details: Vec::new(), hint: hint.into() }
    }

    pub(crate) fn unable(text: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::Unable { text: text.into(), hint: hint.into() }
    }

    /// Writing the answer failed.
    pub(crate) fn output(error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::BrokenPipe;
        }
        Failure::unable(format!("standard output cannot be written: {error}"), "")
    }

    /// Says it on standard error, where there is something to say.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Failure::BrokenPipe => ExitCode::SUCCESS,
            Failure::Refused { text, details, hint } => say(text, details, hint, 1),
            Failure::Unable { text, hint } => say(text, &[], hint, 2),
        }
    }
}

fn say(text: &str, details: &[String], hint: &str, code: u8) -> ExitCode {
    output::note(&format!("error: {text}"));
    for line in details {
        output::note(&format!("  {line}"));
    }
    if !hint.is_empty() {
        output::note(&format!("hint: {hint}"));
    }
    ExitCode::from(code)
}
