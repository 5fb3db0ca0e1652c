//! Whether somebody means it.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::Failure;
use crate::output;

/// Says what is endangered, and goes on only when somebody agrees: at a terminal, or with `--yes` in advance.
pub(crate) fn ask(dangers: &[String], is_agreed: bool) -> Result<(), Failure> {
    for danger in dangers {
        output::note(danger);
    }
    if is_agreed {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let hint = "nothing was changed; read what stands above, then run it with --yes";
        return Err(Failure::unable("nobody can be asked: standard input is no terminal", hint));
    }
    let _ = write!(io::stderr(), "Go on? [y/N] ");
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    if read.is_ok() && is_yes(&line) {
        return Ok(());
    }
    Err(Failure::refused("not agreed: nothing was changed", ""))
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for yes in ["y\n", "Y", " yes \n", "YES"] {
            assert!(is_yes(yes), "{yes}");
        }
        for no in ["", "\n", "n", "no", "yess", "ja", "y y"] {
            assert!(!is_yes(no), "{no}");
        }
    }
}
