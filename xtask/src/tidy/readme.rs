//! The commands that README shows.

use std::collections::BTreeSet;

use super::Complaints;
use crate::USAGE;

pub(super) fn check(readme: &str) -> Complaints {
    let known: BTreeSet<&str> =
        USAGE.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect();
    let mut complaints = Complaints::new();
    let mut shown = BTreeSet::new();
    for words in commands(readme) {
        if let ["cargo", "xtask", command, ..] = words.as_slice() {
            shown.insert(*command);
            if !known.contains(command) {
                complaints.push(format!("README shows `cargo xtask {command}`, which there is not"));
            }
        }
    }
    for command in ["demo", "test"] {
        if !shown.contains(command) {
            complaints.push(format!("README does not show `cargo xtask {command}`"));
        }
    }
    complaints
}

/// The subcommands of `allot` that README shows.
pub(crate) fn tool_commands(readme: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for words in commands(readme) {
        let mut words = words.into_iter().skip_while(|word| *word == "sudo" || word.contains('='));
        if words.next().is_some_and(|program| program.rsplit('/').next() == Some("allot"))
            && let Some(command) =
                words.next().filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        {
            found.insert(command.to_owned());
        }
    }
    found
}

/// The words of each line in a fenced block.
fn commands(readme: &str) -> Vec<Vec<&str>> {
    let mut inside = false;
    let mut commands = Vec::new();
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside {
            commands.push(line.trim_start_matches("$ ").split_whitespace().collect());
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_are_not_there_are_named() {
        let good = "```\ncargo xtask demo\n$ cargo xtask test\n```\n`cargo xtask fly`\n";
        assert_eq!(check(good), Complaints::new());
        let bad = "```\ncargo xtask demo\ncargo xtask fly\n```\n";
        assert_eq!(check(bad).len(), 2);
    }

    #[test]
    fn the_tools_commands_are_found() {
        let text = "```sh\nsudo dist/bin/allot standalone --data /x\nALLOTMENT_SOCKET=s allot ip -o json\nallot --help\n```\n";
        assert_eq!(tool_commands(text).into_iter().collect::<Vec<_>>(), ["ip", "standalone"]);
    }
}
