//! The pages of the reference that are written from this program: `allot reference commands | metrics`.

use std::fmt::Write;

use clap::CommandFactory;

use crate::args::{Cli, Page};
use crate::failure::{Failure, Verdict};
use crate::{metrics, output};

pub(crate) fn print(page: Page) -> Result<Verdict, Failure> {
    output::line(
        match page {
            Page::Commands => commands(),
            Page::Metrics => metrics_page(),
        }
        .trim_end(),
    )?;
    Ok(Verdict::Done)
}

/// The help of every command, as the program prints it.
fn commands() -> String {
    let mut cli = Cli::command();
    cli.build();
    let mut page = format!(
        "# `allot`\n\n{}\n\n| exit code | meaning |\n|---|---|\n\
         | 0 | done |\n\
         | 1 | refused, not found, or something was found |\n\
         | 2 | not reachable, wrong usage, could not run |\n",
        cli.get_about().expect("the program says what it is")
    );
    for command in
        cli.get_subcommands_mut().filter(|command| !command.is_hide_set() && command.get_name() != "help")
    {
        let help = command.render_long_help();
        write!(
            page,
            "\n## `allot {}`\n\n```text\n{}\n```\n",
            command.get_name(),
            help.to_string().trim_end()
        )
        .expect("a string takes all that is written to it");
    }
    page
}

fn metrics_page() -> String {
    let mut page = "# Metrics\n\n`allot standalone --metrics ADDR:PORT` serves them at `/metrics`.\n\n\
                    | name | type | labels | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for metric in &metrics::ALL {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        writeln!(
            page,
            "| `{}_{}` | {} | {labels} | {} |",
            metrics::PREFIX,
            metric.name,
            metric.kind,
            metric.meaning
        )
        .expect("a string takes all that is written to it");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_section() {
        let page = commands();
        for name in
            ["standalone", "ready", "ip", "who-has", "why", "audit", "check", "export", "import", "reserve"]
        {
            assert!(page.contains(&format!("\n## `allot {name}`\n")), "{name}");
        }
        assert!(!page.contains("reference"), "what is hidden stays so");
        assert!(!page.contains('\u{1b}'), "no colours");
    }
}
