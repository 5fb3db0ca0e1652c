//! The command line, as the program itself describes it.

use std::fmt::Write;

use clap::CommandFactory;

use crate::args::Cli;

/// The help of every command that is not hidden.
pub(super) fn page() -> String {
    let mut cli = Cli::command();
    cli.build();
    let about = cli.get_about().expect("the program says what it is");
    let mut page = format!(
        "# `allot`\n\n{about}\n\nExit codes: 0, 1 or 2; [codes](codes.md#exit-codes-of-allot) has their meanings.\n"
    );
    let shown = |command: &&mut clap::Command| !command.is_hide_set() && command.get_name() != "help";
    for command in cli.get_subcommands_mut().filter(shown) {
        let help = command.render_long_help().to_string();
        let help = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        write!(page, "\n## `allot {}`\n\n```text\n{}\n```\n", command.get_name(), help.trim_end())
            .expect("a string takes all that is written to it");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_section() {
        let page = page();
        for name in
            ["standalone", "ready", "ip", "who-has", "why", "audit", "check", "export", "import", "reserve"]
        {
            assert!(page.contains(&format!("\n## `allot {name}`\n")), "{name}");
        }
        assert!(!page.contains("reference"), "what is hidden stays so");
    }
}
