//! What the demo shows.

use std::process::Command;

use allotment_lab::shown;
use anyhow::{Context, Result, ensure};

#[expect(clippy::print_stdout, reason = "a demo is there to be read")]
pub(super) fn say(text: &str) {
    println!("{text}");
}

/// Numbers its steps.
#[derive(Default)]
pub(super) struct Screen {
    steps: usize,
}

impl Screen {
    /// Begins a step, with a sentence on what it is about.
    pub(super) fn step(&mut self, title: &str, about: &str) {
        self.steps += 1;
        say(&format!(
            "\n── {}. {title} {}",
            self.steps,
            "─".repeat(90_usize.saturating_sub(title.chars().count()))
        ));
        for line in about.lines() {
            say(&format!("   {line}"));
        }
        say("");
    }
}

/// Shows a command and what it says, on either stream.
pub(super) fn show(command: &mut Command) -> Result<()> {
    command_line(&shown(command));
    let output = command.output().with_context(|| shown(command))?;
    let words = [output.stderr, output.stdout].concat();
    text(String::from_utf8_lossy(&words).trim_end());
    ensure!(output.status.success(), "`{}` ended with {}", shown(command), output.status);
    Ok(())
}

/// Shows a command as one would type it.
pub(super) fn command_line(line: &str) {
    let program = line.split(' ').next().unwrap_or(line);
    let name = program.rsplit('/').next().unwrap_or(program);
    say(&format!("   $ {name}{}", &line[program.len()..]));
}

/// One line of a result.
pub(super) fn row(line: &str) {
    say(&format!("     {line}"));
}

/// A result, and a blank line.
pub(super) fn text(words: &str) {
    for line in words.lines() {
        say(&format!("     {line}"));
    }
    say("");
}
