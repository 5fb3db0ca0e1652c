//! The pages of the reference, all of them written from the code: `allot reference PAGE`.
//!
//! `cargo xtask gen` puts them into `docs/reference`. What they say stands where it is true: with the types of the
//! objects, the keys that are read, the codes that are given, the command line, the metrics.

mod annotations;
mod codes;
mod commands;
mod plugin;

use std::fmt::Write;

use crate::args::Page;
use crate::failure::{Failure, Verdict};
use crate::{metrics, output};

pub(crate) fn print(page: Page) -> Result<Verdict, Failure> {
    output::line(text(page).trim_end())?;
    Ok(Verdict::Done)
}

fn text(page: Page) -> String {
    match page {
        Page::Objects => allotment_api::reference(),
        Page::Annotations => annotations::page(),
        Page::Internal => allotment_api::internal_reference(),
        Page::Plugin => plugin::page(),
        Page::Codes => codes::page(),
        Page::Commands => commands::page(),
        Page::Metrics => metrics_page(),
        Page::Events => events_page(),
    }
}

fn metrics_page() -> String {
    let mut page = "# Metrics\n\nServed at `/metrics`, in OpenMetrics' form, by each program that is told to. What has labels is there once \
                    it was counted for the first time. Beside it `/healthz` and `/readyz` answer 200, or 503 and why not.\n"
        .to_owned();
    for section in metrics::SECTIONS {
        write!(page, "\n## {}\n\n{}\n\n", section.title, section.about)
            .expect("a string takes all that is written to it");
        let rows = section.metrics().into_iter().map(|metric| {
            let labels =
                metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
            let name = format!("`{}_{}`", metrics::PREFIX, metric.name);
            [name, metric.kind.to_owned(), labels, metric.meaning.to_owned()]
        });
        table(&mut page, ["name", "type", "labels", "meaning"], rows);
    }
    page
}

fn events_page() -> String {
    let mut page = "# Events\n\nWhat the controller says about objects, as `kubectl describe` shows it. Nothing is said of an ordinary grant. The \
                    same about the same object is one event, which becomes a series when it comes again.\n\n"
        .to_owned();
    let rows = allotment_controller::EVENTS.iter().map(|event| {
        let reason = format!("`{}`", event.reason);
        [reason, event.regarding.to_owned(), event.meaning.to_owned(), event.remedy.to_owned()]
    });
    let head = ["reason", "about", "meaning", "what to do"];
    table(&mut page, head, rows);
    page.push_str("\nWhat a person did, by a command that asks first. The note names who.\n\n");
    let rows = crate::acts::REASONS.iter().map(|act| {
        [format!("`{}`", act.word), act.kind.to_owned(), act.meaning.to_owned(), act.remedy.to_owned()]
    });
    table(&mut page, head, rows);
    page
}

/// A table in Markdown.
fn table<const N: usize>(page: &mut String, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut line = |cells: &[String]| {
        writeln!(page, "| {} |", cells.join(" | ")).expect("a string takes all that is written to it");
    };
    line(&head.map(str::to_owned));
    line(&head.map(|_| "---".to_owned()));
    for row in rows {
        line(&row);
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_page_can_be_read() {
        for page in Page::value_variants() {
            let text = text(*page);
            assert!(text.starts_with("# ") && !text.contains('\u{1b}'), "a title, no colours: {page:?}");
            let mut columns = 0;
            for line in text.lines() {
                // A bar in a cell would be one more.
                let bars = line.matches(" | ").count();
                assert!(!line.starts_with('|') || columns == 0 || bars == columns, "{line}");
                columns = if line.starts_with('|') { bars } else { 0 };
            }
        }
    }
}
