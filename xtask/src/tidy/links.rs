//! Links from one document to another.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{Complaints, at};
use crate::tree;

/// Names every relative link to a file that is not there, or to a heading that its page does not have.
pub(super) fn check(pages: &[(PathBuf, String)]) -> Complaints {
    let headings: BTreeMap<&Path, Vec<String>> =
        pages.iter().map(|(path, text)| (path.as_path(), anchors(text))).collect();
    let mut complaints = Complaints::new();
    for (path, text) in pages {
        for (number, line) in text.lines().enumerate() {
            for link in links(line) {
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() { path.clone() } else { beside(path, file) };
                let page = headings.get(target.as_path());
                if page.is_none() && !tree::root().join(&target).exists() {
                    complaints.push(at(path, number, format!("`{link}`: there is no {}", target.display())));
                } else if !anchor.is_empty()
                    && !page.is_some_and(|found| found.iter().any(|one| one == anchor))
                {
                    complaints.push(at(path, number, format!("`{link}`: there is no such heading")));
                }
            }
        }
    }
    complaints
}

/// Names every link that is called after a test and leads to a file that does not have it: ``[`name`](../a.rs)``.
pub(super) fn tests(pages: &[(PathBuf, String)], sources: &[(PathBuf, String)]) -> Complaints {
    let sources: BTreeMap<&Path, &str> =
        sources.iter().map(|(path, text)| (path.as_path(), text.as_str())).collect();
    let mut complaints = Complaints::new();
    for (path, text) in pages {
        for (number, line) in text.lines().enumerate() {
            for (name, file) in named(line) {
                let file = beside(path, file);
                let text = sources.get(file.as_path()).copied().unwrap_or_default();
                // The lab's tests are in a table, with their file's name before theirs.
                let is_there =
                    text.contains(&format!("fn {name}(")) || text.contains(&format!("(\"{name}\","));
                if !is_there {
                    complaints.push(at(path, number, format!("`{name}`: no test of {}", file.display())));
                }
            }
        }
    }
    complaints
}

/// The links of a line that lead to a file of code and are called by a name: name and target.
fn named(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split("[`").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once("`](")?;
        Some((name, rest.split(')').next()?)).filter(|(_, target)| is_code(target))
    })
}

fn is_code(target: &str) -> bool {
    Path::new(target).extension().is_some_and(|end| end == "rs")
}

/// The targets of a line's links, those to other places in the world left out.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://"))
}

/// The file that `link` means on the page `from`.
fn beside(from: &Path, link: &str) -> PathBuf {
    let mut target = from.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => drop(target.pop()),
            Component::Normal(name) => target.push(name),
            _ => {}
        }
    }
    target
}

/// What links call a page's headings: lower case, spaces as `-`, other signs left out.
fn anchors(text: &str) -> Vec<String> {
    let headings =
        text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let word = |letter: char| match letter {
        ' ' => Some('-'),
        _ => (letter.is_alphanumeric() || letter == '-' || letter == '_').then_some(letter),
    };
    headings.map(|heading| heading.to_lowercase().chars().filter_map(word).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_named() {
        let page = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
        let pages = [
            page(
                "docs/a.md",
                "# One `Two`\n[b](sub/b.md#keys-of-x) [self](#one-two) [root](../README.md) [out](https://x.y/z)",
            ),
            page("docs/sub/b.md", "## Keys of `x`\n[a](../a.md#three)\n[c](c.md)"),
        ];
        assert_eq!(
            check(&pages),
            [
                "docs/sub/b.md:2: `../a.md#three`: there is no such heading",
                "docs/sub/b.md:3: `c.md`: there is no docs/sub/c.md",
            ]
        );
    }

    #[test]
    fn tests_that_are_not_there_are_named() {
        let page = "[`one`](../x/a.rs), [`two::three`](../x/a.rs) [`four`](../x/a.rs)\n[`one`](../x/b.rs) [map](../x/a.rs)";
        let pages = [(PathBuf::from("docs/a.md"), page.to_owned())];
        let source = "fn one() {}\nconst T: &[Test] = &[(\"two::three\", three)];\nfn four_more() {}";
        let sources = [(PathBuf::from("x/a.rs"), source.to_owned())];
        assert_eq!(
            tests(&pages, &sources),
            ["docs/a.md:1: `four`: no test of x/a.rs", "docs/a.md:2: `one`: no test of x/b.rs"]
        );
    }
}
