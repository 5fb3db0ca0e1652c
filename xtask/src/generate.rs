//! Files that are written from the code, and committed: a change of the code shows in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::tree;

mod deploy;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    /// Change nothing; fail where something would have to be changed.
    Check,
}

pub(crate) fn run(mode: Mode) -> Result<ExitCode> {
    let mut stale = settle(documents()?, mode)?;
    // The chart is made of what is settled by now.
    stale += settle(deploy::manifests()?.into(), mode)?;
    Ok(if stale == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A generated file: its path from the root and what belongs in it.
type Document = (PathBuf, String);

/// How many of them are not what they should be.
fn settle(documents: Vec<Document>, mode: Mode) -> Result<usize> {
    let mut stale = 0;
    for (path, contents) in documents {
        if !ensure_file_contents(&path, &contents, mode)? {
            stale += 1;
        }
    }
    Ok(stale)
}

/// The pages that `allot` writes of itself.
const PAGES: [&str; 8] =
    ["objects", "annotations", "internal", "plugin", "codes", "commands", "metrics", "events"];

/// What `allot` writes of itself.
fn documents() -> Result<Vec<Document>> {
    let page = |name: &&str| {
        let text = printed(&["reference", name])?;
        let path = Path::new("docs/reference").join(name).with_extension("md");
        Ok((
            path,
            format!("<!-- Written by `cargo xtask gen`: change it where the code says it. -->\n\n{text}"),
        ))
    };
    let mut documents = PAGES.iter().map(page).collect::<Result<Vec<_>>>()?;
    documents.extend(deploy::documents()?);
    Ok(documents)
}

/// What `allot` prints.
fn printed(arguments: &[&str]) -> Result<String> {
    let mut allot = tree::cargo();
    allot.args(["run", "--quiet", "--package", "allot", "--"]).args(arguments);
    allotment_lab::run(&mut allot)
}

/// Whether the file has these contents now; with [`Mode::Write`] it has.
fn ensure_file_contents(path: &Path, contents: &str, mode: Mode) -> Result<bool> {
    let file = tree::root().join(path);
    if fs::read_to_string(&file).is_ok_and(|present| present == contents) {
        return Ok(true);
    }
    if mode == Mode::Check {
        eprintln!("{} is not what the code says; `cargo xtask gen` writes it", path.display());
        return Ok(false);
    }
    let folder = file.parent().context("a path below the root")?;
    fs::create_dir_all(folder)?;
    fs::write(&file, contents).with_context(|| path.display().to_string())?;
    eprintln!("{} was written", path.display());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_changes_nothing_and_a_write_mends() {
        let dir = tempfile::tempdir().unwrap();
        // Joined to the root, an absolute path stays what it is.
        let path = dir.path().join("docs/x.md");
        assert!(!ensure_file_contents(&path, "new", Mode::Check).unwrap());
        assert!(!path.exists());
        assert!(ensure_file_contents(&path, "new", Mode::Write).unwrap());
        assert!(ensure_file_contents(&path, "new", Mode::Check).unwrap());
        assert!(!ensure_file_contents(&path, "newer", Mode::Check).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
