//! Commands of our documents, run as they are written there: `cargo xtask cluster tour` is README's section on clusters.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Instant;

use allotment_fleet::programs::root;
use anyhow::{Context, Result, bail, ensure};

use crate::layout::Layout;

/// The heading above the tour's commands. Blocks of language `sh` below it are run; what brings the cluster about is in others.
const TOUR: &str = "## A tour of a cluster";

/// What commands find of the checkout that they are entered in; what they write there stays out of it.
const CHECKOUT: [&str; 3] = ["deploy", "docs", "examples"];

/// A block of commands, and what is said above it.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    about: String,
    commands: Vec<String>,
}

/// Runs README's tour, and writes what a user sees. The first command that fails ends it.
pub fn play(layout: &Layout, readme: &str, out: &mut impl Write) -> Result<()> {
    let steps = steps(readme, TOUR)?;
    let began = Instant::now();
    for (number, step) in (1..).zip(&steps) {
        writeln!(out, "\n── {number} of {} ──\n{}\n", steps.len(), step.about)?;
        step.play(layout, out)?;
    }
    writeln!(out, "\nThe tour took {:.0} s.", began.elapsed().as_secs_f32())?;
    Ok(())
}

impl Step {
    /// Runs its commands one after the other, and writes what a user sees.
    pub fn play(&self, layout: &Layout, out: &mut impl Write) -> Result<()> {
        for command in &self.commands {
            writeln!(out, "$ {command}")?;
            out.flush()?;
            let output = shell(layout, command)?;
            out.write_all(&output.stdout)?;
            out.write_all(&output.stderr)?;
            ensure!(output.status.success(), "`{command}` failed: {}", output.status);
        }
        Ok(())
    }
}

/// One command as somebody in `cargo xtask cluster shell`, at the root of a checkout, would run it.
fn shell(layout: &Layout, command: &str) -> Result<std::process::Output> {
    let checkout = layout.folder().join("checkout");
    fs::create_dir_all(&checkout)?;
    for name in CHECKOUT {
        let (place, there) = (checkout.join(name), root().canonicalize()?.join(name));
        if !place.exists() {
            symlink(&there, &place).with_context(|| place.display().to_string())?;
        }
    }
    let mut shell: Command = layout.command("sh");
    shell.args(["-c", command]).current_dir(checkout).stdin(Stdio::null());
    shell.output().with_context(|| command.to_owned())
}

/// The blocks of language `sh` below this heading.
pub fn steps(page: &str, heading: &str) -> Result<Vec<Step>> {
    let page = format!("\n{page}");
    let section = page.split_once(&format!("\n{heading}\n")).map(|(_, rest)| rest);
    let section = section.with_context(|| format!("no section `{heading}`"))?;
    let section = section.split("\n## ").next().unwrap_or(section);
    let mut steps = Vec::new();
    let (mut about, mut block) = (String::new(), None::<(bool, Vec<String>)>);
    for line in section.lines() {
        match (&mut block, line.strip_prefix("```")) {
            (None, Some(language)) => block = Some((language == "sh", Vec::new())),
            (None, None) if !line.is_empty() => about = format!("{about}{line}\n"),
            (None, None) => {}
            (Some((_, commands)), None) => commands.push(line.to_owned()),
            (Some((runs, commands)), Some(_)) => {
                let about = std::mem::take(&mut about).trim_end().to_owned();
                if *runs {
                    steps.push(Step { about, commands: std::mem::take(commands) });
                }
                block = None;
            }
        }
    }
    if block.is_some() || steps.is_empty() {
        bail!("section `{heading}` has a block without an end, or none of language `sh`");
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_the_section_are_steps() {
        let text = format!(
            "# A\n```sh\nno\n```\n{TOUR}\n\nMade by:\n\n```\ncargo xtask cluster up\n```\n\nFirst,\nthis.\n\n\
             ```sh\na -b\nc\n```\n\nThen:\n```sh\nd\n```\n## Next\n```sh\nno\n```\n"
        );
        let step = |about: &str, commands: &[&str]| Step {
            about: about.to_owned(),
            commands: commands.iter().map(|&command| command.to_owned()).collect(),
        };
        assert_eq!(
            steps(&text, TOUR).unwrap(),
            [step("First,\nthis.", &["a -b", "c"]), step("Then:", &["d"])]
        );
    }

    #[test]
    fn a_section_without_commands_is_an_error() {
        assert!(steps("# A\n", TOUR).is_err());
        assert!(steps(&format!("\n{TOUR}\n\n```sh\na\n"), TOUR).is_err());
    }

    #[test]
    fn readme_has_a_tour() {
        let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
        assert!(steps(&readme, TOUR).unwrap().len() > 5);
    }
}
