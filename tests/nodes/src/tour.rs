//! `cargo xtask cluster tour`: the commands of README's section on clusters, as they are written there.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use allotment_fleet::programs::root;
use anyhow::{Context, Result, bail, ensure};

use crate::layout::Layout;

/// The heading above the commands. Blocks of language `sh` below it are run; what brings the cluster about is in others.
const SECTION: &str = "## A tour of a cluster";

/// A block of commands, and what is said above it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    about: String,
    commands: Vec<String>,
}

/// Runs them all, one after the other, and writes what a user sees. The first that fails ends the tour.
pub fn play(layout: &Layout, readme: &str, out: &mut impl Write) -> Result<()> {
    let steps = steps(readme)?;
    let began = Instant::now();
    for (number, step) in (1..).zip(&steps) {
        writeln!(out, "\n── {number} of {} ──\n{}\n", steps.len(), step.about)?;
        for command in &step.commands {
            writeln!(out, "$ {command}")?;
            out.flush()?;
            let output = shell(layout, command)?;
            out.write_all(&output.stdout)?;
            out.write_all(&output.stderr)?;
            ensure!(output.status.success(), "`{command}` failed: {}", output.status);
        }
    }
    writeln!(out, "\nThe tour took {:.0} s.", began.elapsed().as_secs_f32())?;
    Ok(())
}

/// One command as somebody in `cargo xtask cluster shell`, at the root of the checkout, would run it.
fn shell(layout: &Layout, command: &str) -> Result<std::process::Output> {
    let mut shell: Command = layout.command("sh");
    shell.args(["-c", command]).current_dir(root()).stdin(Stdio::null());
    shell.output().with_context(|| command.to_owned())
}

fn steps(readme: &str) -> Result<Vec<Step>> {
    let section = readme.split_once(&format!("\n{SECTION}\n")).map(|(_, rest)| rest);
    let section = section.with_context(|| format!("README has no section `{SECTION}`"))?;
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
        bail!("section `{SECTION}` of README has a block without an end, or none of language `sh`");
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_the_section_are_steps() {
        let text = format!(
            "# A\n```sh\nno\n```\n{SECTION}\n\nMade by:\n\n```\ncargo xtask cluster up\n```\n\nFirst,\nthis.\n\n\
             ```sh\na -b\nc\n```\n\nThen:\n```sh\nd\n```\n## Next\n```sh\nno\n```\n"
        );
        let step = |about: &str, commands: &[&str]| Step {
            about: about.to_owned(),
            commands: commands.iter().map(|&command| command.to_owned()).collect(),
        };
        assert_eq!(steps(&text).unwrap(), [step("First,\nthis.", &["a -b", "c"]), step("Then:", &["d"])]);
    }

    #[test]
    fn a_section_without_commands_is_an_error() {
        assert!(steps("# A\n").is_err());
        assert!(steps(&format!("\n{SECTION}\n\n```sh\na\n")).is_err());
    }

    #[test]
    fn readme_has_a_tour() {
        let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
        assert!(steps(&readme).unwrap().len() > 5);
    }
}
