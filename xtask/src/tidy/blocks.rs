//! Blocks of commands and configuration in documents: each is run by a test, or says why not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Complaints, at};

/// Pages of people to people; the reference is written from the code.
const PAGES: [&str; 4] = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "docs/"];
const WRITTEN: &str = "docs/reference/";

/// What nobody can run: a drawing, or what a program has said.
const NOT_RUN: &str = "text";

/// Begins the line above a block that no test can run, and is followed by the reason.
const MARK: &str = "<!-- not run: ";

/// Who runs what: the page, a heading (or nothing, for all of the page), the languages of the blocks, and the file with the test,
/// which names the page or the heading.
type Runner = (&'static str, &'static str, &'static [&'static str], &'static str);

const RUNNERS: &[Runner] = &[
    ("README.md", "## Five minutes with it", &["sh", "json"], "tests/lab/tests/it/guides.rs"),
    ("README.md", "## A tour of a cluster", &["sh"], "tests/nodes/src/tour.rs"),
    ("docs/guides/one-machine.md", "", &["sh"], "tests/lab/tests/it/guides.rs"),
    ("docs/guides/first-hour.md", "", &["sh"], "tests/nodes/tests/it/operate.rs"),
    ("docs/guides/networks.md", "", &["yaml", "json"], "tests/lab/tests/it/guides.rs"),
    ("docs/guides/calico.md", "", &["yaml", "json"], "tests/lab/tests/it/guides.rs"),
    ("docs/guides/cilium.md", "", &["yaml", "json"], "tests/lab/tests/it/cilium.rs"),
    ("docs/guides/flannel.md", "", &["yaml", "json"], "tests/nodes/tests/it/flannel.rs"),
    ("docs/guides/kubernetes.md", "", &["sh", "yaml"], "crates/allot/tests/it/guide.rs"),
    ("docs/guides/from-whereabouts.md", "", &["sh"], "crates/allot/tests/it/cluster/whereabouts.rs"),
    ("docs/operations/operate.md", "## Back up and restore", &["sh"], "tests/nodes/tests/it/operate.rs"),
    ("docs/operations/remove.md", "# Remove", &["sh"], "tests/nodes/tests/it/operate.rs"),
];

/// A fenced block.
struct Block<'a> {
    line: usize,
    language: &'a str,
    /// The last heading of the first or second level above it.
    heading: &'a str,
    is_marked: bool,
    lines: Vec<&'a str>,
}

/// Names every block that nobody runs, and every runner that has nothing to run or does not know of it.
pub(super) fn check(pages: &[(PathBuf, String)], sources: &[(PathBuf, String)]) -> Complaints {
    against(RUNNERS, pages, sources)
}

fn against(runners: &[Runner], pages: &[(PathBuf, String)], sources: &[(PathBuf, String)]) -> Complaints {
    let sources: BTreeMap<&Path, &str> =
        sources.iter().map(|(path, text)| (path.as_path(), text.as_str())).collect();
    let mut complaints = Complaints::new();
    let mut used = vec![false; runners.len()];
    for (path, text) in pages.iter().filter(|(path, _)| is_ours(path)) {
        for block in blocks(text) {
            let runs = |(page, heading, languages, _): &Runner| {
                path == Path::new(page)
                    && (heading.is_empty() || *heading == block.heading)
                    && languages.contains(&block.language)
            };
            match runners.iter().position(runs) {
                Some(runner) => used[runner] = true,
                None if block.is_marked || block.language == NOT_RUN || is_own(&block) => {}
                None => {
                    let what = format!(
                        "no test runs this block; add one to xtask/src/tidy/blocks.rs, or `{MARK}why -->` above it"
                    );
                    complaints.push(at(path, block.line, what));
                }
            }
        }
    }
    for ((page, heading, _, file), is_used) in runners.iter().zip(used) {
        let name = if heading.is_empty() { page.trim_start_matches("docs/") } else { heading };
        if !is_used {
            complaints.push(format!("{page}: `{file}` is said to run blocks that are not there"));
        } else if !sources.get(Path::new(file)).is_some_and(|text| text.contains(name)) {
            complaints
                .push(format!("{page}: `{file}` is said to run its blocks, and does not name `{name}`"));
        }
    }
    complaints
}

fn is_ours(path: &Path) -> bool {
    let path = path.to_string_lossy();
    PAGES.iter().any(|page| path.starts_with(page)) && !path.starts_with(WRITTEN)
}

/// The project's own commands have their own rule.
fn is_own(block: &Block) -> bool {
    block.language.is_empty() && block.lines.iter().all(|line| line.starts_with("cargo xtask "))
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    let (mut heading, mut above) = ("", "");
    for (line, content) in text.lines().enumerate() {
        match (&mut open, content.strip_prefix("```")) {
            (None, Some(language)) => {
                let is_marked =
                    above.strip_prefix(MARK).is_some_and(|why| why.trim_end_matches("-->").trim() != "");
                open = Some(Block { line, language, heading, is_marked, lines: Vec::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.lines.push(content),
            (None, None) => {
                if content.starts_with("# ") || content.starts_with("## ") {
                    heading = content;
                }
                if !content.is_empty() {
                    above = content;
                }
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_a_test_a_mark_or_nothing_to_run() {
        let runners: [Runner; 3] = [
            ("README.md", "## Run", &["sh"], "tests/a.rs"),
            ("docs/b.md", "", &["sh"], "tests/a.rs"),
            ("docs/c.md", "", &["sh"], "tests/a.rs"),
        ];
        let readme = "## Run\n```sh\na\n```\n### Below\n```sh\nb\n```\n```json\n{}\n```\n## Else\n```sh\nc\n```\n\n\
                      <!-- not run: it needs a moon -->\n\n```sh\nd\n```\n<!-- not run: -->\n```sh\ne\n```\n```text\nf\n```\n\
                      ```\ncargo xtask test\n```\n```\nls\n```\n";
        let page = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
        let pages = [
            page("README.md", readme),
            page("docs/b.md", "```sh\na\n```\n"),
            page("docs/reference/d.md", "```sh\na\n```\n"),
            page("crates/x/README.md", "```sh\na\n```\n"),
        ];
        let complaints = against(&runners, &pages, &[page("tests/a.rs", "\"## Run\"")]);
        let places: Vec<&str> = complaints.iter().map(|said| said.split(": ").next().unwrap()).collect();
        assert_eq!(
            places,
            ["README.md:9", "README.md:13", "README.md:23", "README.md:32", "docs/b.md", "docs/c.md"]
        );
        assert!(complaints[4].contains("does not name `b.md`") && complaints[5].contains("not there"));
    }
}
