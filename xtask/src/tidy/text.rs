//! Rules about the text of one source file.

use std::path::Path;

use super::{Complaints, at};

const MOST_LINES: usize = 500;

pub(super) fn length(path: &Path, text: &str) -> Complaints {
    let lines = text.lines().count();
    let long = lines > MOST_LINES;
    long.then(|| format!("{}: {lines} lines; split it by what changes together", path.display()))
        .into_iter()
        .collect()
}

/// Words that say "later".
pub(super) fn unfinished(path: &Path, text: &str) -> Complaints {
    // In pieces, or this file would break its own rule.
    let words =
        [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("db", "g!("), concat!("FIX", "ME")];
    find(path, text, &words, "finish it or leave it out")
}

/// Waiting is done in the lab, for a condition and with a limit.
pub(super) fn sleeping(path: &Path, text: &str) -> Complaints {
    let mut complaints =
        find(path, text, &[concat!("#[ig", "nore")], "a test that cannot run here says why and is skipped");
    let is_test = path.components().any(|part| part.as_os_str() == "it") || path.ends_with("tests.rs");
    if is_test {
        complaints.extend(sleeps(path, text));
    }
    complaints
}

/// Sleeps anywhere but in a function that waits for a condition; its name says so.
fn sleeps(path: &Path, text: &str) -> Complaints {
    let words = [concat!("thread::", "sleep"), concat!("time::", "sleep")];
    let mut waits = false;
    let mut complaints = Complaints::new();
    for (number, line) in text.lines().enumerate() {
        if let Some((_, name)) = line.split_once("fn ") {
            waits = name.starts_with("wait_");
        }
        if !waits && words.iter().any(|word| line.contains(word)) {
            complaints.push(at(path, number, "wait for a condition, in a function `wait_…`"));
        }
    }
    complaints
}

/// What a `lib.rs` may have: documentation, modules, and names that others use.
pub(super) fn map(path: &Path, text: &str) -> Complaints {
    if !path.ends_with("src/lib.rs") {
        return Complaints::new();
    }
    let mut complaints = Complaints::new();
    let description = text.lines().take_while(|line| line.starts_with("//!")).count();
    if description == 0 || text.starts_with("//! Stub") {
        complaints.push(at(path, 0, "say what the crate is, and what it is not"));
    }
    let kinds = ["fn ", "struct ", "enum ", "impl ", "impl<", "trait "];
    for (number, line) in text.lines().enumerate() {
        let item = line.strip_prefix("pub ").unwrap_or(line);
        if kinds.iter().any(|kind| item.starts_with(kind)) {
            complaints.push(at(path, number, "move it into a module; lib.rs is a map"));
        }
    }
    complaints
}

/// Time, names and chance come to core as arguments.
pub(super) fn pure(path: &Path, text: &str) -> Complaints {
    if !path.starts_with("crates/core/src") {
        return Complaints::new();
    }
    let banned = [
        "Instant",
        "SystemTime",
        "std::fs",
        "std::io",
        "std::env",
        "std::process",
        "std::thread",
        "std::sync",
        "TcpStream",
        "UdpSocket",
        "tokio",
        "rand::",
        "RandomState",
    ];
    // Documentation may speak of them.
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or(line).to_owned() + "\n").collect();
    find(path, &code, &banned, "core only decides")
}

fn find(path: &Path, text: &str, words: &[&str], advice: &str) -> Complaints {
    let mut complaints = Complaints::new();
    for (number, line) in text.lines().enumerate() {
        for word in words.iter().filter(|word| line.contains(**word)) {
            complaints.push(at(path, number, format!("`{word}`: {advice}")));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_what_breaks_it() {
        let any = Path::new("crates/x/src/a.rs");
        assert_eq!(length(any, &"\n".repeat(MOST_LINES)).len(), 0);
        assert_eq!(length(any, &"\n".repeat(MOST_LINES + 1)).len(), 1);
        assert_eq!(unfinished(any, concat!("fn a() { to", "do!() }")).len(), 1);
        assert_eq!(sleeping(any, concat!("#[ig", "nore]")).len(), 1);
        let sleep = concat!("thread::", "sleep(x)");
        assert_eq!(sleeping(any, sleep).len(), 0);
        let test = Path::new("crates/x/tests/it/a.rs");
        assert_eq!(sleeping(test, sleep).len(), 1);
        assert_eq!(
            sleeping(test, &format!("fn wait_for() {{\n{sleep}\n}}\nfn a() {{\n{sleep}\n}}")).len(),
            1
        );
    }

    #[test]
    fn a_map_has_no_logic() {
        let lib = Path::new("crates/x/src/lib.rs");
        assert_eq!(map(lib, "//! Says what it is.\n\nmod a;\npub use a::B;\n").len(), 0);
        assert_eq!(map(lib, "mod a;\n").len(), 1);
        assert_eq!(map(lib, "//! Says it.\npub fn f() {}\nimpl<T> X {}\n").len(), 2);
        assert_eq!(map(Path::new("crates/x/src/a.rs"), "fn f() {}").len(), 0);
    }

    #[test]
    fn core_is_pure_and_may_say_so() {
        let core = Path::new("crates/core/src/plan.rs");
        assert_eq!(pure(core, "// no SystemTime here\nuse std::net::IpAddr;").len(), 0);
        assert_eq!(pure(core, "use std::time::SystemTime;").len(), 1);
        assert_eq!(pure(Path::new("crates/node/src/a.rs"), "use std::fs;").len(), 0);
    }
}
