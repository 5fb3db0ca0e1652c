//! `allot check`

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use allotment_wire::{CheckFile, CheckRow};

use crate::args::Format;
use crate::client::Client;
use crate::failure::{Failure, Verdict};
use crate::objects::FromFiles;
use crate::output;
use crate::serve::check::check_files;

/// Says what would be wrong; `Found` when anything would be.
pub(crate) async fn check(client: &Client, paths: &[PathBuf], format: Format) -> Result<Verdict, Failure> {
    let mut files = Vec::new();
    for path in paths {
        read(path, &mut files)?;
    }
    let rows = match client.answers().await {
        Ok(()) => ask(client, paths, &files).await?,
        Err(why) => {
            output::note(&format!("note: the files are checked against each other alone: {why}"));
            check_files(&files, allotment_core::State::new(), &FromFiles::new()).await
        }
    };
    if format == Format::Table {
        for row in &rows {
            output::line(&line(row))?;
            if let Some(hint) = &row.hint {
                output::line(&format!("  hint: {hint}"))?;
            }
        }
        if rows.is_empty() {
            output::note("nothing is wrong");
        }
    } else {
        output::print(&rows, format)?;
    }
    Ok(if rows.is_empty() { Verdict::Done } else { Verdict::Found })
}

/// Asks the daemon. Of `paths` it wants to know which are folders: what its own one no longer declares would go.
pub(super) async fn ask(
    client: &Client,
    paths: &[PathBuf],
    files: &[CheckFile],
) -> Result<Vec<CheckRow>, Failure> {
    let folders = paths.iter().filter(|path| path.is_dir()).filter_map(|path| path.canonicalize().ok());
    let query: Vec<_> = folders.map(|folder| ("folder", folder.display().to_string())).collect();
    let body = serde_json::to_vec(files).expect("names and texts can be written");
    client.post("/v1/check", &query, "application/json", body).await
}

/// `file:line: object: field: text`, as compilers write it.
pub(crate) fn line(row: &CheckRow) -> String {
    let place = match row.line {
        Some(line) => format!("{}:{line}", row.file),
        None => row.file.clone(),
    };
    let parts = [Some(&place), row.object.as_ref(), row.field.as_ref(), Some(&row.text)];
    parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(": ")
}

/// One file, a folder of them, or standard input.
fn read(path: &Path, files: &mut Vec<CheckFile>) -> Result<(), Failure> {
    let unable =
        |error: io::Error| Failure::unable(format!("{} cannot be read: {error}", path.display()), "");
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(unable)?;
        files.push(CheckFile { name: "-".to_owned(), text });
        return Ok(());
    }
    let found =
        if path.is_dir() { allotment_api::files(path).map_err(unable)? } else { vec![path.to_owned()] };
    for file in found {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Failure::unable(format!("{} cannot be read: {error}", file.display()), ""))?;
        files.push(CheckFile { name: file.display().to_string(), text });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_as_compilers_write_it() {
        let mut row = CheckRow {
            file: "a.yaml".to_owned(),
            line: Some(7),
            object: Some("Subnet `rack-a`".to_owned()),
            field: Some("spec.cidrs[0]".to_owned()),
            text: "no prefix".to_owned(),
            hint: None,
        };
        assert_eq!(line(&row), "a.yaml:7: Subnet `rack-a`: spec.cidrs[0]: no prefix");
        (row.line, row.object, row.field) = (None, None, None);
        assert_eq!(line(&row), "a.yaml: no prefix");
    }
}
