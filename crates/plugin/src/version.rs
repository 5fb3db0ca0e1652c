//! The versions of the CNI protocol that we speak, and what each command needs.

use std::io;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::call::Command;
use crate::config;
use crate::error::{Error, code};
use crate::json::{self, Object};

/// Oldest first.
const SUPPORTED: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// What VERSION and errors say when the runtime named no version that we speak.
pub(crate) const NEWEST: &str = "1.1.0";

/// How long VERSION waits for a configuration. The runtime has it ready, if it sends one at all; a person's terminal
/// or a pipe that nobody closes must not hold up the answer.
const STDIN_PATIENCE: Duration = Duration::from_millis(200);

/// The supported version that `asked` is, for `command`.
///
/// A configuration without a version is of 0.1.0 (CNI SPEC 0.2.0, "Network Configuration"), which we do not speak.
pub(crate) fn check(asked: &str, command: Command) -> Result<&'static str, Error> {
    let Some(position) = SUPPORTED.iter().position(|&version| version == asked) else {
        let msg = if asked.is_empty() {
            "the network configuration has no `cniVersion`, which means 0.1.0: not supported".to_owned()
        } else {
            format!("`cniVersion` {asked} is not supported")
        };
        let details = format!("set `cniVersion` to one of {}", SUPPORTED.join(", "));
        return Err(Error::new(code::INCOMPATIBLE_VERSION, msg, details));
    };
    let since = match command {
        Command::Add | Command::Del => SUPPORTED[0],
        Command::Check => "0.4.0",
        Command::Gc | Command::Status => "1.1.0",
    };
    if SUPPORTED.iter().position(|&version| version == since) > Some(position) {
        // The words that the stock plugins use: runtimes look for them.
        let msg = format!("config version does not allow {}", command.name());
        let details = format!(
            "`cniVersion` is {asked}, and {} came with CNI {since}; set it to that or a later one",
            command.name()
        );
        return Err(Error::new(code::INCOMPATIBLE_VERSION, msg, details));
    }
    Ok(SUPPORTED[position])
}

/// What VERSION answers. `cniVersion` is the one on stdin (CNI SPEC 1.1.0, section 5, "Version"), where there is one that
/// could be a version.
pub(crate) fn answer() -> Vec<u8> {
    let given = stdin_if_there();
    let given = given.and_then(|bytes| {
        let config = Object::parse(bytes).ok()?;
        json::string(config.get("cniVersion")?).filter(|text| is_version(text))
    });
    let mut out = String::from("{\"cniVersion\":");
    json::quote(given.as_deref().unwrap_or(NEWEST), &mut out);
    out.push_str(",\"supportedVersions\":[");
    for (index, version) in SUPPORTED.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        json::quote(version, &mut out);
    }
    out.push_str("]}\n");
    out.into_bytes()
}

/// Three numbers, as CNI writes its versions: <https://semver.org>, without anything behind them.
fn is_version(text: &str) -> bool {
    let number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    text.split('.').count() == 3 && text.split('.').all(number)
}

/// All of stdin, if it ends soon.
fn stdin_if_there() -> Option<&'static [u8]> {
    static GIVEN: OnceLock<Vec<u8>> = OnceLock::new();
    let asker = thread::current();
    let reader = thread::Builder::new().spawn(move || {
        let _ = GIVEN.set(config::read(&mut io::stdin().lock()).unwrap_or_default());
        asker.unpark();
    });
    let deadline = Instant::now() + STDIN_PATIENCE;
    while reader.is_ok() && GIVEN.get().is_none() && Instant::now() < deadline {
        thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
    }
    GIVEN.get().map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_first_version() {
        let rows = [
            (Command::Add, ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"].as_slice()),
            (Command::Del, &["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]),
            (Command::Check, &["0.4.0", "1.0.0", "1.1.0"]),
            (Command::Gc, &["1.1.0"]),
            (Command::Status, &["1.1.0"]),
        ];
        for (command, versions) in rows {
            for asked in ["", "0.1.0", "0.2.0", "1.1", "1.1.1", "2.0.0", "v1.1.0"].iter().chain(&SUPPORTED) {
                let verdict = check(asked, command);
                assert_eq!(verdict.is_ok(), versions.contains(asked), "{asked} {}", command.name());
                if let Err(error) = verdict {
                    assert_eq!(error.code, 1);
                }
            }
        }
    }

    #[test]
    fn a_refusal_lists_what_is_spoken() {
        let error = check("", Command::Add).unwrap_err();
        assert!(error.msg.contains("0.1.0"), "{error:?}");
        assert!(error.details.contains("0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"), "{error:?}");
        assert!(check("1.0.0", Command::Gc).unwrap_err().details.contains("1.1.0"));
    }
}
