//! The rules that no compiler knows.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use crate::tree;

mod blocks;
mod edges;
mod links;
mod readme;
mod text;

pub(crate) use readme::tool_commands;

/// What broke a rule, and how to mend it.
type Complaints = Vec<String>;

/// A rule and what breaks it in this tree.
pub(crate) struct Verdict {
    pub(crate) rule: &'static str,
    pub(crate) complaints: Complaints,
}

pub(crate) fn run() -> Result<ExitCode> {
    let verdicts = verdicts()?;
    let broken = report(&verdicts);
    eprintln!("{} rules, {broken} broken", verdicts.len());
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints every complaint; how many rules are broken.
pub(crate) fn report(verdicts: &[Verdict]) -> usize {
    let broken = verdicts.iter().filter(|verdict| !verdict.complaints.is_empty());
    broken
        .inspect(|verdict| {
            eprintln!("{}:", verdict.rule);
            for complaint in &verdict.complaints {
                eprintln!("  {complaint}");
            }
        })
        .count()
}

/// Looks at the whole tree.
pub(crate) fn verdicts() -> Result<Vec<Verdict>> {
    let sources = tree::sources()?;
    let rule = |rule, complaints| Verdict { rule, complaints };
    let each = |check: fn(&Path, &str) -> Complaints| {
        sources.iter().flat_map(|(path, text)| check(path, text)).collect::<Complaints>()
    };
    let metadata = tree::metadata()?;
    let readme = tree::read(Path::new("README.md"))?;
    let documents = documents()?;
    Ok(vec![
        rule("a file has 500 lines at most", each(text::length)),
        rule("nothing unfinished is left", each(text::unfinished)),
        rule("no test is ignored, and none sleeps", each(text::sleeping)),
        rule("lib.rs is a map with a description", each(text::map)),
        rule("core has no clock, no I/O and no randomness", each(text::pure)),
        rule("dependencies point inward", edges::check(&metadata)),
        rule("README's commands exist", readme::check(&readme)),
        rule("links between documents lead somewhere", links::check(&documents)),
        rule("blocks in documents are run", blocks::check(&documents, &sources)),
        rule("tests that documents name exist", links::tests(&documents, &sources)),
    ])
}

/// Every page in Markdown, with its text.
fn documents() -> Result<Vec<(PathBuf, String)>> {
    let pages = tree::files()?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "md"));
    pages.map(|path| Ok((path.clone(), tree::read(&path)?))).collect()
}

/// `path:line: what`.
fn at(path: &Path, line: usize, what: impl Display) -> String {
    format!("{}:{}: {what}", path.display(), line + 1)
}
